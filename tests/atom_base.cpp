#include <atom/store.hpp>

#include "support/catch.hpp"

#include <algorithm>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_set>
#include <utility>
#include <vector>

using support::ContainsSubstring;

namespace atom_base_test {
namespace {

struct User {
  std::string name = "Anon";
  bool operator==(const User&) const = default;
};

const atom::Atom<int> count{"atom_base.count", 0};
const atom::Atom<User> user_atom{"atom_base.user"};
const atom::Atom<std::string> secret{"atom_base.secret", "", {.server_only = true}};
const atom::Atom<std::string> locale{"atom_base.locale", "en", {.client_writable = true}};

// -------------------------------------------------------------------------------------------------------------
// identity

TEST_CASE("A clone has the key of its template") {
  atom::AtomStore store;
  CHECK(count.key() == "atom_base.count");
  CHECK(store.use(count).key() == "atom_base.count");
}

TEST_CASE("A clone is no template") {
  atom::AtomStore store;
  CHECK(count.is_template());
  CHECK_FALSE(store.use(count).is_template());
  CHECK(&static_cast<const atom::AtomBase&>(store.use(count)) != &count);
}

TEST_CASE("The clone key is the key with a number, and stays") {
  atom::AtomStore store;
  auto& x = store.use(count);
  const std::string first = x.clone_key();
  CHECK(first.starts_with("atom_base.count.clone."));
  CHECK(first.size() > std::string_view("atom_base.count.clone.").size());
  CHECK(first.find_first_not_of("0123456789", 22) == std::string::npos);
  x.update(5);
  CHECK(x.clone_key() == first);
}

TEST_CASE("The clone key of a template is its key") {
  CHECK(count.clone_key() == "atom_base.count");
}

TEST_CASE("Clone keys are distinct over 100,000 clones") {
  std::unordered_set<std::string> keys;
  for (int i = 0; i < 100'000; ++i) {
    atom::AtomStore store;
    keys.insert(store.use(count).clone_key());
  }
  CHECK(keys.size() == 100'000);
}

TEST_CASE("A clone that replaces a dropped one has another clone key") {
  atom::AtomStore store;
  const std::string first = store.use(count).clone_key();
  store.drop(count);
  CHECK(store.use(count).clone_key() != first);
}

TEST_CASE("Clones are never in the registry") {
  atom::AtomStore store;
  auto& x = store.use(count);
  CHECK(atom::find("atom_base.count") == &count);
  CHECK(atom::find(x.clone_key()) == nullptr);
}

TEST_CASE("The type name is how the compiler spells the type") {
  atom::AtomStore store;
  CHECK(count.type_name() == "int");
  CHECK(secret.type_name() == "std::string");
  CHECK_THAT(std::string(user_atom.type_name()), Catch::EndsWith("User"));
  CHECK(store.use(count).type_name() == "int");
}

TEST_CASE("A clone has the marks of its template") {
  atom::AtomStore store;
  CHECK(secret.is_server_only());
  CHECK_FALSE(secret.is_client_writable());
  CHECK(store.use(secret).is_server_only());
  CHECK(locale.is_client_writable());
  CHECK_FALSE(store.use(locale).is_server_only());
  CHECK(store.use(locale).is_client_writable());
  CHECK_FALSE(store.use(count).is_server_only());
  CHECK_FALSE(store.use(count).is_client_writable());
}

TEST_CASE("Atoms of any type are visited through their base") {
  atom::AtomStore store;
  store.use(count);
  store.use(user_atom);
  std::vector<std::string_view> keys;
  for (const atom::AtomBase& each : store.list()) keys.push_back(each.key());
  CHECK(keys == std::vector<std::string_view>{"atom_base.count", "atom_base.user"});
  STATIC_REQUIRE_FALSE(std::is_copy_constructible_v<atom::AtomBase>);
  STATIC_REQUIRE_FALSE(std::is_destructible_v<atom::AtomBase>);
}

// -------------------------------------------------------------------------------------------------------------
// modified

TEST_CASE("An atom is modified once its value was written in the store") {
  atom::AtomStore store;
  auto& x = store.use(user_atom);
  CHECK_FALSE(x.is_modified());
  x.update(User{"Bob"});
  CHECK(x.is_modified());
  x.reset();
  CHECK_FALSE(x.is_modified());
  x.change(&User::name, "Bob");
  CHECK(x.is_modified());
  x.silent_reset();
  CHECK_FALSE(x.is_modified());
  x.silent_update(User{"Bob"});
  CHECK(x.is_modified());
  x.silent_reset();
  x.mutate([](User& now) { now.name = "Eve"; });
  CHECK(x.is_modified());
}

TEST_CASE("Each way of telling listeners leaves the atom modified") {
  atom::AtomStore store;
  auto& x = store.use(count);
  x.on_change([](int, int) {});
  x.update(1);
  CHECK(x.is_modified());
  x.reset();
  x.update(2);
  x.update(3);
  CHECK(x.is_modified());
  x.reset();
  store.batch([&] { x.update(4); });
  CHECK(x.is_modified());
  store.batch([&] { x.reset(); });
  CHECK_FALSE(x.is_modified());
}

TEST_CASE("A write that changes nothing does not modify") {
  atom::AtomStore store;
  auto& x = store.use(count);
  x.update(0);
  CHECK_FALSE(x.is_modified());
}

TEST_CASE("A template and a hydrated atom are not modified") {
  CHECK_FALSE(count.is_modified());
  atom::AtomStore store;
  store.hydrate(atom::Snapshot().set(count, 5));
  CHECK_FALSE(store.use(count).is_modified());
  store.use(count).update(6);
  CHECK(store.use(count).is_modified());
  store.hydrate(atom::Snapshot().set(count, 7));
  CHECK(store.use(count).value() == 7);
  CHECK_FALSE(store.use(count).is_modified());
}

TEST_CASE("A factory's value is not modified until it is written") {
  const atom::Atom<int> made{"atom_base.made", atom::Factory{[] { return 5; }}};
  atom::AtomStore store;
  auto& x = store.use(made);
  CHECK_FALSE(x.is_modified());
  x.update(6);
  CHECK(x.is_modified());
  x.reset();
  CHECK_FALSE(x.is_modified());
}

// ----------------------------------------------------------------------------------------------------- finding
// templates

TEST_CASE("A template is found by its key, and by its key and type") {
  CHECK(atom::find("atom_base.count") == &count);
  CHECK(atom::find<int>("atom_base.count") == &count);
  CHECK(atom::find<long>("atom_base.count") == nullptr);
  CHECK(atom::find("atom_base.nobody") == nullptr);
  CHECK(atom::find<int>("atom_base.nobody") == nullptr);
}

TEST_CASE("A template that ends leaves the registry, and its key is free") {
  {
    const atom::Atom<int> local{"atom_base.local", 1};
    CHECK(atom::find("atom_base.local") == &local);
  }
  CHECK(atom::find("atom_base.local") == nullptr);
  const atom::Atom<std::string> again{"atom_base.local", "text"};
  atom::AtomStore store;
  CHECK(store.use(again).value() == "text");
}

TEST_CASE("Two live templates with one key are refused, and both places are named") {
  const atom::Atom<int> first{"atom_base.twice", 1};
  const unsigned line = __LINE__ - 1;
  const atom::Atom<int> second{"atom_base.twice", 2};
  atom::AtomStore store;
  const std::string place = "atom_base.cpp:";
  CHECK_THROWS_AS(store.use(second), atom::KeyConflict);
  CHECK_THROWS_WITH(store.use(second), ContainsSubstring("atom_base.twice") &&
                                           ContainsSubstring(place + std::to_string(line)) &&
                                           ContainsSubstring(place + std::to_string(line + 2)));
  CHECK(store.use(first).value() == 1);
  CHECK_THROWS_AS(store.use(second), atom::KeyConflict);
}

TEST_CASE("Two templates with one key and different types are refused, and both types are named") {
  const atom::Atom<int> first{"atom_base.types", 1};
  const atom::Atom<std::string> second{"atom_base.types", "text"};
  atom::AtomStore store;
  CHECK_THROWS_WITH(store.use(second), ContainsSubstring("int") && ContainsSubstring("std::string"));
}

// -------------------------------------------------------------------------------------------------------------
// dropping

TEST_CASE("A drop tells destroy listeners, then nobody any more, and the next use starts from the default") {
  atom::AtomStore store;
  auto& x = store.use(user_atom);
  x.update(User{"Bob"});
  std::vector<std::string> log;
  x.on_change([&] { log.push_back("change"); });
  x.watch(&User::name, [&] { log.push_back("watch"); });
  x.on_reset([&] { log.push_back("reset"); });
  x.on_destroy([&](atom::Atom<User>& a) { log.push_back("destroy " + a->name); });
  store.drop(x);
  CHECK(log == std::vector<std::string>{"destroy Bob"});
  CHECK_FALSE(store.has(user_atom));
  auto& y = store.use(user_atom);
  CHECK(y.value() == User{});
  y.update(User{"Eve"});
  y.reset();
  CHECK(log == std::vector<std::string>{"destroy Bob"});
}

TEST_CASE("An atom may be written while it tells that it was dropped; no listener hears of it") {
  atom::AtomStore store;
  auto& x = store.use(user_atom);
  int told = 0;
  x.on_change([&] { ++told; });
  x.watch(&User::name, [&] { ++told; });
  store.batch([&] {
    x.update(User{"Bob"});
    store.drop(x);
    x.update(User{"Eve"});
    CHECK(x->name == "Eve");
  });
  CHECK(told == 0);
  CHECK(store.use(user_atom)->name == "Anon");
}

TEST_CASE("Keys are plain text: one that begins as another, or looks special, is a key like any") {
  const atom::Atom<int> ui{"atom_base.ui", 1};
  const atom::Atom<int> sidebar{"atom_base.ui.sidebar", 2};
  const atom::Atom<int> proto{"__proto__", 3};
  const atom::Atom<int> empty{"", 4};
  const std::string with_null("atom_base.\0null", 15);
  const atom::Atom<int> null{with_null, 5};
  int told = 0;
  atom::AtomStore store;
  store.use(sidebar).on_destroy([&] { ++told; });
  store.use(sidebar).update(20);
  store.use(ui);
  store.drop(ui);
  CHECK(told == 0);
  CHECK(store.get<int>("atom_base.ui.sidebar")->value() == 20);
  CHECK(store.use(proto).value() == 3);
  CHECK(store.get("__proto__") == &store.use(proto));
  CHECK(store.use(empty).value() == 4);
  CHECK(store.get("") == &store.use(empty));
  CHECK(store.use(null).key() == with_null);
  CHECK(store.get(with_null) == &store.use(null));
  CHECK_FALSE(store.has("atom_base."));
}

TEST_CASE("The end of a template leaves its clones and their listeners alive") {
  atom::AtomStore store;
  int told = 0;
  atom::Atom<int>* x = nullptr;
  {
    const atom::Atom<int> local{"atom_base.short_lived", 3};
    x = &store.use(local);
    x->on_change([&] { ++told; });
  }
  CHECK(x->value() == 3);
  CHECK(x->update(4));
  CHECK(told == 1);
  CHECK(x->key() == "atom_base.short_lived");
  CHECK(x->reset());
  CHECK(x->value() == 3);
}

TEST_CASE("A subscription may outlive its atom and its store") {
  atom::Subscription of_dropped;
  atom::Subscription of_destroyed;
  {
    atom::AtomStore store;
    of_dropped = store.use(count).on_change([] {});
    of_destroyed = store.use(user_atom).on_change([] {});
    CHECK(of_dropped.active());
    store.drop(count);
    CHECK_FALSE(of_dropped.active());
    of_dropped.unsubscribe();
    CHECK(of_destroyed.active());
  }
  CHECK_FALSE(of_destroyed.active());
  of_destroyed.unsubscribe();
}

}  // namespace
}  // namespace atom_base_test
