#include <atom/json.hpp>
#include <atom/store.hpp>

#include "support/catch.hpp"
#include "support/described.hpp"

#include <array>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

using atom::to_json;

namespace json_test {
namespace {

const atom::Atom<support::User> user_atom{"json.user"};
const atom::Atom<std::string> token_atom{"json.token", "secret", {.server_only = true}};
const atom::Atom<support::Opaque> opaque_atom{"json.opaque"};

using Causes = std::vector<std::pair<std::string, atom::Omission::Cause>>;
Causes causes(const std::vector<atom::Omission>& omitted) {
  Causes all;
  for (const atom::Omission& omission : omitted) all.emplace_back(omission.path, omission.cause);
  return all;
}
bool is_harmless(std::string_view text) {
  return text.find_first_of("<>&'") == text.npos && text.find("\xe2\x80\xa8") == text.npos &&
         text.find("\xe2\x80\xa9") == text.npos;
}

TEST_CASE("Numbers are written in full, with the shortest digits that read back") {
  CHECK(to_json(true) == "true");
  CHECK(to_json(-7) == "-7");
  CHECK(to_json(std::numeric_limits<std::int64_t>::min()) == "-9223372036854775808");
  CHECK(to_json(std::numeric_limits<std::uint64_t>::max()) == "18446744073709551615");
  CHECK(to_json(0.1) == "0.1");
  CHECK(to_json(12.34) == "12.34");
  CHECK(to_json(12.5) == "12.5");
  CHECK(to_json(-3.0) == "-3");
  CHECK(to_json(100000.0) == "100000");
  CHECK(to_json(0.0) == "0");
  CHECK(to_json(-0.0) == "-0.0");
  CHECK(to_json(0.1f) == "0.1");
  CHECK(to_json(1e21) == "1e+21");
  CHECK(to_json(1e-7) == "1e-07");
  CHECK(to_json(18446744073709551616.0) == "1.8446744073709552e+19");  // plain digits would be a huge integer
  CHECK(to_json(0.30000000000000004) == "0.30000000000000004");
}

TEST_CASE("Everything that has a codec is written") {
  CHECK(to_json(support::Everything{}) ==
        R"({"flag":true,"tiny":-128,"small":255,"least":-9223372036854775808,"most":18446744073709551615,)"
        R"("third":0.33333334,"tenth":0.1,)"
        "\"text\":\"a\\\"b\\\\c\\n\\t\\u0001\\u003c\\u003e\\u0026\\u0027 \xe2\x82\xac \\u2028\","
        R"("none":null,"some":0,"bits":[true,false],"list":["x",""],"set":[1,2,3],"map":{"":[],"a\u0027b":[1]},)"
        R"("pairOf":[1,2],"pair":[1,"one"],"tuple":[true,2,2.5],"shape":{"Circle":{"radius":2.5}},)"
        R"("nothing":{"null":null},"color":"green","wait":1500,)"
        R"("tree":{"value":1,"children":[{"value":2,"children":[]},)"
        R"({"value":3,"children":[{"value":4,"children":[]}]}]},"money":"1234 cents"})");
}

TEST_CASE("Empty containers and texts are written") {
  CHECK(to_json(std::vector<int>()) == "[]");
  CHECK(to_json(std::map<std::string, int>()) == "{}");
  CHECK(to_json("") == "\"\"");
  CHECK(to_json(atom::Snapshot()) == "{}");
}

TEST_CASE("The text is safe inside a script element and a single-quoted attribute, whatever it is made of") {
  std::string all;
  for (int c = 0; c < 256; ++c) all += static_cast<char>(c);
  all += "</script><!--\xe2\x80\xa8\xe2\x80\xa9";
  const std::string text = to_json(all);
  CHECK(is_harmless(text));
  for (const char c : text) CHECK(static_cast<unsigned char>(c) >= 0x20);
  CHECK(is_harmless(to_json(std::map<std::string, std::string>{{"</script>'\"&", "</script>'\"&"}})));
}

TEST_CASE("A character is escaped wherever in a text it stands") {
  for (const std::string_view special : {"\"", "\\", "<", ">", "&", "'", "\n", "\x1f"}) {
    for (std::size_t before = 0; before < 20; ++before) {
      const std::string text = std::string(before, 'x') + std::string(special) + std::string(20 - before, 'y');
      const std::string json = to_json(text);
      CHECK(json.find(std::string(before, 'x') + "\\") == 1);
      CHECK(json.ends_with(std::string(20 - before, 'y') + "\""));
    }
  }
}

TEST_CASE("What is not UTF-8 becomes U+FFFD, and what is stays") {
  const std::string instead = "\xef\xbf\xbd";
  CHECK(to_json("\x80") == "\"" + instead + "\"");
  CHECK(to_json("\xc0\xaf") == "\"" + instead + instead + "\"");                // overlong
  CHECK(to_json("\xe0\x80\xaf") == "\"" + instead + instead + instead + "\"");  // overlong
  CHECK(to_json("\xed\xa0\x80") == "\"" + instead + instead + instead + "\"");  // a surrogate
  CHECK(to_json("\xf4\x90\x80\x80") == "\"" + instead + instead + instead + instead + "\"");
  CHECK(to_json("a\xe2\x82") == "\"a" + instead + instead + "\"");  // cut off
  CHECK(to_json("\xff"
                "a") == "\"" + instead + "a\"");
  CHECK(to_json("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80") == "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"");
}

TEST_CASE("A long text is written whole") {
  const std::string plain(100'000, 'x');
  CHECK(to_json(plain) == "\"" + plain + "\"");
  const std::string quotes(10'000, '"');
  CHECK(to_json(quotes).size() == 20'002);
  std::vector<int> numbers(10'000, 7);
  CHECK(to_json(numbers).size() == 20'001);
}

TEST_CASE("A number that is none is left out as a member, null elsewhere, and named") {
  support::User user;
  user.prices = {1, std::numeric_limits<double>::infinity(), 3};
  std::vector<atom::Omission> omitted;
  const std::map<std::string, support::User> users{{"a\"b", user}};
  CHECK(to_json(users, {.omitted = &omitted}).find("\"prices\":[1,null,3]") != std::string::npos);
  CHECK(causes(omitted) == Causes{{"a\\\"b.prices[1]", atom::Omission::Cause::not_finite}});

  omitted.clear();
  const std::map<std::string, double> numbers{{"a", 1}, {"b\\", std::nan("")}, {"c", 3}};
  CHECK(to_json(numbers, {.omitted = &omitted}) == R"({"a":1,"c":3})");
  CHECK(causes(omitted) == Causes{{"b\\\\", atom::Omission::Cause::not_finite}});
  CHECK(to_json(support::Circle{-std::numeric_limits<double>::infinity()}) == "{}");
  CHECK(to_json(std::nan("")) == "null");
}

TEST_CASE("64. A server-only value is never in text for a client, and the report says so") {
  atom::AtomStore store;
  store.use(user_atom);
  store.use(token_atom);
  store.use(opaque_atom);
  std::vector<atom::Omission> omitted;
  const std::string text = to_json(store.snapshot(), {.omitted = &omitted});
  CHECK(text == R"({"json.user":{"name":"Anon","age":0,"address":{"city":"","street":null},"prices":[]}})");
  CHECK(causes(omitted) ==
        Causes{{"json.token", atom::Omission::Cause::server_only}, {"json.opaque", atom::Omission::Cause::no_codec}});
  const std::string all = to_json(store.snapshot(), {.audience = atom::Audience::server});
  CHECK(all.find(R"("json.token":"secret")") != std::string::npos);
  CHECK(to_json(atom::Snapshot{{"json.token", "by its key"}}) == "{}");
}

TEMPLATE_TEST_CASE("An integer of any width is written in full, up to its limits", "", std::int8_t, std::uint8_t,
                   std::int16_t, std::uint16_t, std::int32_t, std::uint32_t, std::int64_t, std::uint64_t, long,
                   unsigned long, long long, unsigned long long) {
  using Limits = std::numeric_limits<TestType>;
  CHECK(to_json(Limits::min()) == std::to_string(Limits::min()));
  CHECK(to_json(Limits::max()) == std::to_string(Limits::max()));
  CHECK(to_json(TestType{0}) == "0");
}

TEST_CASE("The limits of floating point are written with the shortest digits") {
  CHECK(to_json(std::numeric_limits<double>::max()) == "1.7976931348623157e+308");
  CHECK(to_json(std::numeric_limits<double>::lowest()) == "-1.7976931348623157e+308");
  CHECK(to_json(std::numeric_limits<double>::min()) == "2.2250738585072014e-308");
  CHECK(to_json(std::numeric_limits<double>::denorm_min()) == "5e-324");
  CHECK(to_json(std::numeric_limits<float>::max()) == "3.4028235e+38");
  CHECK(to_json(std::numeric_limits<float>::denorm_min()) == "1e-45");
  CHECK(to_json(-0.0f) == "-0.0");
  CHECK(to_json(16777216.0f) == "16777216");
}

TEST_CASE("Hundredths are written with two decimals at most, and nothing else is taken for them") {
  CHECK(to_json(0.01) == "0.01");
  CHECK(to_json(-0.01) == "-0.01");
  CHECK(to_json(-0.5) == "-0.5");
  CHECK(to_json(0.005) == "0.005");
  CHECK(to_json(1.005) == "1.005");
  CHECK(to_json(99.99) == "99.99");
  CHECK(to_json(-1234567.07) == "-1234567.07");
  CHECK(to_json(999999999999.99) == "999999999999.99");
  CHECK(to_json(0.07) == "0.07");
  CHECK(to_json(4.35) == "4.35");
  CHECK(to_json(0.1 + 0.2) == "0.30000000000000004");
  CHECK(to_json(1e-300) == "1e-300");
}

TEST_CASE("No double is written in plain digits that a reader would take for a huge integer") {
  for (const double number : {1e18, 1.5e18, 9007199254740993.0, 9223372036854775808.0, 1.8446744073709552e19, 1e20}) {
    const std::string text = to_json(number);
    CAPTURE(text);
    CHECK((text.find('e') != text.npos || text.size() <= 19));
    CHECK(std::stod(text) == number);
  }
}

TEST_CASE("Each type has one form in text") {
  using Pair = std::pair<int, bool>;
  using Chosen = std::variant<std::monostate, bool, std::int64_t, double, std::string, support::Circle>;
  CHECK(to_json(false) == "false");
  CHECK(to_json(std::string("text")) == "\"text\"");
  CHECK(to_json(std::string_view("view")) == "\"view\"");
  CHECK(to_json(std::optional<int>()) == "null");
  CHECK(to_json(std::optional<int>(0)) == "0");
  CHECK(to_json(std::vector<std::optional<int>>{1, std::nullopt}) == "[1,null]");
  CHECK(to_json(std::vector<bool>{true, false}) == "[true,false]");
  CHECK(to_json(std::list<int>{2, 1}) == "[2,1]");
  CHECK(to_json(std::set<std::string>{"b", "a"}) == R"(["a","b"])");
  CHECK(to_json(std::map<std::string, int>{{"b", 2}, {"a", 1}}) == R"({"a":1,"b":2})");
  CHECK(to_json(std::array<int, 3>{1, 2, 3}) == "[1,2,3]");
  CHECK(to_json(std::array<int, 0>{}) == "[]");
  CHECK(to_json(Pair{1, true}) == "[1,true]");
  CHECK(to_json(std::tuple<>()) == "[]");
  CHECK(to_json(std::tuple<int, std::string, Pair>{1, "x", {2, false}}) == R"([1,"x",[2,false]])");
  CHECK(to_json(Chosen()) == R"({"null":null})");
  CHECK(to_json(Chosen(true)) == R"({"bool":true})");
  CHECK(to_json(Chosen(std::int64_t{5})) == R"({"int64":5})");
  CHECK(to_json(Chosen(1.5)) == R"({"double":1.5})");
  CHECK(to_json(Chosen(std::string("x"))) == R"({"string":"x"})");
  CHECK(to_json(Chosen(support::Circle{2})) == R"({"Circle":{"radius":2}})");
  CHECK(to_json(support::Color::red) == "\"red\"");
  CHECK(to_json(support::Color::undescribed) == "2");
  CHECK(to_json(std::chrono::seconds(-3)) == "-3");
  CHECK(to_json(std::chrono::duration<double>(0.5)) == "0.5");
  CHECK(to_json(support::Money{-5}) == "\"-5 cents\"");
  CHECK(to_json(std::vector<support::Money>{{1}, {2}}) == R"(["1 cents","2 cents"])");
  CHECK(to_json(support::Tree{1, {{2, {}}}}) == R"({"value":1,"children":[{"value":2,"children":[]}]})");
}

TEST_CASE("What has no codec is no value for text") {
  STATIC_REQUIRE_FALSE(atom::detail::writable<support::Opaque>);
  STATIC_REQUIRE_FALSE(atom::detail::writable<std::vector<support::Opaque>>);
  STATIC_REQUIRE_FALSE(atom::detail::writable<std::optional<support::Opaque>>);
  STATIC_REQUIRE_FALSE(atom::detail::writable<std::pair<int, support::Opaque>>);
  STATIC_REQUIRE_FALSE(atom::detail::writable<std::variant<int, support::Opaque>>);
  STATIC_REQUIRE_FALSE(atom::detail::writable<std::map<int, int>>);
  STATIC_REQUIRE_FALSE(atom::detail::writable<int*>);
  STATIC_REQUIRE_FALSE(atom::detail::writable<char>);
  STATIC_REQUIRE_FALSE(atom::detail::writable<long double>);
  STATIC_REQUIRE_FALSE(atom::detail::writable<std::wstring>);
}

TEST_CASE("Each ASCII character has one spelling in text") {
  for (int code = 0; code < 128; ++code) {
    const char c = static_cast<char>(code);
    std::string expected(1, c);
    if (c == '"' || c == '\\') {
      expected.insert(0, "\\");
    } else if (c == '\n') {
      expected = "\\n";
    } else if (c == '\r') {
      expected = "\\r";
    } else if (c == '\t') {
      expected = "\\t";
    } else if (code < 0x20 || std::string_view("<>&'").find(c) != std::string_view::npos) {
      static constexpr char digits[] = "0123456789abcdef";
      expected = std::string("\\u00") + digits[code / 16] + digits[code % 16];
    }
    CAPTURE(code);
    CHECK(to_json(std::string(1, c)) == "\"" + expected + "\"");
    CHECK(to_json(std::string(8, 'x') + c + "yz") == "\"xxxxxxxx" + expected + "yz\"");
  }
}

TEST_CASE("U+2028 and U+2029 are escaped, and their neighbours are not") {
  CHECK(to_json("\xe2\x80\xa7\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaa") == "\"\xe2\x80\xa7\\u2028\\u2029\xe2\x80\xaa\"");
  CHECK(to_json("1234567\xe2\x80\xa8") == "\"1234567\\u2028\"");
}

TEST_CASE("The first and the last text of each length of UTF-8 stay, and what lies just beyond them does not") {
  for (const std::string_view good :
       {"\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xec\xbf\xbf", "\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbf",
        "\xf0\x90\x80\x80", "\xf3\xbf\xbf\xbf", "\xf4\x8f\xbf\xbf"}) {
    CHECK(to_json(good) == "\"" + std::string(good) + "\"");
  }
  for (const std::string_view bad :
       {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xed\xbf\xbf",
        "\xf0\x80\x80\x80", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xf8\x88\x80\x80\x80", "\xfe",
        "\xff", "\xc2", "\xe2\x82", "\xf0\x9f\x98", "\xed\xa0\xbd\xed\xb8\x80"}) {
    std::string expected;
    for (std::size_t i = 0; i < bad.size(); ++i) expected += "\xef\xbf\xbd";
    CHECK(to_json(bad) == "\"" + expected + "\"");
    CHECK(to_json(std::string(bad) + "<") == "\"" + expected + "\\u003c\"");
    CHECK(to_json("1234567" + std::string(bad) + "x") == "\"1234567" + expected + "x\"");
  }
  CHECK(to_json("\xc3(") == "\"\xef\xbf\xbd(\"");
  CHECK(to_json("\xe2\x82<") == "\"\xef\xbf\xbd\xef\xbf\xbd\\u003c\"");
}

TEST_CASE("A text that is cut from a longer one is not read beyond its end") {
  const std::string whole = "\xf0\x9f\x98\x80";
  for (std::size_t size = 1; size < whole.size(); ++size) {
    std::string expected;
    for (std::size_t i = 0; i < size; ++i) expected += "\xef\xbf\xbd";
    CHECK(to_json(std::string_view(whole).substr(0, size)) == "\"" + expected + "\"");
  }
}

TEST_CASE("Text of every length is written whole, where the room for it ends too") {
  for (std::size_t size = 2000; size < 2100; ++size) {
    const std::string plain(size, 'x');
    if (to_json(plain) != "\"" + plain + "\"") CHECK(size == 0);
    const std::string special(size, '<');
    if (to_json(special).size() != 6 * size + 2) CHECK(size == 0);
    const std::vector<std::string> two{plain, "\xff"};
    if (to_json(two) != "[\"" + plain + "\",\"\xef\xbf\xbd\"]") CHECK(size == 0);
    const std::vector<bool> bits(size, true);
    if (to_json(bits).size() != 5 * size + 1) CHECK(size == 0);
  }
  const std::vector<std::vector<int>> nested(3'000);
  CHECK(to_json(nested).size() == 3 * nested.size() + 1);
  CHECK(to_json(std::vector<double>(1'000, -1.2345678901234567e-300)).size() == 25 * 1'000 + 1);
}

struct Measures {
  double first = 0;
  std::optional<float> second = 0.0f;
  std::array<double, 2> both{};
  std::map<std::string, std::tuple<int, double>> more;
  double last = 0;
  static constexpr auto atom_fields() {
    using M = Measures;
    using atom::field;
    return atom::describe(field("first", &M::first), field("second", &M::second), field("both", &M::both),
                          field("more", &M::more), field("last", &M::last));
  }
};

TEST_CASE("Every number that is none is named, wherever it stands, in the order of the text") {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  const double nan = std::nan("");
  const Measures measures{
      nan, std::numeric_limits<float>::quiet_NaN(), {1, -infinity}, {{"", {1, nan}}, {"x:,[{\"", {2, infinity}}}, nan};
  std::vector<atom::Omission> omitted;
  CHECK(to_json(measures, {.omitted = &omitted}) == R"({"both":[1,null],"more":{"":[1,null],"x:,[{\"":[2,null]}})");
  constexpr auto why = atom::Omission::Cause::not_finite;
  CHECK(causes(omitted) == Causes{{"first", why},
                                  {"second", why},
                                  {"both[1]", why},
                                  {"more.[1]", why},
                                  {R"(more.x:,[{\"[1])", why},
                                  {"last", why}});
}

TEST_CASE("A number that is none has a path within its snapshot, and the values after it are written") {
  atom::Snapshot snapshot;
  snapshot.set("a", std::nan("")).set("b", std::vector<double>{0, std::nan("")}).set("c", 1);
  std::vector<atom::Omission> omitted;
  CHECK(to_json(snapshot, {.omitted = &omitted}) == R"({"b":[0,null],"c":1})");
  constexpr auto why = atom::Omission::Cause::not_finite;
  CHECK(causes(omitted) == Causes{{"a", why}, {"b[1]", why}});
  CHECK(to_json(snapshot) == R"({"b":[0,null],"c":1})");
  CHECK(to_json(atom::Snapshot{{"only", std::nan("")}}) == "{}");
}

TEST_CASE("What was left out is added to what is in the list already") {
  std::vector<atom::Omission> omitted{{"before", atom::Omission::Cause::no_codec}};
  to_json(std::nan(""), {.omitted = &omitted});
  REQUIRE(omitted.size() == 2);
  CHECK(omitted[0].path == "before");
  CHECK(omitted[1].path.empty());
}

TEST_CASE("The keys of a snapshot are escaped like any text") {
  CHECK(to_json(atom::Snapshot{{"</script>", 1}, {"\"", 2}, {"\xff", 3}}) ==
        "{\"\\u003c/script\\u003e\":1,\"\\\"\":2,\"\xef\xbf\xbd\":3}");
}

TEST_CASE("64. A server-only value stays out of text for a client in whichever way it came into a snapshot") {
  atom::AtomStore store;
  store.hydrate(atom::Snapshot{{"json.token", "hydrated"}});
  store.use(token_atom);
  CHECK(to_json(store.snapshot()) == "{}");
  CHECK(to_json(atom::Snapshot().merge(store.snapshot())) == "{}");
  CHECK(to_json(atom::Snapshot().set(token_atom, "set")) == "{}");
  CHECK(to_json(store.snapshot(), {.audience = atom::Audience::server}) == R"({"json.token":"hydrated"})");
}

TEST_CASE("A diff as text has the changed values and the removed keys, escaped like any text") {
  const atom::Snapshot before{{"same", 1}, {"gone", 2}, {"</script>", 3}};
  const atom::Snapshot after{{"same", 1}, {"new", std::optional<int>()}, {"<", "'"}};
  CHECK(to_json(after.diff(before)) ==
        R"({"changed":{"new":null,"\u003c":"\u0027"},"removed":["gone","\u003c/script\u003e"]})");
  CHECK(to_json(before.diff(before)) == R"({"changed":{},"removed":[]})");
  CHECK(to_json(atom::Snapshot().diff(atom::Snapshot{{"a", 1}})) == R"({"changed":{},"removed":["a"]})");
}

TEST_CASE("64. A server-only key is in neither part of a diff for a client, and the report names it") {
  const atom::Snapshot without{{"json.user", support::User{}}};
  const atom::Snapshot with{{"json.token", "secret"}, {"json.opaque", support::Opaque{}}};
  constexpr auto hidden = atom::Omission::Cause::server_only;
  constexpr auto unknown = atom::Omission::Cause::no_codec;
  std::vector<atom::Omission> omitted;
  CHECK(to_json(with.diff(without), {.omitted = &omitted}) == R"({"changed":{},"removed":["json.user"]})");
  CHECK(causes(omitted) == Causes{{"json.token", hidden}, {"json.opaque", unknown}});
  omitted.clear();
  CHECK(to_json(atom::Snapshot().diff(with), {.omitted = &omitted}) == R"({"changed":{},"removed":[]})");
  CHECK(causes(omitted) == Causes{{"json.token", hidden}, {"json.opaque", unknown}});
  omitted.clear();
  CHECK(to_json(with.diff({}), {.audience = atom::Audience::server, .omitted = &omitted}) ==
        R"({"changed":{"json.token":"secret"},"removed":[]})");
  CHECK(to_json(atom::Snapshot().diff(with), {.audience = atom::Audience::server}) ==
        R"({"changed":{},"removed":["json.token"]})");
}

TEST_CASE("A number that is none has the same path in a diff as in its snapshot") {
  std::vector<atom::Omission> omitted;
  const atom::Snapshot after{{"b", std::vector<double>{0, std::nan("")}}};
  CHECK(to_json(after.diff({}), {.omitted = &omitted}) == R"({"changed":{"b":[0,null]},"removed":[]})");
  CHECK(causes(omitted) == Causes{{"b[1]", atom::Omission::Cause::not_finite}});
}

TEST_CASE("of numbers that are not finite the first thousand are named") {
  const std::vector<double> numbers(1500, std::numeric_limits<double>::infinity());
  std::vector<atom::Omission> omitted;
  const std::string text = atom::to_json(numbers, {.omitted = &omitted});
  CHECK(text.size() == 5 * numbers.size() + 1);
  REQUIRE(omitted.size() == 1000);
  CHECK(omitted.back().path == "[999]");
}

}  // namespace
}  // namespace json_test
