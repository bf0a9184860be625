#include <atom/json.hpp>
#include <atom/store.hpp>

#include "support/catch.hpp"
#include "support/described.hpp"

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using atom::to_json;

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
  CHECK(to_json(-0.0) == "-0");
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

}  // namespace
