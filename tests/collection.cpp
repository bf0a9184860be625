#include <atom/collection.hpp>

#include <atom/json.hpp>
#include <atom/store.hpp>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/counted.hpp"

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <ranges>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

using support::ContainsSubstring;

namespace collection_test {
namespace {

using atom::AtomCollection;
using atom::AtomStore;
using Numbers = std::vector<int>;
using Texts = std::vector<std::string>;

struct Item {
  std::string name;
  int price = 0;
  bool operator==(const Item&) const = default;
};

const AtomCollection<int> numbers{"collection.numbers", {1, 2, 3}};
const AtomCollection<int> none{"collection.none"};
const AtomCollection<std::string> texts{"collection.texts"};
const AtomCollection<Item> items{"collection.items"};

/// Counts the events of a collection, and keeps the values of the last one.
template <class T>
struct Ear {
  explicit Ear(atom::Atom<std::vector<T>>& atom) {
    atom.on_change([this](const std::vector<T>& n, const std::vector<T>& o) {
      ++calls;
      now = n;
      old = o;
    });
  }
  int calls = 0;
  std::vector<T> now;
  std::vector<T> old;
};

// ------------------------------------------------------------------------------------------------ declaring and
// reading

TEST_CASE("A collection is declared as an atom is, and is an atom of a vector") {
  static const AtomCollection<int> made{"collection.made", atom::Factory{[] { return Numbers{4, 5}; }}};
  static const AtomCollection<int> hidden{"collection.hidden", {6}, {.server_only = true}};
  STATIC_REQUIRE(std::derived_from<AtomCollection<int>, atom::Atom<Numbers>>);
  AtomStore store;
  STATIC_REQUIRE(std::same_as<decltype(store.use(numbers)), AtomCollection<int>&>);
  CHECK(none.value().empty());
  CHECK(store.use(numbers).value() == Numbers{1, 2, 3});
  CHECK(store.use(made).value() == Numbers{4, 5});
  CHECK(store.use(hidden).value() == Numbers{6});
  CHECK(hidden.is_server_only());
  CHECK(store.get<Numbers>("collection.numbers") == &store.use(numbers));
  CHECK(atom::find<Numbers>("collection.numbers") == &numbers);
}

TEST_CASE("39. A collection is read as a vector is, and so is its template") {
  AtomStore store;
  const auto& x = store.use(numbers);
  CHECK(x.size() == 3);
  CHECK(x.length() == 3);
  CHECK_FALSE(x.empty());
  CHECK(x[1] == 2);
  CHECK(x.front() == 1);
  CHECK(x.back() == 3);
  CHECK(x->at(2) == 3);
  CHECK(&x[0] == x->data());
  CHECK(numbers[2] == 3);
  CHECK(none.empty());
}

TEST_CASE("39. A collection is iterated, also by ranges, and its items are const") {
  STATIC_REQUIRE(std::ranges::contiguous_range<const AtomCollection<int>>);
  STATIC_REQUIRE(std::ranges::sized_range<AtomCollection<int>>);
  STATIC_REQUIRE(std::same_as<std::ranges::range_reference_t<AtomCollection<int>>, const int&>);
  STATIC_REQUIRE(std::same_as<decltype(std::declval<AtomCollection<int>&>()[0]), const int&>);
  AtomStore store;
  Numbers seen;
  for (const int& n : store.use(numbers)) seen.push_back(n);
  for (const int& n : numbers | std::views::reverse) seen.push_back(n);
  CHECK(seen == Numbers{1, 2, 3, 3, 2, 1});
}

TEST_CASE("39. for_each goes over the items in order") {
  AtomStore store;
  Numbers seen;
  store.use(numbers).for_each([&](const int& n) { seen.push_back(n); });
  numbers.for_each([&](int n) { seen.push_back(-n); });
  CHECK(seen == Numbers{1, 2, 3, -1, -2, -3});
}

TEST_CASE("39. find points to the first item that matches, or is null") {
  AtomStore store;
  auto& x = store.use(items);
  x.push(Item{"pen", 2}, Item{"ink", 5}, Item{"pen", 9});
  const Item* found = x.find([](const Item& item) { return item.name == "pen"; });
  REQUIRE(found);
  CHECK(found == &x[0]);
  CHECK(x.find([](const Item& item) { return item.price > 5; }) == &x[2]);
  CHECK(x.find([](const Item& item) { return item.price > 50; }) == nullptr);
  CHECK(items.find([](const Item&) { return true; }) == nullptr);
}

TEST_CASE("39. index_of is the index of the first item that is equal, if there is one") {
  static const AtomCollection<int> twice{"collection.twice", {5, 6, 5, 6}};
  CHECK(twice.index_of(5) == std::optional<std::size_t>(0));
  CHECK(twice.index_of(6) == std::optional<std::size_t>(1));
  CHECK(twice.index_of(7) == std::nullopt);
  CHECK(none.index_of(7) == std::nullopt);
}

// ------------------------------------------------------------------------------------------------------ adding, taking

TEST_CASE("35. push puts items at the end and keeps the order of several arguments") {
  AtomStore store;
  auto& x = store.use(numbers);
  Ear ear(x);
  CHECK(x.push(4));
  CHECK(x.push(5, 6, 7));
  CHECK(x.value() == Numbers{1, 2, 3, 4, 5, 6, 7});
  CHECK(ear.calls == 2);
  CHECK(ear.old == Numbers{1, 2, 3, 4});
}

TEST_CASE("35. unshift puts items at the beginning and keeps the order of several arguments") {
  AtomStore store;
  auto& x = store.use(numbers);
  Ear ear(x);
  CHECK(x.unshift(0));
  CHECK(x.unshift(7, 8, 9));
  CHECK(x.value() == Numbers{7, 8, 9, 0, 1, 2, 3});
  CHECK(ear.calls == 2);
  CHECK(ear.old == Numbers{0, 1, 2, 3});
}

TEST_CASE("push and unshift take braces and what converts to an item") {
  AtomStore store;
  auto& x = store.use(texts);
  const std::string owned = "owned";
  x.push("a literal", owned, std::string("moved"));
  x.unshift({'b', 'y'}, "hand");
  CHECK(x.value() == Texts{"by", "hand", "a literal", "owned", "moved"});
  store.use(items).push({"pen", 2});
  CHECK(store.use(items)[0] == Item{"pen", 2});
}

TEST_CASE("35. pop takes out the last item, shift the first") {
  AtomStore store;
  auto& x = store.use(numbers);
  Ear ear(x);
  CHECK(x.pop() == std::optional(3));
  CHECK(x.value() == Numbers{1, 2});
  CHECK(x.shift() == std::optional(1));
  CHECK(x.value() == Numbers{2});
  CHECK(ear.calls == 2);
  CHECK(x.shift() == std::optional(2));
  CHECK(x.empty());
}

TEST_CASE("35. pop and shift of an empty collection: no item and no event") {
  AtomStore store;
  auto& x = store.use(none);
  Ear ear(x);
  CHECK(x.pop() == std::nullopt);
  CHECK(x.shift() == std::nullopt);
  CHECK(ear.calls == 0);
  CHECK_FALSE(x.is_modified());
}

TEST_CASE("35. remove removes the item at an index; out of range: no event") {
  AtomStore store;
  auto& x = store.use(numbers);
  Ear ear(x);
  CHECK(x.remove(1));
  CHECK(x.value() == Numbers{1, 3});
  CHECK(ear.calls == 1);
  CHECK_FALSE(x.remove(2));
  CHECK_FALSE(x.remove(SIZE_MAX));
  CHECK(ear.calls == 1);
  CHECK(x.remove(1));
  CHECK(x.remove(0));
  CHECK_FALSE(x.remove(0));
  CHECK(ear.calls == 3);
}

TEST_CASE("35. remove_if removes the first match alone; absent: no event") {
  AtomStore store;
  auto& x = store.use(numbers);
  Ear ear(x);
  CHECK(x.remove_if([](const int& n) { return n >= 2; }));
  CHECK(x.value() == Numbers{1, 3});
  CHECK(ear.calls == 1);
  CHECK_FALSE(x.remove_if([](int n) { return n >= 4; }));
  CHECK(ear.calls == 1);
}

TEST_CASE("36. remove_item removes the first equal item; absent: no event") {
  AtomStore store;
  auto& x = store.use(texts);
  x.push("a", "b", "a", "c");
  Ear ear(x);
  CHECK(x.remove_item("a"));
  CHECK(x.value() == Texts{"b", "a", "c"});
  CHECK_FALSE(x.remove_item("d"));
  CHECK(ear.calls == 1);
}

TEST_CASE("36. remove_all removes every equal item and keeps the order of the others; absent: no event") {
  AtomStore store;
  auto& x = store.use(texts);
  x.push("a", "b", "b", "c", "b", "d", "b");
  Ear ear(x);
  CHECK(x.remove_all("b"));
  CHECK(x.value() == Texts{"a", "c", "d"});
  CHECK(ear.calls == 1);
  CHECK_FALSE(x.remove_all("b"));
  CHECK(ear.calls == 1);
  CHECK(x.remove_all("a"));
  CHECK(x.value() == Texts{"c", "d"});
}

TEST_CASE("38. replace replaces in range only; an equal item: no event") {
  AtomStore store;
  auto& x = store.use(numbers);
  Ear ear(x);
  CHECK(x.replace(2, 9));
  CHECK(x.value() == Numbers{1, 2, 9});
  CHECK(ear.old == Numbers{1, 2, 3});
  CHECK(ear.calls == 1);
  CHECK_FALSE(x.replace(3, 9));
  CHECK_FALSE(x.replace(SIZE_MAX, 9));
  CHECK_FALSE(x.replace(2, 9));
  CHECK(ear.calls == 1);
  CHECK_FALSE(store.use(none).replace(0, 9));
}

TEST_CASE("39. map replaces every item; by equal ones: no event") {
  AtomStore store;
  auto& x = store.use(numbers);
  Ear ear(x);
  CHECK(x.map([](const int& n) { return n * 10; }));
  CHECK(x.value() == Numbers{10, 20, 30});
  CHECK(ear.calls == 1);
  CHECK_FALSE(x.map([](int n) { return n; }));
  CHECK_FALSE(store.use(none).map([](int) { return 1; }));
  CHECK(ear.calls == 1);
  CHECK_THROWS_AS(x.map([](int n) { return n == 30 ? throw std::domain_error("no") : 1; }), std::domain_error);
  CHECK(x.value() == Numbers{10, 20, 30});
  CHECK(ear.calls == 1);
}

TEST_CASE("An item may be given by reference to one of the collection's own") {
  const std::string a(50, 'a');
  const std::string b(50, 'b');
  AtomStore store;
  auto& x = store.use(texts);
  x.push(a, b);
  for (int i = 0; i < 20; ++i) x.push(x[0], x.back());  // also when it grows
  CHECK(x->size() == 42);
  CHECK((x[40] == a && x[41] == b));
  x.unshift(x.back());
  CHECK((x[0] == b && x[1] == a));
  CHECK(x.replace(1, x[0]));
  CHECK(x[1] == b);
  CHECK(x.remove_item(x[3]));  // equal to the one at 2
  CHECK(x.remove_all(x[2]));
  CHECK(x.value() == Texts(19, a));
}

TEST_CASE("remove_all with one of the items, not the first of its kind, removes them all and no other") {
  AtomStore store;
  auto& x = store.use(none);
  x.update({1, 2, 3, 2, 4, 2, 5});
  CHECK(x.remove_all(x[3]));
  CHECK(x.value() == Numbers{1, 3, 4, 5});
}

// ----------------------------------------------------------------------------------------- old values, and what is
// kept

/// Every verb that changes {1, 2, 3}.
const std::vector<std::pair<std::string, bool (*)(AtomCollection<int>&)>> verbs{
    {"push", [](AtomCollection<int>& x) { return x.push(4, 5); }},
    {"unshift", [](AtomCollection<int>& x) { return x.unshift(4, 5); }},
    {"pop", [](AtomCollection<int>& x) { return x.pop().has_value(); }},
    {"shift", [](AtomCollection<int>& x) { return x.shift().has_value(); }},
    {"remove", [](AtomCollection<int>& x) { return x.remove(1); }},
    {"remove_if", [](AtomCollection<int>& x) { return x.remove_if([](int n) { return n > 1; }); }},
    {"remove_item", [](AtomCollection<int>& x) { return x.remove_item(2); }},
    {"remove_all", [](AtomCollection<int>& x) { return x.remove_all(2); }},
    {"replace", [](AtomCollection<int>& x) { return x.replace(1, 4); }},
    {"map", [](AtomCollection<int>& x) { return x.map([](int n) { return n + 1; }); }},
};

TEST_CASE("37. The listener's old value and the default are intact after each verb") {
  for (const auto& [name, verb] : verbs) {
    for (const bool written_before : {false, true}) {
      CAPTURE(name, written_before);
      AtomStore store;
      auto& x = store.use(numbers);
      if (written_before) x.silent_update(Numbers{3, 2, 1, 0});
      const Numbers before = x.value();
      int calls = 0;
      atom::Subscription listening = x.on_change([&](const Numbers& now, const Numbers& old) {
        ++calls;
        CHECK(now != before);
        CHECK(&now == &x.value());
        CHECK(old == before);
      });
      CHECK(verb(x));
      CHECK(calls == 1);
      listening.unsubscribe();
      CHECK(x.default_value() == Numbers{1, 2, 3});
      CHECK(numbers.value() == Numbers{1, 2, 3});
      CHECK(x.reset());
      CHECK(x.value() == Numbers{1, 2, 3});
    }
  }
}

TEST_CASE("37. A verb inside a listener leaves the values that it looks at as they are, and is told afterwards") {
  for (const auto& [name, verb] : verbs) {
    CAPTURE(name);
    AtomStore store;
    auto& x = store.use(numbers);
    std::vector<Numbers> seen;
    x.on_change([&, run = verb](const Numbers& now, const Numbers& old) {
      const Numbers kept = now;
      const Numbers kept_old = old;
      if (seen.empty()) CHECK(run(x));
      CHECK(now == kept);
      CHECK(old == kept_old);
      seen.push_back(now);
    });
    x.update({3, 2, 1, 0});
    REQUIRE(seen.size() == 2);
    CHECK(seen[0] == Numbers{3, 2, 1, 0});
    CHECK(seen[1] == x.value());
    CHECK(seen[1] != seen[0]);
  }
}

TEST_CASE("A batch of verbs is told once; one that ends where it began is not told") {
  AtomStore store;
  auto& x = store.use(numbers);
  Ear ear(x);
  store.batch([&] {
    x.push(4);
    x.push(5);
    x.shift();
    CHECK(x.value() == Numbers{2, 3, 4, 5});
    CHECK(ear.calls == 0);
  });
  CHECK(ear.calls == 1);
  CHECK(ear.old == Numbers{1, 2, 3});
  CHECK(ear.now == Numbers{2, 3, 4, 5});
  store.batch([&] {
    x.push(6);
    CHECK(x.pop() == std::optional(6));
  });
  CHECK(ear.calls == 1);
}

TEST_CASE("A listener that throws stops no other, and what it throws comes out of the verb") {
  AtomStore store;
  auto& x = store.use(numbers);
  int told = 0;
  x.on_change([](const Numbers&) { throw std::domain_error("first"); });
  x.on_change([&] { ++told; });
  CHECK_THROWS_WITH(x.push(4), "first");
  CHECK_THROWS_WITH(x.pop(), "first");
  CHECK_THROWS_WITH(x.remove_item(1), "first");
  CHECK_THROWS_WITH(x.map([](int n) { return n + 1; }), "first");
  CHECK(x.value() == Numbers{3, 4});
  CHECK(told == 4);
}

TEST_CASE("A listener that ends itself in a verb is not called by the next") {
  AtomStore store;
  auto& x = store.use(numbers);
  int told = 0;
  atom::Subscription once;
  once = x.on_change([&] {
    ++told;
    once.unsubscribe();
  });
  x.push(4);
  x.push(5);
  CHECK(told == 1);
  CHECK(x.size() == 5);
}

TEST_CASE("Silent writes, and reset, are those of an atom") {
  AtomStore store;
  auto& x = store.use(numbers);
  Ear ear(x);
  x.silent_update([](const Numbers& now) { return Numbers(now.rbegin(), now.rend()); });
  CHECK(x.value() == Numbers{3, 2, 1});
  CHECK(ear.calls == 0);
  CHECK(x.push(0));
  CHECK(x.reset());
  CHECK(x.value() == Numbers{1, 2, 3});
  CHECK(ear.calls == 2);
}

// --------------------------------------------------------------------------------------------------------- the options

TEST_CASE("40. before_update makes what is stored of what each verb makes") {
  static int runs;
  static const AtomCollection<int> shortened{
      "collection.shortened", {1, 2, 3}, {.before_update = [](Numbers&& next, const Numbers& current) {
        ++runs;
        CHECK(current == Numbers{1, 2, 3});
        next.push_back(99);
        return next;
      }}};
  for (const auto& [name, verb] : verbs) {
    CAPTURE(name);
    AtomStore store;
    auto& plain = store.use(numbers);
    auto& hooked = store.use(shortened);
    runs = 0;
    CHECK(verb(plain));
    CHECK(verb(hooked));
    CHECK(runs == 1);
    Numbers expected = plain.value();
    expected.push_back(99);
    CHECK(hooked.value() == expected);
  }
}

TEST_CASE("40. A before_update that refuses leaves the collection as it was, and tells nobody") {
  static const AtomCollection<int> closed{
      "collection.closed", {1, 2, 3}, {.before_update = [](Numbers&&, const Numbers&) -> Numbers {
        throw std::length_error("closed");
      }}};
  for (const auto& [name, verb] : verbs) {
    CAPTURE(name);
    AtomStore store;
    auto& x = store.use(closed);
    Ear ear(x);
    CHECK_THROWS_AS(verb(x), std::length_error);
    CHECK(x.value() == Numbers{1, 2, 3});
    CHECK_FALSE(x.is_modified());
    CHECK(ear.calls == 0);
  }
}

TEST_CASE(
    "40. Where before_update undoes what a verb does, nothing has changed, nobody is told, and no item came out") {
  static const AtomCollection<int> fixed{
      "collection.fixed", {1, 2, 3}, {.before_update = [](Numbers&&, const Numbers& current) { return current; }}};
  for (const auto& [name, verb] : verbs) {
    CAPTURE(name);
    AtomStore store;
    auto& x = store.use(fixed);
    Ear ear(x);
    CHECK_FALSE(verb(x));
    CHECK(x.value() == Numbers{1, 2, 3});
    CHECK_FALSE(x.is_modified());
    CHECK(ear.calls == 0);
  }
}

TEST_CASE("40. on_update is the first listener of a collection") {
  static std::vector<std::pair<std::size_t, std::size_t>> sizes;
  static const AtomCollection<int> observed{
      "collection.observed",
      {1, 2, 3},
      {.on_update = [](const Numbers& now, const Numbers& old, atom::Atom<Numbers>& clone) {
        CHECK(clone.key() == "collection.observed");
        sizes.emplace_back(now.size(), old.size());
      }}};
  sizes.clear();
  AtomStore store;
  auto& x = store.use(observed);
  x.on_change([](const Numbers&) { CHECK(sizes.size() == 1); });
  x.push(4, 5);
  CHECK(sizes == std::vector<std::pair<std::size_t, std::size_t>>{{5, 3}});
}

TEST_CASE("40. get looks into a collection, by its own getter if there is one") {
  static const AtomCollection<int> reached{
      "collection.reached", {1, 2, 3}, {.get = [](std::string_view path, const Numbers& value) {
        return path == "last" ? std::optional<atom::Value>(value.back()) : std::nullopt;
      }}};
  AtomStore store;
  CHECK(store.use(numbers).get<int>("1") == 2);
  CHECK(store.use(numbers).get<int>("3", -1) == -1);
  store.use(reached).push(7);
  CHECK(store.use(reached).get<int>("last") == 7);
  CHECK(store.use(reached).get<int>("1", -1) == -1);
}

// -------------------------------------------------------------------------------------------------------------- misuse

TEST_CASE("Inside its own mutate, map or predicate a collection refuses every verb, also one with nothing to do") {
  AtomStore store;
  auto& x = store.use(numbers);
  const auto refuses_all = [&] {
    for (const auto& [name, verb] : verbs) {
      CAPTURE(name);
      CHECK_THROWS_WITH(verb(x), ContainsSubstring("inside its own mutate"));
    }
    CHECK_THROWS_AS(x.remove(7), atom::Error);
    CHECK_THROWS_AS(x.remove_if([](int) { return false; }), atom::Error);
    CHECK_THROWS_AS(x.remove_item(7), atom::Error);
    CHECK_THROWS_AS(x.remove_all(7), atom::Error);
    CHECK_THROWS_AS(x.replace(7, 7), atom::Error);
    CHECK_THROWS_AS(x.replace(0, 1), atom::Error);
  };
  x.mutate([&](Numbers&) { refuses_all(); });
  CHECK_FALSE(x.map([&](int n) {
    refuses_all();
    return n;
  }));
  CHECK_FALSE(x.remove_if([&](int) {
    refuses_all();
    return false;
  }));
  CHECK(x.value() == Numbers{1, 2, 3});
  auto& y = store.use(none);
  y.mutate([&](Numbers&) {
    CHECK_THROWS_AS(y.pop(), atom::Error);
    CHECK_THROWS_AS(y.shift(), atom::Error);
  });
  CHECK(x.push(4));
  CHECK(y.push(4));
}

TEST_CASE("A predicate that throws changes nothing, and locks nothing") {
  AtomStore store;
  auto& x = store.use(numbers);
  CHECK_THROWS_AS(x.remove_if([](int) -> bool { throw std::domain_error("no"); }), std::domain_error);
  CHECK(x.value() == Numbers{1, 2, 3});
  CHECK(x.remove_if([](int) { return true; }));
}

TEST_CASE("A template that is not declared const cannot be written either") {
  static AtomCollection<int> loose{"collection.loose", {1, 2, 3}};
  for (const auto& [name, verb] : verbs) {
    CAPTURE(name);
    CHECK_THROWS_WITH(verb(loose), ContainsSubstring("take a clone with store.use(atom)"));
  }
  CHECK_THROWS_AS(loose.remove(7), atom::Error);
  CHECK(loose.value() == Numbers{1, 2, 3});
}

// ---------------------------------------------------------------------------------------------- stores, snapshots,
// text

TEST_CASE("Collections of two stores share nothing") {
  AtomStore first;
  AtomStore second;
  first.use(numbers).push(4);
  second.use(numbers).shift();
  CHECK(first.use(numbers).value() == Numbers{1, 2, 3, 4});
  CHECK(second.use(numbers).value() == Numbers{2, 3});
  CHECK(numbers.value() == Numbers{1, 2, 3});
}

TEST_CASE("A collection is a vector in a snapshot, and is hydrated from one") {
  AtomStore store;
  store.use(numbers).push(4);
  const atom::Snapshot snapshot = store.snapshot();
  CHECK(snapshot.get<Numbers>("collection.numbers") == Numbers{1, 2, 3, 4});
  CHECK(snapshot.get(numbers) == Numbers{1, 2, 3, 4});
  CHECK(atom::to_json(snapshot) == R"({"collection.numbers":[1,2,3,4]})");

  AtomStore another;
  auto& early = another.use(numbers);
  Ear ear(early);
  CHECK(another.hydrate(snapshot).ok());
  CHECK(early.value() == Numbers{1, 2, 3, 4});
  CHECK(ear.calls == 0);
  another.drop(numbers);
  CHECK(another.hydrate(snapshot).ok());
  auto& late = another.use(numbers);
  CHECK(late.value() == Numbers{1, 2, 3, 4});
  late.push(5);
  CHECK(late.shift() == std::optional(1));
  CHECK(snapshot.get(numbers) == Numbers{1, 2, 3, 4});
  CHECK(store.use(numbers).value() == Numbers{1, 2, 3, 4});
}

struct Cart : AtomCollection<Item> {
  using AtomCollection::AtomCollection;
  void add(std::string name) {
    if (find([&](const Item& item) { return item.name == name; })) return;
    push({std::move(name), 1});
  }
  int total() const {
    int sum = 0;
    for (const Item& item : *this) sum += item.price;
    return sum;
  }
};
const Cart cart{"collection.cart", {Item{"gift", 0}}, {.client_writable = true}};
const Cart empty_cart{"collection.empty_cart"};

TEST_CASE("A class derived from a collection keeps its verbs in a store") {
  AtomStore store;
  Cart& x = store.use(cart);
  x.add("pen");
  x.add("pen");
  x.add("gift");
  CHECK(x.size() == 2);
  CHECK(x.total() == 1);
  CHECK(cart.total() == 0);
  CHECK(cart.is_client_writable());
  store.use(empty_cart).add("ink");
  CHECK(store.use(empty_cart).back().name == "ink");
}

TEST_CASE("Many threads use one collection, each in its own store") {
  std::vector<std::thread> threads;
  std::vector<Numbers> results(4);
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([t, &result = results[static_cast<std::size_t>(t)]] {
      for (int round = 0; round < 50; ++round) {
        AtomStore store;
        auto& x = store.use(numbers);
        for (int i = 0; i < 10; ++i) x.push(t);
        while (x.front() != t) x.shift();
        result = x.value();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (int t = 0; t < 4; ++t) {
    if (t == 1) continue;  // its items are equal to the first of the default
    CHECK(results[static_cast<std::size_t>(t)].back() == t);
    CHECK(results[static_cast<std::size_t>(t)].size() == (t == 2 ? 12u : t == 3 ? 11u : 10u));
  }
  CHECK(numbers.value() == Numbers{1, 2, 3});
}

// -------------------------------------------------------------------------------------------------------- what it
// costs

TEST_CASE("push to a large collection copies nothing where nobody wants the old value") {
  using Value = support::Counted<struct Pushed>;
  static const AtomCollection<Value> many{"collection.many", std::vector<Value>(10'000)};
  for (const bool heard : {false, true}) {
    CAPTURE(heard);
    AtomStore store;
    auto& x = store.use(many);
    int told = 0;
    if (heard) x.on_change([&](const std::vector<Value>&) { ++told; });
    x.push(Value(1));  // leaves the default as it is
    const Value* const place = &x[0];
    Value::forget();
    for (int i = 0; i < 1000; ++i) x.push(Value(i));
    CHECK(Value::counts().copies == 0);
    CHECK(Value::counts().moves <= 3000);
    CHECK(Value::counts().comparisons == 0);
    CHECK(&x[0] == place);
    CHECK(told == (heard ? 1001 : 0));
    for (int i = 0; i < 1000; ++i) x.pop();
    CHECK(Value::counts().copies == 0);
    CHECK(x.remove(5000));
    CHECK(x.replace(5000, Value(7)));
    CHECK(x.remove_item(Value(7)));
    CHECK(Value::counts().copies == 0);
  }
}

TEST_CASE("A collection grows by a factor") {
  using Value = support::Counted<struct Grown>;
  static const AtomCollection<Value> many{"collection.grown"};
  AtomStore store;
  auto& x = store.use(many);
  Value::forget();
  for (int i = 0; i < 5'000; ++i) x.push(Value(i), Value(i));
  CHECK(x.size() == 10'000);
  CHECK(Value::counts().copies == 0);
  CHECK(Value::counts().moves < 60'000);
}

TEST_CASE("A batch copies a large collection once, for who may still want the old value") {
  using Value = support::Counted<struct Batched>;
  static const AtomCollection<Value> many{"collection.batched"};
  AtomStore store;
  auto& x = store.use(many);
  for (int i = 0; i < 100; ++i) x.push(Value(i));
  std::size_t before = 0;
  x.on_change([&](const std::vector<Value>&, const std::vector<Value>& old) { before = old.size(); });
  Value::forget();
  store.batch([&] {
    for (int i = 0; i < 100; ++i) x.push(Value(i));
  });
  CHECK(Value::counts().copies == 100);
  CHECK(before == 100);
  CHECK(x.size() == 200);
}

TEST_CASE("A verb that finds nothing to do copies nothing") {
  using Value = support::Counted<struct Absent>;
  static const AtomCollection<Value> many{"collection.absent", std::vector<Value>(100)};
  AtomStore store;
  auto& x = store.use(many);
  x.on_change([](const std::vector<Value>&, const std::vector<Value>&) {});
  Value::forget();
  CHECK_FALSE(x.remove(100));
  CHECK_FALSE(x.remove_if([](const Value&) { return false; }));
  CHECK_FALSE(x.remove_item(Value(1)));
  CHECK_FALSE(x.remove_all(Value(1)));
  CHECK_FALSE(x.replace(0, Value(0)));
  CHECK(Value::counts().copies == 0);
  CHECK(&x.value() == &many.value());
}

TEST_CASE("Verbs allocate nothing where the vector has room") {
  AtomStore store;
  auto& x = store.use(numbers);
  int told = 0;
  x.on_change([&](const Numbers&) { ++told; });
  x.mutate([](Numbers& now) { now.reserve(100); });
  const support::Allocations allocations;
  for (int i = 0; i < 20; ++i) {
    x.push(i, i + 1);
    x.unshift(i);
    x.shift();
    x.pop();
    x.replace(0, i + 100);
    x.remove_if([i](int n) { return n == i; });
    x.remove_all(i + 1);
    x.remove(x.size());
  }
  CHECK(allocations.count() == 0);
  CHECK(told > 100);
}

// ------------------------------------------------------------------------------------------------------------ odd
// types

TEST_CASE("A collection of move-only items works where nobody wants the old value; else an error says why") {
  using Pointer = std::unique_ptr<const int>;
  static const AtomCollection<Pointer> pointers{"collection.pointers"};
  const auto make = [](int n) { return std::make_unique<const int>(n); };
  AtomStore store;
  auto& x = store.use(pointers);
  int told = 0;
  x.on_change([&](const std::vector<Pointer>&) { ++told; });
  CHECK(x.push(make(3), make(4), nullptr));
  CHECK(x.unshift(make(1), make(2)));
  CHECK(x.pop() == std::optional<Pointer>(nullptr));
  CHECK(**x.shift() == 1);
  CHECK(x.replace(0, make(7)));
  CHECK(x.remove_if([](const Pointer& p) { return *p == 3; }));
  REQUIRE(x.size() == 2);
  CHECK((*x[0] == 7 && *x[1] == 4));
  CHECK(x.remove_item(x[1]));
  CHECK(x.map([&](const Pointer& p) { return make(*p + 1); }));
  CHECK(*x[0] == 8);
  CHECK(told == 8);
  const auto ends = x.on_change([](const std::vector<Pointer>&, const std::vector<Pointer>&) {});
  CHECK_THROWS_WITH(x.push(make(9)), ContainsSubstring("collection.pointers") && ContainsSubstring("cannot be copied"));
  CHECK_THROWS_AS(x.pop(), atom::Error);
  CHECK(x.size() == 1);
  CHECK(told == 8);
  CHECK(x.map([&](const Pointer& p) { return make(*p + 1); }));  // makes a new vector, and keeps the old one
  CHECK(*x[0] == 9);
  CHECK(store.snapshot().empty());
}

TEST_CASE("A collection of pointers has a factory that builds each store's own items") {
  static const AtomCollection<std::unique_ptr<int>> owned{"collection.owned", atom::Factory{[] {
                                                            std::vector<std::unique_ptr<int>> made;
                                                            made.push_back(std::make_unique<int>(1));
                                                            return made;
                                                          }}};
  AtomStore first;
  AtomStore second;
  first.use(owned).push(std::make_unique<int>(2));
  CHECK(first.use(owned).size() == 2);
  CHECK(second.use(owned).size() == 1);
  CHECK(first.use(owned)[0] != second.use(owned)[0]);
  CHECK_THROWS_AS(owned.size(), atom::Error);
}

struct Opaque {
  int id = 0;
};

TEST_CASE("Items without == work, but every replacement counts as a change") {
  static const AtomCollection<Opaque> opaque{"collection.opaque"};
  AtomStore store;
  auto& x = store.use(opaque);
  int told = 0;
  x.on_change([&](const std::vector<Opaque>&, const std::vector<Opaque>&) { ++told; });
  CHECK(x.push({1}, Opaque{2}, Opaque{3}));
  CHECK(x.unshift({0}));
  CHECK(x.replace(0, {0}));
  CHECK(x.remove_if([](const Opaque& o) { return o.id == 2; }));
  CHECK(x.map([](const Opaque& o) { return o; }));
  CHECK(x.pop()->id == 3);
  CHECK(x.find([](const Opaque& o) { return o.id == 1; }) == &x[1]);
  CHECK(told == 6);
}

TEST_CASE("A collection of bool works") {
  static const AtomCollection<bool> flags{"collection.flags", {true, false}};
  AtomStore store;
  auto& x = store.use(flags);
  std::vector<std::vector<bool>> seen;
  x.on_change([&](const std::vector<bool>& now, const std::vector<bool>& old) { seen = {now, old}; });
  CHECK(x[0]);
  CHECK_FALSE(x.back());
  CHECK(x.push(true, true));
  CHECK(x.unshift(false));
  CHECK(x.value() == std::vector<bool>{false, true, false, true, true});
  CHECK(x.pop() == std::optional(true));
  CHECK(x.shift() == std::optional(false));
  CHECK(x.index_of(false) == std::optional<std::size_t>(1));
  CHECK(x.replace(0, false));
  CHECK_FALSE(x.replace(0, false));
  CHECK(x.remove_all(false));
  CHECK(x.value() == std::vector<bool>{true});
  CHECK(x.map([](bool flag) { return !flag; }));
  CHECK(seen == std::vector<std::vector<bool>>{{false}, {true}});
  int count = 0;
  for (const bool flag : x) count += flag ? 1 : 10;
  x.for_each([&](bool flag) { count += flag ? 1 : 10; });
  CHECK(count == 20);
  CHECK(x.remove_if([](bool flag) { return !flag; }));
  CHECK(x.empty());
}

struct alignas(64) Aligned {
  int n = 0;
  bool operator==(const Aligned&) const = default;
};

TEST_CASE("Over-aligned items stay aligned") {
  static const AtomCollection<Aligned> aligned{"collection.aligned"};
  AtomStore store;
  auto& x = store.use(aligned);
  x.mutate([](std::vector<Aligned>& now) {
    for (int i = 0; i < 10; ++i) now.insert(now.end(), {Aligned{i}, Aligned{-i}});
  });
  for (const Aligned& item : x) CHECK(reinterpret_cast<std::uintptr_t>(&item) % 64 == 0);
  CHECK(x.pop() == std::optional(Aligned{-9}));
  CHECK(x.remove_all({0}));
  CHECK(x.size() == 17);
}

struct Fragile {
  explicit Fragile(int i) : id(i) {}
  Fragile(const Fragile& other) : id(other.id) {
    if (fails) throw std::domain_error("copy");
  }
  Fragile(Fragile&&) noexcept = default;
  Fragile& operator=(const Fragile&) = default;
  Fragile& operator=(Fragile&&) noexcept = default;
  bool operator==(const Fragile&) const = default;
  int id;
  static inline bool fails = false;
};

TEST_CASE("Where a copy throws, a collection is as it was, and nobody is told") {
  static const AtomCollection<Fragile> fragile{"collection.fragile"};
  for (const bool wants_old : {false, true}) {
    CAPTURE(wants_old);
    AtomStore store;
    auto& x = store.use(fragile);
    const Fragile one(1);
    x.push(one, one, Fragile(2));
    int told = 0;
    if (wants_old) {
      x.on_change([&](const std::vector<Fragile>&, const std::vector<Fragile>&) { ++told; });
    } else {
      x.on_change([&](const std::vector<Fragile>&) { ++told; });
    }
    Fragile::fails = true;
    CHECK_THROWS_AS(x.push(Fragile(3), one), std::domain_error);
    CHECK_THROWS_AS(x.unshift(one), std::domain_error);
    CHECK_THROWS_AS(x.replace(0, x[2]), std::domain_error);
    if (wants_old) {
      CHECK_THROWS_AS(x.push(Fragile(3)), std::domain_error);
      CHECK_THROWS_AS(x.pop(), std::domain_error);
      CHECK_THROWS_AS(x.remove_all(one), std::domain_error);
      CHECK(told == 0);
    } else {
      CHECK(told == 0);
      CHECK(x.remove_all(one));
      CHECK(x.pop()->id == 2);
      CHECK(x.push(Fragile(3), Fragile(4), Fragile(5)));
      CHECK(told == 3);
    }
    Fragile::fails = false;
    CHECK(x.size() == 3);
    CHECK(x.push(one));
  }
}

struct Stubborn {
  explicit Stubborn(int i) : id(i) {}
  bool operator==(const Stubborn& other) const {
    if (fails && id == 3) throw std::domain_error("==");
    return id == other.id;
  }
  int id;
  static inline bool fails = false;
};

TEST_CASE("Where == throws, what looks for an item changes nothing") {
  static const AtomCollection<Stubborn> stubborn{"collection.stubborn"};
  AtomStore store;
  auto& x = store.use(stubborn);
  x.push(Stubborn(1), Stubborn(2), Stubborn(3), Stubborn(4));
  int told = 0;
  x.on_change([&] { ++told; });
  Stubborn::fails = true;
  CHECK_THROWS_AS(x.remove_item(Stubborn(4)), std::domain_error);
  CHECK_THROWS_AS(x.remove_all(Stubborn(4)), std::domain_error);
  CHECK_THROWS_AS(x.replace(2, Stubborn(4)), std::domain_error);
  CHECK_THROWS_AS(x.index_of(Stubborn(4)), std::domain_error);
  CHECK(x.size() == 4);
  CHECK(told == 0);
  CHECK_THROWS_AS(x.remove_all(Stubborn(2)), std::domain_error);  // half way: as mutate
  CHECK(told == 1);
  Stubborn::fails = false;
  CHECK(x.push(Stubborn(5)));
}

/// Equal without regard to case.
struct Name {
  char letter = 'a';
};

}  // namespace
}  // namespace collection_test

template <>
inline constexpr bool atom::compare<collection_test::Name> = true;
template <>
struct atom::equal<collection_test::Name> {
  bool operator()(const collection_test::Name& a, const collection_test::Name& b) const {
    return (a.letter | 0x20) == (b.letter | 0x20);
  }
};

namespace collection_test {
namespace {

TEST_CASE("Items are compared by atom::equal where it is specialised") {
  static const AtomCollection<Name> names{"collection.names", {Name{'a'}, Name{'B'}, Name{'A'}, Name{'b'}}};
  AtomStore store;
  auto& x = store.use(names);
  CHECK(x.index_of({'b'}) == std::optional<std::size_t>(1));
  CHECK_FALSE(x.replace(0, {'A'}));
  CHECK(x[0].letter == 'a');
  CHECK(x.remove_all({'B'}));
  CHECK(x.size() == 2);
  CHECK(x.remove_item({'A'}));
  CHECK(x[0].letter == 'A');
}

}  // namespace
}  // namespace collection_test
