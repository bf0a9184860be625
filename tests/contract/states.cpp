// One state: how it comes to be, what it holds, and how it ends.
#include "contract/contract.hpp"

#include <atom/atom.hpp>
#include <atom/fields.hpp>

#include <cstdint>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace contract_states {
namespace {

using atom::Scope;
using atom::State;
using atom::StateErrorCode;
using atom::StateOptions;
using contract::code_thrown_by;
using contract::number;

struct Item {
  std::string name;
  std::int64_t count = 0;
  bool operator==(const Item&) const = default;
  static constexpr auto atom_fields() {
    return atom::describe(atom::field("name", &Item::name), atom::field("count", &Item::count));
  }
};
struct Cart {
  std::vector<Item> items;
  std::optional<std::string> coupon;
  bool operator==(const Cart&) const = default;
  static constexpr auto atom_fields() {
    return atom::describe(atom::field("items", &Cart::items), atom::field("coupon", &Cart::coupon));
  }
};

const StateOptions votes{.key = "votes", .scope = Scope::global()};

// ---- How it comes to be

TEST_CASE("a state has its default until it is written, which is no value", "[case66][case77]") {
  const auto states = contract::open();
  const State<std::int64_t> state = states->get_state<std::int64_t>(7, votes);
  CHECK(state.get() == 7);
  CHECK(state.load() == 7);
  CHECK(state.version() == 0);
  CHECK(state.load_versioned().version == 0);
  CHECK_FALSE(state.has_value());
  CHECK_FALSE(states->has_state(votes));
}

TEST_CASE("who names a state that is there gets it, and another default is ignored", "[case66]") {
  const auto states = contract::open();
  State<std::int64_t> state = states->get_state<std::int64_t>(7, votes);
  CHECK(states->get_state<std::int64_t>(8, votes).get() == 7);
  state.set(1);
  CHECK(states->get_state<std::int64_t>(8, votes) == state);
  CHECK(states->get_state<std::int64_t>(8, votes).get() == 1);
  CHECK_FALSE(state == number(*states));
}

TEST_CASE("create_state makes the default a value where there is none", "[case66]") {
  const auto states = contract::open();
  const State<std::int64_t> state = states->create_state<std::int64_t>(7, votes);
  CHECK(state.has_value());
  CHECK(state.version() > 0);
  CHECK(state.load() == 7);
  CHECK(states->has_state(votes));
}

TEST_CASE("create_state where a state is attaches to it", "[case68]") {
  const auto states = contract::open();
  State<std::int64_t> state = states->create_state<std::int64_t>(7, votes);
  state.set(1);
  const std::int64_t version = state.version();
  const State<std::int64_t> again = states->create_state<std::int64_t>(8, votes);
  CHECK(again == state);
  CHECK(again.load() == 1);
  CHECK(again.version() == version);
}

TEST_CASE("create_state writes over a state that somebody only holds", "[case66]") {
  const auto states = contract::open();
  const State<std::int64_t> held = states->get_state<std::int64_t>(1, votes);
  CHECK(states->create_state<std::int64_t>(7, votes).load() == 7);
  CHECK(held.load() == 7);
}

TEST_CASE("a state stays when no handle is left", "[case66]") {
  const auto states = contract::open();
  states->get_state<std::int64_t>(0, votes).set(3);
  CHECK(states->get_state<std::int64_t>(0, votes).load() == 3);
}

TEST_CASE("a state that was never written is forgotten with its last handle", "[case66]") {
  const auto states = contract::open();
  {
    const auto held = states->get_state<std::int64_t>(1, votes);
  }
  CHECK(states->get_state<std::string>("text", votes).get() == "text");
}

TEST_CASE("another type is an error that leaves the state as it was", "[case66]") {
  const auto states = contract::open();
  State<std::int64_t> state = states->create_state<std::int64_t>(7, votes);
  CHECK(code_thrown_by([&] { return states->get_state<std::string>("x", votes); }) == StateErrorCode::type_mismatch);
  CHECK(code_thrown_by([&] { return states->create_state<double>(1.5, votes); }) == StateErrorCode::type_mismatch);
  CHECK(states->try_get_state<bool>(true, votes).error().code() == StateErrorCode::type_mismatch);
  CHECK(state.load() == 7);
  CHECK(state.apply(atom::current + 1) == 8);
}

TEST_CASE("an atom defines a state in each scope, by its key and its default", "[case66]") {
  static const atom::Atom<std::int64_t> count{"contract.count", 5};
  const auto states = contract::open();
  State<std::int64_t> state = states->use(count, Scope{"shop"});
  CHECK(state.key() == "contract.count");
  CHECK(state.get() == 5);
  CHECK(state.apply(atom::current + 1) == 6);
  CHECK(states->use(count, Scope{"shop"}) == state);
  CHECK(states->use(count, Scope::global()).get() == 5);
}

TEST_CASE("a state says what it is called", "[case66]") {
  const auto states = contract::open();
  const State<std::int64_t> state = states->get_state<std::int64_t>(0, {.key = "a:b", .scope = Scope{"shop.cart"}});
  CHECK(state.key() == "a:b");
  CHECK(state.scope() == Scope{"shop.cart"});
  CHECK(state.id() == "shop.cart:a%3Ab");
}

// ---- What it holds

template <class T>
void holds(const T& default_value, const T& value) {
  const auto states = contract::open();
  State<T> state = states->get_state(default_value, votes);
  CHECK(state.set(value) > 0);
  CHECK(state.has_value());
  CHECK(states->has_state(votes));
  CHECK(state.get() == value);
  CHECK(state.load() == value);
  CHECK(*state.share() == value);
  CHECK(states->get_state(default_value, votes).load() == value);
  CHECK(states->create_state(default_value, votes).load() == value);
}

TEST_CASE("a value that looks like nothing is a value", "[case75]") {
  holds<std::int64_t>(1, 0);
  holds<bool>(true, false);
  holds<double>(1, 0);
  holds<std::string>("text", "");
  holds<std::vector<int>>({1}, {});
  holds<std::optional<int>>(1, std::nullopt);
  holds<std::map<std::string, int>>({{"a", 1}}, {});
}

TEST_CASE("values of all kinds come back as they were", "[case75]") {
  holds<std::int64_t>(0, INT64_MIN);
  holds<std::int64_t>(0, (std::int64_t{1} << 53) + 1);
  holds<std::uint64_t>(0, UINT64_MAX);
  holds<double>(0, 0.1);
  holds<double>(0, 5e-324);
  holds<std::string>("", "\"quotes\", 'quotes', \\, \n, \xe2\x82\xac, %, <script>");
  holds<std::string>("", std::string(100'000, 'x'));
  holds<Cart>({}, {{{"book", 1}, {"", -1}}, "half"});
}

// ---- Writing

TEST_CASE("set makes a value, with a version that is greater each time", "[case78]") {
  const auto states = contract::open();
  State<std::int64_t> state = number(*states);
  const std::int64_t first = state.set(1);
  CHECK(state.version() == first);
  const std::int64_t second = state.set(2);
  CHECK(second > first);
  CHECK(state.load_versioned().value == 2);
  CHECK(state.load_versioned().version == second);
  CHECK(state.set(2) > second);
}

TEST_CASE("writes arrive in the order of the program", "[case78]") {
  const auto states = contract::open();
  State<std::int64_t> state = number(*states);
  State<std::int64_t> other = number(*states);
  for (std::int64_t i = 1; i <= 200; ++i) {
    (i % 2 ? state : other).set(i);
    REQUIRE(state.load() == i);
    REQUIRE(state.get() == i);
  }
}

TEST_CASE("set_if writes if nobody has written since, and says so", "[case86]") {
  const auto states = contract::open();
  State<std::int64_t> state = number(*states);
  const std::int64_t version = state.set(1);
  CHECK_FALSE(state.set_if(5, 0));
  CHECK_FALSE(state.set_if(5, version + 1));
  CHECK(state.set_if(2, version));
  CHECK_FALSE(state.set_if(3, version));
  CHECK(state.load_versioned().value == 2);
  CHECK(state.load_versioned().version > version);
}

TEST_CASE("set_if that expects nothing writes where there is no value", "[case86]") {
  const auto states = contract::open();
  State<std::int64_t> state = number(*states);
  CHECK(state.set_if(1, 0));
  CHECK_FALSE(state.set_if(2, 0));
  CHECK(state.erase());
  CHECK(state.set_if(3, 0));
  CHECK(state.load() == 3);
}

TEST_CASE("update writes what the function makes of the value, and returns it", "[case86]") {
  const auto states = contract::open();
  State<std::int64_t> state = number(*states);
  CHECK(state.update([](std::int64_t n) { return n + 5; }) == 5);
  CHECK(state.update([](std::int64_t n) { return n * 2; }) == 10);
  CHECK(state.load() == 10);
  State<Cart> cart = states->get_state(Cart{}, {.key = "cart", .scope = Scope::global()});
  cart.update([](Cart now) {
    now.items.push_back({"book", 1});
    return now;
  });
  CHECK(cart.load() == Cart{{{"book", 1}}, {}});
}

TEST_CASE("update begins anew when somebody has written meanwhile", "[case86]") {
  const auto states = contract::open();
  State<std::int64_t> state = number(*states);
  int runs = 0;
  const std::int64_t result = state.update([&](std::int64_t n) {
    if (++runs == 1) number(*states).apply(atom::current + 100);
    return n + 1;
  });
  CHECK(result == 101);
  CHECK(runs == 2);
  CHECK(state.load() == 101);
}

TEST_CASE("what an updater throws comes out, and nothing is written", "[case86]") {
  const auto states = contract::open();
  State<std::int64_t> state = number(*states);
  const std::int64_t version = state.set(1);
  CHECK_THROWS_AS(state.update([](std::int64_t) -> std::int64_t { throw std::runtime_error("no"); }),
                  std::runtime_error);
  CHECK(state.load_versioned().value == 1);
  CHECK(state.version() == version);
}

// ---- How it ends

TEST_CASE("a state that was deleted has its default, and begins from it", "[case69][case92]") {
  const auto states = contract::open();
  State<std::int64_t> state = states->get_state<std::int64_t>(7, votes);
  state.set(1);
  CHECK(states->delete_state(votes));
  CHECK_FALSE(states->has_state(votes));
  CHECK_FALSE(state.has_value());
  CHECK(state.version() == 0);
  CHECK(state.get() == 7);
  CHECK(state.load() == 7);
  CHECK(state.apply(atom::current + 1) == 8);
  CHECK(states->has_state(votes));
}

TEST_CASE("erase does the same by the handle", "[case92]") {
  const auto states = contract::open();
  State<std::string> state = states->get_state<std::string>("none", votes);
  state.set("some");
  CHECK(state.erase());
  CHECK_FALSE(state.has_value());
  CHECK(state.get() == "none");
  CHECK(state.update([](const std::string& text) { return text + "!"; }) == "none!");
}

TEST_CASE("what is not there is not deleted", "[case69]") {
  const auto states = contract::open();
  CHECK_FALSE(states->delete_state(votes));
  State<std::int64_t> state = states->get_state<std::int64_t>(7, votes);
  CHECK_FALSE(states->delete_state(votes));
  CHECK_FALSE(state.erase());
  state.set(1);
  CHECK(state.erase());
  CHECK_FALSE(state.erase());
  CHECK_FALSE(states->delete_state(votes));
}

TEST_CASE("a state that was deleted may be there with another type next", "[case69]") {
  const auto states = contract::open();
  states->create_state<std::int64_t>(7, votes);
  states->delete_state(votes);
  CHECK(states->create_state<std::string>("text", votes).load() == "text");
}

TEST_CASE("a version never comes again when a state is deleted and written anew", "[case92]") {
  const auto states = contract::open();
  State<std::int64_t> state = number(*states);
  std::int64_t last = 0;
  for (int i = 0; i < 50; ++i) {
    std::int64_t version = 0;
    for (int n = 0; n < 20; ++n) version = state.set(n);
    CHECK(version > last);
    if (last != 0) CHECK_FALSE(state.set_if(99, last));
    last = version;
    state.erase();
    CHECK_FALSE(state.set_if(99, last));
  }
}

TEST_CASE("a version never comes again when nobody held the state meanwhile", "[case92]") {
  const auto states = contract::open();
  std::int64_t last = 0;
  for (int i = 0; i < 50; ++i) {
    std::int64_t version = 0;
    {
      State<std::int64_t> state = number(*states);
      for (int n = 0; n < 20; ++n) version = state.set(n);
      CHECK(version > last);
      if (last != 0) CHECK_FALSE(state.set_if(99, last));
      state.erase();
    }
    last = version;
  }
}

TEST_CASE("the operations that return errors return what the others throw", "[case66]") {
  const auto states = contract::open();
  State<std::int64_t> state = states->try_get_state<std::int64_t>(0, votes).value();
  CHECK(state.try_set(1).value() > 0);
  CHECK(state.try_load().value() == 1);
  CHECK(state.try_load_versioned().value().value == 1);
  CHECK(state.try_update([](std::int64_t n) { return n + 1; }).value() == 2);
  CHECK(state.try_apply(atom::current + 1).value() == 3);
  CHECK(state.try_set_if(4, state.version()).value());
  CHECK_FALSE(state.try_set_if(5, 0).value());
  CHECK(state.try_erase().value());
  CHECK(states->try_create_state<std::int64_t>(6, votes).value().load() == 6);
}

// ---- In the next process

TEST_CASE("what was written is there for another store, and no default takes its place", "[case76][case77]") {
  const auto states = contract::open();
  if (!contract::persistent()) return;
  states->create_state(Cart{{{"book", 1}}, "half"}, {.key = "cart", .scope = Scope::client("1")});
  number(*states).set(0);
  const auto others = contract::reopen();
  CHECK(others->create_state(Cart{}, {.key = "cart", .scope = Scope::client("1")}).load() ==
        Cart{{{"book", 1}}, "half"});
  CHECK(others->get_state(Cart{}, {.key = "cart", .scope = Scope::client("1")}).get() == Cart{{{"book", 1}}, "half"});
  CHECK(others->has_state({.key = "number", .scope = Scope::global()}));
  CHECK(number(*others).apply(atom::current + 1) == 1);
  CHECK(number(*states).load() == 1);
}

TEST_CASE("an equation runs on what another store has written, whatever this one has seen", "[case80][case89]") {
  const auto states = contract::open();
  if (!contract::persistent()) return;
  const auto others = contract::reopen();
  State<std::int64_t> here = number(*states);
  State<std::int64_t> there = number(*others);
  CHECK(here.get() == 0);
  there.set(5);
  CHECK(here.apply(atom::current + 1) == 6);
  CHECK(there.load() == 6);
  CHECK_FALSE(here.set_if(9, 0));
  CHECK(there.erase());
  CHECK(here.load() == 0);
  CHECK(here.apply(atom::current + 1) == 1);
}

}  // namespace
}  // namespace contract_states
