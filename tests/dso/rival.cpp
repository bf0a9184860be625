// A second plugin, which declares the first one's key in a file of its own, for another type.
#include "dso/shared.hpp"

namespace {

const atom::Atom<std::string> own{"dso.plugin", "rival"};

const dso::Plugin plugin{
    .registry = [] { return static_cast<const void*>(&atom::detail::Registry::instance()); },
    .title_clone = [](atom::AtomStore& store) -> atom::AtomBase* { return &store.use(dso::title); },
    .set_title = [](atom::AtomStore& store, const char* text) { store.use(dso::title).update(std::string(text)); },
    .use_own = [](atom::AtomStore& store) { return store.use(own).value(); },
    .drop_own = [](atom::AtomStore& store) { store.drop(own); },
    .use_contested = [](atom::AtomStore&) {},
    .request = [] { return atom::Snapshot(); },
};

}  // namespace

extern "C" __attribute__((visibility("default"))) const dso::Plugin* dso_plugin() {
  return &plugin;
}
