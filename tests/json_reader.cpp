#include <atom/json_reader.hpp>
#include <atom/store.hpp>

#include "support/catch.hpp"
#include "support/described.hpp"

#include <array>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <iterator>
#include <limits>
#include <list>
#include <map>
#include <memory>
#include <memory_resource>
#include <new>
#include <optional>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

using atom::from_json;
using atom::snapshot_from_json;
using atom::to_json;

namespace json_reader_test {

/// No text is one: its codec throws.
struct Picky {
  int number = 0;
  bool operator==(const Picky&) const = default;
};

}  // namespace json_reader_test

template <>
struct atom::codec<json_reader_test::Picky> {
  static void write(auto& writer, const json_reader_test::Picky& picky) {
    atom::codec<int>::write(writer, picky.number);
  }
  static bool read(atom::Reader& in, json_reader_test::Picky&) {
    std::string text;
    if (!atom::codec<std::string>::read(in, text)) return false;
    if (text == "memory") throw std::bad_alloc();
    throw std::invalid_argument(text);
  }
};

namespace json_reader_test {
namespace {

const atom::Atom<support::Everything> everything_atom{
    "json_reader.everything", support::Everything{}, {.client_writable = true}};
const atom::Atom<support::User> user_atom{"json_reader.user", support::User{}, {.client_writable = true}};
const atom::Atom<std::string> locale_atom{"json_reader.locale", "en", {.client_writable = true}};
const atom::Atom<int> role_atom{"json_reader.role", 0};
const atom::Atom<int> even_atom{"json_reader.even",
                                0,
                                {.before_update =
                                     [](int&& next, const int&) {
                                       if (next < 0) throw std::runtime_error("less than nothing");
                                       return next & ~1;
                                     },
                                 .client_writable = true}};
const atom::Atom<support::Opaque> opaque_atom{"json_reader.opaque", support::Opaque{}, {.client_writable = true}};

template <class T>
std::string error_of(std::string_view text, const atom::JsonLimits& limits = {}) {
  const atom::Result<T> result = from_json<T>(text, limits);
  return result ? "no error" : result.error().message();
}
std::string snapshot_error(std::string_view text, const atom::JsonLimits& limits = {}) {
  const atom::Result<atom::Snapshot> result = snapshot_from_json(text, limits);
  return result ? "no error" : result.error().message();
}
bool is_json(std::string_view text) {
  return static_cast<bool>(snapshot_from_json(text));
}

TEST_CASE("63. What is written is read back equal, for every supported type") {
  support::Everything one;
  CHECK(from_json<support::Everything>(to_json(one)).value() == one);
  one.none = 5;
  one.some.reset();
  one.shape = std::string("text");
  one.nothing = -3;
  one.tenth = 1e300;
  one.third = -0.0f;
  one.color = support::Color::red;
  one.map.clear();
  one.tree = {};
  CHECK(from_json<support::Everything>(to_json(one)).value() == one);
}

TEST_CASE("63. Snapshot, text, parse, hydrate into a fresh store: equal values") {
  atom::AtomStore store;
  store.use(everything_atom).mutate([](support::Everything& all) { all.least = 42; });
  store.use(user_atom).update(support::User{"Ada", 36, {"Rome", "Via"}, {1, 2.5}});
  store.use(locale_atom).update("fr");
  const std::string text = to_json(store.snapshot());

  const atom::Result<atom::Snapshot> parsed = snapshot_from_json(text);
  REQUIRE(parsed);
  atom::AtomStore fresh;
  fresh.use(locale_atom);
  const atom::HydrateReport report = fresh.hydrate(*parsed);
  CHECK(report.ok());
  CHECK(report.applied.size() == 1);
  CHECK(report.queued.size() == 2);
  CHECK(fresh.use(everything_atom).value() == store.use(everything_atom).value());
  CHECK(fresh.use(user_atom).value() == store.use(user_atom).value());
  CHECK(fresh.use(locale_atom).value() == "fr");
  CHECK(fresh.snapshot() != atom::Snapshot());
}

TEST_CASE("Doubles are read back exactly") {
  std::mt19937_64 random(7);
  for (int i = 0; i < 20'000; ++i) {
    const double hundredths =
        static_cast<double>(static_cast<std::int64_t>(random() % 2'000'000'000) - 1'000'000'000) / 100;
    double any;
    const std::uint64_t bits = random();
    std::memcpy(&any, &bits, sizeof any);
    for (const double number : {hundredths, any, std::nextafter(hundredths, 1e9)}) {
      if (!(number - number == 0)) continue;
      if (from_json<double>(to_json(number)).value_or(0) != number) CHECK(to_json(number) == "another");
    }
  }
}

TEST_CASE("Types are strict") {
  CHECK(error_of<int>("1.5") == "expected int32, found 1.5");
  CHECK(error_of<int>("true") == "expected int32, found true");
  CHECK(error_of<int>("3000000000") == "expected int32, found 3000000000");
  CHECK(error_of<int>("\"1\"") == "expected int32, found \"1\"");
  CHECK(error_of<int>("1.0") == "expected int32, found 1");
  CHECK(error_of<int>("null") == "expected int32, found null");
  CHECK(error_of<int>("[1]") == "expected int32, found an array");
  CHECK(error_of<unsigned>("-1") == "expected uint32, found -1");
  CHECK(error_of<std::uint8_t>("256") == "expected uint8, found 256");
  CHECK(from_json<std::uint8_t>("255").value() == 255);
  CHECK(error_of<bool>("0") == "expected bool, found 0");
  CHECK(error_of<std::string>("1") == "expected string, found 1");
  CHECK(error_of<double>("\"1\"") == "expected number, found \"1\"");
  CHECK(from_json<double>("1").value() == 1.0);
  CHECK(error_of<float>("1e300").starts_with("expected float, found 1"));
  CHECK_FALSE(from_json<double>("1e400"));
  CHECK_FALSE(from_json<double>("99999999999999999999999"));
  CHECK(error_of<std::vector<int>>("{}") == "expected array, found an object");
  CHECK(error_of<support::User>("[]") == "expected object, found an array");
}

TEST_CASE("An error says where, what was expected and what was found") {
  CHECK(error_of<support::User>(R"({"age":"x"})") == "age: expected int32, found \"x\"");
  CHECK(error_of<support::User>(R"({"address":{"city":1}})") == "address.city: expected string, found 1");
  CHECK(error_of<support::User>(R"({"prices":[1,"x"]})") == "prices[1]: expected number, found \"x\"");
  CHECK(error_of<std::map<std::string, std::vector<int>>>(R"({"a":[1,[2]]})") ==
        "a[1]: expected int32, found an array");
  CHECK(error_of<std::vector<std::vector<int>>>("[[1],[2,null]]") == "[1][1]: expected int32, found null");
  CHECK(error_of<int>("\"" + std::string(100, '<') + "\"").size() < 300);
}

TEST_CASE("Members that the text does not have keep their default, and others are skipped") {
  const support::User user = from_json<support::User>(R"({"zz":{"a":[1]},"age":3,"yy":null})").value();
  CHECK(user == support::User{"Anon", 3, {}, {}});
}

TEST_CASE("Members may come in any order") {
  const support::User user =
      from_json<support::User>(R"({"prices":[1],"address":{"street":"s","city":"c"},"age":1,"name":"n"})").value();
  CHECK(user == support::User{"n", 1, {"c", "s"}, {1}});
}

TEST_CASE("An enumerator, an alternative and a codec of one's own refuse what they do not know") {
  CHECK(error_of<support::Color>("\"blue\"") == "expected Color, found \"blue\"");
  CHECK(error_of<support::Color>("0") == "expected string, found 0");
  CHECK(error_of<support::Shape>(R"({"Square":{}})") == "Square: expected the name of an alternative, found an object");
  CHECK(error_of<support::Shape>(R"({"int32":1,"string":"x"})") == "string: expected one alternative, found \"x\"");
  CHECK(error_of<support::Shape>("{}") == "expected one alternative, found an object");
  CHECK(error_of<support::Shape>(R"({"Circle":{"radius":"x"}})") == "Circle.radius: expected number, found \"x\"");
  CHECK(error_of<support::Money>("\"5 euros\"") == "expected an amount of cents, found \"5 euros\"");
}

/// Text within text.
struct Envelope {
  std::vector<int> numbers;
};

}  // namespace
}  // namespace json_reader_test

template <>
struct atom::codec<json_reader_test::Envelope> {
  static bool read(atom::Reader& reader, json_reader_test::Envelope& envelope) {
    std::string text;
    if (!atom::codec<std::string>::read(reader, text)) return false;
    auto numbers = atom::from_json<std::vector<int>>(text);
    if (!numbers) return reader.fail("a text of numbers");
    envelope.numbers = *std::move(numbers);
    return true;
  }
};

namespace json_reader_test {
namespace {

TEST_CASE("A codec may read a text within the text") {
  const auto read = from_json<std::map<std::string, Envelope>>(R"({"a":"[1,2]","b":"[3]","c":"[]"})");
  REQUIRE(read);
  CHECK(read->at("a").numbers == std::vector<int>{1, 2});
  CHECK(read->at("b").numbers == std::vector<int>{3});
  CHECK(read->at("c").numbers.empty());
  CHECK(error_of<std::vector<Envelope>>(R"(["[1]","[x"])") == "[1]: expected a text of numbers, found \"[x\"");
}

TEST_CASE("A tuple and an array are read whole, or not at all") {
  using Pair = std::pair<int, std::string>;
  CHECK(error_of<Pair>("[1]") == "expected a longer array, found an array");
  CHECK(error_of<Pair>(R"([1,"x",2])") == "[2]: expected the end of the array, found 2");
  CHECK(error_of<std::array<int, 2>>("[1,2,3]") == "[2]: expected the end of the array, found 3");
  CHECK(from_json<std::array<int, 2>>("[1,2]").value() == std::array<int, 2>{1, 2});
}

TEST_CASE("A key that comes twice is an error, wherever it stands and however it is spelled") {
  CHECK(snapshot_error(R"({"a":1,"a":2})") == "a: expected the key once, found it twice");
  CHECK(error_of<support::User>(R"({"name":"a","name":"b"})") == "name: expected the key once, found it twice");
  CHECK(error_of<support::User>(R"({"zz":{"q":1,"q":2}})") == "zz.q: expected the key once, found it twice");
  CHECK(error_of<support::User>(R"({"name":"a","n\u0061me":"b"})") == "name: expected the key once, found it twice");
  CHECK(is_json(R"({"a":{"a":1},"b":{"a":1}})"));
}

TEST_CASE("65. What is no JSON is an error value, and nothing of it applies") {
  atom::AtomStore store;
  store.use(locale_atom);
  for (const std::string_view text : {R"()",
                                      R"( )",
                                      R"({)",
                                      R"({"json_reader.locale":"fr")",
                                      R"({"json_reader.locale":"fr",})",
                                      R"({"json_reader.locale":"fr"} x)",
                                      R"({"json_reader.locale":"fr"}})",
                                      R"({"json_reader.locale":tru})",
                                      R"({"json_reader.locale":01})",
                                      R"({"json_reader.locale" "fr"})",
                                      R"({json_reader.locale:"fr"})",
                                      R"({'json_reader.locale':'fr'})",
                                      R"({"json_reader.locale":"\ud800"})",
                                      R"({"json_reader.locale":"\x"})",
                                      "{\"json_reader.locale\":\"\xff\"}",
                                      "{\"json_reader.locale\":\"a\nb\"}",
                                      R"({"json_reader.locale":NaN})",
                                      R"({"json_reader.locale":"fr","b":1e999})",
                                      R"([])",
                                      R"(7)",
                                      R"(null)"}) {
    CAPTURE(text);
    const atom::Result<atom::Snapshot> result = snapshot_from_json(text);
    CHECK_FALSE(result);
    if (!result) CHECK_FALSE(result.error().message().empty());
  }
  CHECK_FALSE(is_json(std::string_view("{\"a\":1}\0", 8)));
  CHECK(store.use(locale_atom).value() == "en");
}

TEST_CASE("The keys of a stranger are short and harmless in a message") {
  const std::string long_key(100'000, 'k');
  for (const std::string& key : {"a\\n2026 admin logged in" + long_key, "\\u001b[31m" + long_key, long_key}) {
    const std::string nested =
        error_of<std::map<std::string, std::map<std::string, int>>>("{\"" + key + "\":{\"" + key + "\":\"x\"}}");
    const std::string twice = snapshot_error("{\"" + key + "\":1,\"" + key + "\":2}");
    const std::string deep = snapshot_error("{\"" + key + "\":[[1]]}", {.max_depth = 2});
    for (const std::string& message : {nested, twice, deep}) {
      CHECK(message.size() < 300);
      CHECK(message.find("...") != std::string::npos);
      for (const char c : message) CHECK(static_cast<unsigned char>(c) >= 0x20);
    }
  }
}

TEST_CASE("Limits are kept exactly") {
  CHECK(snapshot_error(R"({"a":1})", {.max_bytes = 7}) == "no error");
  CHECK(snapshot_error(R"({"a":1})", {.max_bytes = 6}) == "expected at most 6 bytes, found 7");
  CHECK(snapshot_error(R"({"a":[[1]]})", {.max_depth = 3}) == "no error");
  CHECK(snapshot_error(R"({"a":[[1]]})", {.max_depth = 2}) == "a[0]: expected at most 2 levels, found more");
  CHECK(snapshot_error(R"({"a":1,"b":2})", {.max_keys = 2}) == "no error");
  CHECK(snapshot_error(R"({"a":1,"b":2})", {.max_keys = 1}) == "expected at most 1 keys, found more");
  CHECK(snapshot_error(R"({"a":[1,2]})", {.max_elements = 2}) == "no error");
  CHECK(snapshot_error(R"({"a":[1,2]})", {.max_elements = 1}) == "a: expected at most 1 elements, found more");
  for (const std::size_t depth : {std::size_t{65}, std::size_t{2'000}, std::size_t{500'000}}) {
    CHECK_FALSE(is_json("{\"a\":" + std::string(depth, '[') + std::string(depth, ']') + "}"));
  }
  CHECK(is_json("{\"a\":" + std::string(63, '[') + std::string(63, ']') + "}"));
  CHECK_FALSE(is_json("{\"a\":\"" + std::string(10'000'000, 'x') + "\"}"));
  CHECK(snapshot_from_json("{\"a\":\"" + std::string(10'000'000, 'x') + "\"}", {.max_bytes = 20'000'000}));
}

TEST_CASE("64. Text is a client's: it changes client-writable atoms only, after their before_update") {
  const atom::Result<atom::Snapshot> parsed = snapshot_from_json(
      R"({"json_reader.locale":"fr","json_reader.role":9,"json_reader.even":7,"json_reader.opaque":{}})");
  REQUIRE(parsed);
  CHECK(parsed->trust() == atom::Trust::client);
  atom::AtomStore store;
  const atom::HydrateReport report = store.hydrate(*parsed);
  REQUIRE(report.rejected.size() == 2);
  CHECK(report.rejected[0].key == "json_reader.role");
  CHECK(report.rejected[0].cause == atom::Rejection::Cause::not_writable);
  CHECK(report.rejected[1].key == "json_reader.opaque");
  CHECK(report.rejected[1].reason.find("has no codec") != std::string::npos);
  CHECK(store.use(locale_atom).value() == "fr");
  CHECK(store.use(role_atom).value() == 0);
  CHECK(store.use(even_atom).value() == 6);

  const atom::HydrateReport refused = store.hydrate(*snapshot_from_json(R"({"json_reader.even":-2})"));
  REQUIRE(refused.rejected.size() == 1);
  CHECK(refused.rejected[0].cause == atom::Rejection::Cause::refused);
  CHECK(store.use(even_atom).value() == 6);

  CHECK(store.hydrate(*snapshot_from_json(R"({"json_reader.role":9})"), {.trust = atom::Trust::server}).ok());
  CHECK(store.use(role_atom).value() == 9);
}

TEST_CASE("A broken value under one key is rejected alone, and its path is named") {
  atom::AtomStore store;
  const atom::HydrateReport report = store.hydrate(
      *snapshot_from_json(R"({"json_reader.user":{"name":"x","prices":[1,"y"]},"json_reader.locale":"de"})"));
  REQUIRE(report.rejected.size() == 1);
  CHECK(report.rejected[0].cause == atom::Rejection::Cause::type);
  CHECK(report.rejected[0].reason == "json_reader.user.prices[1]: expected number, found \"y\"");
  CHECK(store.use(user_atom).value() == support::User{});
  CHECK(store.use(locale_atom).value() == "de");
}

TEST_CASE("A value under a key that nobody knows waits undecoded, and is written again as it came") {
  const std::string text = R"({"json_reader.of_nobody":{"a":[1,-2,1.5,"x",null,true,18446744073709551615]},"b":[]})";
  const atom::Result<atom::Snapshot> parsed = snapshot_from_json(text);
  REQUIRE(parsed);
  CHECK(to_json(*parsed) == text);
  atom::AtomStore store;
  CHECK(store.hydrate(*parsed).unknown.size() == 2);
  CHECK(parsed->find("b")->to<std::vector<int>>() == std::vector<int>{});
  CHECK_FALSE(parsed->find("b")->to<int>());
  CHECK_THROWS_AS(parsed->get<int>("b"), atom::TypeMismatch);
  CHECK(parsed->find("b")->type_name() == "undecoded text");
}

TEST_CASE("A parsed snapshot may be copied, outlive the text, and be read on other threads") {
  atom::Snapshot copy;
  {
    std::string text = R"({"json_reader.locale":"fr"})";
    const atom::Result<atom::Snapshot> parsed = snapshot_from_json(text);
    copy = *parsed;
    text.assign(text.size(), ' ');
  }
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([copy] {
      for (int round = 0; round < 100; ++round) {
        atom::AtomStore store;
        store.hydrate(copy);
        if (store.use(locale_atom).value() != "fr") std::terminate();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_CASE("10,000 mutated and truncated texts are an error value or a correct result") {
  const std::string good = to_json(support::Everything{});
  std::mt19937 random(11);
  const auto below = [&](std::size_t bound) {
    return std::uniform_int_distribution<std::size_t>(0, bound - 1)(random);
  };
  static constexpr std::string_view pieces[] = {
      "\"",      "{",       "}",     "[", "]",    ",",    ":", "\\",
      "\\u0000", "\\ud800", "1e999", "-", "null", "\xff", "0", "99999999999999999999",
      "tru"};
  int read = 0;
  for (int i = 0; i < 10'000; ++i) {
    std::string text = good;
    for (std::size_t changes = 1 + below(3); changes > 0 && !text.empty(); --changes) {
      const std::size_t at = below(text.size());
      switch (below(5)) {
        case 0:
          text[at] = static_cast<char>(below(256));
          break;
        case 1:
          text.erase(at, 1 + below(8));
          break;
        case 2:
          text.insert(at, pieces[below(std::size(pieces))]);
          break;
        case 3:
          text.resize(at);
          break;
        default:
          text.insert(at, text.substr(below(text.size()), below(20)));
      }
    }
    if (const auto snapshot = snapshot_from_json(text)) {
      const std::string again = to_json(*snapshot);
      const auto second = snapshot_from_json(again);
      if (!second || to_json(*second) != again) CHECK(again == text);
    }
    if (const auto value = from_json<support::Everything>(text)) {
      ++read;
      const std::string again = to_json(*value);
      const auto second = from_json<support::Everything>(again);
      if (!second || to_json(*second) != again) CHECK(again == text);
    }
    const atom::Result<atom::Snapshot> wrapped = snapshot_from_json("{\"json_reader.everything\":" + text + "}");
    if (wrapped) {
      atom::AtomStore store;
      const atom::HydrateReport report = store.hydrate(*wrapped);
      const bool applied = report.rejected.empty();
      if (!applied && !(store.use(everything_atom).value() == support::Everything{})) CHECK(applied);
    }
  }
  CHECK(read > 100);
}

template <class T>
bool comes_back(const T& value) {
  const auto read = from_json<T>(to_json(value));
  return read && *read == value;
}

TEMPLATE_TEST_CASE("63. An integer of any width comes back up to its limits, and none beyond them is taken", "",
                   std::int8_t, std::uint8_t, std::int16_t, std::uint16_t, std::int32_t, std::uint32_t, std::int64_t,
                   std::uint64_t, long, unsigned long, long long, unsigned long long) {
  using Limits = std::numeric_limits<TestType>;
  CHECK(comes_back(Limits::min()));
  CHECK(comes_back(Limits::max()));
  CHECK(comes_back(TestType{0}));
  CHECK_FALSE(from_json<TestType>(std::to_string(Limits::max()) + "0"));
  CHECK_FALSE(from_json<TestType>("-" + std::to_string(Limits::max()) + "0"));
  if constexpr (sizeof(TestType) < sizeof(std::int64_t)) {
    CHECK_FALSE(from_json<TestType>(std::to_string(std::int64_t{Limits::max()} + 1)));
    CHECK_FALSE(from_json<TestType>(std::to_string(std::int64_t{Limits::min()} - 1)));
  }
}

TEST_CASE("Integers just beyond 64 bits are refused, and are no floating point either") {
  CHECK_FALSE(from_json<std::int64_t>("9223372036854775808"));
  CHECK_FALSE(from_json<std::int64_t>("-9223372036854775809"));
  CHECK_FALSE(from_json<std::uint64_t>("18446744073709551616"));
  CHECK(from_json<std::uint64_t>("9223372036854775808").value() == 9223372036854775808u);
  CHECK(error_of<std::int64_t>("9223372036854775808") == "expected int64, found 9223372036854775808");
  CHECK(error_of<std::uint64_t>("-1") == "expected uint64, found -1");
  CHECK(error_of<int>("-0.0") == "expected int32, found -0.0");
  CHECK(error_of<int>("1e3") == "expected int32, found 1000");
  CHECK(from_json<int>("-0").value() == 0);
}

TEST_CASE("63. Each type comes back from text") {
  using Chosen = std::variant<std::monostate, bool, std::int64_t, double, std::string, support::Circle>;
  CHECK(comes_back(true));
  CHECK(comes_back(false));
  CHECK(comes_back(std::string()));
  CHECK(comes_back(std::string("with\0zero", 9)));
  CHECK(comes_back(std::pmr::string("on the heap, as it is longer than the room inside")));
  CHECK(comes_back(std::optional<int>()));
  CHECK(comes_back(std::optional<std::string>("")));
  CHECK(comes_back(std::vector<std::optional<int>>{1, std::nullopt, 0}));
  CHECK(comes_back(std::vector<bool>{true, false, true}));
  CHECK(comes_back(std::vector<std::vector<int>>{{}, {1}, {2, 3}}));
  CHECK(comes_back(std::list<std::string>{"b", "a"}));
  CHECK(comes_back(std::set<std::string>{"b", "a"}));
  CHECK(comes_back(std::map<std::string, std::map<std::string, int>>{{"", {}}, {"a.b", {{"\"", 1}}}}));
  CHECK(comes_back(std::array<std::string, 2>{"x", "y"}));
  CHECK(comes_back(std::array<int, 0>{}));
  CHECK(comes_back(std::tuple<>()));
  CHECK(comes_back(std::pair<int, std::vector<bool>>{1, {true}}));
  CHECK(comes_back(std::tuple<int, std::optional<int>, double>{1, std::nullopt, 2.5}));
  for (const Chosen& chosen : {Chosen(), Chosen(false), Chosen(std::int64_t{-1}), Chosen(1.0), Chosen(std::string("x")),
                               Chosen(support::Circle{2})}) {
    CHECK(comes_back(chosen));
  }
  CHECK(comes_back(support::Color::green));
  CHECK(comes_back(std::chrono::hours(-3)));
  CHECK(comes_back(std::chrono::duration<double>(0.5)));
  CHECK(comes_back(support::Money{-5}));
  CHECK(comes_back(support::Tree{1, {{2, {{3, {}}}}, {4, {}}}}));
}

TEST_CASE("63. Each character comes back, whatever it looks like in text") {
  for (int code = 0; code < 128; ++code) CHECK(comes_back(std::string(9, static_cast<char>(code))));
  CHECK(comes_back(std::string("\xc3\xa9\xe2\x80\xa8\xe2\x80\xa9\xf0\x9f\x98\x80\xef\xbf\xbd")));
  CHECK(from_json<std::string>(R"("\ud83d\ude00\u00e9\/\b\f")").value() == "\xf0\x9f\x98\x80\xc3\xa9/\b\f");
}

TEST_CASE("63. Floats are read back exactly") {
  std::mt19937 random(5);
  int wrong = 0;
  for (int i = 0; i < 20'000; ++i) {
    float number;
    const auto bits = static_cast<std::uint32_t>(random());
    std::memcpy(&number, &bits, sizeof number);
    if (number - number == 0) wrong += !comes_back(number);
  }
  CHECK(wrong == 0);
  CHECK(std::signbit(from_json<double>(to_json(-0.0)).value()));
  CHECK(std::signbit(from_json<float>(to_json(-0.0f)).value()));
  for (const float edge : {std::numeric_limits<float>::max(), std::numeric_limits<float>::lowest(),
                           std::numeric_limits<float>::min(), std::numeric_limits<float>::denorm_min()}) {
    CHECK(from_json<float>(to_json(edge)).value() == edge);
  }
  CHECK_FALSE(from_json<float>("3.4028236e38"));
  CHECK_FALSE(from_json<float>("-3.4028236e38"));
  CHECK_FALSE(from_json<float>("3.5e38"));
}

TEST_CASE("What was left out of text because it is no number keeps its default, and null is no number") {
  CHECK(from_json<support::Circle>(to_json(support::Circle{std::nan("")})).value() == support::Circle{1});
  CHECK(error_of<std::vector<double>>(to_json(std::vector<double>{1, std::nan("")})) ==
        "[1]: expected number, found null");
}

TEST_CASE("A value without a name among the enumerators is written, but not read back") {
  CHECK(error_of<support::Color>(to_json(support::Color::undescribed)) == "expected string, found 2");
}

TEST_CASE("An alternative of nothing is null alone") {
  CHECK(from_json<support::Shape>(R"({"null":null})").value() == support::Shape());
  CHECK(error_of<support::Shape>(R"({"null":0})") == "null: expected null, found 0");
  CHECK(error_of<support::Shape>("null") == "expected object, found null");
  CHECK(error_of<support::Shape>(R"({"string":"x","int32":1})") == "int32: expected one alternative, found 1");
}

TEST_CASE("A tuple that is too short or too long is named with its place") {
  using Tuples = std::map<std::string, std::tuple<int, int>>;
  CHECK(error_of<Tuples>(R"({"a":[]})") == "a: expected a longer array, found an array");
  CHECK(error_of<Tuples>(R"({"a":[1,2,3]})") == "a[2]: expected the end of the array, found 3");
  CHECK(error_of<Tuples>(R"({"a":[1,"2"]})") == "a[1]: expected int32, found \"2\"");
  CHECK(error_of<Tuples>(R"({"a":{}})") == "a: expected array, found an object");
  CHECK(error_of<std::tuple<>>("[1]") == "[0]: expected the end of the array, found 1");
}

TEST_CASE("An error has its path, what was expected and what was found") {
  const atom::Result<support::User> user = from_json<support::User>(R"({"prices":[0,1,"x"]})");
  REQUIRE_FALSE(user);
  CHECK(user.error().path == "prices[2]");
  CHECK(user.error().expected == "number");
  CHECK(user.error().found == "\"x\"");
  CHECK(user.error().message() == "prices[2]: expected number, found \"x\"");
  CHECK_THROWS_WITH(user.value(), "prices[2]: expected number, found \"x\"");
  const atom::Result<int> nothing = from_json<int>("");
  REQUIRE_FALSE(nothing);
  CHECK(nothing.error().path.empty());
  CHECK(nothing.error().expected == "JSON");
  CHECK(nothing.error().found.starts_with("text that is none: "));
}

TEST_CASE("What an error shows of a text is short and safe in a page") {
  CHECK(error_of<int>("\"" + std::string(41, 'x') + "\"") ==
        "expected int32, found \"" + std::string(40, 'x') + "\"...");
  CHECK(error_of<int>("\"" + std::string(40, 'x') + "\"") == "expected int32, found \"" + std::string(40, 'x') + "\"");
  CHECK(error_of<int>(R"("<\n'")") == R"(expected int32, found "\u003c\n\u0027")");
  CHECK(error_of<int>("\"" + std::string(39, 'x') + "\xc3\xa9\"") ==
        "expected int32, found \"" + std::string(39, 'x') + "\xef\xbf\xbd\"...");
}

/// Is read as a user, and must have a name.
struct Named {
  support::User user;
};
/// Is refused without a reason.
struct Silent {
  int number = 0;
};

}  // namespace
}  // namespace json_reader_test

template <>
struct atom::codec<json_reader_test::Named> {
  static void write(auto& writer, const json_reader_test::Named& named) {
    atom::codec<support::User>::write(writer, named.user);
  }
  static bool read(atom::Reader& reader, json_reader_test::Named& named) {
    if (!atom::codec<support::User>::read(reader, named.user)) return false;
    return !named.user.name.empty() || reader.fail("a user with a name");
  }
};

template <>
struct atom::codec<json_reader_test::Silent> {
  static void write(auto& writer, const json_reader_test::Silent& silent) { writer.integer(silent.number); }
  static bool read(atom::Reader&, json_reader_test::Silent&) { return false; }
};

namespace json_reader_test {
namespace {

TEST_CASE("A codec that refuses a value without a reason is named with its place") {
  CHECK(error_of<std::vector<Silent>>("[1]") == "[0]: expected another value, found 1");
}

TEST_CASE("A codec that refuses what it has read names the whole value") {
  CHECK(from_json<Named>(R"({"name":"Ada","age":3})").value().user.age == 3);
  CHECK(error_of<Named>(R"({"name":"","age":3})") == "expected a user with a name, found an object");
  CHECK(error_of<std::vector<Named>>(R"([{"name":"Ada"},{"name":""}])") ==
        "[1]: expected a user with a name, found an object");
}

TEST_CASE("Members of a struct are skipped whatever they hold, and an empty object changes nothing") {
  CHECK(from_json<support::User>("{}").value() == support::User{});
  CHECK(from_json<support::User>(R"({"Name":"x","name ":"y","":1,"prices.0":2})").value() == support::User{});
  CHECK(from_json<support::User>(R"({"n\u0061me":"Ada"})").value().name == "Ada");
  CHECK(error_of<support::User>(R"({"name":null})") == "name: expected string, found null");
  const auto tree = from_json<support::Tree>(R"({"children":[{},{"value":1}]})").value();
  CHECK(tree == support::Tree{0, {{0, {}}, {1, {}}}});
}

TEST_CASE("A key that comes twice is an error in an object of any size, and in what is skipped") {
  for (const int size : {1, 15, 16, 17, 40, 500}) {
    std::string members;
    for (int i = 0; i < size; ++i) members += "\"k" + std::to_string(i) + "\":0,";
    CAPTURE(size);
    CHECK(is_json("{" + members + "\"other\":0}"));
    CHECK(snapshot_error("{" + members + "\"k0\":1}") == "k0: expected the key once, found it twice");
    CHECK(snapshot_error("{\"skipped\":[{},{" + members + R"("\u006b0":1}]})") ==
          "skipped[1].k0: expected the key once, found it twice");
  }
  CHECK(error_of<support::User>(R"({"qty":1,"q\u0074y":2})") == "qty: expected the key once, found it twice");
  CHECK(error_of<support::User>(R"({"":1,"":2})").ends_with("expected the key once, found it twice"));
  using Map = std::map<std::string, int>;
  CHECK(error_of<Map>(R"({"a":1,"b":2,"a":1})") == "a: expected the key once, found it twice");
  CHECK(is_json(R"({"a":[{"a":1},{"a":1}],"A":1,"a ":2})"));
}

TEST_CASE("Limits hold for values as for snapshots, inside of what is skipped, and name the place") {
  CHECK(from_json<int>("1", {.max_bytes = 1}));
  CHECK(error_of<int>("12", {.max_bytes = 1}) == "expected at most 1 bytes, found 2");
  CHECK(error_of<int>(" 1", {.max_bytes = 1}) == "expected at most 1 bytes, found 2");
  CHECK(from_json<int>("1", {.max_depth = 0}));
  CHECK(error_of<std::vector<int>>("[]", {.max_depth = 0}) == "expected at most 0 levels, found more");
  CHECK(error_of<support::User>(R"({"zz":[[0],[0,1]]})", {.max_elements = 1}) ==
        "zz: expected at most 1 elements, found more");
  CHECK(error_of<support::User>(R"({"zz":[{"a":{"b":0,"c":1}}]})", {.max_keys = 1}) ==
        "zz[0].a: expected at most 1 keys, found more");
  const auto elements = [](std::size_t count) {
    std::string text = "[0";
    for (std::size_t i = 1; i < count; ++i) text += ",0";
    return text + "]";
  };
  CHECK(from_json<std::vector<int>>(elements(100'000)).value().size() == 100'000);
  CHECK_FALSE(from_json<std::vector<int>>(elements(100'001)));
  const auto keys = [](std::size_t count) {
    std::string text = "{\"k\":0";
    for (std::size_t i = 1; i < count; ++i) text += ",\"k" + std::to_string(i) + "\":0";
    return text + "}";
  };
  CHECK(is_json(keys(10'000)));
  CHECK_FALSE(is_json(keys(10'001)));
  const auto deep = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  CHECK(is_json("{\"a\":" + deep(63) + "}"));
  CHECK_FALSE(is_json("{\"a\":" + deep(64) + "}"));
  CHECK(snapshot_from_json("{\"a\":" + deep(999) + "}", {.max_depth = 1000}));
  CHECK_FALSE(snapshot_from_json("{\"a\":" + deep(1000) + "}", {.max_depth = 1000}));
}

TEST_CASE("65. What stands after a value, or is cut off it, makes the whole text wrong") {
  for (const std::string_view text : {"",
                                      " ",
                                      "\n",
                                      "1 2",
                                      "1,",
                                      "[1]]",
                                      "[1],",
                                      "[1,]",
                                      "[,1]",
                                      "[1 2]",
                                      "{\"a\":1,}",
                                      "{,}",
                                      "{\"a\"}",
                                      "{\"a\":}",
                                      "{\"a\":1 \"b\":2}",
                                      "\"",
                                      "\"a",
                                      "\"\\",
                                      "tru",
                                      "nul",
                                      "+1",
                                      ".5",
                                      "1.",
                                      "01",
                                      "-",
                                      "1e",
                                      "0x1",
                                      "1_000",
                                      "NaN",
                                      "Infinity",
                                      "-Infinity",
                                      "undefined",
                                      "'a'",
                                      "/**/1",
                                      "1//",
                                      "\"\t\"",
                                      "\"\\u12\"",
                                      "\"\\ud800\"",
                                      "\"\\udc00\"",
                                      "\"\\ud800\\u0041\"",
                                      "\"\xc0\x80\"",
                                      "\"\x80\"",
                                      "\"\xed\xa0\x80\"",
                                      "\"\xf4\x90\x80\x80\"",
                                      "\"\xe2\x82\"",
                                      "\xff",
                                      "1e400"}) {
    CAPTURE(text);
    CHECK_FALSE(from_json<int>(text));
    CHECK_FALSE(from_json<double>(text));
    CHECK_FALSE(from_json<std::string>(text));
    CHECK_FALSE(from_json<std::vector<int>>(text));
    CHECK_FALSE(from_json<support::User>(text));
    CHECK_FALSE(is_json("{\"json_reader.locale\":\"fr\",\"x\":[" + std::string(text) + ","));
  }
  CHECK_FALSE(from_json<int>(std::string_view("1\0", 2)));
  CHECK_FALSE(from_json<int>(std::string_view("\0", 1)));
  CHECK_FALSE(from_json<std::string>(std::string_view("\"a\0b\"", 5)));
  CHECK_FALSE(from_json<int>(std::string_view()));
  CHECK(from_json<int>(" \t\r\n1 \n").value() == 1);
}

TEST_CASE("A text is read where it ends, not where its memory does") {
  const std::string memory = "[1,2]garbage";
  CHECK(from_json<std::vector<int>>(std::string_view(memory).substr(0, 5)).value() == std::vector<int>{1, 2});
  const std::string digits = "123456";
  CHECK(from_json<int>(std::string_view(digits).substr(0, 3)).value() == 123);
}

TEST_CASE("65. A text that is wrong at its very end applies nothing, and leaves what waits") {
  atom::AtomStore store;
  store.hydrate(*snapshot_from_json(R"({"json_reader.locale":"de"})"));
  const auto wrong = snapshot_from_json(R"({"json_reader.locale":"fr","x":1)");
  CHECK_FALSE(wrong);
  CHECK_THROWS_AS(wrong.value(), atom::Error);
  store.hydrate(wrong.value_or(atom::Snapshot()));
  CHECK(store.use(locale_atom).value() == "de");
}

TEST_CASE("64. A text may be told to be a server's, and a client's stays one through copies and merges") {
  const atom::Snapshot parsed = *snapshot_from_json(R"({"json_reader.role":9})");
  const atom::Snapshot copy = parsed;
  CHECK(copy.trust() == atom::Trust::client);
  CHECK(atom::Snapshot{{"json_reader.even", 1}}.merge(parsed).trust() == atom::Trust::client);
  atom::AtomStore store;
  store.use(role_atom);
  const auto report = store.hydrate(copy);
  REQUIRE(report.rejected.size() == 1);
  CHECK(report.rejected[0].cause == atom::Rejection::Cause::not_writable);
  CHECK(report.rejected[0].key == "json_reader.role");
  CHECK(report.applied.empty());
  CHECK(report.queued.empty());
  CHECK_FALSE(report.ok());
  CHECK(store.use(role_atom).value() == 0);
  atom::Snapshot trusted = parsed;
  trusted.set_trust(atom::Trust::server);
  CHECK(store.hydrate(trusted).ok());
  CHECK(store.use(role_atom).value() == 9);
}

TEST_CASE("A server's text does not ask before_update, a client's does, for used atoms and for those to come") {
  atom::AtomStore used;
  used.use(even_atom);
  atom::AtomStore unused;
  for (atom::AtomStore* store : {&used, &unused}) {
    CHECK(store->hydrate(*snapshot_from_json(R"({"json_reader.even":7})"), {.trust = atom::Trust::server}).ok());
    CHECK(store->use(even_atom).value() == 7);
    CHECK(store->hydrate(*snapshot_from_json(R"({"json_reader.even":9})")).ok());
    CHECK(store->use(even_atom).value() == 8);
  }
}

TEST_CASE("A value waits as text for an atom whose template comes later, and is judged then") {
  atom::AtomStore store;
  const auto report = store.hydrate(*snapshot_from_json(
      R"({"json_reader.late":{"name":"x"},"json_reader.late_wrong":[1,"y"],"json_reader.late_closed":5})"));
  CHECK(report.unknown.size() == 3);
  const atom::Atom<support::User> late{"json_reader.late", support::User{}, {.client_writable = true}};
  const atom::Atom<std::vector<int>> wrong{"json_reader.late_wrong", {7}, {.client_writable = true}};
  const atom::Atom<int> closed{"json_reader.late_closed", 1};
  CHECK(store.use(late).value().name == "x");
  CHECK_FALSE(store.use(late).is_modified());
  CHECK(store.use(wrong).value() == std::vector<int>{7});
  CHECK(store.use(closed).value() == 1);
  REQUIRE(store.rejected().size() == 2);
  CHECK(store.rejected()[0].reason == "json_reader.late_wrong[1]: expected int32, found \"y\"");
  CHECK(store.rejected()[1].cause == atom::Rejection::Cause::not_writable);
}

TEST_CASE("64. What a text has for a server-only atom is not told where it is no value of it") {
  const atom::Atom<int> number{"json_reader.secret_number", 0, {.server_only = true}};
  const atom::Atom<std::map<std::string, int>> map{"json_reader.secret_map", {}, {.server_only = true}};
  const atom::Atom<std::map<std::string, int>> open{"json_reader.open_map", {}};
  const atom::Snapshot secrets =
      *atom::snapshot_from_json(R"({"json_reader.secret_number":"s3cret","json_reader.secret_map":{"alice":"s3cret"},)"
                                R"("json_reader.open_map":{"alice":"told"}})");
  atom::AtomStore store;
  const auto report = store.hydrate(secrets, {.trust = atom::Trust::server});
  REQUIRE(report.rejected.size() == 3);
  CHECK(report.rejected[0].reason == "expected int32");
  CHECK(report.rejected[1].reason == "json_reader.secret_map.*: expected int32");
  CHECK(report.rejected[2].reason == "json_reader.open_map.alice: expected int32, found \"told\"");
}

TEST_CASE("10. A codec that throws rejects the value, and applies the others") {
  const atom::Atom<Picky> picky{"json_reader.picky", Picky{}};
  const atom::Atom<int> other{"json_reader.beside_picky", 0};
  atom::AtomStore store;
  store.use(other);
  const atom::Snapshot page = *snapshot_from_json(R"({"json_reader.picky":"s3cret","json_reader.beside_picky":5})");
  const auto report = store.hydrate(page, {.trust = atom::Trust::server});
  REQUIRE(report.rejected.size() == 1);
  CHECK(report.rejected[0].cause == atom::Rejection::Cause::type);
  CHECK(report.rejected[0].reason == "its codec has thrown");
  CHECK(store.use(other).value() == 5);
}

TEST_CASE("10. A codec that throws for a value that waits leaves the default, and use does not throw") {
  atom::AtomStore store;
  store.hydrate(*snapshot_from_json(R"({"json_reader.late_picky":"s3cret"})"));
  const atom::Atom<Picky> late{"json_reader.late_picky", Picky{7}, {.client_writable = true}};
  CHECK(store.use(late).value() == Picky{7});
  REQUIRE(store.rejected().size() == 1);
  CHECK(store.rejected()[0].reason == "its codec has thrown");
}

TEST_CASE("A codec that throws where a transaction is taken back leaves the default") {
  atom::AtomStore store;
  SECTION("for a reason of its own") {
    store.hydrate(*snapshot_from_json(R"({"json_reader.tried":"s3cret"})"));
  }
  SECTION("for lack of memory") {
    store.hydrate(*snapshot_from_json(R"({"json_reader.tried":"memory"})"));
  }
  const atom::Atom<Picky> tried{"json_reader.tried", Picky{7}, {.client_writable = true}};
  CHECK_THROWS_AS(store.transaction([&] {
    store.hydrate(atom::Snapshot{{"json_reader.tried", Picky{5}}});
    CHECK(store.use(tried).value() == Picky{5});
    throw 1;
  }),
                  int);
  CHECK(store.use(tried).value() == Picky{7});
}

TEST_CASE("Lack of memory in a codec is no rejection") {
  const atom::Atom<Picky> picky{"json_reader.picky", Picky{}};
  atom::AtomStore store;
  const atom::Snapshot page = *snapshot_from_json(R"({"json_reader.picky":"memory"})");
  CHECK_THROWS_AS(store.hydrate(page, {.trust = atom::Trust::server}), std::bad_alloc);
}

TEST_CASE("A value of a parsed snapshot is read as any type that fits, as often as one likes") {
  const atom::Snapshot parsed = *snapshot_from_json(R"({"user":{"name":"Ada","age":3},"n":7,"null":null})");
  REQUIRE(parsed.find("user"));
  CHECK(parsed.find("user")->to<support::User>() == support::User{"Ada", 3, {}, {}});
  CHECK(parsed.find("user")->to<support::User>()->age == 3);
  CHECK(parsed.find("user")->to<support::Circle>() == support::Circle{});  // no member is required
  CHECK_FALSE(parsed.find("user")->to<std::vector<int>>());
  CHECK_FALSE(parsed.find("user")->to<support::Opaque>());
  CHECK(parsed.find("n")->to<int>() == 7);
  CHECK(parsed.find("n")->to<std::uint8_t>() == std::uint8_t{7});
  CHECK(parsed.find("n")->to<double>() == 7.0);
  CHECK_FALSE(parsed.find("n")->to<bool>());
  CHECK_FALSE(parsed.find("n")->to<std::string>());
  const auto nothing = parsed.find("null")->to<std::optional<int>>();
  REQUIRE(nothing);
  CHECK_FALSE(nothing->has_value());
  CHECK(parsed.find("missing") == nullptr);
}

TEST_CASE("What is not decoded is written again as it came, also from a store, and is escaped anew") {
  const atom::Snapshot parsed = *snapshot_from_json(R"({ "json_reader.none" : [ "</script>", 1.50, {"'": -0.0} ] })");
  CHECK(to_json(parsed) == R"({"json_reader.none":["\u003c/script\u003e",1.5,{"\u0027":-0.0}]})");
  atom::Snapshot merged{{"first", 1}};
  merged.merge(parsed);
  CHECK(to_json(merged) == R"({"first":1,"json_reader.none":["\u003c/script\u003e",1.5,{"\u0027":-0.0}]})");
  CHECK(to_json(*snapshot_from_json("{}")) == "{}");
}

TEST_CASE("Parts of one parsed text live on when the rest is gone, on whichever thread they end") {
  atom::Value kept;
  {
    const atom::Snapshot parsed = *snapshot_from_json(R"({"a":{"name":"a long name that lies on the heap"},"b":2})");
    kept = *parsed.find("a");
  }
  std::string name;
  std::thread other([value = std::move(kept), &name] { name = value.to<support::User>()->name; });
  other.join();
  CHECK(name == "a long name that lies on the heap");
}

TEST_CASE("A thread reads texts of all sizes one after the other") {
  for (const std::size_t size : {std::size_t{1}, std::size_t{3'000'000}, std::size_t{2}, std::size_t{500'000}}) {
    const std::string plain(size, 'x');
    CHECK(from_json<std::string>("\"" + plain + "\"", {.max_bytes = 4'000'000}).value() == plain);
    CHECK_FALSE(from_json<std::string>("\"" + plain, {.max_bytes = 4'000'000}));
  }
}

TEST_CASE("Every truncation of a text is an error value, and every single byte that is changed is survived") {
  const std::string good = to_json(support::Everything{});
  int wrong = 0;
  for (std::size_t size = 0; size < good.size(); ++size) {
    const auto part = std::make_unique<char[]>(size);  // so that a sanitizer sees what reads beyond it
    good.copy(part.get(), size);
    const std::string_view text(part.get(), size);
    wrong += from_json<support::Everything>(text).has_value() + snapshot_from_json(text).has_value();
  }
  CHECK(wrong == 0);
  for (std::size_t at = 0; at < good.size(); ++at) {
    for (const int flip : {1, 2, 4, 8, 16, 32, 64, 128}) {
      std::string text = good;
      text[at] = static_cast<char>(text[at] ^ flip);
      const auto snapshot = snapshot_from_json(text);
      if (!snapshot) continue;
      const std::string again = to_json(*snapshot);
      const auto second = snapshot_from_json(again);
      wrong += !second || to_json(*second) != again;
    }
  }
  CHECK(wrong == 0);
}

TEST_CASE("a limit of more than sixteen million is one") {
  constexpr std::size_t most = (std::size_t{1} << 24) - 1;  // simdjson counts no further
  std::string text = "[";
  for (std::size_t i = 0; i <= most; ++i) text += "0,";
  text.back() = ']';
  const auto read = from_json<std::vector<bool>>(text, {.max_bytes = text.size(), .max_elements = most});
  REQUIRE_FALSE(read);
  CHECK(read.error().message() == "expected at most 16777215 elements, found more");
}

TEST_CASE("a map whose keys do not own their text is written, and not read") {
  using Views = std::map<std::string_view, int>;
  CHECK(to_json(Views{{"a", 1}}) == R"({"a":1})");
  STATIC_REQUIRE_FALSE(atom::detail::readable<Views>);
  STATIC_REQUIRE_FALSE(atom::detail::readable<std::set<std::string_view>>);
  STATIC_REQUIRE_FALSE(atom::detail::readable<std::vector<std::string_view>>);
  STATIC_REQUIRE_FALSE(atom::detail::readable<std::optional<std::string_view>>);
  STATIC_REQUIRE(atom::detail::readable<std::map<std::string, int>>);
  STATIC_REQUIRE(atom::detail::readable<std::map<std::pmr::string, int>>);
}

// ---- At the end of a thread, and of the program

/// Reads when it ends.
struct ReadsLast {
  explicit ReadsLast(std::vector<int>* numbers) : read(numbers) {}
  ReadsLast(const ReadsLast&) = delete;
  ReadsLast& operator=(const ReadsLast&) = delete;
  ~ReadsLast() {
    const auto numbers = from_json<std::vector<int>>("[1,2,3]");
    if (!numbers || numbers->size() != 3) std::abort();
    if (read) *read = *numbers;
  }
  std::vector<int>* read;
};
const ReadsLast ends_with_the_program{nullptr};

TEST_CASE("what ends after the parser that a thread keeps may still read") {
  std::vector<int> read;
  std::thread([&] {
    thread_local const ReadsLast older(&read);
    if (!from_json<int>("1") || older.read != &read) std::abort();
  }).join();
  CHECK(read == std::vector<int>{1, 2, 3});
}

}  // namespace
}  // namespace json_reader_test
