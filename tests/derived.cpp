// Values that are computed from atoms of the same store.
#include <atom/derived.hpp>
#include <atom/json.hpp>

#include <array>
#include <cstddef>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/allocations.hpp"
#include "support/catch.hpp"

using atom::Atom;
using atom::AtomStore;
using atom::Derived;
using support::ContainsSubstring;

namespace derived_test {
namespace {

/// How often each function ran, per thread.
struct Runs {
  int sum = 0, label = 0, chosen = 0, parity = 0, top = 0;
};
thread_local Runs runs;

const Atom<int> one{"derived.one", 1};
const Atom<int> two{"derived.two", 2};
const Atom<bool> use_one{"derived.use_one", true};
const Derived<int> sum{"derived.sum", [](auto& get) {
                         ++runs.sum;
                         return get(one) + get(two);
                       }};
const Derived<std::string> label{"derived.label", [](const atom::Getter& get) {
                                   ++runs.label;
                                   return "sum " + std::to_string(get(sum));
                                 }};
const Derived<int> chosen{"derived.chosen", [](auto& get) {
                            ++runs.chosen;
                            return get(use_one) ? get(one) : get(two);
                          }};
const Derived<bool> parity{"derived.parity", [](auto& get) {
                             ++runs.parity;
                             return get(sum) % 2 == 0;
                           }};
// A diamond: sum above, label and parity at the sides, top below.
const Derived<std::string> top{"derived.top", [](auto& get) {
                                 ++runs.top;
                                 return get(label) + (get(parity) ? " even" : " odd");
                               }};

struct Refused : std::runtime_error {
  Refused() : runtime_error("refused") {}
};
const Derived<int> half{"derived.half", [](auto& get) {
                          if (get(one) % 2 != 0) throw Refused();
                          return get(one) / 2;
                        }};
const Derived<int> half_more{"derived.half_more", [](auto& get) { return get(half) + 1; }};

extern const Derived<int> chicken;
const Derived<int> egg{"derived.egg", [](auto& get) { return get(chicken) + 1; }};
const Derived<int> chicken{"derived.chicken", [](auto& get) { return get(use_one) ? get(egg) + 1 : 0; }};

struct Address {
  std::string city;
  bool operator==(const Address&) const = default;
  static constexpr auto atom_fields() { return atom::describe(atom::field("city", &Address::city)); }
};
struct Person {
  std::string name;
  Address address;
  bool operator==(const Person&) const = default;
  static constexpr auto atom_fields() {
    return atom::describe(atom::field("name", &Person::name), atom::field("address", &Person::address));
  }
};
const Atom<std::string> city{"derived.city", "Paris"};
const Derived<Person> person{"derived.person", [](auto& get) { return Person{"Ada", Address{get(city)}}; }};

const Atom<std::string> token{"derived.token", "t0k3n", {.server_only = true}};
const Derived<std::string> masked{"derived.masked", [](auto& get) { return get(token).substr(0, 1) + "..."; }};
const Derived<std::string> masked_again{"derived.masked_again", [](auto& get) { return get(masked) + "!"; }};
const Derived<bool> has_token{
    "derived.has_token", [](auto& get) { return !get(token).empty(); }, {.server_only = false}};
const Derived<int> parsed_token{"derived.parsed_token", [](auto& get) { return std::stoi(get(token)); }};
const Derived<int> token_length{"derived.token_length", [](auto& get) {
                                  try {
                                    return get(parsed_token);
                                  } catch (const std::invalid_argument&) {
                                    return -1;
                                  }
                                }};
const Atom<std::string> hidden_city{"derived.hidden_city", "Paris", {.server_only = true}};
const Atom<bool> is_hidden{"derived.is_hidden", false};
const Derived<std::string> place{"derived.place",
                                 [](auto& get) { return (get(is_hidden) ? get(hidden_city) : get(city)) + "!"; }};
const Derived<std::string> place_again{"derived.place_again", [](auto& get) { return get(place) + "!"; }};

struct Incomparable {
  int value;
};
const Derived<Incomparable> incomparable{"derived.incomparable", [](auto& get) { return Incomparable{get(one) / 10}; }};
const Derived<std::unique_ptr<int>> move_only{"derived.move_only",
                                              [](auto& get) { return std::make_unique<int>(get(one)); }};

TEST_CASE("41. A derived atom is computed on its first read, and again only if an input changed") {
  runs = {};
  AtomStore store;
  auto& derived = store.use(sum);
  CHECK(runs.sum == 0);
  CHECK(derived.value() == 3);
  CHECK(*derived == 3);
  CHECK(runs.sum == 1);
  store.use(use_one).update(false);  // not an input
  CHECK(*derived == 3);
  CHECK(runs.sum == 1);
  store.use(one).update(10);
  store.use(two).update(20);
  CHECK(runs.sum == 1);  // nobody asked
  CHECK(*derived == 30);
  CHECK(runs.sum == 2);
  store.use(one).update(10);  // equal: no change
  CHECK(*derived == 30);
  CHECK(runs.sum == 2);
}

TEST_CASE("41. on_change of a derived atom tells new and old, like any atom") {
  AtomStore store;
  std::vector<std::pair<int, int>> heard;
  auto& derived = store.use(sum);
  atom::Subscription handle = derived.on_change([&](const int& now, const int& old) { heard.emplace_back(now, old); });
  store.use(one).update(5);
  store.use(two).mutate([](int& n) { n = 6; });
  store.use(one).reset();
  CHECK(heard == std::vector<std::pair<int, int>>{{7, 3}, {11, 7}, {7, 11}});
  handle.unsubscribe();
  store.use(one).update(100);
  CHECK(heard.size() == 3);
  CHECK(*derived == 106);
}

TEST_CASE("41. A listener of a derived atom is not told where its value stayed") {
  AtomStore store;
  int told = 0;
  store.use(parity).on_change([&] { ++told; });
  store.use(one).update(3);  // 3 + 2 is odd as 1 + 2 was
  CHECK(told == 0);
  store.use(one).update(4);
  CHECK(told == 1);
  store.batch([&] {
    store.use(one).update(5);
    store.use(one).update(6);
  });
  CHECK(told == 1);
}

TEST_CASE("42. An input that the last run did not read is none any more, and a new one is") {
  runs = {};
  AtomStore store;
  auto& derived = store.use(chosen);
  CHECK(*derived == 1);
  store.use(two).update(20);
  CHECK(*derived == 1);
  CHECK(runs.chosen == 1);
  store.use(use_one).update(false);
  CHECK(*derived == 20);
  CHECK(runs.chosen == 2);
  store.use(one).update(10);
  CHECK(*derived == 20);
  CHECK(runs.chosen == 2);
  store.use(two).update(21);
  CHECK(*derived == 21);
  store.use(use_one).update(true);
  CHECK(*derived == 10);
}

TEST_CASE("42. Inputs may come in any order, twice, and be many") {
  static const std::array<Atom<int>, 40> many = [] {
    return [&]<std::size_t... I>(std::index_sequence<I...>) {
      return std::array<Atom<int>, 40>{Atom<int>("derived.many." + std::to_string(I), static_cast<int>(I))...};
    }(std::make_index_sequence<40>{});
  }();
  static const Atom<int> start{"derived.start", 0};
  static const Derived<int> ring{"derived.ring", [](auto& get) {
                                   int total = 0;
                                   for (int i = 0; i < 60; ++i) {
                                     total += get(many[static_cast<std::size_t>(get(start) + i) % 40]);
                                   }
                                   return total;
                                 }};
  AtomStore store;
  CHECK(*store.use(ring) == 780 + 190);
  for (int begin = 0; begin < 40; ++begin) {
    store.use(start).update(begin);
    int expected = 0;
    for (int i = 0; i < 60; ++i) expected += (begin + i) % 40;
    CHECK(*store.use(ring) == expected);
  }
  for (const Atom<int>& atom : many) store.use(atom).update([](const int& n) { return n + 1; });
  CHECK(*store.use(ring) == 780 + 60 + [] {
    int more = 0;
    for (int i = 0; i < 20; ++i) more += (39 + i) % 40;
    return more;
  }());
}

TEST_CASE("43. Chains propagate, to readers and to listeners") {
  AtomStore store;
  CHECK(*store.use(label) == "sum 3");
  store.use(one).update(5);
  CHECK(*store.use(label) == "sum 7");
  std::string heard;
  store.use(label).on_change([&](const std::string& now, const std::string& old) { heard = old + " -> " + now; });
  store.use(two).update(0);
  CHECK(heard == "sum 7 -> sum 5");
}

TEST_CASE("43. A chain computes no further than where a value stays the same") {
  runs = {};
  AtomStore store;
  static const Derived<std::string> word{"derived.word", [](auto& get) {
                                           ++runs.top;
                                           return get(parity) ? "even" : "odd";
                                         }};
  CHECK(*store.use(word) == "odd");
  store.use(one).update(3);
  CHECK(*store.use(word) == "odd");
  CHECK(runs.parity == 2);
  CHECK(runs.top == 1);
}

TEST_CASE("44. A derived atom reads the store's own clones, never the templates") {
  AtomStore first, second;
  first.use(one).update(100);
  second.hydrate(atom::Snapshot{{"derived.one", 1000}});
  CHECK(*first.use(sum) == 102);
  CHECK(*second.use(sum) == 1002);
  CHECK(*one == 1);
  CHECK(first.has(two));  // reading uses
  CHECK_THROWS_WITH(sum.value(), ContainsSubstring("derived.sum") && ContainsSubstring("store.use(atom)"));
}

TEST_CASE("44. Derived atoms of stores on many threads do not meet") {
  std::vector<std::thread> threads;
  std::array<int, 8> wrong{};
  for (std::size_t t = 0; t < 8; ++t) {
    threads.emplace_back([&wrong, t] {
      for (int i = 0; i < 200; ++i) {
        AtomStore store;
        int heard = 0;
        store.use(sum).on_change([&](const int& now) { heard = now; });
        const int number = 7 + static_cast<int>(t) * 1000 + i;
        store.use(one).update(number);
        wrong[t] += heard != number + 2 || *store.use(sum) != heard;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == std::array<int, 8>{});
}

TEST_CASE("45. What the function throws reaches the readers, and the next good input recovers") {
  AtomStore store;
  auto& derived = store.use(half);
  CHECK_THROWS_AS(derived.value(), Refused);
  CHECK_THROWS_AS(derived.value(), Refused);
  CHECK_THROWS_AS(store.use(half_more).value(), Refused);
  store.use(one).update(10);
  CHECK(*derived == 5);
  CHECK(*store.use(half_more) == 6);
  store.use(one).update(11);
  CHECK(*store.use(one) == 11);
  CHECK_THROWS_AS(derived.value(), Refused);
  store.use(one).update(10);
  CHECK(*derived == 5);
}

TEST_CASE("45. With a listener the exception comes out of the update, which stays; then the listener hears again") {
  AtomStore store;
  auto& input = store.use(one);
  CHECK_THROWS_AS(store.use(half_more).on_change([] {}), Refused);  // there is no value to start from
  input.update(10);
  std::vector<std::pair<int, int>> heard;
  store.use(half_more).on_change([&](const int& now, const int& old) { heard.emplace_back(now, old); });
  int others = 0;
  input.on_change([&] { ++others; });
  CHECK_THROWS_AS(input.update(13), Refused);
  CHECK(*input == 13);
  CHECK(others == 1);
  CHECK(heard.empty());
  CHECK_THROWS_AS(input.update(15), Refused);
  input.update(20);
  CHECK(heard == std::vector<std::pair<int, int>>{{11, 6}});
  CHECK_THROWS_AS(input.update(21), Refused);
  input.update(20);
  CHECK(heard.size() == 1);  // back where it was told last
}

TEST_CASE("45. A change that was read in a batch is not told while the function throws, but with the next change") {
  AtomStore store;
  store.use(one).update(2);
  std::vector<std::pair<int, int>> heard;
  store.use(half).on_change([&](const int& now, const int& old) { heard.emplace_back(now, old); });
  CHECK_THROWS_AS(store.batch([&] {
    store.use(one).update(4);
    CHECK(*store.use(half) == 2);
    store.use(one).update(5);
  }),
                  Refused);
  CHECK(heard.empty());
  store.use(one).update(6);
  CHECK(heard == std::vector<std::pair<int, int>>{{3, 1}});
}

TEST_CASE("46. A diamond computes once per update and never sees mixed inputs") {
  runs = {};
  AtomStore store;
  CHECK(*store.use(top) == "sum 3 odd");
  CHECK(runs.sum == 1);
  CHECK(runs.top == 1);
  std::vector<std::string> heard;
  store.use(top).on_change([&](const std::string& now) { heard.push_back(now); });
  // Listeners of the inputs see the whole, too.
  store.use(one).on_change([&](const int& now) {
    CHECK(*store.use(top) == "sum " + std::to_string(now + 2) + (now % 2 == 0 ? " even" : " odd"));
  });
  store.use(one).update(4);
  store.use(one).update(7);
  CHECK(heard == std::vector<std::string>{"sum 6 even", "sum 9 odd"});
  CHECK(runs.sum == 3);
  CHECK(runs.label == 3);
  CHECK(runs.parity == 3);
  CHECK(runs.top == 3);
}

TEST_CASE("46. A batch computes once, at its end, or when somebody reads") {
  runs = {};
  AtomStore store;
  std::vector<int> heard;
  store.use(sum).on_change([&](const int& now) { heard.push_back(now); });
  store.batch([&] {
    store.use(one).update(10);
    store.use(two).update(20);
  });
  CHECK(runs.sum == 2);
  store.batch([&] {
    store.use(one).update(11);
    CHECK(*store.use(sum) == 31);
    store.use(two).update(21);
    CHECK(*store.use(sum) == 32);
  });
  CHECK(heard == std::vector<int>{30, 32});
  store.batch([&] {
    store.use(one).update(0);
    CHECK(*store.use(sum) == 21);
    store.use(one).update(11);
  });
  CHECK(heard == std::vector<int>{30, 32});  // it is where it was
}

TEST_CASE("47. Silent updates and hydrate invalidate what derives from them") {
  AtomStore store;
  CHECK(*store.use(sum) == 3);
  int told = 0;
  store.use(sum).on_change([&] { ++told; });
  store.use(one).silent_update(10);
  CHECK(*store.use(sum) == 12);
  store.use(one).silent_reset();
  CHECK(*store.use(sum) == 3);
  store.hydrate(atom::Snapshot{{"derived.one", 7}});
  CHECK(*store.use(sum) == 9);
  CHECK(told == 0);
  store.hydrate(atom::Snapshot{{"derived.one", 8}}, {.notify = true});
  CHECK(told == 1);
  CHECK(*store.use(sum) == 10);
}

TEST_CASE("47. After a silent write a loud one is still told") {
  AtomStore store;
  std::vector<std::pair<int, int>> heard;
  store.use(sum).on_change([&](const int& now, const int& old) { heard.emplace_back(now, old); });
  store.use(one).silent_update(10);
  store.use(two).update(20);
  CHECK(heard == std::vector<std::pair<int, int>>{{30, 3}});
}

TEST_CASE("47. What is told after a batch does not depend on who reads in it") {
  for (const bool reads : {false, true}) {
    AtomStore store;
    std::vector<bool> heard;
    store.use(parity).on_change([&](const bool& now) { heard.push_back(now); });
    store.batch([&] {
      store.use(one).update(3);  // as odd as before
      if (reads) CHECK_FALSE(*store.use(parity));
      store.use(one).silent_update(4);
    });
    CHECK(heard == std::vector<bool>{true});
  }
}

TEST_CASE("47. A dropped input starts from its default again") {
  AtomStore store;
  store.use(one).update(10);
  CHECK(*store.use(sum) == 12);
  store.drop(one);
  CHECK(*store.use(sum) == 3);
  store.use(one).update(5);
  CHECK(*store.use(sum) == 7);
}

TEST_CASE("48. A cycle is an error that names an atom, and ends with its cause") {
  AtomStore store;
  CHECK_THROWS_AS(store.use(egg).value(), atom::CycleError);
  CHECK_THROWS_WITH(store.use(chicken).value(),
                    ContainsSubstring("derived.") && ContainsSubstring("computed from itself"));
  store.use(use_one).update(false);
  CHECK(*store.use(egg) == 1);
  store.use(use_one).update(true);
  CHECK_THROWS_AS(store.use(egg).value(), atom::CycleError);
}

TEST_CASE("48. A function cannot drop the atom that it computes") {
  static AtomStore* its_store = nullptr;
  static const Derived<int> suicidal{"derived.suicidal", [](auto& get) {
                                       const int number = get(one);
                                       if (number > 1) its_store->drop(*its_store->get("derived.suicidal"));
                                       return number;
                                     }};
  AtomStore store;
  its_store = &store;
  CHECK(*store.use(suicidal) == 1);
  store.use(one).update(2);
  CHECK_THROWS_AS(store.use(suicidal).value(), atom::Error);
  store.use(one).update(0);
  CHECK(*store.use(suicidal) == 0);
  store.drop(suicidal);
}

TEST_CASE("48. A chain of 1000 derived atoms is computed, a longer one is an error and no stack overflow") {
  static std::vector<std::unique_ptr<const Derived<int>>> chain;
  for (std::size_t i = 0; i < 1001; ++i) {
    chain.push_back(std::make_unique<const Derived<int>>(
        "derived.chain." + std::to_string(i), [i](auto& get) { return i == 0 ? get(one) : get(*chain[i - 1]) + 1; }));
  }
  AtomStore store;
  CHECK_THROWS_WITH(store.use(*chain[1000]).value(), ContainsSubstring("derived.chain.0") && ContainsSubstring("1000"));
  CHECK(*store.use(*chain[0]) == 1);
  AtomStore another;
  CHECK(*another.use(*chain[999]) == 1000);
  another.use(one).update(2);
  CHECK(*another.use(*chain[999]) == 1001);
  CHECK(*another.use(*chain[1000]) == 1002);  // what is there need not be computed for it
  chain.clear();
}

TEST_CASE("What a function writes while it reads counts: its value is what the inputs make in the end") {
  static AtomStore* its_store = nullptr;
  static const Atom<int> base{"derived.base", 1};
  static const Atom<int> setting{"derived.setting", atom::Factory{[] {
                                   its_store->use(base).update(10);
                                   return 100;
                                 }}};
  static const Derived<int> both{"derived.both", [](auto& get) {
                                   const int first = get(base);
                                   return first + get(setting);
                                 }};
  static const Derived<int> more{"derived.more", [](auto& get) { return get(both) + 1; }};
  static const Derived<int> settles{"derived.settles", [](auto& get) {
                                      const int now = get(base);
                                      if (now < 20) its_store->use(base).update(now + 1);
                                      return now;
                                    }};
  static const Derived<int> restless{"derived.restless", [](auto& get) {
                                       const int now = get(base);
                                       its_store->use(base).update(now + 1);
                                       return now;
                                     }};
  AtomStore store;
  its_store = &store;
  store.use(base);
  SECTION("when it is read") {
    CHECK(*store.use(both) == 110);
    CHECK(*store.use(both) == 110);
  }
  SECTION("when it is read by another one") {
    CHECK(*store.use(more) == 111);
    store.use(base).update(1);
    CHECK(*store.use(more) == 102);
  }
  SECTION("until it writes no more") {
    CHECK(*store.use(settles) == 20);
    store.use(base).silent_update(5);
    CHECK(*store.use(settles) == 20);
  }
  SECTION("and a listener is told that value") {
    std::vector<int> told;
    store.use(settles).on_change([&](int now) { told.push_back(now); });
    store.use(base).update(3);
    store.use(base).update(30);
    CHECK(told == std::vector<int>{30});
  }
  SECTION("and is an error if that never ends") {
    CHECK_THROWS_AS(store.use(restless).value(), atom::CycleError);
    CHECK_THROWS_WITH(store.use(restless).value(), ContainsSubstring("derived.restless"));
  }
}

TEST_CASE("What an input writes while it is looked at counts, also where that input stays the same") {
  static AtomStore* its_store = nullptr;
  static const Atom<int> written{"derived.written", 0};
  static const Derived<int> writing{"derived.writing", [](auto& get) {
                                      its_store->use(written).silent_update(get(one));
                                      return 1;
                                    }};
  static const Derived<int> after{"derived.after", [](auto& get) {
                                    const int before = get(written);
                                    return before + get(writing);
                                  }};
  AtomStore store;
  its_store = &store;
  CHECK(*store.use(after) == 2);
  store.use(one).update(5);
  CHECK(*store.use(after) == 6);
}

TEST_CASE("A function may undo what it does, with a transaction that throws") {
  static AtomStore* its_store = nullptr;
  static const Derived<int> tried{"derived.tried", [](auto& get) {
                                    const int now = get(one);
                                    CHECK_THROWS_AS(its_store->transaction([] { throw Refused(); }), Refused);
                                    return now + get(two);
                                  }};
  AtomStore store;
  its_store = &store;
  CHECK(*store.use(tried) == 3);
  store.use(two).update(5);
  CHECK(*store.use(tried) == 6);
}

TEST_CASE("A derived atom is in the store's list, and in a snapshot on request") {
  AtomStore store;
  store.use(label);
  CHECK(store.size() == 1);
  CHECK(store.has("derived.label"));
  CHECK(store.get("derived.label") == &store.use(label));
  CHECK(store.get<std::string>("derived.label") == nullptr);  // no Atom: nobody may write it
  CHECK(store.snapshot().empty());
  const atom::Snapshot all = store.snapshot({.derived = true});
  CHECK(all.get<std::string>("derived.label") == "sum 3");
  CHECK(store.has(sum));
}

TEST_CASE("A derived atom is not hydrated, and its key is named") {
  AtomStore store;
  const atom::HydrateReport report = store.hydrate(atom::Snapshot{{"derived.sum", 99}, {"derived.one", 2}});
  REQUIRE(report.rejected.size() == 1);
  CHECK(report.rejected[0].key == "derived.sum");
  CHECK(report.rejected[0].cause == atom::Rejection::Cause::derived);
  CHECK(*store.use(sum) == 4);
}

TEST_CASE("What is computed from a server-only value is server-only, unless it says otherwise") {
  AtomStore store;
  store.use(masked_again);
  store.use(has_token);
  store.use(sum);
  const std::string text = atom::to_json(store.snapshot({.derived = true}), {.audience = atom::Audience::client});
  CHECK(text.find("t...") == text.npos);
  CHECK_THAT(text, ContainsSubstring("\"derived.has_token\":true") && ContainsSubstring("\"derived.sum\":3"));
  CHECK(store.use(masked_again).is_server_only());
  CHECK_FALSE(store.use(has_token).is_server_only());
}

TEST_CASE("What got an exception out of a server-only value is server-only, too") {
  AtomStore store;
  CHECK(*store.use(token_length) == -1);
  CHECK(store.use(token_length).is_server_only());
}

TEST_CASE("An equal value that comes from a server-only one now is server-only, and what reads it") {
  AtomStore store;
  CHECK(*store.use(place_again) == "Paris!!");
  CHECK_FALSE(store.use(place_again).is_server_only());
  store.use(is_hidden).update(true);
  CHECK(*store.use(place_again) == "Paris!!");
  CHECK(store.use(place_again).is_server_only());
  store.use(is_hidden).update(false);
  CHECK(*store.use(place_again) == "Paris!!");
  CHECK_FALSE(store.use(place_again).is_server_only());
}

TEST_CASE("Members and text paths of a derived value are watched and read") {
  AtomStore store;
  auto& derived = store.use(person);
  CHECK(derived->address.city == "Paris");
  CHECK(derived.get<std::string>("address.city") == "Paris");
  CHECK(derived.get<std::string>("address.street", "none") == "none");
  std::vector<std::string> heard;
  derived.watch(&Person::address, &Address::city, [&](const std::string& now) { heard.push_back(now); });
  derived.watch<std::string>("address.city", [&](const std::string& now) { heard.push_back("path " + now); });
  derived.watch(&Person::name, [&] { heard.push_back("name"); });
  store.use(city).update("Rome");
  CHECK(heard == std::vector<std::string>{"Rome", "path Rome"});
  CHECK(store.use(label).length() == 5);
}

TEST_CASE("A value without == counts as changed each time, one that only moves is never copied") {
  AtomStore store;
  int told = 0;
  store.use(incomparable).on_change([&] { ++told; });
  store.use(one).update(2);
  CHECK(told == 1);
  auto& unique = store.use(move_only);
  CHECK(**unique == 2);
  std::vector<std::pair<int, int>> heard;
  unique.on_change(
      [&](const std::unique_ptr<int>& now, const std::unique_ptr<int>& old) { heard.emplace_back(*now, *old); });
  store.use(one).update(3);
  CHECK(heard == std::vector<std::pair<int, int>>{{3, 2}});
}

TEST_CASE("The end of a derived atom is told, and leaves its inputs alone") {
  AtomStore store;
  std::vector<std::string> heard;
  store.use(label).on_destroy([&](const Derived<std::string>& gone) { heard.push_back(std::string(gone.key())); });
  store.use(sum).on_change([&] { heard.push_back("sum"); });
  store.drop(label);
  store.use(one).update(9);
  CHECK(heard == std::vector<std::string>{"derived.label", "sum"});
  CHECK(*store.use(label) == "sum 11");
  store.destroy();
  CHECK(*store.use(label) == "sum 3");
}

TEST_CASE("A listener of an input may drop what is derived from it, and a listener of that its input") {
  AtomStore store;
  int told = 0;
  store.use(sum).on_change([&] { ++told; });
  store.use(one).on_change([&] { store.drop(sum); });
  store.use(one).update(3);
  CHECK(told == 0);
  store.use(sum).on_change([&] { store.drop(two); });
  store.use(two).update(7);
  CHECK(*store.use(sum) == 5);
}

TEST_CASE("A store with derived atoms and listeners ends without a leak, whoever goes first") {
  const long alive = support::Allocations::alive();
  for (int way = 0; way < 4; ++way) {
    AtomStore store;
    auto kept = std::make_shared<int>(0);
    store.use(top).on_change([kept] { ++*kept; });
    store.use(one).update(50);
    CHECK(*kept == 1);
    if (way == 1) store.drop(one);
    if (way == 2) store.drop(top);
    if (way == 3) store.destroy();
  }
  CHECK(support::Allocations::alive() == alive);
}

TEST_CASE("A derived number in a small store allocates nothing") {
  const support::Allocations allocations;
  {
    AtomStore store;
    int heard = 0;
    store.use(sum).on_change([&](const int& now) { heard = now; });
    store.use(one).update(5);
    store.use(two).update(6);
    CHECK(heard == 11);
  }
  CHECK(allocations.count() == 0);
}

TEST_CASE("Inputs that are others at each run, or are dropped and used again, take no memory in the long run") {
  AtomStore store;
  int heard = 0;
  store.use(chosen).on_change([&] { ++heard; });
  int wrong = 0;
  const auto run = [&](int i) {
    store.use(use_one).update(i % 2 == 0);
    store.use(one).update(i);
    wrong += *store.use(chosen) != (i % 2 == 0 ? i : 2);
    store.drop(one);
    wrong += *store.use(parity);
    store.drop(sum);
    wrong += *store.use(parity);
  };
  for (int i = 0; i < 100; ++i) run(i);
  const support::Allocations allocations;
  for (int i = 0; i < 20'000; ++i) run(i);
  CHECK(allocations.count() == 0);
  CHECK(wrong == 0);
  CHECK(heard > 10'000);
}

TEST_CASE("A batch, a transaction and a derived read allocate nothing in the steady state") {
  AtomStore store;
  int heard = 0;
  store.use(parity).on_change([&] { ++heard; });
  int wrong = 0;
  const auto run = [&](int i) {
    store.batch([&] {
      store.use(one).update(i);
      store.use(two).update(i + 1);
    });
    store.transaction([&] { store.use(one).update(i + 1); });
    wrong += !*store.use(parity);
    store.use(one).silent_update(i + 2);
    wrong += *store.use(parity);
  };
  for (int i = 1; i < 10; ++i) run(i);
  const support::Allocations allocations;
  for (int i = 10; i < 1000; ++i) run(i);
  CHECK(allocations.count() == 0);
  CHECK(wrong == 0);
  CHECK(heard > 900);
}

TEST_CASE("now and old stay as they are while a listener runs, whatever it writes and reads") {
  AtomStore store;
  std::vector<std::pair<int, int>> heard;
  store.use(sum).on_change([&](const int& now, const int& old) {
    const std::pair<int, int> before(now, old);
    store.use(one).silent_update(100 + now);
    CHECK(*store.use(sum) == 102 + before.first);
    CHECK(std::pair(now, old) == before);
    heard.push_back(before);
  });
  store.use(one).update(5);
  CHECK(heard == std::vector<std::pair<int, int>>{{7, 3}});
}

}  // namespace
}  // namespace derived_test
