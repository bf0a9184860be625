// Which types an atom may hold, and what each costs.
#include <atom/store.hpp>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/counted.hpp"

#include <array>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <memory_resource>
#include <mutex>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

using support::ContainsSubstring;

namespace types_test {
namespace {

// ---------------------------------------------------------------------------------------------------- move-only values

struct Connection {
  int queries = 0;
};
const atom::Atom<std::unique_ptr<Connection>> connection{"types.connection",
                                                         atom::Factory{[] { return std::make_unique<Connection>(); }}};

TEST_CASE("A move-only value is built for each clone, and can be updated, mutated and reset") {
  atom::AtomStore store;
  atom::AtomStore another;
  auto& x = store.use(connection);
  CHECK(x.value().get() != another.use(connection).value().get());
  x.mutate([](std::unique_ptr<Connection>& now) { now->queries = 3; });
  CHECK((*x)->queries == 3);
  CHECK(x.update(std::make_unique<Connection>(Connection{7})));
  CHECK((*x)->queries == 7);
  CHECK(x.update([](const std::unique_ptr<Connection>& now) {
    return std::make_unique<Connection>(Connection{now->queries + 1});
  }));
  CHECK((*x)->queries == 8);
  CHECK(x.reset());
  CHECK((*x)->queries == 0);
  CHECK((*another.use(connection))->queries == 0);
}

TEST_CASE("Listeners of a move-only value see the one before an update, without a copy") {
  atom::AtomStore store;
  auto& x = store.use(connection);
  std::vector<int> seen;
  x.on_change([&](const std::unique_ptr<Connection>& now, const std::unique_ptr<Connection>& old) {
    seen = {now->queries, old->queries};
  });
  x.update(std::make_unique<Connection>(Connection{7}));
  CHECK(seen == std::vector{7, 0});
}

TEST_CASE("A move-only value cannot be mutated where somebody wants the value before: an error says why") {
  atom::AtomStore store;
  auto& x = store.use(connection);
  x.on_change([&](const std::unique_ptr<Connection>&) {});
  CHECK_NOTHROW(x.mutate([](std::unique_ptr<Connection>& now) { now->queries = 1; }));
  x.on_change([&](const std::unique_ptr<Connection>&, const std::unique_ptr<Connection>&) {});
  CHECK_THROWS_WITH(x.mutate([](std::unique_ptr<Connection>& now) { now->queries = 2; }),
                    ContainsSubstring("types.connection") && ContainsSubstring("cannot be copied"));
  CHECK((*x)->queries == 1);
}

TEST_CASE("In a batch that mutated a move-only value nobody can subscribe who wants the value before") {
  atom::AtomStore store;
  auto& x = store.use(connection);
  int told = 0;
  x.on_change([&] { ++told; });
  store.batch([&] {
    x.mutate([](std::unique_ptr<Connection>& now) { now->queries = 1; });
    CHECK_THROWS_AS(x.on_change([&](const auto&, const auto&) { told += 100; }), atom::Error);
    x.on_change([&](const auto&) { ++told; });
  });
  CHECK(told == 2);
  CHECK_NOTHROW(x.on_change([](const auto&, const auto&) {}));
}

TEST_CASE("A move-only type needs neither default nor factory if it can be default-constructed") {
  static const atom::Atom<std::unique_ptr<const int>> number{"types.move_only_default"};
  atom::AtomStore store;
  auto& x = store.use(number);
  CHECK(x.value() == nullptr);
  CHECK(x.update(std::make_unique<const int>(5)));
  CHECK(**x == 5);
  CHECK(x.reset());
  CHECK(x.value() == nullptr);
}

TEST_CASE("A move-only default is shown to each clone until its first write") {
  static const atom::Atom<std::unique_ptr<const int>> number{"types.move_only_given", std::make_unique<const int>(5)};
  atom::AtomStore store;
  auto& x = store.use(number);
  CHECK(**x == 5);
  CHECK_THROWS_AS(x.mutate([](std::unique_ptr<const int>&) {}), atom::Error);
  CHECK(x.update(std::make_unique<const int>(6)));
  CHECK_NOTHROW(x.mutate([](std::unique_ptr<const int>& now) { now.reset(); }));
  CHECK(x.reset());
  CHECK(**x == 5);
}

TEST_CASE("A container of move-only values behaves as a move-only value") {
  static const atom::Atom<std::vector<std::unique_ptr<const int>>> list{"types.move_only_list"};
  atom::AtomStore store;
  auto& x = store.use(list);
  x.mutate([](auto& now) { now.push_back(std::make_unique<const int>(5)); });
  CHECK(x.length() == 1);
  CHECK(*x->front() == 5);
  x.on_change([](const auto&, const auto&) {});
  CHECK_THROWS_AS(x.mutate([](auto& now) { now.clear(); }), atom::Error);
  CHECK(x.update({}));
  CHECK(store.snapshot().empty());
}

// ----------------------------------------------------------------------------------------------------- immovable
// values

struct Meter {
  Meter() = default;
  explicit Meter(int start) : total(start) {}
  void add(int n) const {
    const std::scoped_lock lock(mutex);
    total += n;
  }
  mutable std::mutex mutex;
  mutable int total = 0;
};

TEST_CASE("An immovable value is built in place for each clone") {
  static const atom::Atom<Meter> meter{"types.meter"};
  static const atom::Atom<Meter> made{"types.made_meter", atom::Factory{[] { return Meter(5); }}};
  atom::AtomStore store;
  atom::AtomStore another;
  store.use(meter)->add(2);
  CHECK(store.use(meter)->total == 2);
  CHECK(another.use(meter)->total == 0);
  CHECK(store.use(made)->total == 5);
  CHECK_THROWS_AS(meter.value(), atom::Error);
}

TEST_CASE("An immovable value can be mutated, changed, reset and listened to") {
  static const atom::Atom<Meter> made{"types.changed_meter", atom::Factory{[] { return Meter(5); }}};
  atom::AtomStore store;
  auto& x = store.use(made);
  int calls = 0;
  x.on_change([&] { ++calls; });
  x.mutate([](Meter& now) { now.total = 6; });
  CHECK(x->total == 6);
  CHECK(x.change(&Meter::total, 7));
  CHECK(x->total == 7);
  CHECK(x.reset());
  CHECK(x->total == 5);
  CHECK(calls == 3);
}

// ------------------------------------------------------------------------------------------------ other demanding
// types

struct Port {
  explicit Port(int n) : number(n) {}
  int number;
  bool operator==(const Port&) const = default;
};

TEST_CASE("A type without a default constructor takes a default or a factory") {
  static const atom::Atom<Port> port{"types.port", Port(80)};
  static const atom::Atom<Port> made{"types.made_port", atom::Factory{[] { return Port(443); }}};
  atom::AtomStore store;
  CHECK(store.use(port)->number == 80);
  CHECK(store.use(made)->number == 443);
  CHECK(store.use(port).update(Port(81)));
  CHECK(store.use(port).reset());
  CHECK(store.use(port)->number == 80);
}

struct alignas(64) Line {
  int n = 0;
  bool operator==(const Line&) const = default;
};
bool aligned(const Line& line) {
  return reinterpret_cast<std::uintptr_t>(&line) % 64 == 0;
}

TEST_CASE("An over-aligned value is aligned wherever it lies") {
  static const atom::Atom<Line> line{"types.line"};
  static const atom::Atom<Line> made{"types.made_line", atom::Factory{[] { return Line{3}; }}};
  atom::AtomStore store;
  auto& x = store.use(line);
  CHECK(aligned(line.value()));
  CHECK(aligned(x.value()));
  x.on_change([&](const Line& now, const Line& old) {
    CHECK(aligned(now));
    CHECK(aligned(old));
  });
  x.change(&Line::n, 1);
  x.update(Line{2});
  CHECK(aligned(x.value()));
  CHECK(aligned(store.use(made).value()));
  const atom::Snapshot snapshot = store.snapshot();
  CHECK(aligned(snapshot.get(line)));
  CHECK(aligned(snapshot.get(made)));
  atom::AtomStore another;
  another.hydrate(snapshot);
  CHECK(aligned(another.use(line).value()));
  CHECK(another.use(line)->n == 2);
  x.reset();
  CHECK(x->n == 0);
}

TEST_CASE("A listener that captures something over-aligned finds it aligned") {
  static const atom::Atom<int> count{"types.count"};
  atom::AtomStore store;
  int calls = 0;
  store.use(count).on_change([captured = Line{5}, &calls] { calls += aligned(captured) && captured.n == 5; });
  store.use(count).update(1);
  CHECK(calls == 1);
}

struct Opaque {
  int n = 0;
};

TEST_CASE("A value without == counts as changed with every write") {
  static const atom::Atom<Opaque> opaque{"types.opaque"};
  static const atom::Atom<std::vector<std::vector<Opaque>>> nested{"types.nested_opaque"};
  atom::AtomStore store;
  auto& x = store.use(opaque);
  auto& y = store.use(nested);
  int calls = 0;
  x.on_change([&] { ++calls; });
  y.on_change([&] { ++calls; });
  CHECK(x.update(Opaque{}));
  CHECK(x.update(x.value()));
  CHECK(y.update({{Opaque{}}}));
  CHECK(y.update(y.value()));
  CHECK(calls == 4);
  CHECK(x.change(&Opaque::n, 1));
  CHECK_FALSE(x.change(&Opaque::n, 1));
  store.batch([&] {
    x.update(Opaque{2});
    x.update(Opaque{1});
  });
  CHECK(calls == 6);
}

struct Record {
  const int id = 0;
  const std::string name = {};
  bool operator==(const Record&) const = default;
};

TEST_CASE("A value with const members is replaced as a whole") {
  static const atom::Atom<Record> record{"types.record"};
  atom::AtomStore store;
  auto& x = store.use(record);
  std::vector<std::string> seen;
  CHECK(x.update(Record{1, "one"}));
  CHECK(x.update(Record{2, "two"}));
  CHECK(x->name == "two");
  x.on_change([&](const Record& now, const Record& old) { seen = {now.name, old.name}; });
  CHECK(x.update([](const Record& now) { return Record{now.id + 1, "three"}; }));
  CHECK(seen == std::vector<std::string>{"three", "two"});
  CHECK(x.reset());
  CHECK(x.value() == Record{});
}

TEST_CASE("A small value with const members is replaced as a whole") {
  struct Fixed {
    const int id = 0;
    bool operator==(const Fixed&) const = default;
  };
  static const atom::Atom<Fixed> fixed{"types.fixed"};
  atom::AtomStore store;
  auto& x = store.use(fixed);
  std::vector<int> seen;
  x.on_change([&](const Fixed& now, const Fixed& old) { seen = {now.id, old.id}; });
  CHECK(x.update(Fixed{1}));
  CHECK(x.update(Fixed{2}));
  CHECK(seen == std::vector{2, 1});
}

TEST_CASE("A small value stays as it was for whom it is shown to, whatever a listener writes") {
  static const atom::Atom<std::array<int, 4>> small{"types.small"};
  atom::AtomStore store;
  auto& x = store.use(small);
  x.update({1});
  std::vector<std::pair<int, int>> seen;
  x.on_change([&](const std::array<int, 4>& now, const std::array<int, 4>& old) {
    const auto n = now[0];
    const auto o = old[0];
    if (n < 4) x.mutate([](std::array<int, 4>& v) { ++v[0]; });
    if (n == 2) {
      x.silent_update({10});
      x.silent_update({3});
    }
    CHECK(now[0] == n);
    CHECK(old[0] == o);
    seen.emplace_back(n, o);
  });
  x.update({2});
  CHECK(seen == std::vector<std::pair<int, int>>{{2, 1}, {3, 2}, {4, 3}});
}

TEST_CASE("NaN is no value's equal: writing it counts as a change, reset comes back to it without one") {
  static const atom::Atom<double> level{"types.level", std::numeric_limits<double>::quiet_NaN()};
  atom::AtomStore store;
  auto& x = store.use(level);
  int calls = 0;
  x.on_change([&] { ++calls; });
  CHECK_FALSE(x.reset());
  CHECK(x.update(std::nan("")));
  CHECK(x.update(std::nan("")));
  CHECK(calls == 2);
  CHECK(x.update(1.5));
  CHECK(x.reset());
  CHECK(std::isnan(x.value()));
}

TEST_CASE("Negative zero is equal to zero") {
  static const atom::Atom<double> level{"types.zero"};
  atom::AtomStore store;
  CHECK_FALSE(store.use(level).update(-0.0));
}

TEST_CASE("A bool can be updated, toggled and mutated") {
  static const atom::Atom<bool> flag{"types.flag"};
  atom::AtomStore store;
  auto& x = store.use(flag);
  CHECK(x.update(true));
  CHECK_FALSE(x.update(true));
  CHECK(x.update([](bool now) { return !now; }));
  CHECK_FALSE(x.value());
  x.mutate([](bool& now) { now = true; });
  CHECK(x.value());
}

enum class Theme { light, dark };

TEST_CASE("An enum is a value like any") {
  static const atom::Atom<Theme> theme{"types.theme", Theme::dark};
  atom::AtomStore store;
  CHECK(store.use(theme).value() == Theme::dark);
  CHECK(store.use(theme).update(Theme::light));
  CHECK_FALSE(store.use(theme).update(Theme::light));
  CHECK(store.snapshot().get(theme) == Theme::light);
}

using Table = std::array<int, 10'000>;

TEST_CASE("A big value is shared until the first write, and then the clone's own") {
  static const atom::Atom<Table> table{"types.table", Table{1, 2, 3}};
  atom::AtomStore store;
  auto& x = store.use(table);
  CHECK(&x.value() == &table.value());
  x.mutate([](Table& now) { now[9'999] = 7; });
  CHECK((*x)[9'999] == 7);
  CHECK((*x)[2] == 3);
  CHECK(table.value()[9'999] == 0);
  CHECK(x.update([](const Table& now) {
    Table next = now;
    next[0] = 5;
    return next;
  }));
  CHECK((*x)[0] == 5);
  CHECK(x.reset());
  CHECK(&x.value() == &table.value());
}

TEST_CASE("A vector of bool is a value like any") {
  static const atom::Atom<std::vector<bool>> flags{"types.flags", std::vector<bool>{true, false}};
  atom::AtomStore store;
  auto& x = store.use(flags);
  x.mutate([](std::vector<bool>& now) { now.push_back(true); });
  CHECK(x.value() == std::vector<bool>{true, false, true});
  CHECK_FALSE(x.update(std::vector<bool>{true, false, true}));
  CHECK(x.length() == 3);
  CHECK(store.snapshot().get(flags).size() == 3);
}

TEST_CASE("An optional can be filled, emptied and compared") {
  static const atom::Atom<std::optional<int>> maybe{"types.maybe"};
  atom::AtomStore store;
  auto& x = store.use(maybe);
  CHECK_FALSE(x.update(std::nullopt));
  CHECK(x.update(0));
  CHECK(x.value() == 0);
  CHECK(x.update([](const std::optional<int>& now) { return now ? std::optional<int>() : 1; }));
  CHECK_FALSE(x.value());
}

TEST_CASE("A variant is compared by alternative and value") {
  static const atom::Atom<std::variant<int, std::string>> choice{"types.choice"};
  atom::AtomStore store;
  auto& x = store.use(choice);
  CHECK_FALSE(x.update(0));
  CHECK(x.update("text"));
  CHECK(std::get<std::string>(*x) == "text");
  CHECK(x.reset());
  CHECK(x->index() == 0);
}

struct Json : std::variant<int, std::vector<Json>> {
  using variant::variant;
};

TEST_CASE("A class derived from a variant is a value like any") {
  static const atom::Atom<Json> json{"types.json", Json(1)};
  atom::AtomStore store;
  CHECK(store.use(json).update(Json(std::vector<Json>{2, 3})));
  CHECK(store.use(json)->index() == 1);
}

TEST_CASE("Pairs, tuples and maps are values like any") {
  static const atom::Atom<std::pair<int, std::string>> pair{"types.pair", {1, "one"}};
  static const atom::Atom<std::tuple<int, bool>> tuple{"types.tuple"};
  static const atom::Atom<std::map<std::string, int>> map{"types.map"};
  atom::AtomStore store;
  CHECK(store.use(pair).change(&std::pair<int, std::string>::second, "two"));
  CHECK(store.use(pair).value() == std::pair<int, std::string>(1, "two"));
  CHECK_FALSE(store.use(tuple).update({0, false}));
  CHECK(store.use(tuple).update({1, false}));
  store.use(map).mutate([](auto& now) { now["a"] = 1; });
  CHECK(store.use(map).length() == 1);
  CHECK_FALSE(store.use(map).update({{"a", 1}}));
}

TEST_CASE("Pointers to what does not change may be shared") {
  static const int target = 5;
  static const atom::Atom<const int*> pointer{"types.const_pointer", &target};
  static const atom::Atom<std::shared_ptr<const int>> shared{"types.shared", std::make_shared<const int>(6)};
  static const atom::Atom<std::string_view> view{"types.view", std::string_view("static")};
  atom::AtomStore store;
  CHECK(*store.use(pointer).value() == 5);
  CHECK(*store.use(shared).value() == 6);
  CHECK(store.use(view).value() == "static");
}

TEST_CASE("A pointer to a function is a value like any") {
  static const atom::Atom<int (*)(int)> function{"types.function", [](int n) { return n + 1; }};
  atom::AtomStore store;
  CHECK(store.use(function).value()(1) == 2);
}

TEST_CASE("A pointer to something mutable comes from a factory, and is never in a snapshot") {
  static const atom::Atom<std::shared_ptr<int>> shared{"types.made_shared",
                                                       atom::Factory{[] { return std::make_shared<int>(1); }}};
  atom::AtomStore store;
  atom::AtomStore another;
  *store.use(shared).value() = 2;
  CHECK(*another.use(shared).value() == 1);
  CHECK(store.snapshot().empty());
}

// ------------------------------------------------------------------------------------------------------ copies and
// moves

TEST_CASE("use copies and compares nothing") {
  using Value = support::Counted<struct UseTag>;
  static const atom::Atom<Value> value{"types.used", Value(1)};
  Value::forget();
  const int alive = Value::counts().alive;
  atom::AtomStore store;
  CHECK(store.use(value).value().value == 1);
  CHECK(store.value(value).value == 1);
  CHECK(Value::counts().copies == 0);
  CHECK(Value::counts().moves == 0);
  CHECK(Value::counts().comparisons == 0);
  CHECK(Value::counts().alive == alive);
}

TEST_CASE("update moves its value once") {
  using Value = support::Counted<struct UpdateTag>;
  static const atom::Atom<Value> value{"types.updated"};
  atom::AtomStore store;
  auto& x = store.use(value);
  for (const bool heard : {false, true}) {
    if (heard) x.on_change([](const Value&, const Value&) {});
    for (int n = 1; n < 4; ++n) {
      Value next(heard ? 10 + n : n);
      Value::forget();
      CHECK(x.update(std::move(next)));
      CAPTURE(heard, n);
      CHECK(Value::counts().copies == 0);
      CHECK(Value::counts().moves == 1);
    }
  }
  CHECK(x->value == 13);
}

TEST_CASE("An update with an lvalue copies it once and leaves it alone") {
  using Value = support::Counted<struct LvalueTag>;
  static const atom::Atom<Value> value{"types.updated_lvalue"};
  atom::AtomStore store;
  const Value next(5);
  Value::forget();
  CHECK(store.use(value).update(next));
  CHECK(Value::counts().copies == 1);
  CHECK(next.value == 5);
}

TEST_CASE("mutate copies the default once, and then changes the atom's own value") {
  using Value = support::Counted<struct MutateTag>;
  static const atom::Atom<Value> value{"types.mutated"};
  atom::AtomStore store;
  auto& x = store.use(value);
  Value::forget();
  x.mutate([](Value& now) { now.value = 1; });
  CHECK(Value::counts().copies == 1);
  x.on_change([](const Value&) {});
  x.mutate([](Value& now) { now.value = 2; });
  CHECK(Value::counts().copies == 1);
  CHECK(Value::counts().moves == 0);
}

TEST_CASE("A reset copies nothing") {
  using Value = support::Counted<struct ResetTag>;
  static const atom::Atom<Value> value{"types.reset"};
  atom::AtomStore store;
  auto& x = store.use(value);
  x.update(Value(1));
  Value::forget();
  CHECK(x.reset());
  CHECK(Value::counts().copies == 0);
  CHECK(Value::counts().moves == 0);
}

TEST_CASE("A factory builds its value in place") {
  using Value = support::Counted<struct FactoryTag>;
  static const atom::Atom<Value> value{"types.built", atom::Factory{[] { return Value(3); }}};
  Value::forget();
  const int alive = Value::counts().alive;
  {
    atom::AtomStore store;
    CHECK(store.use(value)->value == 3);
    CHECK(Value::counts().copies == 0);
    CHECK(Value::counts().moves == 0);
    CHECK(Value::counts().alive == alive + 1);
    store.use(value).reset();
    CHECK(Value::counts().alive == alive + 1);
  }
  CHECK(Value::counts().alive == alive);
}

TEST_CASE("Hydrating with a shared or a moved snapshot copies no value, nor does the first use") {
  using Value = support::Counted<struct HydrateTag>;
  static const atom::Atom<Value> first{"types.hydrated"};
  static const atom::Atom<Value> second{"types.hydrated_too"};
  atom::Snapshot made;
  made.set(first, Value(1)).set(second, Value(2));
  atom::Snapshot moved = made;
  const auto shared = std::make_shared<const atom::Snapshot>(std::move(made));
  Value::forget();
  atom::AtomStore store;
  atom::AtomStore another;
  store.use(first);
  store.hydrate(shared);
  another.hydrate(std::move(moved));
  CHECK(store.use(first)->value == 1);
  CHECK(store.use(second)->value == 2);
  CHECK(another.use(first)->value == 1);
  CHECK(Value::counts().copies == 0);
}

TEST_CASE("A snapshot refers to untouched defaults instead of copying them") {
  using Value = support::Counted<struct SnapshotTag>;
  static const atom::Atom<Value> value{"types.snapshot", Value(1)};
  atom::AtomStore store;
  store.use(value);
  Value::forget();
  const atom::Snapshot snapshot = store.snapshot();
  const atom::Snapshot copy = snapshot;
  CHECK(copy.get(value).value == 1);
  CHECK(Value::counts().copies == 0);
}

TEST_CASE("No value outlives its store") {
  using Value = support::Counted<struct LifeTag>;
  static const atom::Atom<Value> value{"types.life"};
  const int alive = Value::counts().alive;
  {
    atom::AtomStore store;
    auto& x = store.use(value);
    x.on_change([](const Value&, const Value&) {});
    x.update(Value(1));
    x.mutate([](Value& now) { now.value = 2; });
    store.batch([&] {
      x.update(Value(3));
      x.update(Value(4));
    });
    x.on_change([&](const Value& now) {
      if (now.value < 9) x.update(Value(now.value + 1));
    });
    x.update(Value(5));
    CHECK(x->value == 9);
    CHECK(Value::counts().alive == alive + 1);
  }
  CHECK(Value::counts().alive == alive);
}

// -------------------------------------------------------------------------------------------------- values that throw

struct Explosive {
  explicit Explosive(int v = 0) : value(v) {}
  Explosive(const Explosive& other) : value(other.value) { count(); }
  Explosive(Explosive&& other) : value(other.value) { count(); }
  Explosive& operator=(const Explosive& other) {
    count();
    value = other.value;
    return *this;
  }
  Explosive& operator=(Explosive&& other) {
    count();
    value = other.value;
    return *this;
  }
  friend bool operator==(const Explosive& a, const Explosive& b) {
    count();
    return a.value == b.value;
  }
  static void count() {
    if (fuse > 0 && --fuse == 0) throw std::domain_error("boom");
  }
  static inline int fuse = 0;  // operations until one throws; 0: none will
  int value;
};
const atom::Atom<Explosive> explosive{"types.explosive", Explosive(1)};

/// Lets each operation of `write` throw in turn, until it gets through.
template <class Write>
int each_failure(Write write, bool heard) {
  int failures = 0;
  for (int fuse = 1;; ++fuse) {
    Explosive::fuse = 0;
    atom::AtomStore store;
    auto& x = store.use(explosive);
    int told = 0;
    if (heard) x.on_change([&](const Explosive&, const Explosive&) { ++told; });
    x.update(Explosive(2));
    told = 0;
    Explosive next(3);
    Explosive::fuse = fuse;
    try {
      write(x, next);
      Explosive::fuse = 0;
      CHECK(x->value != 2);
      return failures;
    } catch (const std::domain_error&) {
      ++failures;
      Explosive::fuse = 0;
      CHECK(x->value == 2);
      CHECK(told == 0);
      CHECK(x.update(Explosive(4)));
      CHECK(x->value == 4);
      CHECK(told == (heard ? 1 : 0));
    }
  }
}

TEST_CASE("A copy, a move or a comparison that throws leaves the value as it was and the atom in order") {
  for (const bool heard : {false, true}) {
    CAPTURE(heard);
    CHECK(each_failure([](auto& x, Explosive& next) { x.update(std::move(next)); }, heard) > 1);
    CHECK(each_failure([](auto& x, Explosive& next) { x.update(next); }, heard) > 1);
    CHECK(each_failure([](auto& x, Explosive& next) { x.update([&](const Explosive&) { return next; }); }, heard) > 1);
    CHECK(each_failure([](auto& x, Explosive& next) { x.silent_update(next); }, heard) > 1);
    CHECK(each_failure([](auto& x, Explosive&) { x.reset(); }, heard) > 0);
  }
  CHECK(each_failure([](auto& x, Explosive&) { x.mutate([](Explosive& now) { now.value = 9; }); }, true) > 0);
}

TEST_CASE("A comparison that throws within a batch counts as a change, and comes out of the batch") {
  atom::AtomStore store;
  auto& x = store.use(explosive);
  int told = 0;
  x.on_change([&] { ++told; });
  CHECK_THROWS_AS(store.batch([&] {
    x.update(Explosive(2));
    x.update(Explosive(1));
    Explosive::fuse = 1;
  }),
                  std::domain_error);
  CHECK(told == 1);
  CHECK(x->value == 1);
}

struct Jealous {
  explicit Jealous(int v) : value(v) { ++alive; }
  Jealous(const Jealous& other) : value(other.value) { ++alive; }
  Jealous& operator=(const Jealous&) = default;
  ~Jealous() { --alive; }
  friend bool operator==(const Jealous&, const Jealous&) { throw std::domain_error("compared"); }
  static inline int alive = 0;
  int value;
};

TEST_CASE("A reset whose comparison throws leaves the value, and does not lose what the factory built") {
  {
    const atom::Atom<Jealous> jealous{"types.jealous", atom::Factory{[] { return Jealous(1); }}};
    atom::AtomStore store;
    auto& x = store.use(jealous);
    const Jealous* const before = &x.value();
    CHECK_THROWS_AS(x.reset(), std::domain_error);
    CHECK(&x.value() == before);
    CHECK(Jealous::alive == 1);
  }
  CHECK(Jealous::alive == 0);
}

// ---------------------------------------------------------------------------------------------------- the store's
// memory

constexpr const char* long_text = "a text that is too long for the small buffer of a string";
const atom::Atom<std::pmr::string> pmr_text{"types.pmr_text", std::pmr::string(long_text)};
const atom::Atom<std::pmr::vector<std::pmr::string>> pmr_list{"types.pmr_list"};

TEST_CASE("A request with values on the store's memory allocates nothing while they fit") {
  const std::pmr::string outside = "another text that is too long for the small buffer";
  const support::Allocations allocations;
  std::size_t heard = 0;
  {
    atom::AtomStore store(std::pmr::null_memory_resource());
    auto& x = store.use(pmr_text);
    auto& y = store.use(pmr_list);
    x.on_change([&](const std::pmr::string& now, const std::pmr::string& old) { heard += now.size() + old.size(); });
    x.mutate([](std::pmr::string& now) { now += ", and longer"; });
    x.update(outside);
    x.update(std::pmr::string("a third text that is too long for the small buffer", store.resource()));
    y.mutate([](auto& now) {
      now.emplace_back("one more text that is too long for the small buffer");
      now.emplace_back("short");
    });
    y.reset();
    x.reset();
  }
  const std::size_t count = allocations.count();
  CHECK(count == 0);
  CHECK(heard > 300);
}

TEST_CASE("Values are built on the store's memory, wherever they come from") {
  atom::AtomStore store;
  atom::AtomStore another;
  auto& x = store.use(pmr_text);
  const auto on_store = [&] { return x->get_allocator().resource() == store.resource(); };
  CHECK(x.update(std::pmr::string("from the heap, and too long for the small buffer")));
  CHECK(on_store());
  const std::pmr::string lvalue = "from an lvalue, and too long for the small buffer";
  CHECK(x.update(lvalue));
  CHECK(on_store());
  CHECK(x.update([](const std::pmr::string& now) { return now + "!"; }));
  CHECK(on_store());
  another.use(pmr_text).update(std::pmr::string("from another store, and too long for the buffer"));
  CHECK(x.update(another.use(pmr_text).value()));
  CHECK(on_store());
  another.use(pmr_text).mutate([&](std::pmr::string& now) {
    now += "!";
    CHECK(x.update(std::move(now)));
  });
  CHECK(on_store());
  CHECK(x.value() == "from another store, and too long for the buffer!");
}

TEST_CASE("What a container on the store's memory holds lies there, too") {
  atom::AtomStore store;
  auto& x = store.use(pmr_list);
  x.mutate([](auto& now) { now.emplace_back(long_text); });
  CHECK(x->get_allocator().resource() == store.resource());
  CHECK(x->front().get_allocator().resource() == store.resource());
}

TEST_CASE("What a factory builds is moved onto the store's memory") {
  static const atom::Atom<std::pmr::string> made{"types.pmr_made",
                                                 atom::Factory{[] { return std::pmr::string(long_text); }}};
  atom::AtomStore store;
  CHECK(store.use(made)->get_allocator().resource() == store.resource());
  store.use(made).reset();
  CHECK(store.use(made)->get_allocator().resource() == store.resource());
}

struct Note {
  using allocator_type = std::pmr::polymorphic_allocator<>;
  Note(allocator_type allocator = {}) : text(allocator) {}
  Note(const Note& other, allocator_type allocator = {}) : text(other.text, allocator) {}
  Note& operator=(const Note&) = default;
  bool operator==(const Note&) const = default;
  std::pmr::string text;
};

TEST_CASE("A class of one's own that takes an allocator gets the store's memory") {
  static const atom::Atom<Note> note{"types.note"};
  atom::AtomStore store;
  auto& x = store.use(note);
  CHECK(x.change(&Note::text, std::pmr::string(long_text)));
  CHECK(x->text.get_allocator().resource() == store.resource());
  CHECK(x->text == long_text);
}

TEST_CASE("When the store's memory is exhausted, an update throws and leaves the value as it was") {
  atom::AtomStore store(std::pmr::null_memory_resource());
  auto& x = store.use(pmr_text);
  x.update(std::pmr::string("kept, though too long for the small buffer", store.resource()));
  int told = 0;
  x.on_change([&] { ++told; });
  const std::pmr::string huge(100'000, 'x');
  CHECK_THROWS_AS(x.update(huge), std::bad_alloc);
  CHECK_THROWS_AS(x.update(std::pmr::string(huge)), std::bad_alloc);
  CHECK(x.value() == "kept, though too long for the small buffer");
  CHECK(told == 0);
  CHECK(x.update(std::pmr::string("short")));
  CHECK(told == 1);
}

TEST_CASE("A snapshot does not lie on the store's memory") {
  atom::Snapshot snapshot;
  {
    atom::AtomStore store;
    store.use(pmr_text).update(std::pmr::string("a value that outlives its store, on the heap"));
    snapshot = store.snapshot();
  }
  CHECK(snapshot.get(pmr_text) == "a value that outlives its store, on the heap");
}

/// Its assignment writes one half, then throws; it moves without.
struct HalfAssigned {
  int first = 0;
  int second = 0;
  HalfAssigned(int a, int b) : first(a), second(b) {}
  HalfAssigned(HalfAssigned&&) noexcept = default;
  HalfAssigned(const HalfAssigned&) = default;
  HalfAssigned& operator=(HalfAssigned&& other) noexcept(false) {
    first = other.first;
    throw std::runtime_error("half");
  }
  HalfAssigned& operator=(const HalfAssigned&) = delete;
  bool operator==(const HalfAssigned&) const = default;
};
const atom::Atom<HalfAssigned> half_assigned{"types.half_assigned", HalfAssigned(0, 0)};

TEST_CASE("A value whose assignment may throw is never assigned, so an update cannot leave half of it") {
  atom::AtomStore store;
  auto& clone = store.use(half_assigned);
  for (int i = 1; i < 4; ++i) {
    CHECK(clone.update(HalfAssigned(i, i)));
    CHECK(clone.value() == HalfAssigned(i, i));
  }
}

}  // namespace
}  // namespace types_test
