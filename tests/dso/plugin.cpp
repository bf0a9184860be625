// The plugin: an atom of its own, one that it shares with the host, and one whose key belongs to the host.
#include "dso/shared.hpp"

#include <numeric>
#include <vector>

namespace {

const atom::Atom<std::vector<int>> own{"dso.plugin", {1, 2, 3}};
const atom::Atom<long> contested{"dso.contested", 1};

const dso::Plugin plugin{
    .registry = [] { return static_cast<const void*>(&atom::detail::Registry::instance()); },
    .title_clone = [](atom::AtomStore& store) -> atom::AtomBase* { return &store.use(dso::title); },
    .set_title = [](atom::AtomStore& store, const char* text) { store.use(dso::title).update(std::string(text)); },
    .use_own =
        [](atom::AtomStore& store) {
          auto& numbers = store.use(own);
          numbers.mutate([](std::vector<int>& v) { v.push_back(4); });
          return std::to_string(std::accumulate(numbers->begin(), numbers->end(), 0));
        },
    .drop_own = [](atom::AtomStore& store) { store.drop(own); },
    .use_contested = [](atom::AtomStore& store) { store.use(contested); },
    .request =
        [] {
          atom::AtomStore store;
          store.use(dso::title).update("from the plugin");
          return store.snapshot();
        },
};

}  // namespace

extern "C" __attribute__((visibility("default"))) const dso::Plugin* dso_plugin() {
  return &plugin;
}
