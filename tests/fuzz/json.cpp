// Any bytes as JSON: into a type that has everything, and into a store as a client's snapshot. Whatever the bytes are,
// it is an error value or a correct result. Built with clang as a libFuzzer target; elsewhere replay.cpp gives it the
// corpus.
#include <atom/html.hpp>
#include <atom/json_reader.hpp>
#include <atom/store.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

namespace fuzz_json {

enum class Color { red, blue };
struct Circle {
  double radius = 0;
  bool operator==(const Circle&) const = default;
  static constexpr auto atom_fields() { return atom::describe(atom::field("radius", &Circle::radius)); }
};
struct Everything {
  bool flag = false;
  std::int8_t small = 1;
  std::uint64_t large = 2;
  std::int64_t whole = 3;
  float narrow = 4;
  double wide = 5;
  std::string text = "text";
  std::optional<int> perhaps;
  std::vector<Circle> list;
  std::array<int, 2> two{};
  std::set<std::string> words;
  std::map<std::string, std::vector<bool>> named;
  std::pair<int, std::string> pair;
  std::tuple<bool, double> tuple;
  std::variant<std::monostate, int, Circle> one;
  std::chrono::milliseconds time{};
  Color color = Color::red;
  bool operator==(const Everything&) const = default;
  static constexpr auto atom_fields() {
    using E = Everything;
    return atom::describe(
        atom::field("flag", &E::flag), atom::field("small", &E::small), atom::field("large", &E::large),
        atom::field("whole", &E::whole), atom::field("narrow", &E::narrow), atom::field("wide", &E::wide),
        atom::field("text", &E::text), atom::field("perhaps", &E::perhaps), atom::field("list", &E::list),
        atom::field("two", &E::two), atom::field("words", &E::words), atom::field("named", &E::named),
        atom::field("pair", &E::pair), atom::field("tuple", &E::tuple), atom::field("one", &E::one),
        atom::field("time", &E::time), atom::field("color", &E::color));
  }
};

}  // namespace fuzz_json

template <>
inline constexpr auto atom::fields<fuzz_json::Color> =
    atom::describe(atom::enumerator("red", fuzz_json::Color::red), atom::enumerator("blue", fuzz_json::Color::blue));

namespace fuzz_json {

const atom::Atom<Everything> open_atom{"open", {}, {.client_writable = true}};
const atom::Atom<int> number_atom{"number", 7, {.client_writable = true}};
const atom::Atom<Everything> closed_atom{"closed"};
const atom::Atom<std::string> secret_atom{"secret", "zq-secret", {.server_only = true}};

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "fuzz_json: %s\n", what);
  std::abort();
}

/// A message is for a log: valid UTF-8 without control characters, and no longer than what it is about allows.
void check(const atom::DecodeError& error) {
  const std::string message = error.message();
  require(!message.empty() && message.size() < 5000, "an error says nothing, or too much");
  require(simdjson::validate_utf8(message.data(), message.size()), "an error is not valid UTF-8");
  for (const char c : message) require(static_cast<unsigned char>(c) >= 0x20, "an error has a control character");
}

template <class T>
void read_as(std::string_view text, const atom::JsonLimits& limits) {
  const atom::Result<T> value = atom::from_json<T>(text, limits);
  if (!value) return check(value.error());
  const std::string written = atom::to_json(*value);
  const atom::Result<T> again = atom::from_json<T>(written);
  require(again.has_value(), "what was written is not read back");
  require(*again == *value, "what was written is read back as something else");
  require(atom::to_json(*again) == written, "the same value is written in two ways");
}

void hydrate(std::string_view text, const atom::JsonLimits& limits) {
  const atom::Result<atom::Snapshot> snapshot = atom::snapshot_from_json(text, limits);
  if (!snapshot) return check(snapshot.error());
  atom::AtomStore store;
  store.use(number_atom);
  const atom::HydrateReport report = store.hydrate(*snapshot, {.notify = true});
  const std::size_t named =
      report.applied.size() + report.queued.size() + report.unknown.size() + report.rejected.size();
  require(named == snapshot->size(), "the report does not name each key once");
  require(store.use(closed_atom).value() == Everything{}, "a client changed what it may not");
  require(store.use(secret_atom).value() == "zq-secret", "a client changed what is secret");
  store.use(open_atom);

  const std::string script = atom::hydration_script(store.snapshot());
  constexpr std::string_view begin = "<script type=\"application/json\" id=\"atom-state\">";
  constexpr std::string_view end = "</script>";
  require(script.starts_with(begin) && script.ends_with(end), "the element is not one");
  const std::string_view inside =
      std::string_view(script).substr(begin.size(), script.size() - begin.size() - end.size());
  require(inside.find('<') == inside.npos && inside.find("zq-secret") == inside.npos, "the page is not safe");
  require(atom::snapshot_from_json(inside).has_value(), "what was written is not read back");
}

}  // namespace fuzz_json

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  for (const atom::JsonLimits& limits : {atom::JsonLimits{}, atom::JsonLimits{400, 4, 3, 5}}) {
    fuzz_json::read_as<fuzz_json::Everything>(text, limits);
    fuzz_json::read_as<std::vector<double>>(text, limits);
    fuzz_json::read_as<std::string>(text, limits);
    fuzz_json::hydrate(text, limits);
  }
  return 0;
}
