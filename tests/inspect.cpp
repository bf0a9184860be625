#include <atom/derived.hpp>
#include <atom/inspect.hpp>
#include <atom/store.hpp>

#include "support/catch.hpp"

#include <memory>
#include <string>
#include <vector>

namespace inspect_test {
namespace {

using atom::Atom;
using atom::AtomStore;
using atom::CloneInfo;

const Atom<int> count{"inspect.count", 3, {.client_writable = true}};
const Atom<std::string> token{"inspect.token", "t0k3n", {.server_only = true}};
const Atom<int> followed{"inspect.followed", 0, {.on_update = [](const int&, const int&, Atom<int>&) {}}};
const Atom<std::unique_ptr<int>> pointer{"inspect.pointer", atom::Factory{[] { return std::make_unique<int>(7); }}};

const atom::Derived<int> doubled{"inspect.doubled", [](auto& get) { return get(count) > 5 ? 10 : 2 * get(count); }};
const atom::Derived<int> sum{"inspect.sum", [](auto& get) { return get(doubled) + get(followed); }};

CloneInfo only(const AtomStore& store) {
  const std::vector<CloneInfo> all = store.inspect();
  REQUIRE(all.size() == 1);
  return all[0];
}

TEST_CASE("inspecting a store tells of its atoms only, in the order of first use, and creates none") {
  AtomStore store;
  CHECK(store.inspect().empty());
  store.use(token);
  store.use(pointer);
  store.use(count);
  const std::vector<CloneInfo> all = store.inspect();
  REQUIRE(all.size() == 3);
  CHECK(all[0].key == "inspect.token");
  CHECK(all[1].key == "inspect.pointer");
  CHECK(all[2].key == "inspect.count");
  CHECK(all[0].type_name == "std::string");
  CHECK(all[2].type_name == "int");
  store.drop(pointer);
  CHECK(store.inspect().size() == 2);
}

TEST_CASE("inspecting a store tells how each atom was declared, and whether it was written") {
  AtomStore store;
  store.use(token);
  CHECK(only(store).server_only);
  CHECK_FALSE(only(store).client_writable);
  CHECK_FALSE(only(store).modified);
  store.destroy();
  auto& number = store.use(count);
  CHECK_FALSE(only(store).server_only);
  CHECK(only(store).client_writable);
  CHECK_FALSE(only(store).modified);
  number.silent_update(4);
  CHECK(only(store).modified);
  CHECK(only(store).dependencies.empty());
}

TEST_CASE("inspecting a store counts the listeners of all kinds that are still to be called") {
  AtomStore store;
  auto& number = store.use(count);
  CHECK(only(store).listeners == 0);
  atom::Subscription change = number.on_change([] {});
  number.watch<int>("", [] {});
  number.on_reset([] {});
  number.on_destroy([] {});
  CHECK(only(store).listeners == 4);
  change.unsubscribe();
  CHECK(only(store).listeners == 3);
  store.destroy();
  store.use(count);
  CHECK(only(store).listeners == 0);
}

TEST_CASE("the on_update option counts as a listener, which it is") {
  AtomStore store;
  store.use(followed);
  CHECK(only(store).listeners == 1);
}

TEST_CASE("a listener that was disconnected counts no more, even in the middle of a delivery; one that came counts") {
  AtomStore store;
  auto& number = store.use(count);
  std::vector<std::size_t> counts;
  atom::Subscription later;
  number.on_change([&] {
    counts.push_back(only(store).listeners);
    later.unsubscribe();
    counts.push_back(only(store).listeners);
    number.on_reset([] {});
    counts.push_back(only(store).listeners);
  });
  later = number.on_change([] {});
  number.update(4);
  CHECK(counts == std::vector<std::size_t>{2, 1, 2});
  CHECK(only(store).listeners == 2);
}

TEST_CASE("inspecting a derived atom tells what it was computed from, and computes nothing") {
  using Keys = std::vector<std::string>;
  AtomStore store;
  auto& clone = store.use(sum);
  CHECK(only(store).derived);
  CHECK(only(store).dependencies.empty());
  CHECK(store.size() == 1);
  clone.on_change([](const int&) {});
  const std::vector<CloneInfo> all = store.inspect();
  REQUIRE(all.size() == 4);  // sum, doubled, count, followed
  CHECK(all[0].dependencies == Keys{"inspect.doubled", "inspect.followed"});
  CHECK(all[1].dependencies == Keys{"inspect.count"});
  CHECK(all[2].dependencies.empty());
  CHECK_FALSE(all[2].derived);
  CHECK(all[0].listeners == 1);
  CHECK(all[1].listeners == 0);  // that another is computed from it is no listener
  store.drop(followed);
  CHECK(store.inspect()[0].dependencies == Keys{"inspect.doubled"});
}

TEST_CASE("what was learnt by inspecting outlives the store and a local template") {
  CloneInfo info;
  {
    const Atom<int> local{"inspect.local"};
    AtomStore store;
    store.use(local);
    info = only(store);
  }
  CHECK(info.key == "inspect.local");
  CHECK(info.type_name == "int");
}

}  // namespace
}  // namespace inspect_test
