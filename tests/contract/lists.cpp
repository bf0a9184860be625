// Many states at once: lists, all of a scope, and all that have a label.
#include "contract/contract.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace contract_lists {
namespace {

using namespace std::string_literals;
using atom::AnyState;
using atom::ListOptions;
using atom::Scope;
using atom::State;
using atom::StateErrorCode;
using contract::code_thrown_by;
using contract::number;

using Names = std::vector<std::string>;

void create(atom::StateStore& states, const Scope& scope, const std::string& key,
            std::vector<std::string> labels = {}) {
  states.create_state<std::int64_t>(1, {.key = key, .scope = scope, .labels = std::move(labels)});
}
Names ids(const atom::Listed<AnyState>& list) {
  Names all;
  for (const AnyState& state : list) all.push_back(state.id());
  return all;
}
/// All of it, in parts of so many.
template <class... Where>
Names ids_in_parts(atom::StateStore& states, std::size_t limit, ListOptions options, const Where&... where) {
  Names all;
  options.limit = limit;
  do {
    const atom::Listed<AnyState> part = states.list(where..., options);
    CHECK(part.size() <= limit);
    CHECK((part.next.empty() || part.size() == limit));
    for (const AnyState& state : part) all.push_back(state.id());
    options.after = part.next;
  } while (!options.after.empty());
  return all;
}

TEST_CASE("a list has the states of a scope that have a value, by key", "[case69]") {
  const auto states = contract::open();
  create(*states, Scope{"shop"}, "b");
  create(*states, Scope{"shop"}, "a");
  create(*states, Scope{"shop"}, "B");
  create(*states, Scope{"shop.cart"}, "c");
  create(*states, Scope{"shopping"}, "d");
  const auto held = states->get_state(0, {.key = "never written", .scope = Scope{"shop"}});
  CHECK(ids(states->list(Scope{"shop"})) == Names{"shop:B", "shop:a", "shop:b"});
  CHECK(states->list(Scope{"shop"}).next.empty());
  CHECK(states->list(Scope{"nothing"}).empty());
}

TEST_CASE("a list may have what lies below the scope, and nothing beside it", "[case69]") {
  const auto states = contract::open();
  create(*states, Scope{"shop"}, "a");
  create(*states, Scope{"shop.cart"}, "b");
  create(*states, Scope{"shop.cart.old"}, "c");
  create(*states, Scope{"shop-2"}, "d");
  create(*states, Scope{"shopping"}, "e");
  create(*states, Scope::client("shop"), "f");
  CHECK(ids(states->list(Scope{"shop"}, {.below = true})) == Names{"shop:a", "shop.cart:b", "shop.cart.old:c"});
  CHECK(ids(states->list(Scope{"shop.cart"}, {.below = true})) == Names{"shop.cart:b", "shop.cart.old:c"});
}

TEST_CASE("all states are listed by scope and key, byte by byte", "[case69]") {
  const auto states = contract::open();
  create(*states, Scope{"b"}, "a");
  create(*states, Scope{"a.b"}, "a");
  create(*states, Scope{"a-b"}, "z");
  create(*states, Scope{"a"}, "z");
  create(*states, Scope{"a"}, "\xc3\xa9");
  create(*states, Scope::client("1"), "a");
  CHECK(ids(states->list()) == Names{"$client.1:a", "a:z", "a:\xc3\xa9", "a-b:z", "a.b:a", "b:a"});
}

TEST_CASE("a list comes in parts, none twice and none left out", "[case69]") {
  const auto states = contract::open();
  Names all;
  for (const Scope& scope : {Scope::client("1:2.3"), Scope{"a"}, Scope{"a.b"}, Scope{"a.c"}, Scope{"b"}}) {
    for (const char* key : {" ", "%", "%25", ":", "a", "a.b", "a:", "a:b", "b", "\xe2\x82\xac"}) {
      create(*states, scope, key);
    }
  }
  all = ids(states->list());
  CHECK(all.size() == 50);
  CHECK(states->list().next.empty());
  for (const std::size_t limit : {std::size_t{1}, std::size_t{3}, std::size_t{7}, std::size_t{10}, std::size_t{25},
                                  std::size_t{49}, std::size_t{50}, std::size_t{51}, static_cast<std::size_t>(-1)}) {
    CHECK(ids_in_parts(*states, limit, {}) == all);
    CHECK(ids_in_parts(*states, limit, {.below = true}, Scope{"a"}) == ids(states->list(Scope{"a"}, {.below = true})));
    CHECK(ids_in_parts(*states, limit, {}, Scope{"a"}) == ids(states->list(Scope{"a"})));
  }
}

TEST_CASE("a list goes on where it was, also if that is gone meanwhile", "[case69]") {
  const auto states = contract::open();
  for (const char* key : {"a", "b", "c", "d"}) create(*states, Scope{"s"}, key);
  const atom::Listed<AnyState> first = states->list(Scope{"s"}, {.limit = 2});
  CHECK(ids(first) == Names{"s:a", "s:b"});
  states->delete_state({.key = "b", .scope = Scope{"s"}});
  states->delete_state({.key = "c", .scope = Scope{"s"}});
  create(*states, Scope{"s"}, "aa");
  create(*states, Scope{"s"}, "bb");
  CHECK(ids(states->list(Scope{"s"}, {.after = first.next})) == Names{"s:bb", "s:d"});
  states->delete_scope(Scope{"s"});
  CHECK(states->list(Scope{"s"}, {.after = first.next}).empty());
}

TEST_CASE("a list may be told to begin anywhere, whatever it is told", "[case69][case72]") {
  const auto states = contract::open();
  create(*states, Scope{"s"}, "a");
  create(*states, Scope{"s"}, "b");
  CHECK(ids(states->list({.after = "s"})) == Names{"s:a", "s:b"});
  CHECK(ids(states->list({.after = "s:a"})) == Names{"s:b"});
  CHECK(ids(states->list({.after = "s:a%"})) == Names{"s:b"});
  for (const char* after : {"t", "s:b", "s:c", "t:a", "\xff\xff:"}) CHECK(states->list({.after = after}).empty());
  for (const char* after : {":", "::::", "%", "r:z", " ' or 1=1"}) CHECK(states->list({.after = after}).size() == 2);
}

TEST_CASE("what a list has can be used as what it is", "[case69]") {
  const auto states = contract::open();
  states->create_state<std::string>("text", {.key = "text", .scope = Scope{"s"}});
  number(*states).set(5);
  const atom::Listed<AnyState> list = states->list();
  REQUIRE(list.size() == 2);
  CHECK(list[0].scope() == Scope::global());
  CHECK(list[0].key() == "number");
  CHECK(list[0].version() == number(*states).version());
  CHECK(list[0].as<std::int64_t>().apply(atom::current + 1) == 6);
  CHECK(code_thrown_by([&] { return list[0].as<std::string>(); }) == StateErrorCode::type_mismatch);
  CHECK(list[1].as<std::string>() == states->get_state<std::string>("", {.key = "text", .scope = Scope{"s"}}));
  CHECK(list[1].as<std::string>().load() == "text");
}

TEST_CASE("what was listed stays as it was listed, whatever becomes of the state", "[case69]") {
  const auto states = contract::open();
  const std::int64_t version = number(*states).set(5);
  const atom::Listed<AnyState> list = states->list();
  states->delete_state({.key = "number", .scope = Scope::global()});
  CHECK(list[0].version() == version);
  CHECK(list[0].id() == "global:number");
  CHECK_FALSE(list[0].as<std::int64_t>().has_value());
  CHECK(list[0].as<std::int64_t>(7).get() == 7);
}

TEST_CASE("the scopes are those in which a state has a value", "[case69]") {
  const auto states = contract::open();
  CHECK(states->scopes().empty());
  create(*states, Scope{"b"}, "k");
  create(*states, Scope{"a"}, "k");
  create(*states, Scope::client("1"), "k");
  const auto held = states->get_state(0, {.key = "k", .scope = Scope{"c"}});
  CHECK(states->scopes().items == std::vector<Scope>{Scope::client("1"), Scope{"a"}, Scope{"b"}});
  CHECK(states->scopes().next.empty());
  states->delete_state({.key = "k", .scope = Scope{"a"}});
  CHECK(states->scopes().items == std::vector<Scope>{Scope::client("1"), Scope{"b"}});
}

TEST_CASE("the scopes come in parts, none twice and none left out", "[case69]") {
  const auto states = contract::open();
  for (int i = 0; i < 10; ++i) create(*states, Scope::client(std::to_string(i)) / "a:b", "k");
  const std::vector<Scope> all = states->scopes().items;
  CHECK(all.size() == 10);
  for (const std::size_t limit : {1u, 3u, 5u, 9u, 10u, 11u}) {
    std::vector<Scope> in_parts;
    ListOptions options{.limit = limit};
    do {
      const atom::Listed<Scope> part = states->scopes(options);
      CHECK(part.size() <= limit);
      in_parts.insert(in_parts.end(), part.begin(), part.end());
      options.after = part.next;
    } while (!options.after.empty());
    CHECK(in_parts == all);
  }
}

TEST_CASE("a scope is deleted with all that lies below it, and nothing beside it", "[case69]") {
  const auto states = contract::open();
  create(*states, Scope{"shop"}, "a");
  create(*states, Scope{"shop.cart"}, "b");
  create(*states, Scope{"shopping"}, "c");
  create(*states, Scope{"shop-2"}, "d");
  State<std::int64_t> held = states->get_state<std::int64_t>(1, {.key = "b", .scope = Scope{"shop.cart"}});
  const auto never_written = states->get_state(0, {.key = "n", .scope = Scope{"shop"}});
  contract::Heard<std::int64_t> heard;
  const auto hears = held.on_change([&](std::int64_t now) { heard.push_back(now); });
  CHECK(states->delete_scope(Scope{"shop"}) == 2);
  CHECK(ids(states->list()) == Names{"shop-2:d", "shopping:c"});
  CHECK(held.get() == 1);
  CHECK_FALSE(held.has_value());
  CHECK(heard == std::vector<std::int64_t>{1});
  CHECK(states->delete_scope(Scope{"shop"}) == 0);
}

TEST_CASE("purge deletes what has one of the labels, which are compared as a whole", "[case69]") {
  const auto states = contract::open();
  create(*states, Scope{"s"}, "a", {"poll"});
  create(*states, Scope{"s"}, "b", {"polls"});
  create(*states, Scope{"s"}, "c", {"pol", "POLL", "poll "});
  create(*states, Scope{"t"}, "d", {"news", "poll"});
  create(*states, Scope{"t"}, "e", {"news"});
  create(*states, Scope{"t"}, "f");
  CHECK(states->purge({"poll"}) == 2);
  CHECK(ids(states->list()) == Names{"s:b", "s:c", "t:e", "t:f"});
  CHECK(states->purge({"poll"}) == 0);
  CHECK(states->purge({"news", "polls", "unknown"}) == 2);
  CHECK(ids(states->list()) == Names{"s:c", "t:f"});
  CHECK(states->purge({}) == 0);
  CHECK(states->purge({"%", "*", "' or 1=1", "po%"}) == 0);
  CHECK(states->list().size() == 2);
}

TEST_CASE("a state with two of the labels is purged once, and its listeners hear of it", "[case69]") {
  const auto states = contract::open();
  State<std::int64_t> state =
      states->create_state<std::int64_t>(7, {.key = "a", .scope = Scope{"s"}, .labels = {"one", "two"}});
  state.set(1);
  contract::Heard<std::int64_t> heard;
  const auto hears = state.on_change([&](std::int64_t now) { heard.push_back(now); });
  CHECK(states->purge({"one", "two"}) == 1);
  CHECK_FALSE(state.has_value());
  CHECK(heard == std::vector<std::int64_t>{7});
  state.set(2);
  CHECK(states->purge({"two"}) == 1);
}

TEST_CASE("a label may be given twice", "[case69]") {
  const auto states = contract::open();
  create(*states, Scope{"s"}, "a", {"one", "one", "two", "one"});
  CHECK(states->purge({"one", "one"}) == 1);
  CHECK(states->list().empty());
  create(*states, Scope{"s"}, "a", {"one", "one"});
  CHECK(states->delete_state({.key = "a", .scope = Scope{"s"}}));
  CHECK(states->purge({"one"}) == 0);
}

TEST_CASE("what cannot be a label is refused, whoever asks", "[case69][case72]") {
  const auto states = contract::open();
  const auto check = [&](const std::string& label, StateErrorCode code) {
    const atom::StateOptions options{.key = "a", .scope = Scope{"s"}, .labels = {"fine", label}};
    CHECK(code_thrown_by([&] { return states->get_state(0, options); }) == code);
    CHECK(code_thrown_by([&] { return states->create_state(0, options); }) == code);
    CHECK(states->try_get_state(0, options).error().code() == code);
    CHECK(code_thrown_by([&] { return states->purge({"fine", label}); }) == code);
    CHECK(code_thrown_by([&] { return states->purge_async({"fine", label}).wait(); }) == code);
  };
  for (const std::string& label : {""s, "\0"s, "a\0b"s, "\n"s, "\x7f"s, "\xff"s, "\xed\xa0\x80"s, "a\xc3"s}) {
    check(label, StateErrorCode::invalid_name);
  }
  check(std::string(257, 'l'), StateErrorCode::too_large);
  check(std::string(100'000, 'l'), StateErrorCode::too_large);
  CHECK(states->list().empty());
  create(*states, Scope{"s"}, "a");  // as if nobody had asked
  CHECK(states->purge({"fine"}) == 0);
}

TEST_CASE("labels may be as long and as many as the limits say, and no more", "[case69][case72]") {
  const auto states = contract::open();
  Names labels;
  for (char c = 'a'; labels.size() < 16; ++c) labels.push_back(std::string(255, ' ') + c);
  Names twice = labels;
  twice.insert(twice.end(), labels.begin(), labels.end());
  create(*states, Scope{"s"}, "a", twice);
  create(*states, Scope{"s"}, "b", {labels[15]});
  Names too_many = labels;
  too_many.push_back("one more");
  CHECK(code_thrown_by([&] { return create(*states, Scope{"s"}, "c", too_many), 0; }) == StateErrorCode::too_large);
  CHECK(states->purge({labels[0]}) == 1);
  CHECK(states->purge(too_many) == 1);  // of what is purged there is no limit
  CHECK(states->list().empty());
}

TEST_CASE("labels are those that a state was created with", "[case69]") {
  const auto states = contract::open();
  create(*states, Scope{"s"}, "a", {"one"});
  create(*states, Scope{"s"}, "a", {"two"});
  CHECK(states->purge({"two"}) == 0);
  CHECK(states->purge({"one"}) == 1);
  create(*states, Scope{"s"}, "a", {"two"});
  CHECK(states->purge({"one"}) == 0);
  CHECK(states->purge({"two"}) == 1);
}

TEST_CASE("what is deleted, purged or listed is so for another store, too", "[case69]") {
  const auto states = contract::open();
  if (!contract::persistent()) return;
  create(*states, Scope{"shop"}, "a", {"poll"});
  create(*states, Scope{"shop.cart"}, "b");
  create(*states, Scope{"t"}, "c");
  const auto others = contract::reopen();
  CHECK(ids(others->list()) == Names{"shop:a", "shop.cart:b", "t:c"});
  CHECK(others->list()[0].as<std::int64_t>().load() == 1);
  CHECK(others->scopes().items == std::vector<Scope>{Scope{"shop"}, Scope{"shop.cart"}, Scope{"t"}});
  CHECK(others->purge({"poll"}) == 1);
  CHECK(others->delete_state({.key = "c", .scope = Scope{"t"}}));
  CHECK(others->delete_scope(Scope{"shop"}) == 1);
  CHECK(states->list().empty());
  CHECK_FALSE(states->has_state({.key = "c", .scope = Scope{"t"}}));
}

}  // namespace
}  // namespace contract_lists
