#include <atom/json_reader.hpp>
#include <atom/store.hpp>

#include "support/catch.hpp"
#include "support/described.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

using atom::from_json;
using atom::snapshot_from_json;
using atom::to_json;

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

template <>
struct atom::codec<Envelope> {
  static bool read(atom::Reader& reader, Envelope& envelope) {
    std::string text;
    if (!atom::codec<std::string>::read(reader, text)) return false;
    auto numbers = atom::from_json<std::vector<int>>(text);
    if (!numbers) return reader.fail("a text of numbers");
    envelope.numbers = *std::move(numbers);
    return true;
  }
};

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

}  // namespace
