#include <atom/store.hpp>

#include <atom/family.hpp>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/counted.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <memory_resource>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace store_test {
namespace {

using atom::Atom;
using atom::AtomBase;
using atom::AtomStore;
using atom::Snapshot;
using atom::Subscription;

struct User {
  std::string name = "Anon";
  int age = 0;
  bool operator==(const User&) const = default;
};

const Atom<User> user{"store.user"};
const Atom<int> count{"store.count", 3};
const Atom<std::string> locale{"store.locale", "en"};
const Atom<std::vector<int>> cart{"store.cart", std::vector<int>{1, 2}};
const Atom<int> built{"store.built", atom::Factory{[] { return 40; }}};

class Counter : public Atom<int> {
 public:
  using Atom::Atom;
  void add(int n) {
    update([n](int now) { return now + n; });
  }
};
const Counter counter{"store.counter", 10};

template <class List>
std::vector<std::string> keys(const List& list) {
  std::vector<std::string> all;
  for (const auto& element : list) {
    if constexpr (requires { element.key(); }) {
      all.emplace_back(element.key());
    } else {
      all.emplace_back(element.key);
    }
  }
  return all;
}
using Keys = std::vector<std::string>;

// ---- Using and looking up

TEST_CASE("using an atom twice gives the same clone, which is not the template") {
  AtomStore store;
  Atom<int>& first = store.use(count);
  Atom<int>& second = store.use(count);
  CHECK(&first == &second);
  CHECK(&first != &count);
  CHECK(count.is_template());
  CHECK_FALSE(first.is_template());
}

TEST_CASE("a clone starts from the declared default, or from what the factory builds") {
  AtomStore store;
  CHECK(store.use(count).value() == 3);
  CHECK(store.use(built).value() == 40);
  CHECK(store.use(cart).value() == std::vector<int>{1, 2});
  CHECK_FALSE(store.use(count).is_modified());
}

TEST_CASE("a clone is found by the key of its template, and is not in the registry") {
  AtomStore store;
  Atom<User>& clone = store.use(user);
  CHECK(store.get("store.user") == &clone);
  CHECK(atom::find("store.user") == &user);
  for (const atom::AtomInfo& info : atom::registered()) CHECK(info.key != clone.clone_key());
}

TEST_CASE("before its first use an atom is not in the store") {
  AtomStore store;
  CHECK(store.get("store.user") == nullptr);
  CHECK(store.get<User>("store.user") == nullptr);
  CHECK(store.get(user) == nullptr);
  CHECK_FALSE(store.has("store.user"));
  CHECK_FALSE(store.has(user));
  CHECK(store.list().empty());
  CHECK(store.list().begin() == store.list().end());
  CHECK(store.empty());
  CHECK(store.size() == 0);
}

TEST_CASE("after its first use an atom is found by key, by key and type, and by template") {
  AtomStore store;
  Atom<User>& clone = store.use(user);
  CHECK(store.get("store.user") == &clone);
  CHECK(store.get<User>("store.user") == &clone);
  CHECK(store.get(user) == &clone);
  CHECK(store.has("store.user"));
  CHECK(store.has(user));
  CHECK_FALSE(store.has(count));
  CHECK(store.size() == 1);
  CHECK_FALSE(store.empty());
}

TEST_CASE("a clone is not found under another type") {
  AtomStore store;
  store.use(count);
  CHECK(store.get<long>("store.count") == nullptr);
  CHECK(store.get<User>("store.count") == nullptr);
  CHECK(std::as_const(store).get<unsigned>("store.count") == nullptr);
  CHECK(store.get<int>("store.count") != nullptr);
}

TEST_CASE("a const store gives const clones by every way of looking up") {
  AtomStore store;
  Atom<int>& clone = store.use(count);
  const AtomStore& view = store;
  CHECK(view.get("store.count") == &clone);
  CHECK(view.get<int>("store.count") == &clone);
  CHECK(view.get(count) == &clone);
  CHECK(view.has("store.count"));
  CHECK(view.has(count));
  CHECK(view.get("store.user") == nullptr);
  CHECK(view.size() == 1);
  CHECK(&*view.list().begin() == &clone);
  STATIC_REQUIRE(std::is_same_v<decltype(view.get("store.count")), const AtomBase*>);
  STATIC_REQUIRE(std::is_same_v<decltype(view.get<int>("store.count")), const Atom<int>*>);
  STATIC_REQUIRE(std::is_same_v<decltype(view.get(count)), const Atom<int>*>);
  STATIC_REQUIRE(std::is_same_v<decltype(*view.list().begin()), const AtomBase&>);
}

TEST_CASE("a clone of a class with verbs keeps the class, and its verbs act on the clone alone") {
  AtomStore store;
  Counter& clone = store.use(counter);
  clone.add(5);
  CHECK(clone.value() == 15);
  CHECK(counter.value() == 10);
  REQUIRE(store.get(counter));
  store.get(counter)->add(1);
  CHECK(store.value(counter) == 16);
}

#if defined(__cpp_rtti)
TEST_CASE("an atom used through its base class is refused, and leaves the store as it was") {
  AtomStore store;
  const Atom<int>& base = counter;
  CHECK_THROWS_AS(store.use(base), atom::TypeMismatch);
  CHECK(store.empty());
  CHECK(store.use(counter).value() == 10);
}
#endif

TEST_CASE("a store can be neither copied nor moved, and takes no temporary and no atom that is not const") {
  STATIC_REQUIRE_FALSE(std::is_copy_constructible_v<AtomStore>);
  STATIC_REQUIRE_FALSE(std::is_move_constructible_v<AtomStore>);
  STATIC_REQUIRE_FALSE(std::is_copy_assignable_v<AtomStore>);
  STATIC_REQUIRE_FALSE(std::is_move_assignable_v<AtomStore>);
  const auto can_use = []<class A>(std::type_identity<A>) {
    return requires(AtomStore& store, A&& a) { store.use(std::forward<A>(a)); };
  };
  STATIC_REQUIRE(can_use(std::type_identity<const Atom<int>&>{}));
  STATIC_REQUIRE_FALSE(can_use(std::type_identity<Atom<int>>{}));
  STATIC_REQUIRE_FALSE(can_use(std::type_identity<const Atom<int>>{}));
  STATIC_REQUIRE_FALSE(can_use(std::type_identity<Atom<int>&>{}));
}

TEST_CASE("a key is plain text: no key is special, and none stands for another") {
  const Atom<int> ui{"ui", 1};
  const Atom<int> sidebar{"ui.sidebar", 2};
  const Atom<int> proto{"__proto__", 3};
  const Atom<int> none{"", 4};
  AtomStore store;
  for (const Atom<int>* atom : {&ui, &sidebar, &proto, &none}) store.use(*atom);
  store.drop(ui);
  CHECK_FALSE(store.has("ui"));
  CHECK(store.get<int>("ui.sidebar")->value() == 2);
  CHECK(store.get<int>("__proto__")->value() == 3);
  CHECK(store.get<int>("")->value() == 4);
}

/// Notices when the table of a store moves from its sixteen slots inside to thirty-two outside.
class SeesTable : public std::pmr::memory_resource {
 public:
  bool grew = false;

 private:
  void* do_allocate(std::size_t size, std::size_t align) override {
    grew = grew || size == 32 * 2 * sizeof(void*);
    return std::pmr::new_delete_resource()->allocate(size, align);
  }
  void do_deallocate(void* place, std::size_t size, std::size_t align) override {
    std::pmr::new_delete_resource()->deallocate(place, size, align);
  }
  bool do_is_equal(const memory_resource& other) const noexcept override { return this == &other; }
};

TEST_CASE("a factory may use other atoms of the store, however many lie behind each other") {
  std::vector<std::unique_ptr<const Atom<int>>> flat;
  for (int i = 0; i < 10; ++i) flat.push_back(std::make_unique<const Atom<int>>("store.flat." + std::to_string(i), i));
  SeesTable upstream;
  AtomStore store(&upstream);
  std::vector<std::unique_ptr<const Atom<int>>> chain;
  chain.push_back(std::make_unique<const Atom<int>>(std::string("store.chain.0"), 0));
  for (int i = 1; i < 6; ++i) {
    const Atom<int>* const next = chain.back().get();
    chain.push_back(std::make_unique<const Atom<int>>(
        "store.chain." + std::to_string(i), atom::Factory{[&store, next] { return store.use(*next).value() + 1; }}));
  }
  for (const auto& atom : flat) store.use(*atom);
  CHECK(store.use(*chain.back()).value() == 5);
  CHECK(store.size() == 16);
  REQUIRE(upstream.grew);  // in a full table a search for what is not there would never end
  for (const auto& atom : chain) CHECK(store.get(*atom) != nullptr);
  CHECK_FALSE(store.has("store.absent"));
  CHECK(store.list().begin()->key() == "store.flat.0");
}

TEST_CASE("what a factory uses comes before its own atom in the list") {
  AtomStore store;
  const Atom<int> outer{"store.outer", atom::Factory{[&] { return store.use(count).value(); }}};
  store.use(outer);
  CHECK(keys(store.list()) == Keys{"store.count", "store.outer"});
}

/// Larger than what a store keeps in pieces.
class Bulky : public Atom<int> {
 public:
  using Atom::Atom;
  std::array<int, 100> notes{};
};
const Bulky bulky{"store.bulky", 1};

TEST_CASE("a class with verbs may be larger than any piece of the store's memory") {
  AtomStore store;
  store.use(bulky).notes[99] = 7;
  CHECK(store.use(bulky).notes[99] == 7);
  store.drop(bulky);
  CHECK(store.use(bulky).notes[99] == 0);
}

TEST_CASE("a factory that throws leaves the store as it was, and may be tried again") {
  bool broken = true;
  const Atom<int> moody{"store.moody", atom::Factory{[&broken] {
                          if (broken) throw std::runtime_error("no database");
                          return 5;
                        }}};
  AtomStore store;
  store.use(count);
  CHECK_THROWS_WITH(store.use(moody), "no database");
  CHECK_FALSE(store.has(moody));
  CHECK(keys(store.list()) == Keys{"store.count"});
  broken = false;
  CHECK(store.use(moody).value() == 5);
}

TEST_CASE("a class with verbs whose constructor throws leaves nothing of the clone behind") {
  using Value = support::Counted<struct RefusedValue>;
  class Refusing : public Atom<Value> {
   public:
    using Atom::Atom;
    Refusing(atom::CloneToken token, const Refusing& given) : Atom(token, given) { throw std::runtime_error("no"); }
  };
  {
    const Refusing refusing{"store.refusing", atom::Factory{[] { return Value(1); }}};
    AtomStore store;
    CHECK_THROWS_WITH(store.use(refusing), "no");
    CHECK(store.empty());
  }
  CHECK(Value::counts().alive == 0);
}

// ---- The list

TEST_CASE("the list is in the order of first use") {
  AtomStore store;
  store.use(locale);
  store.use(count);
  store.use(user);
  store.use(locale);
  CHECK(keys(store.list()) == Keys{"store.locale", "store.count", "store.user"});
  CHECK(store.list().size() == 3);
  store.drop(count);
  CHECK(keys(store.list()) == Keys{"store.locale", "store.user"});
  store.use(count);
  CHECK(keys(store.list()) == Keys{"store.locale", "store.user", "store.count"});
}

TEST_CASE("the list is a forward range") {
  using Iterator = atom::AtomList<AtomBase>::iterator;
  using ConstIterator = atom::AtomList<const AtomBase>::iterator;
  STATIC_REQUIRE(std::forward_iterator<Iterator>);
  STATIC_REQUIRE(std::forward_iterator<ConstIterator>);
  STATIC_REQUIRE(std::sentinel_for<Iterator, Iterator>);
  AtomStore store;
  store.use(locale);
  store.use(count);
  auto list = store.list();
  auto it = list.begin();
  const auto before = it++;
  CHECK(before->key() == "store.locale");
  CHECK((*it).key() == "store.count");
  CHECK(it != before);
  CHECK(++it == list.end());
  CHECK(std::distance(list.begin(), list.end()) == 2);
  CHECK(list.begin() == before);
  CHECK(Iterator() == Iterator());
}

TEST_CASE("an atom may be dropped while a loop over the list stands on it") {
  AtomStore store;
  store.use(locale);
  store.use(count);
  store.use(user);
  store.batch([&] {
    for (AtomBase& atom : store.list()) store.drop(atom);
  });
  CHECK(store.empty());
}

// ---- value()

TEST_CASE(
    "value on a const store gives the clone's value, else the hydrated one, else the default, and makes no clone") {
  AtomStore store;
  const AtomStore& view = store;
  CHECK(view.value(count) == 3);
  CHECK(&view.value(cart) == &cart.default_value());
  store.hydrate(Snapshot{{"store.count", 8}});
  CHECK(view.value(count) == 8);
  CHECK(view.empty());
  CHECK_FALSE(view.has(count));
  CHECK(view.get(count) == nullptr);
  store.use(count).update(9);
  CHECK(view.value(count) == 9);
}

TEST_CASE("a class with verbs whose constructor writes in a batch and then throws is not told, and the others are") {
  static bool broken = false;
  class Eager : public Atom<std::string> {
   public:
    using Atom::Atom;
    Eager(atom::CloneToken token, const Eager& given) : Atom(token, given) {
      on_change([] {});
      update("a text that is long enough to lie on the heap");
      if (broken) throw std::runtime_error("no");
    }
  };
  static const Eager eager{"store.eager", std::string("an initial text that is long enough to lie on the heap")};
  AtomStore store;
  Keys told;
  store.use(count).on_change([&] { told.push_back("count"); });
  store.use(locale).on_change([&] { told.push_back("locale"); });
  const auto use_eager = [&] {
    broken = true;
    CHECK_THROWS_WITH(store.use(eager), "no");
    broken = false;
  };
  SECTION("alone") {
    store.batch(use_eager);
    CHECK_FALSE(store.has(eager));
  }
  SECTION("before others, and again") {
    store.batch([&] {
      use_eager();
      store.use(count).update(1);
      store.use(eager);
    });
    CHECK(told == Keys{"count"});
  }
  SECTION("between others") {
    store.batch([&] {
      store.use(count).update(1);
      use_eager();
      store.use(locale).update("fr");
    });
    CHECK(told == Keys{"count", "locale"});
  }
  SECTION("after others") {
    store.batch([&] {
      store.use(count).update(1);
      store.use(locale).update("fr");
      use_eager();
    });
    CHECK(told == Keys{"count", "locale"});
  }
}

TEST_CASE("a class that has another base with virtual functions before the Atom is refused, and may have it after") {
  struct Loud {
    Loud() = default;
    Loud(const Loud&) = default;
    Loud& operator=(const Loud&) = default;
    virtual ~Loud() = default;
    int said = 1;
  };
  struct Quiet {
    int said = 2;
  };
  class LoudFirst : public Loud, public Atom<int> {
   public:
    using Atom::Atom;
  };
  class LoudSecond : public Atom<int>, public Loud {
   public:
    using Atom::Atom;
  };
  class QuietFirst : public Quiet, public Atom<int> {
   public:
    using Atom::Atom;
  };
  static const LoudFirst loud_first{"store.loud_first", 1};
  static const LoudSecond loud_second{"store.loud_second", 1};
  static const QuietFirst quiet_first{"store.quiet_first", 1};
  AtomStore store;
  CHECK_THROWS_WITH(store.use(loud_first),
                    support::ContainsSubstring("store.loud_first") && support::ContainsSubstring("put the Atom first"));
  CHECK(store.empty());
  CHECK(store.use(loud_second).said == 1);
  CHECK(store.use(quiet_first).said == 2);
  store.drop(loud_second);
  store.drop(quiet_first);
  store.use(loud_second).update(2);
  store.use(quiet_first).update(3);
}

TEST_CASE("value of an atom with a factory throws while there is neither a clone nor a hydrated value") {
  AtomStore store;
  CHECK_THROWS_AS(store.value(built), atom::Error);
  store.hydrate(Snapshot{{"store.built", 1}});
  CHECK(store.value(built) == 1);
  CHECK(store.use(built).value() == 1);
  AtomStore other;
  other.use(built);
  CHECK(other.value(built) == 40);
}

TEST_CASE("a value that was looked at before its atom's first use is the one that the clone starts with") {
  AtomStore store;
  store.hydrate(Snapshot{{"store.count", 8L}});
  CHECK(store.value(count) == 8);
  CHECK(store.use(count).value() == 8);
}

// ---- Independence

TEST_CASE("stores are independent of each other, and the template is untouched") {
  AtomStore one;
  AtomStore two;
  one.use(cart).mutate([](std::vector<int>& items) { items.push_back(3); });
  CHECK(one.use(cart).value() == std::vector<int>{1, 2, 3});
  CHECK(two.use(cart).value() == std::vector<int>{1, 2});
  CHECK(cart.value() == std::vector<int>{1, 2});
  CHECK(AtomStore().value(cart) == std::vector<int>{1, 2});
}

TEST_CASE("the end of a template or of another store leaves this store's listeners alive") {
  AtomStore store;
  int told = 0;
  auto local = std::make_unique<const Atom<int>>("store.local_template", 1);
  Atom<int>& clone = store.use(*local);
  clone.on_change([&] { ++told; });
  {
    AtomStore other;
    other.use(*local).on_change([] {});
    other.use(count).on_change([] {});
  }
  store.use(count).on_change([&] { ++told; });
  local.reset();
  clone.update(2);
  store.use(count).update(4);
  CHECK(told == 2);
  CHECK(store.get<int>("store.local_template") == &clone);
  CHECK(clone.reset());
  CHECK(clone.value() == 1);
}

TEST_CASE("a template at the place of an earlier one is another template") {
  AtomStore store;
  std::optional<const Atom<int>> place;
  place.emplace("store.place.first", 1);
  Atom<int>& first = store.use(*place);
  place.emplace("store.place.second", 2);
  Atom<int>& second = store.use(*place);
  CHECK(&first != &second);
  CHECK(first.value() == 1);
  CHECK(second.value() == 2);
}

// ---- One key, two templates

TEST_CASE("two templates with one key are refused, and both places are named") {
  const Atom<int> first{atom::Key("store.twice", "first.cpp", 11), 1};
  const Atom<int> second{atom::Key("store.twice", "second.cpp", 22), 2};
  AtomStore store;
  CHECK(store.use(first).value() == 1);
  try {
    store.use(second);
    FAIL("it should have thrown");
  } catch (const atom::KeyConflict& conflict) {
    CHECK_THAT(conflict.what(), support::ContainsSubstring("first.cpp:11"));
    CHECK_THAT(conflict.what(), support::ContainsSubstring("second.cpp:22"));
    CHECK_THAT(conflict.what(), support::ContainsSubstring("store.twice"));
  }
  CHECK(store.size() == 1);
  AtomStore another;
  CHECK_THROWS_AS(another.use(second), atom::KeyConflict);
  CHECK(another.empty());
}

TEST_CASE("a template that merely has the key of another finds nothing, and drops nothing") {
  const Atom<int> first{atom::Key("store.namesake", "first.cpp", 1), 1};
  const Atom<int> second{atom::Key("store.namesake", "second.cpp", 2), 2};
  AtomStore store;
  store.use(first);
  CHECK(store.get(second) == nullptr);
  CHECK_FALSE(store.has(second));
  store.drop(second);
  CHECK(store.has(first));
}

TEST_CASE("one variable seen from two shared objects is one atom, by every way of looking it up") {
  const Atom<int> one{atom::Key("store.alias", "some/alias.hpp", 5), 1};
  const Atom<int> two{atom::Key("store.alias", "other/alias.hpp", 5), 1};
  AtomStore store;
  Atom<int>& clone = store.use(one);
  CHECK(store.get(two) == &clone);
  CHECK(&store.use(two) == &clone);
  CHECK(&store.use(two) == &clone);
  CHECK(&store.use(one) == &clone);
  CHECK(store.size() == 1);
  clone.update(7);
  CHECK(store.value(two) == 7);
  store.drop(two);
  CHECK_FALSE(store.has(one));
  CHECK_FALSE(store.has(two));
  CHECK(store.use(two).value() == 1);
  CHECK(&store.use(one) == store.get(two));
}

// ---- Many atoms

TEST_CASE("a thousand atoms in one store are all found, also after half of them went in random order") {
  std::vector<std::unique_ptr<const Atom<int>>> atoms;
  for (int i = 0; i < 1000; ++i) {
    atoms.push_back(std::make_unique<const Atom<int>>("store.many." + std::to_string(i), i));
  }
  AtomStore store;
  int wrong = 0;
  for (const auto& atom : atoms) store.use(*atom);
  for (const auto& atom : atoms) {
    wrong += store.get(*atom) != &store.use(*atom);
    wrong += store.get(atom->key()) != &store.use(*atom);
    wrong += store.value(*atom) != atom->value();
  }
  CHECK(store.size() == 1000);

  std::vector<std::size_t> order(1000);
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::shuffle(order.begin(), order.end(), std::mt19937(3));
  for (std::size_t i = 0; i < 500; ++i) {
    store.drop(*atoms[order[i]]);
    wrong += store.has(*atoms[order[i]]);
    wrong += !store.has(*atoms[order[i + 500]]);
  }
  CHECK(store.size() == 500);
  for (std::size_t i = 0; i < 500; ++i) {
    wrong += store.has(atoms[order[i]]->key());
    wrong += store.get<int>(atoms[order[i + 500]]->key())->value() != static_cast<int>(order[i + 500]);
  }
  std::vector<std::string> expected;
  std::sort(order.begin() + 500, order.end());
  for (std::size_t i = 500; i < 1000; ++i) expected.emplace_back(atoms[order[i]]->key());
  CHECK(keys(store.list()) == expected);
  CHECK(keys(store.snapshot()) == expected);
  for (std::size_t i = 0; i < 500; ++i) wrong += store.use(*atoms[order[i]]).value() != static_cast<int>(order[i]);
  CHECK(store.size() == 1000);
  CHECK(wrong == 0);
}

// ---- drop

TEST_CASE("dropping an atom tells its destroy listeners, and then no listener of it is called") {
  AtomStore store;
  std::vector<std::string> log;
  Atom<int>& clone = store.use(count);
  clone.on_destroy([&](Atom<int>& a) { log.push_back("destroy " + std::to_string(a.value())); });
  clone.on_destroy([&] { log.push_back("destroy too"); });
  Subscription change = clone.on_change([&] { log.push_back("change"); });
  Subscription watch = store.use(user).watch(&User::name, [&] { log.push_back("watch"); });
  clone.update(5);
  log.clear();
  store.drop(clone);
  CHECK(log == std::vector<std::string>{"destroy 5", "destroy too"});
  CHECK_FALSE(change.active());
  CHECK_FALSE(store.has(count));
  store.drop(store.use(user));
  CHECK_FALSE(watch.active());
  store.use(count).update(9);
  store.use(user).change(&User::name, "Eve");
  CHECK(log.size() == 2);
}

TEST_CASE("an atom is not dropped inside its own mutate, also while its end is being told") {
  AtomStore store;
  auto& clone = store.use(count);
  int refused = 0;
  const auto drop_inside = [&] {
    clone.mutate([&](int&) {
      CHECK_THROWS_AS(store.drop(count), atom::Error);
      ++refused;
    });
  };
  drop_inside();
  clone.on_destroy(drop_inside);
  store.drop(count);
  CHECK(refused == 2);
  CHECK_FALSE(store.has(count));
}

TEST_CASE("after a drop the next use starts from the default") {
  AtomStore store;
  store.use(count).update(5);
  store.drop(count);
  CHECK(store.value(count) == 3);
  CHECK(store.use(count).value() == 3);
}

TEST_CASE("after a drop the next use starts from the default, also where the atom was hydrated") {
  AtomStore store;
  const bool used_before = GENERATE(false, true);
  if (used_before) store.use(count);
  store.hydrate(Snapshot{{"store.count", 8}, {"store.locale", "fr"}});
  CHECK(store.use(count).value() == 8);
  store.drop(count);
  CHECK(store.value(count) == 3);
  CHECK(store.use(count).value() == 3);
  CHECK(store.use(locale).value() == "fr");
  store.drop(count);
  store.hydrate(Snapshot{{"store.count", 9}});
  CHECK(store.use(count).value() == 9);
}

TEST_CASE("dropping what is not there does nothing") {
  AtomStore store;
  store.drop(count);
  store.hydrate(Snapshot{{"store.count", 8}});
  store.drop(count);
  CHECK(store.use(count).value() == 8);
}

TEST_CASE("a store whose many atoms were all dropped leaves nothing behind") {
  std::vector<std::unique_ptr<const Atom<int>>> atoms;
  for (int i = 0; i < 40; ++i) atoms.push_back(std::make_unique<const Atom<int>>("store.many." + std::to_string(i), i));
  const long before = support::Allocations::alive();
  {
    AtomStore store;
    for (const auto& atom : atoms) store.use(*atom).update(-1);
    for (const auto& atom : atoms) store.drop(*atom);
    CHECK(store.empty());
  }
  CHECK(support::Allocations::alive() == before);
}

TEST_CASE("dropping what was dropped already does nothing, and leaves the one that came after it") {
  AtomStore store;
  store.batch([&] {
    Atom<int>& first = store.use(count);
    store.drop(first);
    store.use(count).update(5);
    store.drop(first);
    CHECK(store.has(count));
  });
  CHECK(*store.use(count) == 5);
}

TEST_CASE("dropping another store's clone is refused, whether this store has that atom or not") {
  AtomStore store;
  AtomStore other;
  Atom<int>& theirs = other.use(count);
  SECTION("it has") {
    store.use(count);
    CHECK_THROWS_AS(store.drop(theirs), atom::Error);
    CHECK(store.has(count));
  }
  SECTION("it has not") {
    CHECK_THROWS_AS(store.drop(theirs), atom::Error);
  }
  CHECK(other.has(count));
}

TEST_CASE("an atom cannot be dropped inside its own mutate, updater or before_update") {
  AtomStore store;
  Atom<int>& clone = store.use(count);
  CHECK_THROWS_AS(clone.mutate([&](int&) { store.drop(clone); }), atom::Error);
  CHECK_THROWS_AS(clone.update([&](const int& now) { return store.drop(count), now + 1; }), atom::Error);
  CHECK(store.has(count));
  clone.mutate([](int& n) { ++n; });
  CHECK(clone.value() == 4);
}

TEST_CASE("dropping one atom inside another's mutate is fine") {
  AtomStore store;
  store.use(locale);
  store.use(count).mutate([&](int& n) {
    store.drop(locale);
    n = 6;
  });
  CHECK_FALSE(store.has(locale));
  CHECK(store.value(count) == 6);
}

TEST_CASE(
    "a drop inside a listener ends the delivery of that atom, and its reference lives until the update is through") {
  AtomStore store;
  std::vector<std::string> log;
  Atom<std::string>& clone = store.use(locale);
  clone.on_change([&](const std::string& now, const std::string& old) {
    log.push_back("first");
    store.drop(clone);
    log.push_back(old + ">" + now + "=" + clone.value());
  });
  clone.on_change([&] { log.push_back("second"); });
  clone.update("a text that does not fit into the string itself");
  CHECK(log == std::vector<std::string>{"first",
                                        "en>a text that does not fit into the string itself="
                                        "a text that does not fit into the string itself"});
  CHECK(store.use(locale).value() == "en");
}

TEST_CASE("a drop inside a batch takes what the atom had yet to tell along") {
  AtomStore store;
  int told = 0;
  store.use(count).on_change([&] { ++told; });
  store.batch([&] {
    store.use(count).update(7);
    store.drop(count);
    CHECK(store.use(count).value() == 3);
  });
  CHECK(told == 0);
}

TEST_CASE("an atom that was dropped may be written and reset while its reference lives; nobody is told") {
  AtomStore store;
  int told = 0;
  store.batch([&] {
    Atom<std::string>& gone = store.use(locale);
    store.drop(gone);
    gone.on_change([&told] { ++told; });
    gone.on_reset([&told] { ++told; });
    gone.update("a text that is long enough to lie on the heap");
    gone.reset();
  });
  CHECK(told == 0);
  CHECK(store.empty());
}

TEST_CASE("a destroy listener that drops its own atom is told once") {
  AtomStore store;
  int told = 0;
  Atom<int>& clone = store.use(count);
  clone.on_destroy([&](Atom<int>& a) {
    ++told;
    store.drop(a);
  });
  store.drop(clone);
  CHECK(told == 1);
  CHECK(store.empty());
}

TEST_CASE("destroy listeners may drop each other's atoms in a circle") {
  AtomStore store;
  std::vector<std::string> log;
  store.use(count).on_destroy([&] {
    log.push_back("count");
    store.drop(locale);
  });
  store.use(locale).on_destroy([&] {
    log.push_back("locale");
    store.drop(count);
  });
  store.drop(count);
  CHECK(log == std::vector<std::string>{"count", "locale"});
  CHECK(store.empty());
}

TEST_CASE("an exception of a destroy listener comes out of drop when the atom is gone and everybody was told") {
  AtomStore store;
  int told = 0;
  Atom<int>& clone = store.use(count);
  clone.on_destroy([] { throw std::runtime_error("first"); });
  clone.on_destroy([&] { ++told; });
  CHECK_THROWS_WITH(store.drop(clone), "first");
  CHECK(told == 1);
  CHECK_FALSE(store.has(count));
}

// ---- batch

TEST_CASE("a batch tells each listener once, afterwards, with the value before the batch") {
  AtomStore store;
  std::vector<std::pair<int, int>> log;
  Atom<int>& clone = store.use(count);
  clone.on_change([&](const int& now, const int& old) { log.emplace_back(now, old); });
  store.batch([&] {
    clone.update(4);
    clone.update(5);
    CHECK(clone.value() == 5);
    CHECK(log.empty());
  });
  CHECK(log == std::vector<std::pair<int, int>>{{5, 3}});
}

TEST_CASE("a batch whose values end where they began tells nobody") {
  AtomStore store;
  int told = 0;
  Atom<int>& clone = store.use(count);
  clone.on_change([&] { ++told; });
  store.batch([&] {
    clone.update(4);
    clone.update(3);
  });
  CHECK(told == 0);
}

TEST_CASE("a batch tells atom by atom, in the order of their first change") {
  AtomStore store;
  Keys log;
  store.use(count).on_change([&] { log.push_back("count"); });
  store.use(locale).on_change([&] { log.push_back("locale"); });
  store.batch([&] {
    store.use(locale).update("fr");
    store.use(count).update(4);
    store.use(locale).update("de");
  });
  CHECK(log == Keys{"locale", "count"});
}

TEST_CASE("a batch returns what its function returns") {
  AtomStore store;
  CHECK(store.batch([] { return 5; }) == 5);
  CHECK(*store.batch([] { return std::make_unique<int>(6); }) == 6);
  int number = 7;
  int& reference = store.batch([&]() -> int& { return number; });
  CHECK(&reference == &number);
  STATIC_REQUIRE(std::is_void_v<decltype(store.batch([] {}))>);
}

TEST_CASE("nested batches deliver at the end of the outermost") {
  AtomStore store;
  int told = 0;
  Atom<int>& clone = store.use(count);
  clone.on_change([&] { ++told; });
  store.batch([&] {
    store.batch([&] { clone.update(4); });
    CHECK(told == 0);
    clone.update(5);
  });
  CHECK(told == 1);
}

TEST_CASE("a batch whose function throws keeps the values, tells the listeners, and the exception goes on") {
  AtomStore store;
  int told = 0;
  Atom<int>& clone = store.use(count);
  clone.on_change([&] {
    ++told;
    throw std::logic_error("of the listener");
  });
  CHECK_THROWS_WITH(store.batch([&] {
    clone.update(4);
    throw std::runtime_error("of the batch");
  }),
                    "of the batch");
  CHECK(told == 1);
  CHECK(clone.value() == 4);
  CHECK_THROWS_WITH(store.batch([&] { clone.update(5); }), "of the listener");
  CHECK(clone.value() == 5);
}

// ---- destroy

TEST_CASE("destroy tells all destroy listeners in the order of first use, while all values are still there") {
  AtomStore store;
  Keys log;
  store.use(count).on_destroy([&] { log.push_back("count " + store.get<std::string>("store.locale")->value()); });
  store.use(locale).on_destroy([&] { log.push_back("locale " + std::to_string(store.value(count))); });
  store.destroy();
  CHECK(log == Keys{"count en", "locale 3"});
  CHECK(store.empty());
}

TEST_CASE("the destructor tells the destroy listeners too") {
  Keys log;
  {
    AtomStore store;
    store.use(count).on_destroy([&] { log.push_back("count"); });
    store.use(locale).on_destroy([&] { log.push_back("locale"); });
  }
  CHECK(log == Keys{"count", "locale"});
}

TEST_CASE("after destroy the store is empty, hydrated values are gone, and it may be used again") {
  AtomStore store;
  int told = 0;
  store.use(count).update(5);
  store.use(count).on_destroy([&] { ++told; });
  store.hydrate(Snapshot{{"store.locale", "fr"}});
  store.destroy();
  CHECK(store.empty());
  CHECK(store.size() == 0);
  CHECK(keys(store.list()).empty());
  CHECK(store.get("store.count") == nullptr);
  CHECK(store.snapshot({.queued = true}).empty());
  CHECK(store.use(count).value() == 3);
  CHECK(store.use(locale).value() == "en");
  store.use(count).update(6);
  CHECK(told == 1);
  CHECK(store.value(count) == 6);
}

TEST_CASE("a second destroy does nothing") {
  AtomStore store;
  int told = 0;
  store.use(count).on_destroy([&] { ++told; });
  store.destroy();
  store.destroy();
  CHECK(told == 1);
}

TEST_CASE("destroy throws the first exception of a listener, when all is done") {
  AtomStore store;
  int told = 0;
  store.use(count).on_destroy([] { throw std::runtime_error("first"); });
  store.use(count).on_destroy([&] { ++told; });
  store.use(locale).on_destroy([&] {
    ++told;
    throw std::runtime_error("second");
  });
  CHECK_THROWS_WITH(store.destroy(), "first");
  CHECK(told == 2);
  CHECK(store.empty());
  CHECK(store.use(count).value() == 3);
}

TEST_CASE("what destroy listeners throw in a destructor is lost, and all are told") {
  int told = 0;
  {
    AtomStore store;
    store.use(count).on_destroy([] { throw std::runtime_error("lost"); });
    store.use(locale).on_destroy([&] { ++told; });
  }
  CHECK(told == 1);
}

TEST_CASE("an atom cannot be used for the first time while its store is being destroyed") {
  Keys log;
  const auto try_to_use = [&](AtomStore& store) {
    try {
      store.use(user);
    } catch (const atom::Error& error) {
      log.emplace_back(error.what());
    }
    CHECK(store.use(count).value() == 3);
  };
  SECTION("by destroy") {
    AtomStore store;
    store.use(count).on_destroy([&] { try_to_use(store); });
    store.destroy();
    CHECK(log.size() == 1);
    CHECK(store.empty());
  }
  SECTION("by its destructor") {
    {
      AtomStore store;
      store.use(count).on_destroy([&] { try_to_use(store); });
    }
    CHECK(log.size() == 1);
  }
  CHECK_THAT(log.at(0), support::ContainsSubstring("store.user"));
}

TEST_CASE("a destroy listener may write, drop and listen; what it writes is not told any more") {
  AtomStore store;
  int changes = 0;
  Atom<std::string>& text = store.use(locale);
  text.on_change([&] { ++changes; });
  store.use(count).on_destroy([&] {
    text.update("written during the end, and long enough for the heap");
    text.on_change([&] { ++changes; });
    store.drop(user);
    store.destroy();
  });
  store.use(user);
  store.destroy();
  CHECK(changes == 0);
  CHECK(store.empty());
}

TEST_CASE("destroy inside a listener empties the store at once, and tells nobody any more") {
  AtomStore store;
  Keys log;
  Atom<std::string>& text = store.use(locale);
  store.use(count).on_change([&] { log.push_back("count"); });
  text.on_change([&](const std::string& now, const std::string& old) {
    store.use(count).update(9);
    store.destroy();
    CHECK(store.empty());
    log.push_back(old + ">" + now);
    CHECK(text.value() == now);
    CHECK(store.use(locale).value() == "en");
  });
  text.on_change([&] { log.push_back("second"); });
  text.update("fr");
  CHECK(log == Keys{"en>fr"});
  CHECK(store.size() == 1);
}

TEST_CASE("destroy inside nested batches: the batches go on with the empty store") {
  AtomStore store;
  int told = 0;
  store.use(count).on_change([&] { ++told; });
  const int result = store.batch([&] {
    store.use(count).update(4);
    store.batch([&] {
      store.use(count).update(5);
      store.destroy();
      CHECK(store.use(count).value() == 3);
      store.use(count).on_change([&] { told += 10; });
      store.use(count).update(6);
    });
    CHECK(told == 0);
    return store.use(count).value();
  });
  CHECK(result == 6);
  CHECK(told == 10);
}

TEST_CASE("destroy inside a mutate is refused, and the store stays as it is") {
  AtomStore store;
  int told = 0;
  store.use(locale).on_destroy([&] { ++told; });
  Atom<int>& clone = store.use(count);
  CHECK_THROWS_AS(clone.mutate([&](int& n) {
    n = 8;
    store.destroy();
  }),
                  atom::Error);
  CHECK_THROWS_AS(clone.update([&](const int& n) { return store.destroy(), n; }), atom::Error);
  CHECK(told == 0);
  CHECK(clone.value() == 8);
  CHECK(store.size() == 2);
  store.destroy();
  CHECK(told == 1);
}

// ---- A store that is deleted by its own callbacks

struct Owned {
  std::unique_ptr<AtomStore> store = std::make_unique<AtomStore>();
  Keys log;
  AtomStore& operator*() const { return *store; }
  AtomStore* operator->() const { return store.get(); }
};

TEST_CASE("a change listener may delete its store: the values it is shown go with it, and nothing more is told") {
  Owned owned;
  Keys log;
  std::unique_ptr<AtomStore>& store = owned.store;
  Subscription second;
  Atom<std::string>& text = store->use(locale);
  text.on_change([&store, &log] {
    Keys& outlives = log;
    store.reset();
    outlives.push_back("first");
  });
  second = text.on_change([&log] { log.push_back("second"); });
  store->use(count).on_destroy([&log] { log.push_back("destroyed"); });
  const bool changed = text.update("a text that is long enough to lie on the heap");
  CHECK(changed);
  CHECK(log == Keys{"destroyed", "first"});
  CHECK_FALSE(second.active());
}

TEST_CASE("every kind of write may end in a listener that deletes the store") {
  const auto trial = [](const auto& tpl, auto write) {
    auto store = std::make_unique<AtomStore>();
    auto& clone = store->use(tpl);
    write(clone, 0);
    clone.on_change([&store](const auto&, const auto&) { store.reset(); });
    write(clone, 1);
    CHECK(store == nullptr);
  };
  using Long = std::pmr::string;
  static const Atom<Long> pmr_text{"store.deleting.pmr", Long("default")};
  static const Atom<Long> hooked{"store.deleting.hooked",
                                 Long("default"),
                                 {.before_update = [](Long&& next, const Long&) { return std::move(next); }}};
  const std::string long_text(100, 'x');
  SECTION("update by move") {
    trial(locale, [&](auto& a, int n) { a.update(long_text + std::to_string(n)); });
  }
  SECTION("update by copy") {
    trial(locale, [&](auto& a, int n) {
      const std::string next = long_text + std::to_string(n);
      a.update(next);
    });
  }
  SECTION("update by a function") {
    trial(locale, [&](auto& a, int n) { a.update([&](const std::string& now) { return now + std::to_string(n); }); });
  }
  SECTION("mutate") {
    trial(locale, [&](auto& a, int) { a.mutate([&](std::string& text) { text += long_text; }); });
  }
  SECTION("change") {
    trial(user, [&](auto& a, int n) { a.change(&User::name, long_text + std::to_string(n)); });
  }
  SECTION("merge") {
    trial(user, [&](auto& a, int n) { a.merge(&User::name, long_text, &User::age, n + 1); });
  }
  SECTION("reset") {
    trial(locale, [&](auto& a, int n) {
      if (n == 0) {
        a.update(std::string(long_text));
      } else {
        a.reset();
      }
    });
  }
  SECTION("update of a value on the store's memory, by move") {
    trial(pmr_text, [&](auto& a, int n) { a.update(Long(long_text + std::to_string(n))); });
  }
  SECTION("update of a value on the store's memory, by copy") {
    trial(pmr_text, [&](auto& a, int n) {
      const Long next(long_text + std::to_string(n));
      a.update(next);
    });
  }
  SECTION("update of an atom with before_update") {
    trial(hooked, [&](auto& a, int n) { a.update(Long(long_text + std::to_string(n))); });
  }
  SECTION("mutate of an atom with before_update") {
    trial(hooked, [&](auto& a, int) { a.mutate([&](Long& text) { text += long_text; }); });
  }
}

TEST_CASE("a hydrate that tells listeners may end in one that deletes the store") {
  auto store = std::make_unique<AtomStore>();
  store->use(count).on_change([&store] { store.reset(); });
  const atom::HydrateReport report = store->hydrate(Snapshot{{"store.count", 9}}, {.notify = true});
  CHECK(store == nullptr);
  CHECK(report.applied.size() == 1);
}

TEST_CASE("a batch may delete its store, in its function or in what it tells") {
  auto store = std::make_unique<AtomStore>();
  SECTION("in its function") {
    const int result = store->batch([&] {
      store->use(locale).update("a text that is long enough to lie on the heap");
      store->batch([&] { store.reset(); });
      return 4;
    });
    CHECK(result == 4);
  }
  SECTION("in what it tells") {
    store->use(count).on_change([&store] { store.reset(); });
    store->use(locale).on_change([] { FAIL("told after the end"); });
    store->batch([&] {
      store->use(count).update(4);
      store->use(locale).update("a text that is long enough to lie on the heap");
    });
  }
  SECTION("and throw") {
    CHECK_THROWS_WITH(store->batch([&] {
      store.reset();
      throw std::runtime_error("on its way");
    }),
                      "on its way");
  }
  CHECK(store == nullptr);
}

TEST_CASE("destroy listeners may delete the store, during drop and during destroy") {
  auto store = std::make_unique<AtomStore>();
  Keys log;
  store->use(count).on_destroy([&store, &log] {
    Keys& outlives = log;
    if (store) {
      AtomStore* const doomed = store.release();
      delete doomed;
    }
    outlives.push_back("count");
  });
  store->use(locale).on_destroy([&log] { log.push_back("locale"); });
  SECTION("drop") {
    store->drop(count);
  }
  SECTION("destroy") {
    store->destroy();
  }
  SECTION("destroy in a batch") {
    AtomStore& gone = *store;
    gone.batch([&] { gone.destroy(); });
  }
  SECTION("drop in a listener of another atom") {
    AtomStore& gone = *store;
    gone.use(user).on_change([&gone] { gone.drop(count); });
    gone.use(user).change(&User::name, "Eve");
  }
  CHECK(log == Keys{"locale", "count"});
  CHECK(store == nullptr);
}

TEST_CASE("a callable may delete the store when it is destroyed") {
  auto store = std::make_unique<AtomStore>();
  struct Deleter {
    explicit Deleter(std::unique_ptr<AtomStore>& s) : store(&s) {}
    Deleter(Deleter&& other) noexcept : store(std::exchange(other.store, nullptr)) {}
    ~Deleter() {
      if (store) store->reset();
    }
    void operator()() const {}
    std::unique_ptr<AtomStore>* store;
  };
  Subscription subscription = store->use(count).on_change(Deleter(store));
  store->use(locale).update("a text that is long enough to lie on the heap");
  SECTION("by unsubscribing") {
    subscription.unsubscribe();
  }
  SECTION("by dropping its atom") {
    store->drop(count);
  }
  SECTION("by destroying the store's atoms") {
    store->destroy();
  }
  SECTION("by unsubscribing itself in a delivery") {
    store->use(count).on_change([&] { subscription.unsubscribe(); });
    store->use(count).update(5);
  }
  CHECK(store == nullptr);
  CHECK_FALSE(subscription.active());
}

// ---- Callables with destructors that do things

template <class F>
struct AtEnd {
  explicit AtEnd(F f) : run(std::move(f)) {}
  AtEnd(AtEnd&& other) noexcept : run(std::move(other.run)), armed(std::exchange(other.armed, false)) {}
  ~AtEnd() {
    if (armed) run();
  }
  void operator()() const {}
  F run;
  bool armed = true;
};

/// Ends the first atom of a store in each of the ways there are; `prepare` subscribes.
template <class Prepare>
void end_in_every_way(Prepare prepare) {
  SECTION("by unsubscribing") {
    AtomStore store;
    prepare(store).unsubscribe();
  }
  SECTION("by dropping the atom") {
    AtomStore store;
    prepare(store);
    store.drop(count);
  }
  SECTION("by destroy") {
    AtomStore store;
    prepare(store);
    store.destroy();
    CHECK(store.use(count).value() == 3);
  }
  SECTION("by the end of the store") {
    AtomStore store;
    prepare(store);
  }
}

TEST_CASE("a callable may unsubscribe others when it is destroyed") {
  int ran = 0;
  Subscription other;
  Subscription sibling;
  end_in_every_way([&](AtomStore& store) {
    Subscription subscription = store.use(count).on_change(AtEnd([&] {
      ++ran;
      other.unsubscribe();
      sibling.unsubscribe();
    }));
    sibling = store.use(count).on_change([] {});
    other = store.use(locale).on_change([text = std::string(100, 'x')] {});
    return subscription;
  });
  CHECK(ran == 1);
  CHECK_FALSE(other.active());
  CHECK_FALSE(sibling.active());
}

TEST_CASE("a callable may update atoms when it is destroyed") {
  int ran = 0;
  using Value = support::Counted<struct UpdatedAtEnd>;
  static const Atom<Value> held{"store.updated_at_end", Value(1)};
  {
    const int before = Value::counts().alive;
    end_in_every_way([&](AtomStore& store) {
      Atom<Value>& other = store.use(held);
      other.on_change([](const Value&, const Value&) {});
      other.update(Value(2));
      return store.use(count).on_change(AtEnd([&store, &ran] {
        ++ran;
        if (Atom<Value>* const clone = store.get(held)) clone->update(Value(3));
      }));
    });
    CHECK(Value::counts().alive == before);
  }
  CHECK(ran == 1);
}

TEST_CASE("a callable may drop atoms when it is destroyed, and nothing of them is left behind") {
  int ran = 0;
  using Value = support::Counted<struct DroppedAtEnd>;
  using Captured = support::Counted<struct DroppedListener>;
  static const Atom<Value> held{"store.dropped_at_end", Value(1)};
  const int before = Value::counts().alive;
  end_in_every_way([&](AtomStore& store) {
    Subscription subscription = store.use(count).on_change(AtEnd([&store, &ran] {
      ++ran;
      store.drop(held);
    }));
    store.use(held).update(Value(2));
    store.use(held).on_change([captured = Captured(1)] {});
    return subscription;
  });
  CHECK(ran == 1);
  CHECK(Value::counts().alive == before);
  CHECK(Captured::counts().alive == 0);
}

TEST_CASE("a callable may subscribe others when it is destroyed, and nothing of them is left behind") {
  int ran = 0;
  using Captured = support::Counted<struct SubscribedAtEnd>;
  end_in_every_way([&](AtomStore& store) {
    store.use(locale);
    Subscription subscription = store.use(count).on_change(AtEnd([&store, &ran] {
      ++ran;
      if (auto* const clone = store.get(locale)) clone->on_change([captured = Captured(1)] {});
      if (auto* const clone = store.get(counter)) clone->on_change([captured = Captured(1)] {});
    }));
    store.use(counter);
    return subscription;
  });
  CHECK(ran == 1);
  CHECK(Captured::counts().alive == 0);
}

TEST_CASE("a callable is destroyed at once when nobody runs it, else after the delivery that is under way") {
  AtomStore store;
  int destroyed = 0;
  Subscription subscription = store.use(count).on_change(AtEnd([&] { ++destroyed; }));
  SECTION("at once") {
    subscription.unsubscribe();
    CHECK(destroyed == 1);
  }
  SECTION("after the delivery") {
    store.use(count).on_change([&] {
      subscription.unsubscribe();
      CHECK(destroyed == 0);
    });
    store.use(count).update(8);
    CHECK(destroyed == 1);
  }
}

// ---- Memory

TEST_CASE("values that take an allocator are built on the store's memory, and their snapshots are not") {
  static const Atom<std::pmr::string> text{"store.pmr", std::pmr::string("default")};
  Snapshot snapshot;
  {
    AtomStore store;
    Atom<std::pmr::string>& clone = store.use(text);
    const std::pmr::string next(100, 'x');
    clone.update(next);
    CHECK(clone.value().get_allocator().resource() == store.resource());
    snapshot = store.snapshot();
    CHECK(snapshot.get(text).get_allocator().resource() != store.resource());
  }
  CHECK(snapshot.get(text) == std::pmr::string(100, 'x'));
}

TEST_CASE("values are not copied by use, by reading, or by a snapshot of an untouched default") {
  using Value = support::Counted<struct NotCopied>;
  static const Atom<Value> held{"store.not_copied", Value(1)};
  Value::forget();
  AtomStore store;
  CHECK(store.use(held).value().value == 1);
  CHECK(&store.use(held).value() == &held.default_value());
  const Snapshot snapshot = store.snapshot();
  CHECK(&snapshot.get(held) == &held.default_value());
  CHECK(Value::counts().copies == 0);
}

TEST_CASE("an atom that is dropped in a batch, with a change to be told, is destroyed when the batch is over") {
  using Value = support::Counted<struct DroppedWhilePending>;
  static const atom::Atom<Value> pending{"store.dropped_while_pending", Value(1)};
  const int before = Value::counts().alive;
  atom::AtomStore store;
  auto& clone = store.use(pending);
  clone.on_change([](const Value&, const Value&) { FAIL("it was dropped"); });
  store.batch([&] {
    clone.update(Value(2));
    store.drop(clone);
  });
  CHECK(Value::counts().alive == before);
}

TEST_CASE("48. An atom whose factory comes back to it is an error, and can be used once it does not") {
  AtomStore store;
  bool circular = true;
  const Atom<int>* first = nullptr;
  const Atom<int> second{"store.circle.second",
                         atom::Factory{[&] { return circular ? store.use(*first).value() : 2; }}};
  const Atom<int> one{"store.circle.first", atom::Factory{[&] { return store.use(second).value() + 1; }}};
  first = &one;
  try {
    store.use(one);
    FAIL("no error");
  } catch (const atom::CycleError& error) {
    CHECK_THAT(error.what(), support::ContainsSubstring("\"store.circle.first\" is used while it is being made"));
  }
  CHECK(store.empty());
  CHECK_THROWS_AS(store.use(second), atom::CycleError);
  circular = false;
  CHECK(store.use(one).value() == 3);
  CHECK(store.size() == 2);
}

TEST_CASE("48. A factory of a family may use other atoms of it, and not its own") {
  AtomStore store;
  const atom::AtomFamily<int, int>* family = nullptr;
  int id = 1;
  const atom::AtomFamily<int, int> steps{
      "store.steps", atom::Factory{[&] { return id == 5 ? 0 : store.use((*family)(++id)).value() + 1; }}};
  family = &steps;
  CHECK(store.use(steps(1)).value() == 4);
  id = 5;
  CHECK_NOTHROW(store.use(steps(6)));
  id = 6;
  CHECK_THROWS_AS(store.use(steps(7)), atom::CycleError);
  CHECK(store.get(steps(7)) == nullptr);
}

}  // namespace
}  // namespace store_test
