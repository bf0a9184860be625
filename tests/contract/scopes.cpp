// Whose a state is: names that nobody can confuse, and scopes that each request has its own of.
#include "contract/contract.hpp"

#include <atom/atom.hpp>

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace contract_scopes {
namespace {

using namespace std::string_literals;
using atom::Scope;
using atom::State;
using atom::StateErrorCode;
using atom::StateOptions;
using contract::code_thrown_by;
using support::ContainsSubstring;

/// What could be somebody else's id if it were taken as it is.
const std::vector<std::string> hostile_ids = {"$global",    "global",
                                              "$&",         "$client.admin",
                                              "admin",      ":",
                                              ".",          "..",
                                              "a.b",        "a:b",
                                              "%",          "%2E",
                                              "%3A",        "{a}",
                                              "#",          "/",
                                              "*",          "'",
                                              "\"",         "\\",
                                              "<b>",        " ",
                                              "\0"s,        "a\0b"s,
                                              "\n",         "\x7f",
                                              "\xff",       "'; drop table atom_state; --",
                                              "$1",         "\xe2\x82\xac",
                                              "A",          "a",
                                              "$component", "$user.1",
                                              "1"};
/// The same for keys, as far as they are text.
const std::vector<std::string> hostile_keys = {"$global",   "$&",
                                               ":",         ".",
                                               "..",        "a.b",
                                               "a:b",       "a%3Ab",
                                               "%",         "%25",
                                               "{a}",       "#",
                                               "/",         "*",
                                               "'",         "\"",
                                               "\\",        " ",
                                               "a",         "A",
                                               "a ",        "'; drop table atom_state; --",
                                               "$1",        "__proto__",
                                               "v:a",       "\xe2\x82\xac",
                                               "e\xcc\x81", "\xc3\xa9"};

TEST_CASE("the same name is the same state, any other one is another", "[case66][case67]") {
  const auto states = contract::open();
  const auto get = [&](const Scope& scope, const std::string& key) {
    return states->get_state<std::int64_t>(0, {.key = key, .scope = scope});
  };
  State<std::int64_t> state = get(Scope{"a"}, "b:c");
  state.set(1);
  CHECK(get(Scope{"a"}, "b:c") == state);
  for (const auto& [scope, key] : std::vector<std::pair<Scope, std::string>>{{Scope::parse("a%3Ab").value(), "c"},
                                                                             {Scope{"a.b"}, "c"},
                                                                             {Scope{"a"}, "b"},
                                                                             {Scope{"a"}, "b:c "},
                                                                             {Scope{"b"}, "b:c"},
                                                                             {Scope::client("a"), "b:c"}}) {
    CHECK_FALSE(get(scope, key) == state);
    CHECK_FALSE(get(scope, key).has_value());
    CHECK(get(scope, key).id() != state.id());
  }
}

TEST_CASE("whatever an id holds, it names nobody else's states", "[case72]") {
  const auto states = contract::open();
  std::vector<Scope> scopes = {Scope::global(), Scope{"a"}, Scope{"a.b"}, Scope{"admin"}};
  for (const std::string& id : hostile_ids) {
    scopes.push_back(Scope::client(id));
    scopes.push_back(Scope::user(id));
    scopes.push_back(Scope::component(id));
    scopes.push_back(Scope{"chat"} / id);
    scopes.push_back(Scope::client("1") / id);
  }
  const std::set<Scope> distinct(scopes.begin(), scopes.end());
  CHECK(distinct.size() == scopes.size());
  std::int64_t value = 0;
  for (const Scope& scope : scopes) states->create_state(++value, {.key = "k", .scope = scope});
  value = 0;
  for (const Scope& scope : scopes) {
    CHECK(states->get_state<std::int64_t>(0, {.key = "k", .scope = scope}).load() == ++value);
    CHECK(states->list(scope).size() == 1);
  }
  CHECK(states->list().size() == scopes.size());
  CHECK(states->scopes().items == std::vector<Scope>(distinct.begin(), distinct.end()));
  for (const Scope& scope : scopes) CHECK(states->delete_state({.key = "k", .scope = scope}));
  CHECK(states->list().empty());
}

TEST_CASE("whatever a key holds, it is one state's", "[case67][case72]") {
  const auto states = contract::open();
  std::set<std::string> ids;
  std::int64_t value = 0;
  for (const std::string& key : hostile_keys) {
    ids.insert(states->create_state(++value, {.key = key, .scope = Scope{"a"}}).id());
  }
  CHECK(ids.size() == hostile_keys.size());
  value = 0;
  for (const std::string& key : hostile_keys) {
    const State<std::int64_t> state = states->get_state<std::int64_t>(0, {.key = key, .scope = Scope{"a"}});
    CHECK(state.key() == key);
    CHECK(state.load() == ++value);
  }
  const std::set<std::string> sorted(hostile_keys.begin(), hostile_keys.end());
  std::vector<std::string> listed;
  for (const atom::AnyState& state : states->list(Scope{"a"})) listed.emplace_back(state.key());
  CHECK(listed == std::vector<std::string>(sorted.begin(), sorted.end()));
  for (const std::string& key : hostile_keys) CHECK(states->delete_state({.key = key, .scope = Scope{"a"}}));
  CHECK(states->list().empty());
}

TEST_CASE("what cannot be a key is refused by each operation", "[case67][case72]") {
  const auto states = contract::open();
  for (const std::string& key : {""s, "\0"s, "a\0b"s, "\n"s, "\x7f"s, "\xff"s, "\xed\xa0\x80"s, "a\xc3"s}) {
    const StateOptions options{.key = key, .scope = Scope::global()};
    CHECK(code_thrown_by([&] { return states->get_state(0, options); }) == StateErrorCode::invalid_name);
    CHECK(code_thrown_by([&] { return states->create_state(0, options); }) == StateErrorCode::invalid_name);
    CHECK(code_thrown_by([&] { return states->has_state(options); }) == StateErrorCode::invalid_name);
    CHECK(code_thrown_by([&] { return states->delete_state(options); }) == StateErrorCode::invalid_name);
    CHECK(states->try_get_state(0, options).error().code() == StateErrorCode::invalid_name);
    CHECK(states->in({.client_id = "1"}).has_state({.key = "a", .scope = Scope::client()}) == false);
    CHECK(code_thrown_by([&] { return states->in({.client_id = "1"}).get_state(0, options); }) ==
          StateErrorCode::invalid_name);
  }
  CHECK(states->list().empty());
}

TEST_CASE("names may be as long as the limits say, and no longer", "[case72]") {
  const auto states = contract::open();
  const Scope longest = Scope::client(std::string(512 - 8, 'x'));
  CHECK(longest.text().size() == 512);
  const StateOptions fits{.key = std::string(256, 'k'), .scope = longest};
  states->create_state<std::int64_t>(1, fits);
  CHECK(states->get_state<std::int64_t>(0, fits).load() == 1);
  const StateOptions too_long{.key = std::string(257, 'k'), .scope = longest};
  CHECK(code_thrown_by([&] { return states->get_state(0, too_long); }) == StateErrorCode::too_large);
  CHECK(code_thrown_by([&] { return Scope::client(std::string(10'240, '.')); }) == StateErrorCode::too_large);
}

TEST_CASE("a dotted scope is shared by all who name it", "[case70]") {
  const auto states = contract::open();
  states->create_state<std::int64_t>(1, {.key = "n", .scope = Scope{"global.foo.bar"}});
  CHECK(states->get_state<std::int64_t>(0, {.key = "n", .scope = Scope::global() / "foo" / "bar"}).load() == 1);
  CHECK(states->get_state<std::int64_t>(0, {.key = "n", .scope = Scope::parse("global.foo.bar").value()}).load() == 1);
  CHECK(Scope::global().contains(Scope{"global.foo.bar"}));
}

TEST_CASE("a placeholder is the request's own", "[case70][case71]") {
  const auto states = contract::open();
  const atom::StatesOfRequest request = states->in({.client_id = "c", .user_id = "u", .component = "menu"});
  request.create_state<std::int64_t>(1, {.key = "n"});
  request.create_state<std::int64_t>(2, {.key = "n", .scope = Scope::client()});
  request.create_state<std::int64_t>(3, {.key = "n", .scope = Scope::user()});
  request.create_state<std::int64_t>(4, {.key = "n", .scope = Scope::global()});
  const auto value = [&](const Scope& scope) {
    return states->get_state<std::int64_t>(0, {.key = "n", .scope = scope}).load();
  };
  CHECK(value(Scope::component("menu")) == 1);
  CHECK(value(Scope::client("c")) == 2);
  CHECK(value(Scope::user("u")) == 3);
  CHECK(value(Scope::global()) == 4);
  CHECK(request.get_state<std::int64_t>(0, {.key = "n"}).load() == 1);
  CHECK(request.has_state({.key = "n", .scope = Scope::user()}));
  CHECK(request.delete_state({.key = "n", .scope = Scope::user()}));
  CHECK_FALSE(request.has_state({.key = "n", .scope = Scope::user()}));
  CHECK(value(Scope::client("c")) == 2);
  static const atom::Atom<std::int64_t> count{"contract.scopes.count", 5};
  CHECK(request.use(count, Scope::client()) == states->use(count, Scope::client("c")));
  CHECK(request.use(count) == states->use(count, Scope::component("menu")));
}

TEST_CASE("user or client is the user's where there is one, else the client's", "[case73]") {
  const auto states = contract::open();
  const StateOptions cart{.key = "cart", .scope = Scope::user_or_client()};
  CHECK(states->in({.client_id = "c"}).get_state(0, cart).scope() == Scope::client("c"));
  CHECK(states->in({.client_id = "c", .user_id = "u"}).get_state(0, cart).scope() == Scope::user("u"));
  CHECK(states->in({.user_id = "u"}).get_state(0, cart).scope() == Scope::user("u"));
}

TEST_CASE("a placeholder without what it needs is an error that names both ways out, never a shared scope",
          "[case70][case71]") {
  const auto states = contract::open();
  for (const atom::AnyScope& scope : std::vector<atom::AnyScope>{atom::AnyScope(), Scope::client(), Scope::user(),
                                                                 Scope::component(), Scope::user_or_client()}) {
    const StateOptions options{.key = "n", .scope = scope};
    CHECK(code_thrown_by([&] { return states->get_state(0, options); }) == StateErrorCode::no_context);
    CHECK(code_thrown_by([&] { return states->create_state(0, options); }) == StateErrorCode::no_context);
    CHECK(code_thrown_by([&] { return states->has_state(options); }) == StateErrorCode::no_context);
    CHECK(code_thrown_by([&] { return states->delete_state(options); }) == StateErrorCode::no_context);
    CHECK(code_thrown_by([&] { return states->in({}).get_state(0, options); }) == StateErrorCode::no_context);
    CHECK_THROWS_WITH(states->get_state(0, options), ContainsSubstring("states.in(context)"));
    CHECK_THROWS_WITH(states->get_state(0, options), ContainsSubstring("name a scope"));
  }
  const atom::StatesOfRequest request = states->in({.client_id = "c"});
  CHECK(code_thrown_by([&] { return request.get_state(0, {.key = "n"}); }) == StateErrorCode::no_context);
  CHECK(code_thrown_by([&] { return request.get_state(0, {.key = "n", .scope = Scope::user()}); }) ==
        StateErrorCode::no_context);
  CHECK(states->list().empty());
}

TEST_CASE("a scope has so many states at most, which who names them cannot pass", "[case72]") {
  const auto states = contract::open({.states_per_scope = 3});
  const auto create = [&](const Scope& scope, const std::string& key) {
    return states->create_state<std::int64_t>(1, {.key = key, .scope = scope});
  };
  for (const char* key : {"a", "b", "c"}) create(Scope::client("1"), key);
  CHECK(code_thrown_by([&] { return create(Scope::client("1"), "d"); }) == StateErrorCode::too_large);
  CHECK(create(Scope::client("1"), "c").load() == 1);
  CHECK(create(Scope::client("2"), "d").load() == 1);
  CHECK(states->delete_state({.key = "a", .scope = Scope::client("1")}));
  CHECK(create(Scope::client("1"), "d").load() == 1);
  CHECK(code_thrown_by([&] { return create(Scope::client("1"), "a"); }) == StateErrorCode::too_large);
}

TEST_CASE("states whose time is over do not count against the limit", "[case72][case88]") {
  const auto states = contract::open({.states_per_scope = 3});
  const auto create = [&](const std::string& key) {
    return states->create_state<std::int64_t>(
        1, {.key = key, .scope = Scope::client("1"), .ttl = std::chrono::milliseconds(20)});
  };
  for (const char* key : {"a", "b", "c"}) create(key);
  std::this_thread::sleep_for(std::chrono::milliseconds(40));  // nobody looks at them meanwhile
  for (const char* key : {"d", "e", "f"}) CHECK(create(key).key() == key);
}

TEST_CASE("no message says a client's or a user's id", "[case72]") {
  const auto states = contract::open({.states_per_scope = 1});
  for (const Scope& scope : {Scope::client("secret"), Scope::user("secret"), Scope::client("secret") / "cart"}) {
    states->create_state<std::int64_t>(1, {.key = "a", .scope = scope});
    const auto mismatch = states->try_get_state<std::string>("", {.key = "a", .scope = scope});
    REQUIRE_FALSE(mismatch);
    CHECK_THAT(mismatch.error().message(), !ContainsSubstring("secret"));
    CHECK_THAT(mismatch.error().message(), ContainsSubstring(":a\""));
    const auto too_many = states->try_get_state<std::int64_t>(1, {.key = "b", .scope = scope});
    REQUIRE_FALSE(too_many);
    CHECK_THAT(too_many.error().message(), !ContainsSubstring("secret"));
  }
}

}  // namespace
}  // namespace contract_scopes
