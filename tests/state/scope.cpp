#include <atom/state/scope.hpp>

#include "support/catch.hpp"

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_set>
#include <utility>
#include <vector>

using namespace std::string_literals;

namespace scope_test {
namespace {

using atom::AnyScope;
using atom::RequestContext;
using atom::Scope;
using atom::ScopeKind;
using atom::ScopePlaceholder;
using atom::StateError;
using atom::StateErrorCode;
using atom::StateResult;
using atom::detail::check_key;
using atom::detail::state_id;
using support::ContainsSubstring;

using Segments = std::vector<std::string>;

/// Ids and segments that would be somebody else's if they were taken as they are.
const Segments hostile = {"$global",
                          "$&",
                          "$client.admin",
                          "global",
                          ":",
                          ".",
                          "..",
                          "a.b",
                          "%",
                          "%2E",
                          "a:b",
                          "{a}",
                          "#",
                          "/",
                          "../admin",
                          "*",
                          "'",
                          "\"",
                          "\\",
                          "<b>",
                          " ",
                          "\0"s,
                          "a\0b"s,
                          "\r\n",
                          "\x7f",
                          "\xff",
                          "\xc3",
                          "%C3%A9",
                          "\xa9",
                          "\xed\xa0\x80",
                          std::string(160, '\0')};

StateErrorCode code_of(const StateResult<Scope>& result) {
  REQUIRE_FALSE(result.has_value());
  return result.error().code();
}
template <class F>
StateErrorCode code_thrown_by(F f) {
  try {
    (void)f();
  } catch (const StateError& error) {
    CHECK(error.effect() == atom::Effect::none);
    CHECK_FALSE(error.retryable());
    return error.code();
  }
  FAIL("it should have thrown");
  return {};
}

// ---- Text

TEST_CASE("a scope has the text that it was made of") {
  CHECK(Scope{"shop"}.text() == "shop");
  CHECK(Scope{"global.foo.bar"}.text() == "global.foo.bar");
  CHECK(Scope{"caf\xc3\xa9.men%C3"}.text() == "caf\xc3\xa9.men%C3");
  CHECK(Scope::global().text() == "global");
}

TEST_CASE("a scope is not made of text at run time but by parse") {
  STATIC_REQUIRE_FALSE(std::is_constructible_v<Scope, std::string>);
  STATIC_REQUIRE_FALSE(std::is_constructible_v<Scope, std::string_view>);
  STATIC_REQUIRE_FALSE(std::is_constructible_v<Scope, const char*>);
  STATIC_REQUIRE_FALSE(std::is_default_constructible_v<Scope>);
  CHECK(Scope::parse("global.foo.bar").value() == Scope{"global.foo.bar"});
}

TEST_CASE("parse takes the text of a shared scope, escaped as the scope has it, and nothing else") {
  for (const std::string_view text : {"a", "a.b", "A-Z_~.09", "a%2Eb", "%24client.1", "\xe2\x82\xac", "%FF"}) {
    CHECK(Scope::parse(text).value().text() == text);
  }
  for (const std::string_view text :
       {"",    ".",    "a.",  ".a",     "a..b", "a b", "a:b", "a/b",     "*",       "a%",
        "a%2", "a%2e", "%41", "%C3%A9", "\xff", "a\n", "$",   "$global", "$client", "a.$b"}) {
    CHECK(code_of(Scope::parse(text)) == StateErrorCode::invalid_name);
  }
  CHECK(code_of(Scope::parse("a\0"s)) == StateErrorCode::invalid_name);
}

TEST_CASE("parse takes no text of a client's, a user's or a component's scope") {
  for (const Scope& scope :
       {Scope::client("1"), Scope::user("1"), Scope::component("menu"), Scope::client("1") / "a"}) {
    CHECK(code_of(Scope::parse(scope.text())) == StateErrorCode::invalid_name);
  }
}

TEST_CASE("a database gives back each scope by its text, of whatever kind") {
  std::vector<Scope> scopes = {Scope::global(), Scope{"a.b"}};
  for (const std::string& bytes : hostile) {
    for (const Scope& scope : {Scope::client(bytes), Scope::user(bytes), Scope::component(bytes), Scope{"a"} / bytes}) {
      scopes.push_back(scope);
      if (scope.text().size() < 256) scopes.push_back(scope / bytes);
    }
  }
  for (const Scope& scope : scopes) {
    const Scope same = Scope::from_database(scope.text()).value();
    CHECK(same == scope);
    CHECK(same.hash() == scope.hash());
    if (scope.kind() == ScopeKind::shared) CHECK(Scope::parse(scope.text()).value() == scope);
  }
}

TEST_CASE("what a database gives back is checked all the same") {
  for (const std::string_view text : {"", "$", "$client", "$client.", "$client..a", "$client.a.", "$client.$user.a",
                                      "$server.a", "$Client.a", "$client.a b", "$client.%41", "a..b"}) {
    CHECK(code_of(Scope::from_database(text)) == StateErrorCode::invalid_name);
  }
  CHECK(code_of(Scope::from_database("$client." + std::string(505, 'a'))) == StateErrorCode::too_large);
}

// ---- Ids and segments

TEST_CASE("an id is one segment below the word for its kind") {
  CHECK(Scope::client("42").text() == "$client.42");
  CHECK(Scope::user("ada@example.com").text() == "$user.ada%40example%2Ecom");
  CHECK(Scope::component("menu").text() == "$component.menu");
  CHECK(Scope::client("$global").text() == "$client.%24global");
}

TEST_CASE("whatever an id holds, it names one scope of its own kind, and no two name the same") {
  std::unordered_set<Scope> scopes = {Scope::global()};
  for (const std::string& id : hostile) {
    const std::pair<Scope, ScopeKind> made[] = {{Scope::client(id), ScopeKind::client},
                                                {Scope::user(id), ScopeKind::user},
                                                {Scope::component(id), ScopeKind::component},
                                                {Scope{"rooms"} / id, ScopeKind::shared}};
    for (const auto& [scope, kind] : made) {
      CHECK(scope.kind() == kind);
      CHECK(scope.segments().back() == id);
      CHECK(std::count(scope.text().begin(), scope.text().end(), '.') == 1);
      CHECK(scopes.insert(scope).second);
    }
  }
}

TEST_CASE("an empty id and an empty segment are refused") {
  CHECK(code_thrown_by([] { return Scope::client(""); }) == StateErrorCode::invalid_name);
  CHECK(code_thrown_by([] { return Scope::user(""); }) == StateErrorCode::invalid_name);
  CHECK(code_thrown_by([] { return Scope::component(""); }) == StateErrorCode::invalid_name);
  CHECK(code_thrown_by([] { return Scope{"a"} / ""; }) == StateErrorCode::invalid_name);
  CHECK(code_of(Scope::try_client("")) == StateErrorCode::invalid_name);
  CHECK(code_of(Scope::try_user("")) == StateErrorCode::invalid_name);
  CHECK(code_of(Scope::try_component("")) == StateErrorCode::invalid_name);
  CHECK(code_of(Scope{"a"}.try_nested("")) == StateErrorCode::invalid_name);
}

TEST_CASE("the text of a scope has up to 512 bytes, with what is escaped in it") {
  const std::string most(504, 'a');
  CHECK(Scope::client(most).text().size() == 512);
  CHECK(code_thrown_by([&] { return Scope::client(most + 'a'); }) == StateErrorCode::too_large);
  CHECK(Scope::client(std::string(168, '.')).text().size() == 512);
  CHECK(code_of(Scope::try_client(std::string(169, '.'))) == StateErrorCode::too_large);

  CHECK((Scope{"a"} / std::string(510, 'a')).text().size() == 512);
  CHECK(code_thrown_by([] { return Scope{"a"} / std::string(511, 'a'); }) == StateErrorCode::too_large);
  CHECK(code_of(Scope::client(most).try_nested("a")) == StateErrorCode::too_large);

  CHECK(Scope::parse(std::string(512, 'a')).has_value());
  CHECK(code_of(Scope::parse(std::string(513, 'a'))) == StateErrorCode::too_large);
}

TEST_CASE("an id of 10 kB is refused, and not repeated in the message") {
  const std::string huge(10'000, '\0');
  for (const auto& result : {Scope::try_client(huge), Scope::try_user(huge), Scope::try_component(huge),
                             Scope::global().try_nested(huge), Scope::parse(huge), Scope::from_database(huge)}) {
    CHECK(code_of(result) == StateErrorCode::too_large);
    CHECK(result.error().message().size() < 200);
  }
}

TEST_CASE("the functions that begin with try give the same scopes as those that throw") {
  CHECK(Scope::try_client("1").value() == Scope::client("1"));
  CHECK(Scope::try_user("1").value() == Scope::user("1"));
  CHECK(Scope::try_component("1").value() == Scope::component("1"));
  CHECK(Scope{"a"}.try_nested("b c").value() == Scope{"a"} / "b c");
}

// ---- Nesting

TEST_CASE("scopes nest, and a dot in a segment does not make it two") {
  CHECK(Scope{"shop"} / "cart" / "lines" == Scope{"shop.cart.lines"});
  CHECK(Scope::global() / "foo" == Scope{"global.foo"});
  CHECK((Scope{"shop"} / "a.b").text() == "shop.a%2Eb");
  CHECK((Scope::client("1") / "cart").text() == "$client.1.cart");
  CHECK((Scope{"a"} / "$client" / "1").text() == "a.%24client.1");
}

TEST_CASE("a scope contains itself and what lies below it") {
  const Scope a{"a"};
  CHECK(a.contains(a));
  CHECK(a.contains(Scope{"a.b"}));
  CHECK(a.contains(Scope{"a.b.c"}));
  CHECK(Scope::global().contains(Scope{"global.foo"}));
  CHECK(Scope::client("1").contains(Scope::client("1") / "cart"));
  CHECK(a.contains(a / ".."));
}

TEST_CASE("a scope does not contain what only begins like it, nor what lies above it or elsewhere") {
  CHECK_FALSE(Scope{"a"}.contains(Scope{"ab"}));
  CHECK_FALSE(Scope{"a"}.contains(Scope{"a-b.c"}));
  CHECK_FALSE(Scope{"a"}.contains(Scope{"a%2Eb"}));
  CHECK_FALSE(Scope{"a.b"}.contains(Scope{"a"}));
  CHECK_FALSE(Scope{"b"}.contains(Scope{"a.b"}));
  CHECK_FALSE(Scope::client("1").contains(Scope::client("12")));
  CHECK_FALSE(Scope::client("1").contains(Scope::client("1.cart")));
  CHECK_FALSE(Scope::client("1").contains(Scope::user("1")));
  CHECK_FALSE(Scope::global().contains(Scope::client("global")));
}

TEST_CASE("a scope tells its kind and its segments") {
  const Scope scope = Scope::client("a.b") / "c%" / "\0"s;
  CHECK(scope.kind() == ScopeKind::client);
  CHECK(scope.segments() == Segments{"a.b", "c%", "\0"s});
  CHECK(Scope::user("1").kind() == ScopeKind::user);
  CHECK(Scope::component("menu").kind() == ScopeKind::component);
  CHECK(Scope::global().kind() == ScopeKind::shared);
  CHECK(Scope{"global.foo.bar"}.segments() == Segments{"global", "foo", "bar"});
  // Its text is `%24client.1`, so that the kind tells it from the client's.
  const Scope shared = Scope::parse("%24client.1").value();
  CHECK(shared.kind() == ScopeKind::shared);
  CHECK(shared.segments() == Segments{"$client", "1"});
  CHECK(shared != Scope::client("1"));
}

// ---- A value type

TEST_CASE("scopes are ordered by their texts, byte by byte") {
  CHECK(Scope{"a"} == Scope{"a"});
  CHECK(Scope{"a"} != Scope{"b"});
  CHECK(Scope{"a"} < Scope{"a.b"});
  CHECK(Scope{"a.b"} < Scope{"ab"});
  CHECK(Scope{"z"} < Scope{"\xc3\xa9"});
  CHECK(((Scope{"a"} <=> Scope{"a"}) == 0));
}

TEST_CASE("equal scopes have the same hash, however they were made") {
  const Scope scope = Scope{"shop"} / "cart";
  const Scope copy = scope;
  CHECK(scope.hash() == Scope{"shop.cart"}.hash());
  CHECK(scope.hash() == copy.hash());
  CHECK(scope.hash() == std::hash<Scope>()(scope));
  CHECK(scope.hash() != Scope{"shop.carts"}.hash());
}

TEST_CASE("a scope is a text and a hash, and is moved without throwing") {
  STATIC_REQUIRE(sizeof(Scope) <= sizeof(std::string) + 8);
  STATIC_REQUIRE(std::is_nothrow_move_constructible_v<Scope>);
  STATIC_REQUIRE(std::is_nothrow_move_assignable_v<Scope>);
  STATIC_REQUIRE(std::is_nothrow_move_constructible_v<StateResult<Scope>>);
}

// ---- Placeholders

struct Options {
  AnyScope scope = {};
};
const RequestContext everybody{.client_id = "c", .user_id = "u", .component = "menu"};

TEST_CASE("a placeholder is no scope") {
  STATIC_REQUIRE_FALSE(std::is_constructible_v<Scope, ScopePlaceholder>);
  STATIC_REQUIRE_FALSE(std::is_convertible_v<AnyScope, Scope>);
}

TEST_CASE("a placeholder becomes the scope of the request") {
  CHECK(AnyScope(Scope::component()).resolve(everybody).value() == Scope::component("menu"));
  CHECK(AnyScope(Scope::client()).resolve(everybody).value() == Scope::client("c"));
  CHECK(AnyScope(Scope::user()).resolve(everybody).value() == Scope::user("u"));
}

TEST_CASE("options take a scope or a placeholder, and mean the component of the request where they say nothing") {
  CHECK(Options{}.scope.resolve(everybody).value() == Scope::component("menu"));
  CHECK(Options{.scope = Scope::client()}.scope.resolve(everybody).value() == Scope::client("c"));
  CHECK(Options{.scope = Scope{"shop"}}.scope.resolve(everybody).value() == Scope{"shop"});
}

TEST_CASE("a scope is the same in each request, and in none") {
  CHECK(AnyScope(Scope{"shop"}).resolve({}).value() == Scope{"shop"});
  CHECK(AnyScope(Scope::client("1")).resolve(everybody).value() == Scope::client("1"));
}

TEST_CASE("user or client is the user where there is one, else the client") {
  const AnyScope scope = Scope::user_or_client();
  CHECK(scope.resolve(everybody).value() == Scope::user("u"));
  CHECK(scope.resolve({.user_id = "u"}).value() == Scope::user("u"));
  CHECK(scope.resolve({.client_id = "c"}).value() == Scope::client("c"));
  CHECK(code_of(scope.resolve({.component = "menu"})) == StateErrorCode::no_context);
}

TEST_CASE("where the context lacks what a placeholder needs, nothing takes its place, and the error says what to do") {
  const struct {
    ScopePlaceholder placeholder;
    RequestContext context;
    std::string scope, member;
  } cases[] = {
      {Scope::component(), {.client_id = "c", .user_id = "u"}, "Scope::component(key)", "has a component"},
      {Scope::client(), {.user_id = "u", .component = "menu"}, "Scope::client(id)", "has a client_id"},
      {Scope::user(), {.client_id = "c", .component = "menu"}, "Scope::user(id)", "has a user_id"},
      {Scope::user_or_client(), {.component = "menu"}, "Scope::user(id)", "has a user_id or a client_id"},
  };
  for (const auto& [placeholder, context, scope, member] : cases) {
    CHECK(code_of(AnyScope(placeholder).resolve({})) == StateErrorCode::no_context);
    const auto result = AnyScope(placeholder).resolve(context);
    CHECK(code_of(result) == StateErrorCode::no_context);
    CHECK_THAT(result.error().message(), ContainsSubstring(scope));
    CHECK_THAT(result.error().message(), ContainsSubstring("states.in(context)"));
    CHECK_THAT(result.error().message(), ContainsSubstring(member));
  }
}

TEST_CASE("an id of the context is one segment as well, and refused when it is too long") {
  const AnyScope scope = Scope::client();
  CHECK(scope.resolve({.client_id = "1.cart"}).value() == Scope::client("1.cart"));
  CHECK(code_of(scope.resolve({.client_id = std::string(10'000, 'a')})) == StateErrorCode::too_large);
  CHECK(code_of(AnyScope(Scope::user_or_client()).resolve({.client_id = "c", .user_id = std::string(513, 'u')})) ==
        StateErrorCode::too_large);
}

// ---- Keys

TEST_CASE("a key is 1 to 256 bytes of UTF-8 without control bytes") {
  for (const std::string& key : {"a"s, "a.b:c%"s, "cart.line/42"s, " "s, "caf\xc3\xa9"s, std::string(256, 'k')}) {
    CHECK_FALSE(check_key(key).has_value());
  }
  for (const std::string& key : {""s, "\0"s, "a\0b"s, "a\n"s, "\x1f"s, "\x7f"s, "\xff"s, "a\xc3"s, "\xed\xa0\x80"s}) {
    const auto error = check_key(key);
    REQUIRE(error.has_value());
    CHECK(error->code() == StateErrorCode::invalid_name);
  }
  const auto error = check_key(std::string(257, 'k'));
  REQUIRE(error.has_value());
  CHECK(error->code() == StateErrorCode::too_large);
}

TEST_CASE("a colon in a scope and a colon in a key make two different states") {
  CHECK(state_id(Scope{"a%3Ab"}, "c") == "a%3Ab:c");
  CHECK(state_id(Scope{"a"}, "b:c") == "a:b%3Ac");
  CHECK(state_id(Scope{"a"}, "b.c") == "a:b.c");
  CHECK(state_id(Scope{"a.b"}, "c") == "a.b:c");
}

TEST_CASE("no two pairs of a scope and a key have the same id, and each can be read from it") {
  std::size_t wrong = 0;
  for (const std::string_view alphabet : {":.$\xff", "%3A:"}) {
    Segments words = {""};
    for (std::size_t i = 0; words.size() < 1 + 4 + 16 + 64 + 256; ++i) {
      for (const char c : alphabet) words.push_back(words[i] + c);
    }
    words.erase(words.begin());
    std::unordered_set<std::string> ids;
    for (const std::string& segment : words) {
      const Scope scope = Scope::client(segment);
      for (const std::string& key : words) {
        const std::string id = state_id(scope, key);
        const std::size_t colon = id.find(':');
        const bool same_scope = std::string_view(id).substr(0, colon) == scope.text();
        const bool same_key = atom::detail::unescape(std::string_view(id).substr(colon + 1)) == key;
        if (!same_scope || !same_key || !ids.insert(id).second) ++wrong;
      }
      if (scope.segments() != Segments{segment} || Scope::from_database(scope.text()).value() != scope) ++wrong;
    }
    CHECK(ids.size() == 340 * 340);
  }
  CHECK(wrong == 0);
}

}  // namespace
}  // namespace scope_test
