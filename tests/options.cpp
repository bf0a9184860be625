#include <atom/store.hpp>

#include "support/catch.hpp"
#include "support/counted.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using support::ContainsSubstring;

namespace options_test {
namespace {

struct Range {
  int low = 0;
  int high = 0;
  bool operator==(const Range&) const = default;
};

using Log = std::vector<std::string>;

// --------------------------------------------------------------------------------------------------------
// before_update

const atom::Atom<int> even{"options.even",
                           0,
                           {.before_update =
                                [](int&& next, const int&) {
                                  if (next < 0) throw std::domain_error("negative");
                                  return next & ~1;
                                },
                            .client_writable = true}};

/// Adds up: its before_update gives something else each time that it runs.
const atom::Atom<int> sum{
    "options.sum",
    100,
    {.before_update = [](int&& next, const int& current) { return current + next; }, .client_writable = true}};

const atom::Atom<Range> range{"options.range", {}, {.before_update = [](Range&& next, const Range&) {
                                if (next.low > next.high) std::swap(next.low, next.high);
                                return next;
                              }}};

TEST_CASE("What before_update returns is stored") {
  atom::AtomStore store;
  auto& x = store.use(even);
  CHECK(x.update(5));
  CHECK(x.value() == 4);
}

TEST_CASE("before_update sees the next value and the current one") {
  atom::AtomStore store;
  auto& x = store.use(sum);
  x.update(5);
  CHECK(x.value() == 105);
  x.update([](const int& now) { return now; });
  CHECK(x.value() == 210);
}

TEST_CASE("before_update runs for each verb, also for silent ones") {
  atom::AtomStore store;
  auto& x = store.use(range);
  const Range expected{1, 9};
  x.update(Range{9, 1});
  CHECK(x.value() == expected);
  const Range lvalue{8, 2};
  x.update(lvalue);
  CHECK(x.value() == Range{2, 8});
  x.update([](const Range&) { return Range{9, 1}; });
  CHECK(x.value() == expected);
  x.mutate([](Range& now) { now.low = 10; });
  CHECK(x.value() == Range{9, 10});
  x.change(&Range::high, 1);
  CHECK(x.value() == expected);
  x.merge(&Range::low, 8, &Range::high, 2);
  CHECK(x.value() == Range{2, 8});
  x.silent_update(Range{9, 1});
  CHECK(x.value() == expected);
  x.silent_update([](const Range&) { return Range{8, 2}; });
  CHECK(x.value() == Range{2, 8});
  x.silent_change(&Range::low, 9);
  CHECK(x.value() == Range{8, 9});
}

TEST_CASE("before_update never runs for a reset") {
  static int calls;
  static const atom::Atom<int> counting{
      "options.counting", 1, {.before_update = [](int&& next, const int&) { return ++calls, next; }}};
  atom::AtomStore store;
  auto& x = store.use(counting);
  x.update(5);
  calls = 0;
  x.reset();
  x.silent_reset();
  CHECK(calls == 0);
  CHECK(x.value() == 1);
}

TEST_CASE("A value that before_update makes equal to the current one is no change") {
  atom::AtomStore store;
  auto& x = store.use(even);
  int told = 0;
  x.on_change([&] { ++told; });
  CHECK_FALSE(x.update(1));
  CHECK(x.update(3));
  CHECK_FALSE(x.update(3));
  CHECK(told == 1);
  CHECK_FALSE(store.use(range).change(&Range::low, 0));
}

TEST_CASE("A before_update that throws refuses: the value stays, nobody is told, the exception comes out") {
  atom::AtomStore store;
  auto& x = store.use(even);
  x.update(2);
  int told = 0;
  x.on_change([&](int, int) { ++told; });
  CHECK_THROWS_WITH(x.update(-1), "negative");
  CHECK_THROWS_AS(x.update([](const int& now) { return -now; }), std::domain_error);
  CHECK_THROWS_AS(x.mutate([](int& now) { now = -5; }), std::domain_error);
  CHECK_THROWS_AS(x.silent_update(-1), std::domain_error);
  CHECK(x.value() == 2);
  CHECK(told == 0);
  CHECK(x.update(4));
  CHECK(told == 1);
}

TEST_CASE("A mutate that throws goes through before_update, and its own exception comes out") {
  atom::AtomStore store;
  auto& x = store.use(even);
  CHECK_THROWS_AS(x.mutate([](int& now) {
    now = 7;
    throw std::logic_error("half way");
  }),
                  std::logic_error);
  CHECK(x.value() == 6);
  CHECK_THROWS_AS(x.mutate([](int& now) {
    now = -7;
    throw std::runtime_error("half way");
  }),
                  std::runtime_error);
  CHECK(x.value() == 6);
}

TEST_CASE("before_update receives the next value to move from") {
  using Value = support::Counted<struct BeforeTag>;
  static const atom::Atom<Value> passing{
      "options.passing", Value(0), {.before_update = [](Value&& next, const Value&) { return std::move(next); }}};
  atom::AtomStore store;
  auto& x = store.use(passing);
  Value::forget();
  x.update(Value(5));
  CHECK(x->value == 5);
  CHECK(Value::counts().copies == 0);
}

TEST_CASE("A move-only value goes through before_update, too") {
  static const atom::Atom<std::unique_ptr<int>> pointer{
      "options.move_only",
      atom::Factory{[] { return std::make_unique<int>(0); }},
      {.before_update = [](std::unique_ptr<int>&& next, const std::unique_ptr<int>& current) {
        *next += *current;
        return std::move(next);
      }}};
  atom::AtomStore store;
  auto& x = store.use(pointer);
  x.update(std::make_unique<int>(3));
  x.update(std::make_unique<int>(4));
  CHECK(**x == 7);
}

TEST_CASE("Inside before_update the atom can be neither written nor listened to") {
  static atom::Atom<int>* clone;
  static int runs;
  static int refused;
  runs = refused = 0;
  const auto before_update = [](int&& next, const int&) {
    const auto attempt = [](auto act) {
      try {
        act();
      } catch (const atom::Error&) {
        ++refused;
      }
    };
    if (++runs > 1) return next;
    attempt([] { clone->update(50); });
    attempt([] { clone->update([](const int&) { return 50; }); });
    attempt([] { clone->mutate([](int& now) { now = 50; }); });
    attempt([] { clone->reset(); });
    attempt([] { clone->on_change([] {}); });
    return next;
  };
  static const atom::Atom<int> reentrant{"options.reentrant", 0, {.before_update = before_update}};
  atom::AtomStore store;
  clone = &store.use(reentrant);
  clone->silent_update(1);
  CHECK(runs == 1);
  CHECK(refused == 5);
  CHECK(clone->value() == 1);
}

TEST_CASE("before_update runs for what a client sends, and not for a trusted snapshot") {
  for (const bool used : {false, true}) {
    CAPTURE(used);
    atom::AtomStore trusting;
    atom::AtomStore doubting;
    if (used) {
      trusting.use(sum);
      doubting.use(sum);
    }
    const atom::Snapshot snapshot = atom::Snapshot().set(sum, 5);
    CHECK(trusting.hydrate(snapshot).ok());
    CHECK(doubting.hydrate(snapshot, {.trust = atom::Trust::client}).ok());
    CHECK(trusting.use(sum).value() == 5);
    CHECK(doubting.use(sum).value() == 105);
  }
}

TEST_CASE("A value from a client that before_update refuses is rejected, and use never throws for it") {
  for (const bool used : {false, true}) {
    CAPTURE(used);
    atom::AtomStore store;
    if (used) store.use(even).update(2);
    const atom::HydrateReport report = store.hydrate(atom::Snapshot().set(even, -4), {.trust = atom::Trust::client});
    REQUIRE(report.rejected.size() == 1);
    CHECK(report.rejected[0].key == "options.even");
    CHECK(report.rejected[0].cause == atom::Rejection::Cause::refused);
    CHECK_THAT(report.rejected[0].reason, ContainsSubstring("negative"));
    CHECK_NOTHROW(store.use(even));
    CHECK(store.use(even).value() == (used ? 2 : 0));
  }
}

TEST_CASE("Hydrating a store with its own snapshot changes nothing, whatever before_update does") {
  atom::AtomStore store;
  store.use(sum).update(5);
  store.use(even).update(8);
  store.use(range);
  int told = 0;
  store.use(sum).on_change([&] { ++told; });
  const atom::Snapshot before = store.snapshot();
  CHECK(store.hydrate(before, {.notify = true}).ok());
  CHECK(store.snapshot() == before);
  CHECK(store.use(sum).value() == 105);
  CHECK(told == 0);
}

// ------------------------------------------------------------------------------------------------------------
// on_update

Log heard;
const atom::Atom<int> logged{
    "options.logged", 1, {.on_update = [](const int& now, const int& old, atom::Atom<int>& a) {
      heard.push_back(std::to_string(old) + " -> " + std::to_string(now) + (a.is_template() ? " of a template" : ""));
    }}};

TEST_CASE("on_update is the first listener of every clone") {
  heard.clear();
  atom::AtomStore store;
  atom::AtomStore another;
  store.use(logged).on_change([&] { heard.push_back("listener"); });
  store.use(logged).update(2);
  another.use(logged).update(3);
  CHECK(heard == Log{"1 -> 2", "listener", "1 -> 3"});
}

TEST_CASE("on_update hears what change listeners hear") {
  heard.clear();
  atom::AtomStore store;
  auto& x = store.use(logged);
  x.update(1);
  x.silent_update(2);
  CHECK(heard.empty());
  x.mutate([](int& now) { now = 3; });
  x.reset();
  CHECK(heard == Log{"2 -> 3", "3 -> 1"});
  heard.clear();
  x.silent_reset();
  x.reset();
  CHECK(heard.empty());
  store.batch([&] {
    x.update(5);
    x.update(6);
  });
  CHECK(heard == Log{"1 -> 6"});
}

TEST_CASE("An on_update that throws stops nobody, and its exception comes out") {
  static const atom::Atom<int> failing{
      "options.failing", 0, {.on_update = [](const int&, const int&, atom::Atom<int>&) {
        throw std::domain_error("first");
      }}};
  atom::AtomStore store;
  auto& x = store.use(failing);
  int told = 0;
  x.on_change([&] {
    ++told;
    throw std::logic_error("second");
  });
  CHECK_THROWS_WITH(x.update(1), "first");
  CHECK(told == 1);
  CHECK(x.value() == 1);
}

TEST_CASE("on_update may write its atom: everybody then hears of that, too") {
  static const atom::Atom<int> rounding{
      "options.rounding", 0, {.on_update = [](const int& now, const int&, atom::Atom<int>& a) {
        a.update(now / 10 * 10);
      }}};
  atom::AtomStore store;
  auto& x = store.use(rounding);
  std::vector<int> seen;
  x.on_change([&](int now) { seen.push_back(now); });
  x.update(57);
  CHECK(x.value() == 50);
  CHECK(seen == std::vector{57, 50});
}

TEST_CASE("before_update runs before on_update") {
  static Log log;
  static const atom::Atom<int> both{
      "options.both",
      0,
      {.before_update = [](int&& next, const int&) { return next + 1; },
       .on_update = [](const int& now, const int&, atom::Atom<int>&) { log.push_back(std::to_string(now)); }}};
  atom::AtomStore store;
  store.use(both).update(5);
  CHECK(log == Log{"6"});
}

// ------------------------------------------------------------------------------------------------------------------
// get

const atom::Atom<Range> described{
    "options.described", {1, 0}, {.get = [](std::string_view path, const Range& value) -> std::optional<atom::Value> {
      if (path == "low") return atom::Value(value.low);
      if (path == "high") return atom::Value(value.high);
      if (path == "name") return atom::Value("the range");
      if (path == "empty") return atom::Value(std::string());
      return std::nullopt;
    }}};

TEST_CASE("get finds what the option finds at a path") {
  atom::AtomStore store;
  auto& x = store.use(described);
  CHECK(x.get("low", 7) == 1);
  CHECK(x.get<std::string>("name") == "the range");
  x.change(&Range::low, 3);
  CHECK(x.get<int>("low") == 3);
  CHECK(described.get<int>("low") == 1);
}

TEST_CASE("get gives the fallback where there is nothing, and what is empty or zero where there is") {
  atom::AtomStore store;
  auto& x = store.use(described);
  CHECK(x.get("missing", 7) == 7);
  CHECK(x.get<int>("missing") == 0);
  CHECK(x.get("high", 7) == 0);
  CHECK(x.get("empty", std::string("fallback")).empty());
}

TEST_CASE("get converts integers that fit, and refuses other types") {
  atom::AtomStore store;
  auto& x = store.use(described);
  CHECK(x.get<long>("low") == 1);
  CHECK(x.get<unsigned char>("low") == 1);
  CHECK_THROWS_AS(x.get<std::string>("low"), atom::TypeMismatch);
  CHECK_THROWS_AS(x.get<int>("name"), atom::TypeMismatch);
  x.change(&Range::low, -1);
  CHECK_THROWS_AS(x.get<unsigned>("low"), atom::TypeMismatch);
}

TEST_CASE("Without the option get gives the fallback") {
  atom::AtomStore store;
  CHECK(store.use(range).get("low", 7) == 7);
}

// -------------------------------------------------------------------------------------------------------------
// factories

TEST_CASE("A factory runs once for each clone, when it is first used") {
  static int built;
  static const atom::Atom<int> numbered{"options.numbered", atom::Factory{[] { return ++built; }}};
  CHECK(built == 0);
  atom::AtomStore store;
  atom::AtomStore another;
  CHECK(built == 0);
  CHECK(store.use(numbered).value() == 1);
  CHECK(store.use(numbered).value() == 1);
  CHECK(another.use(numbered).value() == 2);
  CHECK(built == 2);
}

TEST_CASE("A reset has the factory build a fresh value") {
  static int built;
  built = 0;
  static const atom::Atom<int> numbered{"options.numbered_reset", atom::Factory{[] { return ++built; }}};
  atom::AtomStore store;
  auto& x = store.use(numbered);
  std::vector<std::pair<int, int>> seen;
  x.on_change([&](int now, int old) { seen.emplace_back(now, old); });
  CHECK(x.reset());
  CHECK(x.value() == 2);
  CHECK(seen == std::vector{std::pair{2, 1}});
  x.silent_reset();
  CHECK(x.value() == 3);
  CHECK(seen.size() == 1);
}

TEST_CASE("A reset to a fresh value that is equal to the one before tells reset listeners only") {
  static const atom::Atom<int> made{"options.made_equal", atom::Factory{[] { return 5; }}};
  atom::AtomStore store;
  auto& x = store.use(made);
  Log log;
  x.on_change([&] { log.push_back("change"); });
  x.on_reset([&] { log.push_back("reset"); });
  CHECK_FALSE(x.reset());
  CHECK(log == Log{"reset"});
}

TEST_CASE("A factory that throws leaves no clone, and may be tried again") {
  static bool fails;
  fails = true;
  static const atom::Atom<std::unique_ptr<int>> fragile{"options.fragile", atom::Factory{[] {
                                                          if (fails) throw std::domain_error("no connection");
                                                          return std::make_unique<int>(5);
                                                        }}};
  atom::AtomStore store;
  CHECK_THROWS_AS(store.use(fragile), std::domain_error);
  CHECK(store.empty());
  CHECK_FALSE(store.has(fragile));
  CHECK(store.get("options.fragile") == nullptr);
  fails = false;
  CHECK(**store.use(fragile) == 5);
}

TEST_CASE("A reset whose factory throws leaves the value") {
  static bool fails;
  fails = false;
  static const atom::Atom<int> fragile{"options.fragile_reset", atom::Factory{[] {
                                         if (fails) throw std::domain_error("no connection");
                                         return 5;
                                       }}};
  atom::AtomStore store;
  auto& x = store.use(fragile);
  x.update(6);
  Log log;
  x.on_change([&] { log.push_back("change"); });
  x.on_reset([&] { log.push_back("reset"); });
  fails = true;
  CHECK_THROWS_AS(x.reset(), std::domain_error);
  CHECK(x.value() == 6);
  CHECK(log.empty());
}

TEST_CASE("A template with a factory has no value and no default: an error says to take a clone") {
  static const atom::Atom<int> made{"options.made", atom::Factory{[] { return 5; }}};
  CHECK_THROWS_WITH(made.value(), ContainsSubstring("options.made") && ContainsSubstring("store.use(atom)"));
  CHECK_THROWS_AS(*made, atom::Error);
  CHECK_THROWS_AS(made.default_value(), atom::Error);
  atom::AtomStore store;
  CHECK_THROWS_AS(store.use(made).default_value(), atom::Error);
  CHECK_THROWS_AS(std::as_const(store).value(atom::Atom<int>("options.made_unused", atom::Factory{[] { return 5; }})),
                  atom::Error);
}

TEST_CASE("A factory may use another atom of the store") {
  static atom::AtomStore* current;
  static const atom::Atom<int> base{"options.base", 20};
  static const atom::Atom<int> built{"options.built", atom::Factory{[] { return current->use(base).value() + 1; }}};
  atom::AtomStore store;
  current = &store;
  CHECK(store.use(built).value() == 21);
  CHECK(store.size() == 2);
  CHECK(store.list().begin()->key() == "options.base");
}

TEST_CASE("Factories may use atoms with factories, however deep") {
  static atom::AtomStore* current;
  constexpr int depth = 100;
  std::vector<std::unique_ptr<const atom::Atom<int>>> chain;
  for (int i = 0; i < depth; ++i) {
    chain.push_back(std::make_unique<const atom::Atom<int>>(
        "options.deep" + std::to_string(i), atom::Factory{[&chain, i] {
          return i == 0 ? 1 : current->use(*chain[static_cast<std::size_t>(i - 1)]).value() + 1;
        }}));
  }
  atom::AtomStore store;
  current = &store;
  CHECK(store.use(*chain.back()).value() == depth);
  CHECK(store.size() == depth);
}

TEST_CASE("A factory and options go together") {
  static const atom::Atom<int> made{"options.made_even",
                                    atom::Factory{[] { return 3; }},
                                    {.before_update = [](int&& next, const int&) { return next & ~1; }}};
  atom::AtomStore store;
  CHECK(store.use(made).value() == 3);
  store.use(made).update(5);
  CHECK(store.use(made).value() == 4);
}

TEST_CASE("A factory is kept as long as anybody may need it") {
  atom::AtomStore store;
  atom::Atom<int>* x = nullptr;
  {
    const auto state = std::make_shared<int>(5);
    const atom::Atom<int> made{"options.made_local", atom::Factory{[state] { return *state; }}};
    x = &store.use(made);
  }
  x->update(6);
  CHECK(x->reset());
  CHECK(x->value() == 5);
}

}  // namespace
}  // namespace options_test
