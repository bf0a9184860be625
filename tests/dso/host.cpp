// The host: loads a plugin, lets it work on stores of the host, unloads it, and loads it again.
// usage: host PLUGIN RIVAL one-registry|own-registries unloads|may-stay
#include "dso/shared.hpp"

#include <dlfcn.h>

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

namespace {

const atom::Atom<std::string> contested{"dso.contested", "the host's"};
const atom::Atom<int> hits{"dso.hits"};

int failures = 0;

void check(bool ok, const char* what, int line) {
  if (ok) return;
  std::fprintf(stderr, "host.cpp:%d: failed: %s\n", line, what);
  ++failures;
}
#define CHECK(...) check(static_cast<bool>(__VA_ARGS__), #__VA_ARGS__, __LINE__)

/// What plugins leave behind on purpose: definitions are never freed, and a plugin with a registry of its own takes the
/// only pointer to it along.
const void* registries[32];
std::size_t registry_count = 0;

class Library {
 public:
  explicit Library(const char* path) : handle_(dlopen(path, RTLD_NOW | RTLD_LOCAL)) {
    if (!handle_) {
      std::fprintf(stderr, "%s\n", dlerror());
      std::exit(2);
    }
    plugin_ = reinterpret_cast<dso::EntryPoint>(dlsym(handle_, dso::entry_point))();
    registries[registry_count++] = plugin_->registry();
  }
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;
  ~Library() { dlclose(handle_); }
  const dso::Plugin* operator->() const { return plugin_; }

  static bool is_loaded(const char* path) {
    void* const handle = dlopen(path, RTLD_NOW | RTLD_NOLOAD);
    if (handle) dlclose(handle);
    return handle;
  }

 private:
  void* handle_;
  const dso::Plugin* plugin_;
};

/// Whether the host and its plugins have one registry.
bool one_registry = false;

/// What KeyConflict says, or nothing if `work` does not throw it.
template <class Work>
std::string conflict(Work work) {
  try {
    work();
  } catch (const atom::KeyConflict& e) {
    return e.what();
#if defined(_LIBCPP_VERSION)
  } catch (const std::exception& e) {
    // libc++ tells types by address: what a plugin throws is the host's KeyConflict only if the host exports it.
    CHECK(!one_registry);
    return e.what();
#endif
  }
  return {};
}
bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}
std::ptrdiff_t count_registered(std::string_view key) {
  const std::vector<atom::AtomInfo> all = atom::registered();
  return std::count_if(all.begin(), all.end(), [&](const atom::AtomInfo& info) { return info.key == key; });
}

/// The same after the first load and after each further one. `shared` was used by the host before.
void work_with(const Library& plugin, atom::AtomStore& shared) {
  CHECK((plugin->registry() == &atom::detail::Registry::instance()) == one_registry);

  // A common atom has one clone, whoever uses it first.
  CHECK(plugin->title_clone(shared) == &shared.use(dso::title));
  std::string heard;
  atom::ScopedSubscription subscription =
      shared.use(dso::title).on_change([&](const std::string& now) { heard = now; });
  plugin->set_title(shared, "set by the plugin");
  CHECK(heard == "set by the plugin");
  CHECK(shared.use(dso::title).value() == "set by the plugin");
  {
    atom::AtomStore store;
    CHECK(&store.use(dso::title) == plugin->title_clone(store));
    CHECK(store.size() == 1);
  }
  {
    atom::AtomStore store;
    atom::AtomBase* const clone = plugin->title_clone(store);
    CHECK(clone == &store.use(dso::title));
    CHECK(clone == store.get("dso.title"));
    CHECK(store.get<std::string>("dso.title") == clone);
    CHECK(store.size() == 1);
  }

  // A value of a common type crosses in both directions.
  const atom::Snapshot snapshot = plugin->request();
  CHECK(snapshot.get(dso::title) == "from the plugin");
  {
    atom::AtomStore store;
    CHECK(store.hydrate(snapshot).ok());
    CHECK(store.use(dso::title).value() == "from the plugin");
  }

  // An atom of the plugin's alone.
  {
    atom::AtomStore store;
    CHECK(plugin->use_own(store) == "10");
    CHECK(plugin->use_own(store) == "14");
    CHECK(store.has("dso.plugin"));
    CHECK(!store.get<std::string>("dso.plugin"));
  }
  CHECK(plugin->use_own(shared) == "10");
  plugin->drop_own(shared);

  // A key that both claim for different things: whoever comes second is told, and the first goes on.
  {
    atom::AtomStore store;
    CHECK(store.use(contested).value() == "the host's");
    const std::string message = conflict([&] { plugin->use_contested(store); });
    CHECK(contains(message, "dso.contested"));
    CHECK(contains(message, "host.cpp"));
    CHECK(contains(message, "plugin.cpp"));
    CHECK(store.use(contested).value() == "the host's");
    CHECK(store.size() == 1);
  }
  {
    atom::AtomStore store;
    const bool plugin_refused = !conflict([&] { plugin->use_contested(store); }).empty();
    const bool host_refused = !conflict([&] { store.use(contested); }).empty();
    CHECK(plugin_refused != host_refused);
    CHECK(plugin_refused == one_registry);  // which knows the host's from the start
  }
}

/// Two plugins that claim one key.
void work_with(const Library& plugin, const Library& rival) {
  atom::AtomStore store;
  CHECK(plugin->use_own(store) == "10");
  const std::string message = conflict([&] { rival->use_own(store); });
  CHECK(contains(message, "dso.plugin"));
  CHECK(contains(message, "plugin.cpp"));
  CHECK(contains(message, "rival.cpp"));
  CHECK(plugin->use_own(store) == "14");
  CHECK(plugin->title_clone(store) == rival->title_clone(store));
}

/// What the host's registry says of the plugins, whether they are loaded or not.
void look_up(const char* plugin_path, const char* rival_path) {
  const int plugins = one_registry && Library::is_loaded(plugin_path) ? 1 : 0;
  const int rivals = one_registry && Library::is_loaded(rival_path) ? 1 : 0;
  CHECK((atom::find("dso.plugin") != nullptr) == (plugins + rivals > 0));
  CHECK(count_registered("dso.plugin") == plugins + rivals);
  CHECK(count_registered("dso.contested") == 1 + plugins);
  CHECK(count_registered("dso.hits") == 1);
  CHECK(count_registered("dso.title") >= 1);
  CHECK(atom::conflicts().size() == static_cast<std::size_t>(plugins + plugins * rivals));
  CHECK(atom::find("dso.contested") == &contested);
  CHECK(atom::find("dso.title") == &dso::title);
  CHECK(atom::find("dso.hits") == &hits);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  const char* const plugin_path = argv[1];
  const char* const rival_path = argv[2];
  one_registry = argv[3] == std::string_view("one-registry");
  const bool unloads = argv[4] == std::string_view("unloads");

  atom::AtomStore store;
  store.use(dso::title);
  store.use(hits).update(1);
  const auto look = [&] { look_up(plugin_path, rival_path); };
  look();
  for (int round = 1; round <= 3; ++round) {
    {
      const Library plugin(plugin_path);
      look();
      work_with(plugin, store);
      {
        const Library rival(rival_path);
        look();
        work_with(plugin, rival);
      }
      look();
    }
    if (unloads) {
      CHECK(!Library::is_loaded(plugin_path));
      CHECK(!Library::is_loaded(rival_path));
    }
    look();

    CHECK(store.use(dso::title).value() == "set by the plugin");
    CHECK(store.use(dso::title).update("the host's again"));
    CHECK(store.use(hits).update([](int n) { return n + 1; }));
    CHECK(store.size() == 2);
    CHECK(!store.has("dso.plugin"));
    CHECK(store.snapshot().size() == 2);
  }
  CHECK(store.use(hits).value() == 4);
  if (unloads) {
    // The key is free again: the rival alone is no rival.
    const Library rival(rival_path);
    atom::AtomStore another;
    CHECK(rival->use_own(another) == "rival");
  }
  return failures == 0 ? 0 : 1;
}
