// A value of whatever type, read and written again.
#include <atom/json.hpp>
#include <atom/json_reader.hpp>
#include <atom/state/detail/any_json.hpp>

#include "support/catch.hpp"
#include "support/described.hpp"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace state_any_json_test {
namespace {

using atom::from_json;
using atom::to_json;
using atom::detail::AnyJson;

std::string again(std::string_view text) {
  return from_json<AnyJson>(text).value().text;
}
template <class T>
void check_same(const T& value) {
  const std::string text = to_json(value);
  CHECK(again(text) == text);
}

TEST_CASE("any JSON is what it was") {
  for (const std::string text : {"null", "true", "false", "0", "1", "-1", "0.5", "-2.25", "1e+300", R"("")",
                                 R"("text")", "[]", "{}", "[[]]", "[{}]", R"({"a":[]})", R"({"a":{}})",
                                 "[null,true,1,0.5,\"x\",[1,[2,[3]]],{\"k\":{\"l\":[{}]}}]", R"({"b":1,"a":2,"":3})"}) {
    CAPTURE(text);
    CHECK(again(text) == text);
  }
}

TEST_CASE("numbers are exact from the least to the greatest") {
  check_same(std::numeric_limits<std::int64_t>::min());
  check_same(std::numeric_limits<std::int64_t>::max());
  check_same(std::numeric_limits<std::uint64_t>::max());
  check_same(std::uint64_t{1} << 63);
  check_same(std::vector<double>{0.1, 1.0 / 3, 1e308, 5e-324, -1.5, 1e21, 1e22, 123456789012345680.0, 1e15});
  CHECK(from_json<double>(again("-1e3")).value() == -1000);
  CHECK(from_json<double>(again("1.0")).value() == 1);
  CHECK(from_json<double>(again("-0.0")).value() == 0);
}

TEST_CASE("text is safe inside HTML and has no line ends") {
  check_same(
      std::string("<script>&'\"\\/\b\f\n\r\t\x01 \xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80 \xe2\x80\xa8\xe2\x80\xa9"));
  check_same(std::string(1, '\0'));
  check_same(std::map<std::string, int>{{"<key>\n", 1}, {"\xe2\x80\xa8", 2}});
  CHECK(again("{ \"a\" :\r\n\t[ 1 ,\n 2 ] }\n") == R"({"a":[1,2]})");
  CHECK(again("[\"</script>\xe2\x80\xa8\\n\"]") == R"(["\u003c/script\u003e\u2028\n"])");
}

TEST_CASE("what types of all kinds are written as comes out as it is") {
  check_same(support::Everything());
  check_same(support::User{"O'Neill <o@x>", 40, {"Z\xc3\xbcrich", "\n"}, {0.1, 2, -0.5}});
  check_same(support::Tree{1, {{2, {}}, {3, {{4, {}}}}}});
  check_same(support::Shape(support::Circle{2}));
  check_same(support::Shape());
  const std::string text = again(to_json(support::Everything()));
  CHECK(from_json<support::Everything>(text).value() == support::Everything());
  CHECK(std::none_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; }));
}

TEST_CASE("what is large or deep comes out, too") {
  check_same(std::vector<std::string>(1000, std::string(100, '<')));
  std::string deep;
  for (int i = 0; i < 60; ++i) deep += i % 2 ? "{\"a\":" : "[";
  deep += "1";
  for (int i = 60; i-- > 0;) deep += i % 2 ? "}" : "]";
  CHECK(again(deep) == deep);
}

TEST_CASE("what is no JSON is none") {
  for (const std::string text :
       {"", "{", "[1,]", "nul", "1 2", "{\"a\"}", "\"\xff\"", "\"\n\"", "100000000000000000000"}) {
    CAPTURE(text);
    CHECK_FALSE(from_json<AnyJson>(text).has_value());
  }
}

TEST_CASE("it is written where it stands in another value") {
  CHECK(to_json(std::vector<AnyJson>{{"1"}, {R"({"a":[2]})"}}) == R"([1,{"a":[2]}])");
}

}  // namespace
}  // namespace state_any_json_test
