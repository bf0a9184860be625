#include <atom/store.hpp>

#include "support/catch.hpp"
#include "support/counted.hpp"

#include <concepts>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

using support::ContainsSubstring;

namespace atom_test {
namespace {

struct Address {
  std::string city = "Oslo";
  int zip = 150;
  bool operator==(const Address&) const = default;
};
struct Job {
  std::string title = "clerk";
  Address place = {};
  bool operator==(const Job&) const = default;
};
struct User {
  std::string name = "Anon";
  int age = 0;
  bool logged_in = false;
  Address address = {};
  std::optional<Job> job = {};
  bool operator==(const User&) const = default;
};
User user_named(std::string name, int age = 0) {
  User user;
  user.name = std::move(name);
  user.age = age;
  return user;
}

const atom::Atom<int> count{"atom.count", 0};
const atom::Atom<int> other{"atom.other", 0};
const atom::Atom<std::string> text{"atom.text", "once"};
const atom::Atom<User> user_atom{"atom.user"};
const atom::Atom<std::vector<int>> numbers{"atom.numbers", {1, 2, 3}};
const atom::Atom<std::optional<User>> guest{"atom.guest"};

using Log = std::vector<std::string>;

// ------------------------------------------------------------------------------------------------------------- reading

TEST_CASE("A template's value is its default") {
  CHECK(text.value() == "once");
  CHECK(*text == "once");
  CHECK(text->size() == 4);
  CHECK(text.default_value() == "once");
}

TEST_CASE("An atom that is declared with its key alone has a value-initialised default") {
  static const atom::Atom<int> zero{"atom.zero"};
  static const atom::Atom<bool> no{"atom.no"};
  static const atom::Atom<const int*> null{"atom.null"};
  CHECK(zero.value() == 0);
  CHECK_FALSE(no.value());
  CHECK(null.value() == nullptr);
}

TEST_CASE("A clone starts with the default, and refers to it until the first write") {
  atom::AtomStore store;
  auto& x = store.use(numbers);
  CHECK(x.value() == std::vector{1, 2, 3});
  CHECK(&x.value() == &numbers.value());
  x.mutate([](std::vector<int>& now) { now.push_back(4); });
  CHECK(&x.value() != &numbers.value());
}

TEST_CASE("A clone is read as a pointer is") {
  atom::AtomStore store;
  const auto& x = store.use(user_atom);
  CHECK((*x).name == "Anon");
  CHECK(x->address.city == "Oslo");
}

TEST_CASE("What is read of an atom cannot be changed") {
  STATIC_REQUIRE(std::same_as<decltype(std::declval<atom::Atom<int>&>().value()), const int&>);
  STATIC_REQUIRE(std::same_as<decltype(*std::declval<atom::Atom<int>&>()), const int&>);
  STATIC_REQUIRE(std::same_as<decltype(std::declval<atom::Atom<int>&>().operator->()), const int*>);
  STATIC_REQUIRE(std::same_as<decltype(std::declval<atom::Atom<int>&>().default_value()), const int&>);
}

TEST_CASE("A clone keeps its default beside its value") {
  atom::AtomStore store;
  auto& x = store.use(text);
  x.update("twice");
  CHECK(x.value() == "twice");
  CHECK(x.default_value() == "once");
}

TEST_CASE("length is the size of a text or a container") {
  atom::AtomStore store;
  CHECK(text.length() == 4);
  CHECK(store.use(numbers).length() == 3);
  store.use(numbers).update(std::vector<int>{});
  CHECK(store.use(numbers).length() == 0);
}

template <class A>
concept has_length = requires(const A& a) { a.length(); };

TEST_CASE("What has no size has no length") {
  STATIC_REQUIRE(has_length<atom::Atom<std::string>>);
  STATIC_REQUIRE_FALSE(has_length<atom::Atom<int>>);
  STATIC_REQUIRE_FALSE(has_length<atom::Atom<std::optional<int>>>);
}

// ----------------------------------------------------------------------------------------------------------- declaring

TEST_CASE("A default that is text makes a string atom") {
  const atom::Atom x{"atom.deduced_text", "text"};
  STATIC_REQUIRE(std::same_as<decltype(x), const atom::Atom<std::string>>);
  CHECK(x.value() == "text");
}

TEST_CASE("The type of an atom is deduced beside options, too") {
  const atom::Atom x{"atom.deduced_options", "text", {.server_only = true}};
  STATIC_REQUIRE(std::same_as<decltype(x), const atom::Atom<std::string>>);
  CHECK(x.is_server_only());
  const atom::Atom y{"atom.deduced_number_options", 5, {.client_writable = true}};
  STATIC_REQUIRE(std::same_as<decltype(y), const atom::Atom<int>>);
  CHECK(y.is_client_writable());
}

TEST_CASE("The type of an atom is deduced from its default") {
  const atom::Atom x{"atom.deduced_number", 5L};
  STATIC_REQUIRE(std::same_as<decltype(x), const atom::Atom<long>>);
  const atom::Atom y{"atom.deduced_vector", std::vector{1.5}};
  STATIC_REQUIRE(std::same_as<decltype(y), const atom::Atom<std::vector<double>>>);
}

TEST_CASE("The type of an atom is deduced from its factory") {
  const atom::Atom x{"atom.deduced_factory", atom::Factory{[] { return std::make_unique<int>(5); }}};
  STATIC_REQUIRE(std::same_as<decltype(x), const atom::Atom<std::unique_ptr<int>>>);
  atom::AtomStore store;
  CHECK(*store.use(x).value() == 5);
}

TEST_CASE("A key may be a text made at run time, which need not live on") {
  std::optional<atom::Atom<int>> x;
  {
    const std::string made = "atom.made_" + std::to_string(7);
    x.emplace(made, 5);
  }
  CHECK(x->key() == "atom.made_7");
  atom::AtomStore store;
  CHECK(store.use(std::as_const(*x)).value() == 5);
  CHECK(store.get<int>("atom.made_7"));
}

TEST_CASE("A key may be a string view, and need not end with a null") {
  const std::string_view all = "atom.view_and_more";
  const atom::Atom<int> x{all.substr(0, 9), 1};
  CHECK(x.key() == "atom.view");
  CHECK(atom::find("atom.view") == &x);
}

TEST_CASE("A later change of the object that was passed as default does not reach the atom") {
  std::vector<int> given{1, 2};
  const atom::Atom<std::vector<int>> x{"atom.given", given};
  given.push_back(3);
  given[0] = 9;
  CHECK(x.value() == std::vector{1, 2});
  atom::AtomStore store;
  CHECK(store.use(x).value() == std::vector{1, 2});
}

TEST_CASE("A default is moved in, not copied") {
  using Value = support::Counted<struct MovedDefault>;
  Value::forget();
  const atom::Atom<Value> x{"atom.moved_default", Value(5)};
  CHECK(x.value().value == 5);
  CHECK(Value::counts().copies == 0);
}

// -------------------------------------------------------------------------------------------------------------- update

TEST_CASE("update stores the value and says that it changed") {
  atom::AtomStore store;
  auto& x = store.use(count);
  CHECK(x.update(5));
  CHECK(x.value() == 5);
  CHECK(x.update(6));
  CHECK(x.value() == 6);
}

TEST_CASE("An update to an equal value says so, tells nobody and stores nothing") {
  atom::AtomStore store;
  auto& x = store.use(text);
  int calls = 0;
  x.on_change([&] { ++calls; });
  CHECK_FALSE(x.update("once"));
  CHECK_FALSE(x.update([](const std::string& now) { return now; }));
  CHECK(calls == 0);
  CHECK(&x.value() == &text.value());
  CHECK_FALSE(x.is_modified());
}

TEST_CASE("An update to an equal value leaves an atom's own value where it lies") {
  atom::AtomStore store;
  auto& x = store.use(text);
  x.update("twice");
  const std::string* const before = &x.value();
  const char* const characters = x->data();
  CHECK_FALSE(x.update("twice"));
  CHECK(&x.value() == before);
  CHECK(x->data() == characters);
}

TEST_CASE("An updater receives the value before and returns the next") {
  atom::AtomStore store;
  auto& x = store.use(count);
  x.update(20);
  int seen = -1;
  CHECK(x.update([&](const int& now) {
    seen = now;
    return now + 1;
  }));
  CHECK(seen == 20);
  CHECK(x.value() == 21);
}

TEST_CASE("An updater may take its value by value, and be a function") {
  struct Functions {
    static int doubled(int n) { return 2 * n; }
  };
  atom::AtomStore store;
  auto& x = store.use(count);
  x.update(4);
  CHECK(x.update([](int now) { return now + 1; }));
  CHECK(x.update(Functions::doubled));
  CHECK(x.update(&Functions::doubled));
  CHECK(x.value() == 20);
  const std::function<int(const int&)> negate = [](const int& now) { return -now; };
  CHECK(x.update(negate));
  CHECK(x.value() == -20);
}

TEST_CASE("An updater may return what converts to the value") {
  atom::AtomStore store;
  auto& x = store.use(text);
  CHECK(x.update([](const std::string&) { return "a literal"; }));
  CHECK(x.value() == "a literal");
}

TEST_CASE("An updater that throws changes nothing") {
  atom::AtomStore store;
  auto& x = store.use(count);
  int calls = 0;
  x.on_change([&] { ++calls; });
  CHECK_THROWS_AS(x.update([](const int&) -> int { throw std::domain_error("no"); }), std::domain_error);
  CHECK(x.value() == 0);
  CHECK(calls == 0);
  CHECK(x.update(1));
  CHECK(calls == 1);
}

TEST_CASE("An update takes braces") {
  atom::AtomStore store;
  CHECK(store.use(numbers).update({7, 8}));
  CHECK(store.use(numbers).value() == std::vector{7, 8});
  CHECK(store.use(user_atom).update({"Bob", 36}));
  CHECK(store.use(user_atom)->name == "Bob");
}

TEST_CASE("An atom may be updated with its own value, or a part of it") {
  atom::AtomStore store;
  auto& x = store.use(numbers);
  CHECK_FALSE(x.update(x.value()));
  auto& y = store.use(user_atom);
  y.update(user_named("a name that is too long for a small buffer"));
  CHECK(y.change(&User::address, Address{y->name, 1}));
  CHECK(y->address.city == y->name);
  CHECK_FALSE(y.change(&User::name, y->name));
  CHECK(y.merge(&User::name, y->address.city + "!", &User::age, y->age + 1));
  CHECK(y->name == "a name that is too long for a small buffer!");
  CHECK(y->age == 1);
}

TEST_CASE("An atom may be updated with the value of an atom of another store") {
  atom::AtomStore first;
  atom::AtomStore second;
  first.use(text).update("from the first");
  second.use(text).update(first.use(text).value());
  first.use(text).update("later");
  CHECK(second.use(text).value() == "from the first");
}

TEST_CASE("An atom of callables takes a callable for a value") {
  static const atom::Atom<std::function<int()>> action{"atom.action", std::function<int()>([] { return 1; })};
  atom::AtomStore store;
  auto& x = store.use(action);
  CHECK(x.value()() == 1);
  CHECK(x.update([] { return 2; }));
  CHECK(x.value()() == 2);
}

// -------------------------------------------------------------------------------------------------------------- mutate

TEST_CASE("mutate has a function change the value") {
  atom::AtomStore store;
  auto& x = store.use(numbers);
  x.mutate([](std::vector<int>& now) { now.push_back(4); });
  x.mutate([](std::vector<int>& now) { now.push_back(5); });
  CHECK(x.value() == std::vector{1, 2, 3, 4, 5});
}

TEST_CASE("mutate returns nothing, whatever its function returns") {
  atom::AtomStore store;
  STATIC_REQUIRE(std::is_void_v<decltype(store.use(count).mutate([](int& now) { return ++now; }))>);
  store.use(count).mutate([](int& now) { return ++now; });
  CHECK(store.use(count).value() == 1);
}

TEST_CASE("mutate changes a value where it lies when nobody needs the one before") {
  atom::AtomStore store;
  auto& x = store.use(numbers);
  x.update({1});
  const std::vector<int>* const place = &x.value();
  int told = 0;
  x.on_change([&](const std::vector<int>&) { ++told; });
  x.mutate([](std::vector<int>& now) { now[0] = 2; });
  CHECK(&x.value() == place);
  CHECK(told == 1);
}

TEST_CASE("mutate works on a copy when a listener wants the value before") {
  atom::AtomStore store;
  auto& x = store.use(numbers);
  x.update({1});
  std::vector<std::vector<int>> seen;
  x.on_change([&](const std::vector<int>& now, const std::vector<int>& old) { seen = {now, old}; });
  x.mutate([](std::vector<int>& now) { now[0] = 2; });
  CHECK(seen == std::vector<std::vector<int>>{{2}, {1}});
}

TEST_CASE("mutate counts as a change, also where it changed nothing") {
  atom::AtomStore store;
  auto& x = store.use(count);
  int calls = 0;
  x.on_change([&] { ++calls; });
  x.mutate([](int&) {});
  CHECK(calls == 1);
  CHECK(x.is_modified());
}

TEST_CASE("mutate counts as a change of an atom with a before_update, too") {
  static const atom::Atom<int> even{
      "atom.mutate_even", 0, {.before_update = [](int&& next, const int&) { return next & ~1; }}};
  atom::AtomStore store;
  auto& x = store.use(even);
  int calls = 0;
  x.on_change([&] { ++calls; });
  x.mutate([](int&) {});
  CHECK(calls == 1);
}

TEST_CASE("A mutate that throws leaves the value as it was left, tells listeners, and goes on throwing") {
  for (const bool wants_old : {false, true}) {
    CAPTURE(wants_old);
    atom::AtomStore store;
    auto& x = store.use(numbers);
    x.update({1});
    std::vector<std::vector<int>> seen;
    if (wants_old) {
      x.on_change([&](const std::vector<int>& now, const std::vector<int>& old) { seen = {old, now}; });
    } else {
      x.on_change([&](const std::vector<int>& now) { seen = {{1}, now}; });
    }
    CHECK_THROWS_AS(x.mutate([](std::vector<int>& now) {
      now.push_back(2);
      throw std::domain_error("half way");
    }),
                    std::domain_error);
    CHECK(x.value() == std::vector{1, 2});
    CHECK(seen == std::vector<std::vector<int>>{{1}, {1, 2}});
    CHECK(x.update({3}));
    CHECK(x.value() == std::vector{3});
  }
}

TEST_CASE("What a listener throws is lost when the function of the mutate threw already") {
  atom::AtomStore store;
  auto& x = store.use(count);
  x.on_change([] { throw std::logic_error("second"); });
  CHECK_THROWS_AS(x.mutate([](int&) { throw std::domain_error("first"); }), std::domain_error);
  CHECK(x.update(5 - 5) == false);
}

TEST_CASE("A mutate that throws within a batch leaves its value, and tells after the batch") {
  atom::AtomStore store;
  auto& x = store.use(count);
  std::vector<int> seen;
  x.on_change([&](int now) { seen.push_back(now); });
  store.batch([&] {
    CHECK_THROWS_AS(x.mutate([](int& now) {
      now = 3;
      throw std::domain_error("half way");
    }),
                    std::domain_error);
    CHECK(seen.empty());
  });
  CHECK(seen == std::vector{3});
}

TEST_CASE("A mutate may write other atoms, whose listeners run at once") {
  atom::AtomStore store;
  auto& x = store.use(count);
  auto& y = store.use(other);
  Log log;
  x.on_change([&] { log.push_back("count"); });
  y.on_change([&] { log.push_back("other"); });
  x.mutate([&](int& now) {
    y.update(1);
    log.push_back("edit");
    now = 1;
  });
  CHECK(log == Log{"other", "edit", "count"});
}

TEST_CASE("Inside its own mutate an atom can be read") {
  atom::AtomStore store;
  auto& x = store.use(count);
  x.update(1);
  x.mutate([&](int& now) {
    now = 2;
    CHECK(x.value() == 2);
    CHECK(x.default_value() == 0);
  });
}

/// Every way to write or to listen.
template <class Attempt>
void each_way(Attempt attempt) {
  attempt("update", [](auto& x) { x.update(user_named("x")); });
  attempt("update with an lvalue", [](auto& x) {
    const User next = user_named("x");
    x.update(next);
  });
  attempt("update to an equal value", [](auto& x) { x.update(User(x.value())); });
  attempt("update with a function", [](auto& x) { x.update([](const User&) { return user_named("x"); }); });
  attempt("silent_update", [](auto& x) { x.silent_update(user_named("x")); });
  attempt("silent_update with a function",
          [](auto& x) { x.silent_update([](const User&) { return user_named("x"); }); });
  attempt("mutate", [](auto& x) { x.mutate([](User& now) { now.age = 8; }); });
  attempt("change", [](auto& x) { x.change(&User::age, 8); });
  attempt("change to an equal value", [](auto& x) { x.change(&User::age, int(x->age)); });
  attempt("silent_change", [](auto& x) { x.silent_change(&User::age, 8); });
  attempt("merge", [](auto& x) { x.merge(&User::age, 8, &User::name, "x"); });
  attempt("reset", [](auto& x) { x.reset(); });
  attempt("silent_reset", [](auto& x) { x.silent_reset(); });
  attempt("on_change", [](auto& x) { x.on_change([](const User&) { FAIL("a refused listener was called"); }); });
  attempt("watch", [](auto& x) { x.watch(&User::age, [](int) { FAIL("a refused listener was called"); }); });
  attempt("on_reset", [](auto& x) { x.on_reset([] { FAIL("a refused listener was called"); }); });
  attempt("on_destroy", [](auto& x) { x.on_destroy([] { FAIL("a refused listener was called"); }); });
}

TEST_CASE("Inside its own mutate an atom can be neither written nor listened to, and works on afterwards") {
  atom::AtomStore store;
  // With and without somebody who looks at the value before: once on a copy, once where the value lies.
  for (const bool heard : {false, true}) {
    auto& x = store.use(user_atom);
    x.update(user_named("start", 1));
    int told = 0;
    if (heard) x.on_change([&](const User&, const User&) { ++told; });
    each_way([&](const char* way, auto act) {
      CAPTURE(way, heard);
      x.update(user_named("start", 1));
      told = 0;
      x.mutate([&](User& now) {
        CHECK_THROWS_WITH(act(x), ContainsSubstring("atom.user") && ContainsSubstring("its own mutate"));
        now.age = 2;
      });
      CHECK(x.value() == user_named("start", 2));
      CHECK(told == (heard ? 1 : 0));
      CHECK(x.change(&User::age, 3));
    });
    store.drop(x);
  }
}

TEST_CASE("Inside its own updater an atom can be neither written nor listened to, and works on afterwards") {
  atom::AtomStore store;
  auto& x = store.use(user_atom);
  each_way([&](const char* way, auto act) {
    CAPTURE(way);
    x.update(user_named("start", 1));
    x.update([&](const User& now) {
      CHECK_THROWS_AS(act(x), atom::Error);
      CHECK(now == user_named("start", 1));
      return user_named("next");
    });
    CHECK(x.value() == user_named("next"));
    CHECK(x.change(&User::age, 3));
  });
}

TEST_CASE("An updater that updates its own atom with another updater is refused") {
  atom::AtomStore store;
  auto& x = store.use(count);
  x.update(1);
  x.update([&](const int& now) {
    CHECK_THROWS_AS(x.update([](const int& inner) { return inner + 100; }), atom::Error);
    return now + 1;
  });
  CHECK(x.value() == 2);
}

TEST_CASE("An inner updater that throws leaves the outer mutate as protected as it was") {
  atom::AtomStore store;
  auto& x = store.use(count);
  x.update(1);
  x.mutate([&](int& now) {
    CHECK_THROWS(x.update([](const int&) -> int { throw std::domain_error("inner"); }));
    CHECK_THROWS_AS(x.update(7), atom::Error);
    now = 2;
  });
  CHECK(x.value() == 2);
}

TEST_CASE("What a mutate is refused may go on through it, and the atom works on") {
  atom::AtomStore store;
  auto& x = store.use(count);
  CHECK_THROWS_AS(x.mutate([&](int& now) {
    now = 4;
    x.update(5);
  }),
                  atom::Error);
  CHECK(x.value() == 4);
  CHECK(x.update(6));
}

// ---------------------------------------------------------------------------------------------------- change and merge

TEST_CASE("change sets one member and leaves the others") {
  atom::AtomStore store;
  auto& x = store.use(user_atom);
  CHECK(x.change(&User::name, "Bob"));
  CHECK(x.value() == user_named("Bob"));
  CHECK(x.change(&User::age, 36));
  CHECK(x.value() == user_named("Bob", 36));
}

TEST_CASE("A change to an equal member says so, tells nobody and stores nothing") {
  atom::AtomStore store;
  auto& x = store.use(user_atom);
  int calls = 0;
  x.on_change([&] { ++calls; });
  CHECK_FALSE(x.change(&User::name, "Anon"));
  CHECK(calls == 0);
  CHECK(&x.value() == &user_atom.value());
  CHECK_FALSE(x.is_modified());
}

TEST_CASE("merge sets the named members only") {
  atom::AtomStore store;
  auto& x = store.use(user_atom);
  x.change(&User::logged_in, true);
  CHECK(x.merge(&User::name, "Bob", &User::age, 36));
  User expected = user_named("Bob", 36);
  expected.logged_in = true;
  CHECK(x.value() == expected);
}

TEST_CASE("merge tells listeners once") {
  atom::AtomStore store;
  auto& x = store.use(user_atom);
  int calls = 0;
  x.on_change([&](const User& now, const User& old) {
    ++calls;
    CHECK(now == user_named("Bob", 36));
    CHECK(old == User{});
  });
  x.merge(&User::name, "Bob", &User::age, 36);
  CHECK(calls == 1);
}

TEST_CASE("A merge counts as a change when one of its members changed") {
  atom::AtomStore store;
  auto& x = store.use(user_atom);
  CHECK(x.merge(&User::name, "Anon", &User::age, 1));
  CHECK_FALSE(x.merge(&User::name, "Anon", &User::age, 1));
}

TEST_CASE("merge takes what converts to a member") {
  struct Row {
    double share = 0;
    short small = 0;
    std::optional<int> maybe = {};
    std::string label = {};
    bool operator==(const Row&) const = default;
  };
  static const atom::Atom<Row> row{"atom.row"};
  atom::AtomStore store;
  auto& x = store.use(row);
  const std::string_view view = "view";
  CHECK(x.merge(&Row::maybe, 3, &Row::label, std::string(view), &Row::share, 0.5F));
  CHECK(x.value() == Row{.share = 0.5, .small = 0, .maybe = 3, .label = "view"});
}

TEST_CASE("Small members of any type are merged with what converts to them") {
  struct Row {
    double share = 0;
    short small = 0;
    bool operator==(const Row&) const = default;
  };
  static const atom::Atom<Row> row{"atom.narrow_row"};
  atom::AtomStore store;
  CHECK(store.use(row).merge(&Row::small, 5, &Row::share, 5));
  CHECK(store.use(row).value() == Row{5, 5});
}

TEST_CASE("merge takes members and values from variables") {
  atom::AtomStore store;
  auto& x = store.use(user_atom);
  const auto member = &User::name;
  const std::string name = "Bob";
  std::string moved = "moved, and too long for a small buffer";
  CHECK(x.merge(member, name));
  CHECK(name == "Bob");
  CHECK(x.merge(member, std::move(moved)));
  CHECK(x->name == "moved, and too long for a small buffer");
}

TEST_CASE("When a merge names a member twice, the last value counts") {
  atom::AtomStore store;
  auto& x = store.use(user_atom);
  CHECK(x.merge(&User::age, 1, &User::age, 2));
  CHECK(x->age == 2);
}

TEST_CASE("A member that a base class has can be changed, merged and watched") {
  struct Admin : User {
    int level = 1;
    bool operator==(const Admin&) const = default;
  };
  static const atom::Atom<Admin> admin{"atom.admin"};
  atom::AtomStore store;
  auto& x = store.use(admin);
  std::vector<std::string> seen;
  x.watch(&Admin::name, [&](const std::string& now) { seen.push_back(now); });
  CHECK(x.change(&Admin::name, "Root"));
  CHECK(x.merge(&Admin::name, "Boss", &Admin::level, 2));
  CHECK(seen == Log{"Root", "Boss"});
  CHECK(x->level == 2);
}

template <class A, class Member, class V>
concept can_change = requires(A& atom, Member member, V value) {
  atom.change(member, value);
  atom.silent_change(member, value);
  atom.merge(member, value);
};
template <class A, class Member>
concept can_watch = requires(A& atom, Member member) { atom.watch(member, [] {}); };

TEST_CASE("Only a type with members has members to change, merge and watch") {
  STATIC_REQUIRE(can_change<atom::Atom<User>, int User::*, int>);
  STATIC_REQUIRE(can_watch<atom::Atom<User>, int User::*>);
  STATIC_REQUIRE_FALSE(can_change<atom::Atom<int>, int User::*, int>);
  STATIC_REQUIRE_FALSE(can_watch<atom::Atom<int>, int User::*>);
  STATIC_REQUIRE_FALSE(can_change<atom::Atom<Address>, int User::*, int>);
  STATIC_REQUIRE_FALSE(can_watch<atom::Atom<Address>, int User::*>);
  STATIC_REQUIRE_FALSE(can_change<atom::Atom<User>, int User::*, std::string>);
  STATIC_REQUIRE_FALSE(can_change<atom::Atom<User>, bool (User::*)(const User&) const, int>);
  STATIC_REQUIRE_FALSE(can_watch<atom::Atom<User>, bool (User::*)(const User&) const>);
}

// --------------------------------------------------------------------------------------------------------------- reset

TEST_CASE("reset brings the default back and says whether the value changed") {
  atom::AtomStore store;
  auto& x = store.use(numbers);
  CHECK_FALSE(x.reset());
  x.update({9});
  CHECK(x.reset());
  CHECK(x.value() == std::vector{1, 2, 3});
  CHECK_FALSE(x.is_modified());
  x.update({9});
  x.update({1, 2, 3});
  CHECK_FALSE(x.reset());
}

TEST_CASE("reset tells change listeners, watchers, then reset listeners") {
  atom::AtomStore store;
  auto& x = store.use(user_atom);
  x.update(user_named("Bob"));
  Log log;
  x.on_reset([&](atom::Atom<User>& a) { log.push_back("reset to " + a->name); });
  x.watch(&User::name, [&](const std::string& now, const std::string& old) { log.push_back(old + " > " + now); });
  x.on_change([&](const User& now, const User& old) { log.push_back(old.name + " -> " + now.name); });
  x.reset();
  CHECK(log == Log{"Bob -> Anon", "Bob > Anon", "reset to Anon"});
}

TEST_CASE("A reset of an atom that is at its default tells reset listeners only") {
  atom::AtomStore store;
  auto& x = store.use(count);
  Log log;
  x.on_change([&] { log.push_back("change"); });
  x.on_reset([&] { log.push_back("reset"); });
  CHECK_FALSE(x.reset());
  CHECK(log == Log{"reset"});
  x.silent_update(1);
  x.silent_update(0);
  CHECK_FALSE(x.reset());
  CHECK(log == Log{"reset", "reset"});
}

TEST_CASE("A silent reset brings the default back and tells reset listeners only") {
  atom::AtomStore store;
  auto& x = store.use(user_atom);
  x.update(user_named("Bob"));
  Log log;
  x.on_change([&] { log.push_back("change"); });
  x.watch(&User::name, [&] { log.push_back("watch"); });
  x.on_reset([&] { log.push_back("reset"); });
  x.silent_reset();
  CHECK(x.value() == User{});
  CHECK_FALSE(x.is_modified());
  CHECK(log == Log{"reset"});
}

TEST_CASE("Writing never changes the default") {
  atom::AtomStore store;
  auto& x = store.use(numbers);
  auto& y = store.use(user_atom);
  x.mutate([](std::vector<int>& now) { now.clear(); });
  x.reset();
  x.mutate([](std::vector<int>& now) { now.push_back(4); });
  x.update([](const std::vector<int>& now) { return std::vector(now.begin(), now.begin() + 1); });
  y.change(&User::name, "Bob");
  y.reset();
  y.merge(&User::name, "Bob", &User::age, 3);
  CHECK(numbers.value() == std::vector{1, 2, 3});
  CHECK(x.default_value() == std::vector{1, 2, 3});
  CHECK(user_atom.value() == User{});
}

TEST_CASE("Two resets share no state, nor do two stores") {
  atom::AtomStore first;
  atom::AtomStore second;
  auto& x = first.use(numbers);
  auto& y = second.use(numbers);
  x.reset();
  x.mutate([](std::vector<int>& now) { now.push_back(4); });
  x.reset();
  CHECK(x.value() == std::vector{1, 2, 3});
  y.reset();
  x.mutate([](std::vector<int>& now) { now[0] = 100; });
  CHECK(y.value() == std::vector{1, 2, 3});
  y.mutate([](std::vector<int>& now) { now[0] = 200; });
  CHECK(x.value() == std::vector{100, 2, 3});
}

// -------------------------------------------------------------------------------------------------------------- silent

TEST_CASE("Silent writes change the value, and tell neither change listeners nor watchers") {
  atom::AtomStore store;
  auto& x = store.use(user_atom);
  int calls = 0;
  x.on_change([&](const User&, const User&) { ++calls; });
  x.watch(&User::name, [&] { ++calls; });
  x.silent_update(user_named("one"));
  CHECK(x->name == "one");
  const User two = user_named("two");
  x.silent_update(two);
  CHECK(x->name == "two");
  x.silent_update([](const User& now) { return user_named(now.name + "!"); });
  CHECK(x->name == "two!");
  x.silent_change(&User::name, "three");
  CHECK(x->name == "three");
  CHECK(calls == 0);
  CHECK(x.is_modified());
}

TEST_CASE("After a silent write the next listener sees that value as the one before") {
  atom::AtomStore store;
  auto& x = store.use(count);
  std::vector<std::pair<int, int>> seen;
  x.on_change([&](int now, int old) { seen.emplace_back(now, old); });
  x.silent_update(1);
  x.update(2);
  CHECK(seen == std::vector{std::pair{2, 1}});
}

// ----------------------------------------------------------------------------------------------------------- listening

TEST_CASE("A change listener takes what it wants to know") {
  atom::AtomStore store;
  auto& x = store.use(count);
  Log log;
  x.on_change([&](const int& now, const int& old, atom::Atom<int>& a) {
    log.push_back(std::to_string(now) + std::to_string(old) + (&a == &x ? " the clone" : " another"));
  });
  x.on_change([&](const int& now, const int& old) { log.push_back(std::to_string(now) + std::to_string(old)); });
  x.on_change([&](const int& now) { log.push_back(std::to_string(now)); });
  x.on_change([&](int now) { log.push_back(std::to_string(now)); });
  x.on_change([&] { log.push_back("-"); });
  x.update(5);
  CHECK(log == Log{"50 the clone", "50", "5", "5", "-"});
}

TEST_CASE("A listener may be generic, mutable, move-only, a function or an lvalue") {
  atom::AtomStore store;
  auto& x = store.use(count);
  static int calls;
  calls = 0;
  struct Functions {
    static void hear(const int&, const int&) { ++calls; }
  };
  x.on_change([](const auto& now, const auto& old, auto& a) { calls += now > old && a.value() == now; });
  x.on_change([](auto... all) { calls += sizeof...(all) > 0; });
  x.on_change([n = 0](int) mutable { calls += ++n; });
  x.on_change([owned = std::make_unique<int>(1)] { calls += *owned; });
  x.on_change(Functions::hear);
  const auto lvalue = [] { ++calls; };
  x.on_change(lvalue);
  x.update(1);
  CHECK(calls == 6);
}

TEST_CASE("What a listener returns stops nobody") {
  atom::AtomStore store;
  auto& x = store.use(count);
  int calls = 0;
  x.on_change([&] {
    ++calls;
    return false;
  });
  x.on_change([&](int) {
    ++calls;
    return std::string("stop");
  });
  x.on_change([&] { ++calls; });
  x.on_reset([&] {
    ++calls;
    return false;
  });
  x.on_reset([&] { ++calls; });
  x.update(1);
  CHECK(calls == 3);
  x.silent_reset();
  CHECK(calls == 5);
}

TEST_CASE("The value before is untouched by the change") {
  atom::AtomStore store;
  auto& x = store.use(numbers);
  std::vector<std::vector<int>> before;
  x.on_change([&](const std::vector<int>&, const std::vector<int>& old) { before.push_back(old); });
  x.update({4});
  x.mutate([](std::vector<int>& now) { now.push_back(5); });
  x.reset();
  CHECK(before == std::vector<std::vector<int>>{{1, 2, 3}, {4}, {4, 5}});
}

TEST_CASE("A value is committed before anyone is told") {
  atom::AtomStore store;
  auto& x = store.use(count);
  int seen = -1;
  x.on_change([&] { seen = store.use(count).value(); });
  x.update(5);
  CHECK(seen == 5);
}

TEST_CASE("Change listeners run in the order of subscription, then watchers in theirs") {
  atom::AtomStore store;
  auto& x = store.use(user_atom);
  Log log;
  x.watch(&User::name, [&] { log.push_back("first watcher"); });
  x.on_change([&] { log.push_back("first listener"); });
  x.watch(&User::name, [&] { log.push_back("second watcher"); });
  x.on_change([&] { log.push_back("second listener"); });
  x.change(&User::name, "Bob");
  CHECK(log == Log{"first listener", "second listener", "first watcher", "second watcher"});
}

TEST_CASE("A subscription may be dropped: the listener stays") {
  atom::AtomStore store;
  auto& x = store.use(count);
  int calls = 0;
  {
    const atom::Subscription dropped = x.on_change([&] { ++calls; });
  }
  x.on_change([&] { ++calls; });
  x.update(1);
  CHECK(calls == 2);
}

TEST_CASE("A listener that throws stops nobody; the first exception comes out, and the value stays") {
  atom::AtomStore store;
  auto& x = store.use(user_atom);
  int calls = 0;
  x.on_change([&] {
    ++calls;
    throw std::domain_error("first");
  });
  x.on_change([&] {
    ++calls;
    throw std::logic_error("second");
  });
  x.watch(&User::name, [&] { ++calls; });
  x.on_reset([&] { ++calls; });
  CHECK_THROWS_WITH(x.update(user_named("Bob")), "first");
  CHECK(calls == 3);
  CHECK(x->name == "Bob");
  CHECK_THROWS_WITH(x.reset(), "first");
  CHECK(calls == 7);
  CHECK(x->name == "Anon");
}

TEST_CASE("What listeners throw comes out of every verb that tells them") {
  atom::AtomStore store;
  auto& x = store.use(user_atom);
  x.on_change([] { throw std::domain_error("no"); });
  CHECK_THROWS_AS(x.update([](const User&) { return user_named("1"); }), std::domain_error);
  CHECK_THROWS_AS(x.mutate([](User& now) { now.name = "2"; }), std::domain_error);
  CHECK_THROWS_AS(x.change(&User::name, "3"), std::domain_error);
  CHECK_THROWS_AS(x.merge(&User::name, "4"), std::domain_error);
  CHECK_NOTHROW(x.silent_change(&User::name, "5"));
  CHECK(x->name == "5");
}

TEST_CASE("When a listener updates its atom, everybody sees the same changes in the same order, the final one last") {
  atom::AtomStore store;
  auto& x = store.use(count);
  std::vector<std::pair<int, int>> first;
  std::vector<std::pair<int, int>> last;
  x.on_change([&](int now, int old) { first.emplace_back(now, old); });
  x.on_change([&](int now) {
    if (now < 3) x.update(now + 1);
  });
  x.on_change([&](int now, int old) { last.emplace_back(now, old); });
  x.update(1);
  CHECK(first == std::vector<std::pair<int, int>>{{1, 0}, {2, 1}, {3, 2}});
  CHECK(last == first);
  CHECK(x.value() == 3);
}

TEST_CASE("A listener's values stay as they are while it runs, whatever it writes") {
  atom::AtomStore store;
  auto& x = store.use(numbers);
  int calls = 0;
  x.on_change([&](const std::vector<int>& now, const std::vector<int>& old) {
    if (++calls > 1) return;
    x.update({5});
    x.mutate([](std::vector<int>& v) { v.push_back(6); });
    x.silent_update({7});
    x.reset();
    x.update({8});
    CHECK(now == std::vector{4});
    CHECK(old == std::vector{1, 2, 3});
  });
  x.update({4});
  CHECK(calls == 2);
  CHECK(x.value() == std::vector{8});
}

TEST_CASE("A listener that subscribes another starts it with the next change") {
  atom::AtomStore store;
  auto& x = store.use(count);
  std::vector<int> seen;
  x.on_change([&](int now) {
    if (now == 1) x.on_change([&](int later) { seen.push_back(later); });
  });
  x.update(1);
  CHECK(seen.empty());
  x.update(2);
  CHECK(seen == std::vector{2});
}

TEST_CASE("An atom that keeps updating itself is stopped by an error, and works on") {
  atom::AtomStore store;
  auto& x = store.use(count);
  bool endless = true;
  int told = 0;
  x.on_change([&](int now) {
    ++told;
    if (endless) x.update(now + 1);
  });
  CHECK_THROWS_AS(x.update(1), atom::CycleError);
  CHECK(told > 1000);
  endless = false;
  told = 0;
  CHECK(x.update(-1));
  CHECK(told == 1);
  CHECK(x.value() == -1);
}

TEST_CASE("Atoms that keep updating each other are stopped by an error, and both work on") {
  atom::AtomStore store;
  auto& x = store.use(count);
  auto& y = store.use(other);
  bool endless = true;
  int told_x = 0;
  int told_y = 0;
  x.on_change([&](int now) {
    ++told_x;
    if (endless) y.update(now + 1);
  });
  y.on_change([&](int now) {
    ++told_y;
    if (endless) x.update(now + 1);
  });
  CHECK_THROWS_AS(x.update(1), atom::CycleError);
  endless = false;
  told_x = told_y = 0;
  CHECK(x.update(-1));
  CHECK(y.update(-2));
  CHECK(told_x == 1);
  CHECK(told_y == 1);
}

// --------------------------------------------------------------------------------------------------------------- watch

TEST_CASE("A watcher is told when its member changed, with the value before") {
  atom::AtomStore store;
  auto& x = store.use(user_atom);
  Log log;
  x.watch(&User::name, [&](const std::string& now, const std::string& old) { log.push_back(old + " > " + now); });
  x.change(&User::name, "Bob");
  x.update(user_named("Eve"));
  x.mutate([](User& now) { now.name = "Mia"; });
  x.reset();
  CHECK(log == Log{"Anon > Bob", "Bob > Eve", "Eve > Mia", "Mia > Anon"});
}

TEST_CASE("A watcher is told of a change that an updater made") {
  atom::AtomStore store;
  auto& x = store.use(user_atom);
  Log log;
  x.watch(&User::name, [&](const std::string& now) { log.push_back(now); });
  x.update([](const User& now) {
    User next = now;
    next.name += "ymous";
    return next;
  });
  CHECK(log == Log{"Anonymous"});
}

TEST_CASE("A watcher is not told when another member changed") {
  atom::AtomStore store;
  auto& x = store.use(user_atom);
  int calls = 0;
  x.watch(&User::name, [&] { ++calls; });
  x.watch(&User::address, &Address::city, [&] { ++calls; });
  x.change(&User::age, 5);
  x.change(&User::address, Address{"Oslo", 151});
  x.mutate([](User&) {});
  CHECK(calls == 0);
}

TEST_CASE("A watcher may look into nested members") {
  atom::AtomStore store;
  auto& x = store.use(user_atom);
  Log log;
  x.watch(&User::address, &Address::city, [&](const std::string& now, const std::string& old, atom::Atom<User>& a) {
    log.push_back(old + " > " + now + (&a == &x ? "" : " of another"));
  });
  x.change(&User::address, Address{"Rome", 1});
  x.mutate([](User& now) { now.address.city = "Bern"; });
  CHECK(log == Log{"Oslo > Rome", "Rome > Bern"});
}

TEST_CASE("A watcher takes what it wants to know") {
  atom::AtomStore store;
  auto& x = store.use(user_atom);
  Log log;
  x.watch(&User::age, [&](int now, int old, atom::Atom<User>& a) {
    log.push_back(std::to_string(now) + std::to_string(old) + a->name);
  });
  x.watch(&User::age, [&](int now, int old) { log.push_back(std::to_string(now) + std::to_string(old)); });
  x.watch(&User::age, [&](int now) { log.push_back(std::to_string(now)); });
  x.watch(&User::age, [&] { log.push_back("-"); });
  x.change(&User::age, 5);
  CHECK(log == Log{"50Anon", "50", "5", "-"});
}

TEST_CASE("An atom whose default is an empty optional can be watched") {
  atom::AtomStore store;
  auto& x = store.use(guest);
  Log log;
  x.watch(&User::name, [&](const std::string* now, const std::string* old) {
    log.push_back((old ? *old : "nobody") + " > " + (now ? *now : "nobody"));
  });
  x.update(user_named("Bob"));
  x.update(user_named("Bob", 5));
  x.update(user_named("Eve"));
  x.update(std::nullopt);
  x.reset();
  CHECK(log == Log{"nobody > Bob", "Bob > Eve", "Eve > nobody"});
}

TEST_CASE("A watcher may look through an optional on the way") {
  atom::AtomStore store;
  auto& x = store.use(user_atom);
  Log log;
  x.watch(&User::job, &Job::place, &Address::city, [&](const std::string* now) { log.push_back(now ? *now : "none"); });
  x.change(&User::age, 5);
  x.change(&User::job, Job{});
  x.mutate([](User& now) { now.job->place.city = "Bern"; });
  x.mutate([](User& now) { now.job->title = "boss"; });
  x.change(&User::job, std::nullopt);
  CHECK(log == Log{"Oslo", "Bern", "none"});
}

TEST_CASE("A watcher may look through several optionals") {
  atom::AtomStore store;
  auto& x = store.use(guest);
  Log log;
  x.watch(&User::job, &Job::title, [&](const std::string* now) { log.push_back(now ? *now : "none"); });
  x.update(user_named("Bob"));
  x.mutate([](std::optional<User>& now) { now->job = Job{}; });
  x.update(std::nullopt);
  CHECK(log == Log{"clerk", "none"});
}

TEST_CASE("An optional member can be watched itself") {
  atom::AtomStore store;
  auto& x = store.use(user_atom);
  std::vector<bool> seen;
  x.watch(&User::job, [&](const std::optional<Job>& now) { seen.push_back(now.has_value()); });
  x.change(&User::job, Job{});
  x.change(&User::job, std::nullopt);
  CHECK(seen == std::vector{true, false});
}

TEST_CASE("A member of a type without == is told with every change") {
  struct Opaque {
    int n = 0;
  };
  struct Holder {
    Opaque opaque = {};
    int n = 0;
  };
  static const atom::Atom<Holder> holder{"atom.holder"};
  atom::AtomStore store;
  auto& x = store.use(holder);
  int calls = 0;
  x.watch(&Holder::opaque, [&] { ++calls; });
  CHECK(x.change(&Holder::n, 1));
  CHECK(x.change(&Holder::opaque, Opaque{}));
  CHECK(calls == 2);
}

TEST_CASE("Watchers of a batch compare the values before and after it") {
  atom::AtomStore store;
  auto& x = store.use(user_atom);
  Log log;
  x.watch(&User::name, [&](const std::string& now, const std::string& old) { log.push_back(old + " > " + now); });
  x.watch(&User::age, [&] { log.push_back("age"); });
  store.batch([&] {
    x.change(&User::age, 5);
    x.change(&User::name, "Bob");
    x.change(&User::name, "Eve");
    x.change(&User::age, 0);
  });
  CHECK(log == Log{"Anon > Eve"});
}

// --------------------------------------------------------------------------------------------------------------- batch

TEST_CASE("A batch tells each listener once, with the value before the batch") {
  atom::AtomStore store;
  auto& x = store.use(count);
  std::vector<std::pair<int, int>> seen;
  x.on_change([&](int now, int old) { seen.emplace_back(now, old); });
  store.batch([&] {
    x.update(1);
    x.update(2);
    CHECK(x.value() == 2);
    x.mutate([](int& now) { now = 3; });
    CHECK(seen.empty());
  });
  CHECK(seen == std::vector{std::pair{3, 0}});
}

TEST_CASE("A batch tells the atoms in the order of their first change") {
  atom::AtomStore store;
  auto& x = store.use(count);
  auto& y = store.use(other);
  Log log;
  x.on_change([&] { log.push_back("count"); });
  y.on_change([&] { log.push_back("other"); });
  store.batch([&] {
    y.update(1);
    x.update(1);
    y.update(2);
  });
  CHECK(log == Log{"other", "count"});
}

TEST_CASE("Updates that end where they began tell nobody after the batch") {
  atom::AtomStore store;
  auto& x = store.use(text);
  int calls = 0;
  x.on_change([&] { ++calls; });
  x.on_change([&](const std::string&, const std::string&) { ++calls; });
  store.batch([&] {
    CHECK(x.update("twice"));
    CHECK(x.update("once"));
  });
  CHECK(calls == 0);
  store.batch([&] {
    CHECK(x.update("twice"));
    CHECK(x.reset());
  });
  CHECK(calls == 0);
}

TEST_CASE("Changes of members that end where they began tell nobody after the batch") {
  atom::AtomStore store;
  auto& x = store.use(user_atom);
  x.update(user_named("Bob"));
  int calls = 0;
  x.on_change([&](const User&, const User&) { ++calls; });
  store.batch([&] {
    CHECK(x.change(&User::age, 5));
    CHECK(x.merge(&User::age, 0));
  });
  CHECK(calls == 0);
}

TEST_CASE("A mutate within a batch is always told") {
  atom::AtomStore store;
  auto& x = store.use(count);
  std::vector<std::pair<int, int>> seen;
  x.on_change([&](int now, int old) { seen.emplace_back(now, old); });
  store.batch([&] {
    x.update(1);
    x.mutate([](int& now) { now = 0; });
  });
  CHECK(seen == std::vector{std::pair{0, 0}});
}

TEST_CASE("A batch that resets tells the change if there is one, and the reset once") {
  atom::AtomStore store;
  auto& x = store.use(count);
  x.update(1);
  Log log;
  x.on_change([&](int now, int old) { log.push_back(std::to_string(old) + " -> " + std::to_string(now)); });
  x.on_reset([&] { log.push_back("reset"); });
  store.batch([&] {
    x.update(2);
    x.reset();
    x.reset();
  });
  CHECK(log == Log{"1 -> 0", "reset"});
}

TEST_CASE("A listener that subscribes in the middle of a batch gets the value before the batch, too") {
  atom::AtomStore store;
  auto& x = store.use(numbers);
  x.update({1});
  int told = 0;
  x.on_change([&] { ++told; });
  std::vector<std::vector<int>> seen;
  store.batch([&] {
    x.mutate([](std::vector<int>& now) { now.push_back(2); });
    x.on_change([&](const std::vector<int>& now, const std::vector<int>& old) { seen = {now, old}; });
    x.mutate([](std::vector<int>& now) { now.push_back(3); });
  });
  CHECK(told == 1);
  CHECK(seen == std::vector<std::vector<int>>{{1, 2, 3}, {1}});
}

TEST_CASE("Silent writes within a batch stay silent") {
  atom::AtomStore store;
  auto& x = store.use(count);
  int calls = 0;
  x.on_change([&] { ++calls; });
  store.batch([&] {
    x.silent_update(1);
    x.silent_update([](const int& now) { return now + 1; });
  });
  CHECK(x.value() == 2);
  CHECK(calls == 0);
}

TEST_CASE("A listener that unsubscribes within a batch is not told after it") {
  atom::AtomStore store;
  auto& x = store.use(count);
  int calls = 0;
  atom::Subscription subscription = x.on_change([&] { ++calls; });
  store.batch([&] {
    x.update(1);
    subscription.unsubscribe();
  });
  CHECK(calls == 0);
  CHECK(x.value() == 1);
}

TEST_CASE("Batches within batches tell when the outermost ends") {
  atom::AtomStore store;
  auto& x = store.use(count);
  std::vector<int> seen;
  x.on_change([&](int now) { seen.push_back(now); });
  const int result = store.batch([&] {
    x.update(1);
    store.batch([&] { x.update(2); });
    CHECK(seen.empty());
    return 7;
  });
  CHECK(result == 7);
  CHECK(seen == std::vector{2});
}

// ----------------------------------------------------------------------------------------------------------------
// verbs

struct Cart : atom::Atom<std::vector<std::string>> {
  using Atom::Atom;
  void add(std::string item) {
    mutate([&](std::vector<std::string>& items) { items.push_back(std::move(item)); });
  }
  bool has(std::string_view item) const {
    for (const std::string& each : value()) {
      if (each == item) return true;
    }
    return false;
  }
};
const Cart cart{"atom.cart"};
const Cart full_cart{"atom.full_cart", {"apple"}, {.server_only = true}};

TEST_CASE("A clone keeps its class, and its verbs act on the clone alone") {
  atom::AtomStore store;
  atom::AtomStore another;
  auto& x = store.use(cart);
  STATIC_REQUIRE(std::same_as<decltype(x), Cart&>);
  x.add("pear");
  x.add("plum");
  CHECK(x.has("plum"));
  CHECK_FALSE(cart.has("plum"));
  CHECK_FALSE(another.use(cart).has("plum"));
  CHECK(&store.use(cart) == &x);
}

TEST_CASE("A class with verbs has all constructors of an atom") {
  atom::AtomStore store;
  CHECK(store.use(full_cart).has("apple"));
  CHECK(full_cart.is_server_only());
  const Cart made{"atom.made_cart", atom::Factory{[] { return std::vector<std::string>{"fig"}; }}};
  CHECK(store.use(made).has("fig"));
}

TEST_CASE("Listeners of a class with verbs are told as any") {
  atom::AtomStore store;
  auto& x = store.use(cart);
  Log log;
  x.on_change([&](const std::vector<std::string>& now, const std::vector<std::string>& old) {
    log.push_back(std::to_string(old.size()) + " -> " + std::to_string(now.size()));
  });
  x.add("pear");
  CHECK(log == Log{"0 -> 1"});
}

struct Tracked : atom::Atom<int> {
  using Atom::Atom;
  support::Counted<struct TrackedTag> own{5};
  int calls = 0;
};
using TrackedPart = support::Counted<struct TrackedTag>;

TEST_CASE("What a class with verbs has besides its value is made for each clone, and destroyed with it") {
  const Tracked tracked{"atom.tracked", 1};
  const int before = TrackedPart::counts().alive;
  TrackedPart::forget();
  {
    atom::AtomStore store;
    atom::AtomStore another;
    auto& x = store.use(tracked);
    CHECK(TrackedPart::counts().alive == before + 1);
    CHECK(x.own.value == 5);
    x.own.value = 6;
    x.calls = 3;
    CHECK(another.use(tracked).own.value == 5);
    CHECK(another.use(tracked).calls == 0);
    CHECK(tracked.own.value == 5);
    store.drop(x);
    CHECK(TrackedPart::counts().alive == before + 1);
    CHECK(store.use(tracked).own.value == 5);
    store.destroy();
    CHECK(TrackedPart::counts().alive == before + 1);
  }
  CHECK(TrackedPart::counts().alive == before);
  CHECK(TrackedPart::counts().copies == 0);
}

struct Fussy : atom::Atom<support::Counted<struct FussyTag>> {
  struct Part {
    Part() {
      if (refuse) throw std::domain_error("no");
    }
  };
  using Atom::Atom;
  static inline bool refuse = false;
  Part part = {};
};

TEST_CASE("A class whose own part throws leaves no clone and no value behind") {
  using Value = support::Counted<struct FussyTag>;
  Fussy::refuse = false;
  const Fussy fussy{"atom.fussy", atom::Factory{[] { return Value(1); }}};
  const int before = Value::counts().alive;
  {
    atom::AtomStore store;
    Fussy::refuse = true;
    CHECK_THROWS_AS(store.use(fussy), std::domain_error);
    CHECK(store.empty());
    CHECK_FALSE(store.has(fussy));
    Fussy::refuse = false;
    CHECK(store.use(fussy).value().value == 1);
  }
  CHECK(Value::counts().alive == before);
}

#if defined(__cpp_rtti)
TEST_CASE("An atom with verbs is not cloned through its base class") {
  atom::AtomStore store;
  const atom::Atom<std::vector<std::string>>& base = cart;
  CHECK_THROWS_WITH(store.use(base), ContainsSubstring("atom.cart") && ContainsSubstring("base class"));
  CHECK(store.empty());
  auto& x = store.use(cart);
  CHECK(&store.use(base) == &x);
}
#endif

// ---------------------------------------------------------------------------------------------------------- templates

TEST_CASE("A template cannot be written or listened to") {
  using Template = const atom::Atom<User>&;
  const auto writes = []<class A>(std::type_identity<A>) {
    return requires(A a) { a.update(User{}); } || requires(A a) { a.silent_update(User{}); } ||
           requires(A a) { a.mutate([](User&) {}); } || requires(A a) { a.change(&User::age, 1); } ||
           requires(A a) { a.silent_change(&User::age, 1); } || requires(A a) { a.merge(&User::age, 1); } ||
           requires(A a) { a.reset(); } || requires(A a) { a.silent_reset(); } ||
           requires(A a) { a.update([](const User& now) { return now; }); };
  };
  const auto listens = []<class A>(std::type_identity<A>) {
    return requires(A a) { a.on_change([] {}); } || requires(A a) { a.watch(&User::age, [] {}); } ||
           requires(A a) { a.on_reset([] {}); } || requires(A a) { a.on_destroy([] {}); };
  };
  STATIC_REQUIRE_FALSE(writes(std::type_identity<Template>{}));
  STATIC_REQUIRE_FALSE(listens(std::type_identity<Template>{}));
  STATIC_REQUIRE(writes(std::type_identity<atom::Atom<User>&>{}));
  STATIC_REQUIRE(listens(std::type_identity<atom::Atom<User>&>{}));
}

TEST_CASE("A template that was not declared const refuses to be written and listened to all the same") {
  atom::Atom<User> not_const{"atom.not_const"};
  each_way([&](const char* way, auto act) {
    CAPTURE(way);
    CHECK_THROWS_WITH(act(not_const), ContainsSubstring("atom.not_const") && ContainsSubstring("store.use(atom)"));
  });
  CHECK(not_const.value() == User{});
}

TEST_CASE("An atom is neither copied nor moved") {
  STATIC_REQUIRE_FALSE(std::is_copy_constructible_v<atom::Atom<int>>);
  STATIC_REQUIRE_FALSE(std::is_move_constructible_v<atom::Atom<int>>);
  STATIC_REQUIRE_FALSE(std::is_copy_assignable_v<atom::Atom<int>>);
  STATIC_REQUIRE_FALSE(std::is_move_assignable_v<atom::Atom<int>>);
  STATIC_REQUIRE_FALSE(std::is_assignable_v<atom::Atom<int>&, int>);
}

TEST_CASE("An update of a clone that a factory built makes it modified") {
  static const atom::Atom<int> built{"atom.built_then_updated", atom::Factory{[] { return 1; }}};
  atom::AtomStore store;
  auto& clone = store.use(built);
  CHECK_FALSE(clone.is_modified());
  clone.update(2);
  CHECK(clone.is_modified());
}

TEST_CASE("A silent update runs before_update, whether it is given a value or a function") {
  static const atom::Atom<int> halved{
      "atom.silently_halved", 0, {.before_update = [](int&& next, const int&) { return next / 2; }}};
  atom::AtomStore store;
  auto& clone = store.use(halved);
  clone.silent_update(8);
  CHECK(clone.value() == 4);
  clone.silent_update([](int current) { return current * 4; });
  CHECK(clone.value() == 8);
}

TEST_CASE(
    "A value that a listener looks at stays as it is, also when that was the last listener and mutates the atom") {
  static const atom::Atom<std::string> looked_at{"atom.looked_at", "default"};
  atom::AtomStore store;
  auto& clone = store.use(looked_at);
  atom::Subscription only;
  std::string seen;
  only = clone.on_change([&](const std::string& now) {
    atom::Subscription& handle = only;
    std::string& result = seen;
    atom::Atom<std::string>& atom = clone;
    handle.unsubscribe();
    atom.mutate([](std::string& value) { value = "mutated"; });
    result = now;
  });
  clone.update("first");
  CHECK(seen == "first");
  CHECK(clone.value() == "mutated");
}

TEST_CASE("A number that a listener looks at stays as it is, whatever the listener writes") {
  static const atom::Atom<int> looked_at{"atom.number_looked_at", 0};
  using Clone = atom::Atom<int>;
  void (*const writes[])(Clone&) = {
      [](Clone& clone) { clone.update(3); },
      [](Clone& clone) { clone.silent_update(3); },
      [](Clone& clone) { clone.mutate([](int& value) { value = 3; }); },
  };
  for (const auto write : writes) {
    for (const bool last_time : {false, true}) {
      atom::AtomStore store;
      auto& clone = store.use(looked_at);
      clone.update(1);  // it has a value of its own from here on
      std::vector<std::pair<int, int>> seen;
      atom::Subscription only = clone.on_change([&](const int& now, const int& old) {
        if (now == 2) {
          if (last_time) only.unsubscribe();
          write(clone);
          store.use(looked_at).silent_update(4);
        }
        seen.emplace_back(now, old);
      });
      clone.update(2);
      CHECK(seen.front() == std::pair(2, 1));
      CHECK(clone.value() == 4);
    }
  }
}

TEST_CASE("A value that a listener looks at stays as it is, also when it drops the atom and mutates what it dropped") {
  static const atom::Atom<std::string> dropped{"atom.looked_at_and_dropped", "default"};
  atom::AtomStore store;
  auto& clone = store.use(dropped);
  std::string seen;
  clone.on_change([&](const std::string& now) {
    store.drop(dropped);
    clone.mutate([](std::string& value) { value = "mutated"; });
    seen = now;
    CHECK(clone.value() == "mutated");
  });
  clone.update("first");
  CHECK(seen == "first");
  CHECK(store.use(dropped).value() == "default");
}

}  // namespace
}  // namespace atom_test
