#include <atom/derived.hpp>
#include <atom/format.hpp>
#include <atom/state/error.hpp>
#include <atom/store.hpp>

#include "support/catch.hpp"
#include "support/described.hpp"

#include <fmt/ranges.h>
#if __has_include(<fmt/std.h>)
#include <fmt/std.h>
#endif

#include <cmath>
#include <cstddef>
#include <iterator>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace format_test {

/// Its codec does something else, too.
struct Busy {
  static inline void (*work)() = nullptr;
  bool operator==(const Busy&) const = default;
};

}  // namespace format_test

template <>
struct atom::codec<format_test::Busy> {
  static void write(auto& writer, const format_test::Busy&) {
    format_test::Busy::work();
    atom::codec<int>::write(writer, 1);
  }
};

namespace format_test {
namespace {

using atom::Atom;
using atom::AtomBase;
using atom::AtomStore;
using atom::Snapshot;
using atom::Value;
using support::ContainsSubstring;

struct Pair {
  std::string name = "Ada";
  int age = 36;
  bool operator==(const Pair&) const = default;
  static constexpr auto atom_fields() {
    return atom::describe(atom::field("name", &Pair::name), atom::field("age", &Pair::age));
  }
};
/// A class with verbs, and a range.
class Numbers : public Atom<std::vector<int>> {
 public:
  using Atom::Atom;
  auto begin() const { return value().begin(); }
  auto end() const { return value().end(); }
};

const Atom<Pair> user{"format.user"};
const Atom<int> count{"format.count", 3, {.client_writable = true}};
const Atom<std::string> token{"format.token", "t0k3n", {.server_only = true}};
const Atom<support::Opaque> opaque{"format.opaque"};
const Atom<std::unique_ptr<int>> pointer{"format.pointer", atom::Factory{[] { return std::make_unique<int>(7); }}};
const Atom<std::string> note{"format.note"};
const Numbers numbers{"format.numbers", {1, 2}};

const atom::Derived<int> doubled{"format.doubled", [](auto& get) { return 2 * get(count); }};
const atom::Derived<std::size_t> token_size{"format.token_size", [](auto& get) { return get(token).size(); }};

std::string text_of(const Value& value) {
  return fmt::format("{}", value);
}
std::vector<std::string> lines(const std::string& text) {
  std::vector<std::string> all;
  for (std::size_t from = 0;;) {
    const std::size_t end = text.find('\n', from);
    all.push_back(text.substr(from, end - from));
    if (end == text.npos) return all;
    from = end + 1;
  }
}

TEST_CASE("an atom is shown as its key and its value in JSON") {
  AtomStore store;
  auto& clone = store.use(user);
  CHECK(fmt::format("{}", clone) == R"(format.user: {"name":"Ada","age":36})");
  clone.change(&Pair::age, 37);
  CHECK(fmt::format("{}", clone) == R"(format.user: {"name":"Ada","age":37})");
  const AtomBase& base = clone;
  CHECK(fmt::format("{}", base) == R"(format.user: {"name":"Ada","age":37})");
}

TEST_CASE("a template is shown with its default, and one without as its type") {
  CHECK(fmt::format("{}", count) == "format.count: 3");
  CHECK_THAT(fmt::format("{}", pointer), ContainsSubstring("format.pointer: <std::unique_ptr<int"));
}

TEST_CASE("an atom of a derived class is shown like any other, also if it is a range") {
  AtomStore store;
  auto& clone = store.use(numbers);
  CHECK(fmt::format("{}", clone) == "format.numbers: [1,2]");
  clone.mutate([](std::vector<int>& all) { all.push_back(3); });
  CHECK(fmt::format("{}", clone) == "format.numbers: [1,2,3]");
}

TEST_CASE("a value without a codec is shown as its type in angle brackets") {
  AtomStore store;
  CHECK(fmt::format("{}", store.use(opaque)) == "format.opaque: <support::Opaque>");
  CHECK_THAT(fmt::format("{}", store.use(pointer)), ContainsSubstring("format.pointer: <std::unique_ptr<int"));
  CHECK(text_of(support::Opaque{}) == "<support::Opaque>");
  CHECK(text_of(Value()) == "<nothing>");
}

TEST_CASE("a value alone is shown as JSON") {
  CHECK(text_of(5) == "5");
  CHECK(text_of("x") == "\"x\"");
  CHECK(text_of(std::optional<int>()) == "null");
  CHECK(text_of(std::nan("")) == "null");
  CHECK(text_of(std::vector<Pair>(1)) == R"([{"name":"Ada","age":36}])");
}

TEST_CASE("a store and a snapshot are shown on one line, in their order") {
  AtomStore store;
  CHECK(fmt::format("{}", store) == "{}");
  CHECK(fmt::format("{}", store.snapshot()) == "{}");
  store.use(user);
  store.use(count).update(5);
  store.use(opaque);
  CHECK(fmt::format("{}", store) ==
        R"({format.user: {"name":"Ada","age":36}, format.count: 5, format.opaque: <support::Opaque>})");
  CHECK(fmt::format("{}", store.snapshot()) == fmt::format("{}", store));
  CHECK(fmt::format("{}", *store.snapshot().begin()) == R"(format.user: {"name":"Ada","age":36})");
}

TEST_CASE("64. a server-only value is shown in no form") {
  AtomStore store;
  store.use(token).update("t0k3n of this request");
  const Snapshot snapshot = store.snapshot();
  const Snapshot by_hand{{"format.token", "t0k3n by hand"}};
  CHECK(fmt::format("{}", token) == "format.token: <server-only>");
  CHECK(fmt::format("{}", store.use(token)) == "format.token: <server-only>");
  CHECK(fmt::format("{}", store) == "{format.token: <server-only>}");
  CHECK(fmt::format("{}", snapshot) == "{format.token: <server-only>}");
  CHECK(fmt::format("{}", *snapshot.begin()) == "format.token: <server-only>");
  CHECK(fmt::format("{}", by_hand) == "{format.token: <server-only>}");
  CHECK(fmt::format("{}", snapshot.diff({})) == "changed: format.token: <server-only>");
  CHECK(fmt::format("{}", Snapshot().diff(snapshot)) == "removed: format.token");
  for (const std::string& text :
       {fmt::format("{:t}", store), fmt::format("{:t}", snapshot), fmt::format("{:t}", by_hand),
        fmt::format("{}", fmt::join(snapshot, " ")), fmt::format("{}", fmt::join(store.list(), " "))}) {
    CHECK_THAT(text, ContainsSubstring("<server-only>"));
    CHECK_THAT(text, !ContainsSubstring("t0k3n"));
  }
}

TEST_CASE("a derived atom is shown with its value where that is there, and nothing is computed to show it") {
  AtomStore store;
  auto& clone = store.use(doubled);
  CHECK(fmt::format("{}", clone) == "format.doubled: <not computed>");
  CHECK(fmt::format("{}", doubled) == "format.doubled: <not computed>");
  CHECK(store.size() == 1);
  CHECK(clone.value() == 6);
  CHECK(fmt::format("{}", clone) == "format.doubled: 6");
  CHECK_THAT(fmt::format("{:t}", store), ContainsSubstring("derived"));
  store.use(count).update(4);
  CHECK(fmt::format("{}", clone) == "format.doubled: <not computed>");
  CHECK(store.use(token_size).value() == 5);
  CHECK(fmt::format("{}", store.use(token_size)) == "format.token_size: <server-only>");
}

TEST_CASE("a table has a line for each atom, with its marks and listeners, under the names of its columns") {
  AtomStore store;
  CHECK(fmt::format("{:t}", store) == "key  type  marks  listeners  value");
  store.use(count).on_change([] {});
  store.use(count).update(5);
  store.use(token);
  store.use(numbers).on_reset([] {});
  CHECK(lines(fmt::format("{:t}", store)) ==
        std::vector<std::string>{
            "key             type              marks                      listeners  value",
            "format.count    int               modified, client-writable  1          5",
            "format.token    std::string       server-only                0          <server-only>",
            "format.numbers  std::vector<int>  -                          1          [1,2]",
        });
  CHECK(lines(fmt::format("{:t}", store.snapshot())) ==
        std::vector<std::string>{
            "key             type              marks        value",
            "format.count    int               -            5",
            "format.token    std::string       server-only  <server-only>",
            "format.numbers  std::vector<int>  -            [1,2]",
        });
}

TEST_CASE("the columns of a table are aligned by characters, not bytes, and long keys and types are shortened there") {
  const std::string key = "\xc3\xa9\xe2\x82\xac";  // two characters, in quotes
  const Snapshot snapshot{{key, 1}, {std::string(50, 'k'), std::optional<std::vector<std::vector<std::string>>>()}};
  const std::vector<std::string> all = lines(fmt::format("{:t}", snapshot));
  REQUIRE(all.size() == 3);
  CHECK(all[1].substr(0, 7) == "\"" + key + "\"");
  CHECK(all[0].find("type") == all[2].find("std::optional"));
  CHECK(all[0].find("type") + 3 == all[1].find("int"));  // bytes that are no characters
  CHECK(all[2].starts_with(std::string(40, 'k') + "...  std::optional<"));
  CHECK(all[0].find("value") == 45 + 45 + 7);
}

TEST_CASE("a long value is shortened to a hundred characters, and none is cut in two") {
  const std::string hundred_letters = "\"" + std::string(99, 'a');
  CHECK(text_of(std::string(98, 'a')) == "\"" + std::string(98, 'a') + "\"");
  CHECK(text_of(std::string(99, 'a')) == hundred_letters + "...");
  CHECK(text_of(std::string(5000, 'a')) == hundred_letters + "...");
  for (const std::string_view character : {"\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"}) {
    std::string many;
    std::string ninety_nine;
    for (int i = 0; i < 200; ++i) many += character;
    for (int i = 0; i < 99; ++i) ninety_nine += character;
    CHECK(text_of(many) == "\"" + ninety_nine + "...");
  }
  AtomStore store;
  store.use(note).update(std::string(5000, 'a'));
  CHECK(fmt::format("{}", store) == "{format.note: " + hundred_letters + "...}");
  CHECK(fmt::format("{}", store.snapshot()) == "{format.note: " + hundred_letters + "...}");
  CHECK(fmt::format("{}", Snapshot{{std::string(5000, 'k'), 1}}) == "{" + std::string(100, 'k') + "...: 1}");
}

TEST_CASE("whatever a value holds, it stays on its line, as UTF-8, and cannot turn it or speak to a terminal") {
  std::string all;
  for (int c = 0; c < 0x20; ++c) all += static_cast<char>(c);
  const std::string shown = text_of(all);
  for (const char c : shown) CHECK(c >= 0x20);
  CHECK(text_of("a\nb\x1b[31m") == R"("a\nb\u001b[31m")");
  CHECK(text_of("\x7f") == R"("\u007f")");
  CHECK(text_of("\xc2\x9b\xc2\x80\xc2\x9f") == R"("\u009b\u0080\u009f")");
  CHECK(text_of("\xc2\xa0\xc3\xa9") == "\"\xc2\xa0\xc3\xa9\"");
  CHECK(text_of("\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xae\xe2\x80\xaa") == R"("\u2028\u2029\u202e\u202a")");
  CHECK(text_of("\xe2\x81\xa6\xe2\x81\xa9") == R"("\u2066\u2069")");
  CHECK(text_of("\xe2\x81\xa5\xe2\x80\xa7\xe2\x80\xaf") == "\"\xe2\x81\xa5\xe2\x80\xa7\xe2\x80\xaf\"");
  CHECK(text_of("\xff\xc3(") == "\"\xef\xbf\xbd\xef\xbf\xbd(\"");
}

TEST_CASE("what JSON escapes for HTML is shown as it is, and stays JSON") {
  CHECK(text_of("O'Brien <a> & b") == R"("O'Brien <a> & b")");
  CHECK(text_of(R"(\u0027 \)") == R"("\\u0027 \\")");  // a backslash of the text's own
  CHECK(text_of(R"("')") == R"("\"'")");
}

TEST_CASE("a key that could be taken for something else is in quotes, and safe like any text") {
  const auto shown = [](const char* key) { return fmt::format("{}", Snapshot{{key, 1}}); };
  CHECK(shown("a.B_c-9/d") == "{a.B_c-9/d: 1}");
  CHECK(shown("a: 2, b") == "{\"a: 2, b\": 1}");
  CHECK(shown("a\n\x1b[2J\x7f") == "{\"a\\n\\u001b[2J\\u007f\": 1}");
  CHECK(shown("") == "{\"\": 1}");
  CHECK(shown("\"") == "{\"\\\"\": 1}");
  CHECK_THAT(fmt::format("{:t}", Snapshot{{"a\nb", 1}}), ContainsSubstring("\"a\\nb\"  int"));
}

const Atom<int> picky{
    "format.picky",
    0,
    {.before_update = [](int&&, const int&) -> int { throw std::runtime_error("no\n\x1b[31mgood \xff"); },
     .client_writable = true}};

TEST_CASE("a report of hydrate names the keys by what became of them, and says why") {
  AtomStore store;
  store.use(count);
  CHECK(fmt::format("{}", store.hydrate({})) == "nothing");
  const atom::HydrateReport report = store.hydrate(
      Snapshot{{"format.count", 5}, {"format.user", 1}, {"format.note", "x"}, {"a\nb", 1}, {"format.opaque", 1}});
  CHECK(fmt::format("{}", report) ==
        "applied: format.count; queued: format.note; unknown: \"a\\nb\"; rejected: format.user (expected " +
            std::string(user.type_name()) + ", found int), format.opaque (expected support::Opaque, found int)");
  CHECK(fmt::format("{}", report.rejected[1]) == "format.opaque: expected support::Opaque, found int");
  const atom::HydrateReport refused = store.hydrate(Snapshot{{"format.picky", 1}}, {.trust = atom::Trust::client});
  CHECK(fmt::format("{}", refused) ==
        "rejected: format.picky (before_update refused it: no\\u000a\\u001b[31mgood \xef\xbf\xbd)");
}

TEST_CASE("a diff is shown as what changed and what was removed") {
  const Snapshot before{{"a", 1}, {"b", 2}, {"c", 3}};
  CHECK(fmt::format("{}", Snapshot{{"a", 1}, {"b", "x"}, {"d", 4}}.diff(before)) ==
        "changed: b: \"x\", d: 4; removed: c");
  CHECK(fmt::format("{}", before.diff(before)) == "nothing");
}

TEST_CASE("errors are shown as their message, on one line") {
  CHECK(fmt::format("{}", atom::DecodeError{"user.age", "int32", "\"x\""}) == "user.age: expected int32, found \"x\"");
  CHECK(fmt::format("{}", atom::Error("a \"b\"\n\x1b")) == "a \"b\"\\u000a\\u001b");
  CHECK(fmt::format("{}", atom::KeyConflict("k")) == "k");
  CHECK(fmt::format("{}", atom::TypeMismatch("t")) == "t");
  CHECK(fmt::format("{}", atom::CycleError("c")) == "c");
  CHECK(fmt::format("{}", atom::StateError(atom::StateErrorCode::refused, "s\n")) == "s\\u000a (without effect)");
}

TEST_CASE("a format that is not there is an error when the program runs, too") {
  const AtomStore store;
  const Value value(1);
  for (const std::string_view spec : {"{:x}", "{:tt}", "{:>8}", "{:t }"}) {
    CHECK_THROWS_AS(fmt::vformat(spec, fmt::make_format_args(store)), fmt::format_error);
  }
  CHECK_THROWS_AS(fmt::vformat("{:t}", fmt::make_format_args(value)), fmt::format_error);
  CHECK_THROWS_AS(fmt::vformat("{:t}", fmt::make_format_args(count)), fmt::format_error);
  CHECK(fmt::vformat("{:}", fmt::make_format_args(value)) == "1");
}

TEST_CASE("showing an atom changes nothing, also in the middle of its own listener or mutate") {
  AtomStore store;
  auto& clone = store.use(count);
  std::string in_listener;
  std::string in_mutate;
  clone.on_change([&] { in_listener = fmt::format("{} {:t}", clone, store); });
  clone.mutate([&](int& n) {
    n = 9;
    in_mutate = fmt::format("{}", store);
  });
  CHECK(in_mutate == "{format.count: 3}");  // a default is edited in a copy
  CHECK_THAT(in_listener, ContainsSubstring("format.count: 9 key"));
  CHECK(store.size() == 1);
  CHECK(clone.value() == 9);
}

TEST_CASE("a table of a store whose codecs use or drop other atoms has the atoms that were there") {
  static const Atom<Busy> busy{"format.busy", Busy{}};
  static const Atom<int> more{"format.more", 5};
  static const Atom<int> less{"format.less", 6};
  static AtomStore* store = nullptr;
  AtomStore own;
  store = &own;
  Busy::work = [] {
    store->use(more);
    store->drop(less);
  };
  own.use(busy);
  own.use(less);
  const std::vector<std::string> table = lines(fmt::format("{:t}", own));
  REQUIRE(table.size() == 3);
  CHECK_THAT(table[1], ContainsSubstring("format.busy"));
  CHECK_THAT(table[2], ContainsSubstring("format.less") && ContainsSubstring("<dropped>"));
}

}  // namespace
}  // namespace format_test
