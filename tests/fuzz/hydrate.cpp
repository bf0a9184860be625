// Bytes as snapshots of values of any types, and as what a program does with a store meanwhile: on the library's store
// and on a map of texts. Reports, values, listeners and snapshots must be those that the map has. As json.cpp.
#include "bytes.hpp"

#include <atom/derived.hpp>
#include <atom/family.hpp>
#include <atom/json_reader.hpp>
#include <atom/store.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace fuzz {
namespace {

using atom::AtomStore;
using atom::Rejection;
using atom::Snapshot;
using atom::Trust;
using atom::Value;

struct Doc {
  std::string text = "doc";
  std::int32_t number = 0;
  bool operator==(const Doc&) const = default;
  static constexpr auto atom_fields() {
    return atom::describe(atom::field("text", &Doc::text), atom::field("number", &Doc::number));
  }
};
using List = std::vector<std::int32_t>;
/// Copies would share what they point to.
using Shared = std::shared_ptr<std::int32_t>;

// ---- The templates

constexpr std::int32_t most = 100;
std::int32_t at_most(std::int32_t&& next, const std::int32_t&) {
  if (next > most) throw std::runtime_error("too much");
  return next;
}
const atom::Atom<std::int32_t> limited{"limited", 7, {.before_update = at_most, .client_writable = true}};
const atom::Atom<std::int64_t> wide{"wide", std::int64_t{1}, {.client_writable = true}};
const atom::Atom<std::uint8_t> small{"small", std::uint8_t{2}, {.client_writable = true}};
const atom::Atom<double> real_atom{"real", 0.5};
const atom::Atom<bool> flag_atom{"flag", false, {.client_writable = true}};
const atom::Atom<std::string> text_atom{
    "text", "text that is so long that it lies on the heap", {.client_writable = true}};
const atom::Atom<std::string> secret{"secret", "secret", {.server_only = true}};
const atom::Atom<List> list_atom{"list", List{1, 2, 3}};
const atom::Atom<Doc> doc_atom{"doc", Doc{}, {.client_writable = true}};
const atom::Atom<Shared> shared_atom{"shared", atom::Factory{[] { return std::make_shared<std::int32_t>(1); }}};
const atom::Derived<std::int32_t> derived{"derived", [](auto& get) { return get(limited) / 2; }};
const atom::AtomFamily<int, std::int32_t> lines{"line", 5};

// ---- Values, and what they are

std::string shown(const Doc& value) {
  return value.text + '/' + std::to_string(value.number);
}
std::string shown(const List& value) {
  std::string all;
  for (const std::int32_t one : value) all += std::to_string(one) + ',';
  return all;
}
std::string shown(const std::string& value) {
  return value;
}
std::string shown(bool value) {
  return value ? "true" : "false";
}
template <class Number>
  requires std::is_arithmetic_v<Number>
std::string shown(Number value) {
  return std::to_string(value);
}

/// A whole number of 64 bits, with a sign or without.
struct Whole {
  bool has_sign = true;
  std::int64_t value = 0;
  std::uint64_t natural() const { return static_cast<std::uint64_t>(value); }
  std::string digits() const { return has_sign ? std::to_string(value) : std::to_string(natural()); }
  template <class T>
  bool fits() const {
    return has_sign ? std::in_range<T>(value) : std::in_range<T>(natural());
  }
};
enum class Kind { whole, real, flag, text, list, doc, shared, nothing };

/// A value, and what it is for the map.
struct Given {
  Value value;
  bool is_json = false;
  Kind kind = Kind::nothing;
  Whole whole = {};
  double real = 0;
  std::string shown = {};
};

Whole whole_of(Bytes& bytes) {
  static constexpr std::int64_t edges[] = {0,
                                           1,
                                           -1,
                                           most,
                                           most + 1,
                                           127,
                                           128,
                                           -128,
                                           -129,
                                           255,
                                           256,
                                           INT32_MAX,
                                           std::int64_t{INT32_MAX} + 1,
                                           INT32_MIN,
                                           std::int64_t{INT32_MIN} - 1,
                                           INT64_MAX,
                                           INT64_MIN};
  const std::size_t edge = bytes.below(std::size(edges) + 2);
  Whole whole{.value = edge < std::size(edges) ? edges[edge] : static_cast<std::int64_t>(bytes.number())};
  whole.has_sign = !bytes.flag();
  return whole;
}
Given typed(Bytes& bytes) {
  switch (bytes.below(12)) {
    case 0:
    case 1: {
      const Whole whole = whole_of(bytes);
      if (whole.has_sign) return {.value = Value(whole.value), .kind = Kind::whole, .whole = whole};
      return {.value = Value(whole.natural()), .kind = Kind::whole, .whole = whole};
    }
    case 2: {
      const auto number = static_cast<std::int32_t>(whole_of(bytes).value);
      return {.value = Value(number), .kind = Kind::whole, .whole = {.value = number}};
    }
    case 3: {
      const std::uint8_t number = bytes.byte();
      return {.value = Value(number), .kind = Kind::whole, .whole = {.value = number}};
    }
    case 4: {
      const double number = static_cast<std::int8_t>(bytes.byte()) + 0.25;  // as JSON, none that an integer has
      return {.value = Value(number), .kind = Kind::real, .real = number};
    }
    case 5: {
      const bool number = bytes.flag();
      return {.value = Value(number), .kind = Kind::flag, .shown = shown(number)};
    }
    case 6:
    case 7: {
      const std::string chosen(bytes.text());
      return {.value = Value(chosen), .kind = Kind::text, .shown = chosen};
    }
    case 8: {
      List numbers;
      for (std::size_t i = bytes.below(8); i > 0; --i) numbers.push_back(bytes.byte());
      return {.value = Value(numbers), .kind = Kind::list, .shown = shown(numbers)};
    }
    case 9: {
      const Doc chosen{std::string(bytes.text()), bytes.byte()};
      return {.value = Value(chosen), .kind = Kind::doc, .shown = shown(chosen)};
    }
    case 10:
      return {.value = Value(std::make_shared<std::int32_t>(1)), .kind = Kind::shared};
    default:
      return {.value = Value()};
  }
}
/// As a client would send it; nothing where that is no JSON.
Given json(Bytes& bytes) {
  Given given = typed(bytes);
  if (!given.value.has_codec()) return given;
  if (given.kind == Kind::text && !simdjson::validate_utf8(given.shown)) return given;
  if (given.kind == Kind::doc && !simdjson::validate_utf8(given.shown)) return given;
  Snapshot one;
  one.set("v", given.value);
  const auto parsed = atom::snapshot_from_json(atom::to_json(one, {.audience = atom::Audience::server}));
  require(parsed.has_value(), "what was written is not read back");
  given.value = *parsed->find("v");
  given.is_json = true;
  return given;
}

/// What an atom of T makes of it: nothing, if it does not convert.
template <class T>
std::optional<std::string> taken_as(const Given& given) {
  const auto whole = [&]() -> std::optional<std::string> {
    if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
      if (given.kind == Kind::whole && given.whole.fits<T>()) return given.whole.digits();
    }
    return std::nullopt;
  };
  if constexpr (std::is_same_v<T, double>) {
    if (given.kind == Kind::real) {
      return shown(given.real);
    } else if (given.kind == Kind::whole && given.is_json) {
      return given.whole.has_sign ? shown(static_cast<double>(given.whole.value))
                                  : shown(static_cast<double>(given.whole.natural()));
    }
    return std::nullopt;
  } else if constexpr (std::is_same_v<T, bool>) {
    return given.kind == Kind::flag ? std::optional(given.shown) : std::nullopt;
  } else if constexpr (std::is_same_v<T, std::string>) {
    return given.kind == Kind::text ? std::optional(given.shown) : std::nullopt;
  } else if constexpr (std::is_same_v<T, List>) {
    return given.kind == Kind::list ? std::optional(given.shown) : std::nullopt;
  } else if constexpr (std::is_same_v<T, Doc>) {
    return given.kind == Kind::doc ? std::optional(given.shown) : std::nullopt;
  } else {
    return whole();
  }
}

// ---- What the script knows of each template

struct Known {
  std::string key = {};
  std::string start = {};  // the default
  bool client_writable = false;
  bool server_only = false;
  bool shareable = true;
  bool derived = false;
  bool is_limited = false;
  std::optional<std::string> (*taken)(const Given&) = nullptr;
  std::function<std::string(AtomStore&)> use = {};
  std::function<atom::Subscription(AtomStore&, std::function<void()>)> listen = {};
  std::function<void(AtomStore&, Bytes&)> update = {};  // to what it draws
  std::function<void(AtomStore&)> reset = {}, drop = {};
  std::function<bool(AtomStore&)> has = {};
};
template <class T, class A>
Known known(const A& atom, std::string key, std::string start) {
  Known all{.key = std::move(key), .start = std::move(start)};
  all.taken = &taken_as<T>;
  all.use = [&atom](AtomStore& store) { return shown(store.use(atom).value()); };
  all.listen = [&atom](AtomStore& store, std::function<void()> call) {
    return store.use(atom).on_change([call = std::move(call)](const T&, const T&) { call(); });
  };
  all.reset = [&atom](AtomStore& store) { store.use(atom).reset(); };
  all.drop = [&atom](AtomStore& store) { store.drop(atom); };
  all.has = [&atom](AtomStore& store) { return store.has(atom); };
  all.update = [&atom](AtomStore& store, Bytes& bytes) {
    if constexpr (std::is_same_v<T, std::string> || std::is_same_v<T, List>) {
      store.use(atom).update(T(bytes.below(60), typename T::value_type(bytes.byte())));
    } else if constexpr (std::is_same_v<T, Doc>) {
      store.use(atom).update(Doc{std::string(bytes.text()), bytes.byte()});
    } else {
      store.use(atom).update(static_cast<T>(bytes.byte()));
    }
  };
  return all;
}
template <class T>
Known known(const atom::Atom<T>& atom) {
  Known all = known<T>(atom, std::string(atom.key()), shown(atom.default_value()));
  all.client_writable = atom.is_client_writable();
  all.server_only = atom.is_server_only();
  return all;
}
const std::vector<Known>& templates() {
  static const std::vector<Known> all = [] {
    std::vector<Known> made{known(limited),   known(wide),   known(small),     known(real_atom), known(flag_atom),
                            known(text_atom), known(secret), known(list_atom), known(doc_atom)};
    made[0].is_limited = true;
    static const std::array members{lines(0), lines(1), lines(-42)};
    for (const auto& member : members) {
      made.push_back(known<std::int32_t>(member, std::string(member.key()), "5"));
    }
    made.push_back({.key = "shared", .shareable = false});
    made.push_back({.key = "derived", .derived = true});
    return made;
  }();
  return all;
}
/// Another member of the family: nobody uses it.
const Known& any_line() {
  static const Known all = known<std::int32_t>(limited, "line", "5");
  return all;
}
const Known* find(std::string_view key) {
  for (const Known& one : templates()) {
    if (one.key == key) return &one;
  }
  const std::size_t slash = key.rfind('/');
  return slash != key.npos && key.substr(0, slash) == "line" ? &any_line() : nullptr;
}

// ---- One script

/// A value as a snapshot has it, of whatever type.
std::string written(const Value& value) {
  std::string all(value.type_name());
  if (value.has_codec()) {
    atom::detail::JsonWriter writer;
    value.write(writer);
    all.append(" ").append(writer.text());
  }
  return all;
}
using Shown = std::map<std::string, std::string>;
Shown shown_in(const Snapshot& snapshot) {
  Shown all;
  for (const auto& [key, value] : snapshot) all[std::string(key)] = written(value);
  return all;
}

class Script {
 public:
  ~Script() {
    listening_.clear();
    for (const auto& [snapshot, expected] : kept_) {
      require(shown_in(snapshot) == expected, "a snapshot changes when its store does");
    }
  }
  void run(Bytes& bytes) {
    while (!bytes.empty()) step(bytes);
    check_all();
  }

 private:
  struct Live {
    std::string value;
    bool is_heard = false;
  };
  struct Waiting {
    std::string written = {};
    Trust trust = Trust::server;
  };

  void step(Bytes& bytes) {
    const Known& one = templates()[bytes.below(templates().size() - 2)];
    switch (bytes.below(16)) {
      case 0:
      case 1:
      case 2:
      case 3:
      case 4:
        return hydrate(bytes);
      case 5:
      case 6:
      case 7:
        return check(one);
      case 8:
      case 9:
        return update(one, bytes);
      case 10: {
        const bool changes = live(one).value != one.start;
        set(one, one.start, true);
        one.reset(*store_);
        return require(calls_ == expected_calls_ || !changes, "a listener is not told of a reset");
      }
      case 11:
        one.drop(*store_);
        if (live_.erase(one.key) > 0) queued_.erase(one.key);
        return;
      case 12:
        return take_snapshot(bytes);
      case 13:
        if (live(one).is_heard) return;
        live_[one.key].is_heard = true;
        listening_.push_back(one.listen(*store_, [this] { ++calls_; }));
        return;
      case 14:
        // One that is not comparable with what the map has, and must not be touched by anybody.
        require(store_->use(shared_atom).value() != nullptr, "a factory is not asked");
        live(templates()[0]);
        require(store_->use(derived).value() == store_->value(limited) / 2, "a derived value is of something else");
        return;
      default:
        if (bytes.flag()) return destroy();
        check_all();
    }
  }
  void destroy() {
    store_->destroy();
    live_.clear();
    queued_.clear();
    unknown_.clear();
  }

  /// The one that the map has; used, if it was not.
  Live& live(const Known& one) {
    const auto found = live_.find(one.key);
    if (found != live_.end()) return found->second;
    const auto waits = queued_.find(one.key);
    Live& made = live_[one.key];
    made.value = waits == queued_.end() ? one.start : waits->second;
    require(!one.has(*store_), "an atom is there before it is used");
    require(one.use(*store_) == made.value,
            "an atom starts from something else than what was hydrated, or its default");
    require(one.has(*store_), "an atom is not there after it was used");
    return made;
  }
  void set(const Known& one, const std::string& value, bool loud) {
    Live& mine = live(one);
    if (mine.value == value) return;
    if (loud && mine.is_heard) ++expected_calls_;
    mine.value = value;
  }
  void check(const Known& one) {
    const Live& mine = live(one);
    require(one.use(*store_) == mine.value, "an atom has another value");
    require(calls_ == expected_calls_, "listeners are called more often, or less, than there are changes");
  }
  void check_all() {
    for (const Known& one : templates()) {
      if (one.use && live_.contains(one.key)) check(one);
    }
  }
  void update(const Known& one, Bytes& bytes) {
    Live& mine = live(one);
    bool was_refused = false;
    try {
      one.update(*store_, bytes);
    } catch (const std::runtime_error&) {
      was_refused = true;
    }
    const std::string now = one.use(*store_);
    if (was_refused) return require(one.is_limited && now == mine.value, "a value that was refused is there");
    int number = 0;
    std::from_chars(now.data(), now.data() + now.size(), number);
    require(!one.is_limited || number <= most, "a value that is to be refused is there");
    if (mine.is_heard && now != mine.value) ++expected_calls_;
    mine.value = now;
    require(calls_ == expected_calls_, "a listener is told of no change, or not of one");
  }

  std::string key_of(Bytes& bytes) {
    const std::size_t which = bytes.below(templates().size() + 4);
    if (which < templates().size()) return templates()[which].key;
    const std::string any(bytes.take(bytes.below(12)));
    if (which == templates().size()) return "line/" + any;
    return any == "line" ? "" : any;
  }
  void hydrate(Bytes& bytes) {
    const std::uint8_t options = bytes.byte();
    const bool notify = options & 1, says_trust = options & 2, of_client = options & 4, marked = options & 8;
    std::vector<std::pair<std::string, Given>> given;
    Snapshot snapshot;
    for (std::size_t i = bytes.below(options & 16 ? 24 : 6); i > 0; --i) {
      std::string key = key_of(bytes);
      Given one = bytes.below(3) == 0 ? json(bytes) : typed(bytes);
      snapshot.set(key, one.value);
      const auto same = [&](const auto& other) { return other.first == key; };
      const auto before = std::find_if(given.begin(), given.end(), same);
      if (before == given.end()) {
        given.emplace_back(std::move(key), std::move(one));
      } else {
        before->second = std::move(one);
      }
    }
    if (marked) snapshot.set_trust(Trust::client);
    const Trust trust = says_trust ? of_client ? Trust::client : Trust::server : marked ? Trust::client : Trust::server;
    const atom::HydrateOptions how{.notify = notify, .trust = says_trust ? std::optional(trust) : std::nullopt};
    std::optional<Snapshot> copy;
    if (options & 32) copy = snapshot;
    const atom::HydrateReport report = options & 64
                                           ? store_->hydrate(std::make_shared<const Snapshot>(std::move(snapshot)), how)
                                       : options & 128 ? store_->hydrate(std::move(snapshot), how)
                                                       : store_->hydrate(snapshot, how);
    expect(report, given, trust, notify);
    require(calls_ == expected_calls_, "listeners are called more often, or less, than a hydrate changes");
    // The values that a hydrate was given are still the giver's.
    if (copy) kept_.emplace_back(*copy, shown_in(*copy));
  }
  void expect(const atom::HydrateReport& report, const std::vector<std::pair<std::string, Given>>& given, Trust trust,
              bool notify) {
    std::vector<std::string> applied, queued, unknown;
    std::vector<std::pair<std::string, Rejection::Cause>> rejected;
    for (const auto& [key, one] : given) {
      const Known* const atom = find(key);
      if (!atom) {
        unknown.push_back(key);
        unknown_[key] = {written(one.value), trust};
        continue;
      }
      std::optional<std::string> value;
      const auto cause = judge(*atom, one, trust, value);
      if (cause) {
        rejected.emplace_back(key, *cause);
        continue;
      }
      if (live_.contains(key)) {
        applied.push_back(key);
        set(*atom, *value, notify);
      } else {
        queued.push_back(key);
      }
      queued_[key] = *value;
    }
    const auto same_keys = [](const auto& a, const auto& b) {
      return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                        [](std::string_view x, std::string_view y) { return x == y; });
    };
    require(same_keys(report.applied, applied), "a report has other keys that were applied");
    require(same_keys(report.queued, queued), "a report has other keys that were queued");
    require(same_keys(report.unknown, unknown), "a report has other keys that are unknown");
    require(report.rejected.size() == rejected.size(), "a report has another number of rejections");
    for (std::size_t i = 0; i < rejected.size(); ++i) {
      require(report.rejected[i].key == rejected[i].first, "another key is rejected");
      require(report.rejected[i].cause == rejected[i].second, "a key is rejected for another reason");
      require(!report.rejected[i].reason.empty(), "a rejection does not say why");
    }
    require(report.ok() == (unknown.empty() && rejected.empty()), "a report is as good as it is not");
  }
  static std::optional<Rejection::Cause> judge(const Known& atom, const Given& one, Trust trust,
                                               std::optional<std::string>& value) {
    const bool is_client = trust == Trust::client;
    if (atom.derived) return Rejection::Cause::derived;
    if (is_client && (!atom.client_writable || !atom.taken)) return Rejection::Cause::not_writable;
    if (!atom.shareable) return Rejection::Cause::shared;
    value = atom.taken(one);
    if (!value) return Rejection::Cause::type;
    if (is_client && atom.is_limited && one.whole.value > most) return Rejection::Cause::refused;
    return std::nullopt;
  }

  void take_snapshot(Bytes& bytes) {
    const bool with_queued = bytes.flag();
    Snapshot snapshot = store_->snapshot({.queued = with_queued});
    std::size_t expected = live_.size();
    bool of_client = false;
    for (const auto& [key, live] : live_) {
      require(snapshot.contains(key), "a snapshot lacks an atom that is used");
    }
    if (with_queued) {
      for (const auto& [key, value] : queued_) {
        if (live_.contains(key)) continue;
        require(snapshot.contains(key), "a snapshot lacks a value that waits");
        ++expected;
      }
      for (const auto& [key, waiting] : unknown_) {
        const Value* const value = snapshot.find(key);
        require(value && written(*value) == waiting.written, "a snapshot lacks what waits for nobody");
        of_client = of_client || waiting.trust == Trust::client;
        ++expected;
      }
    }
    require(snapshot.size() == expected, "a snapshot has more than there is");
    require((snapshot.trust() == Trust::client) == of_client, "a snapshot is of somebody else");
    require(atom::to_json(snapshot).find("\"secret\":") == std::string::npos, "a client sees what is server-only");
    for (const Snapshot::Entry& entry : snapshot) {
      require(entry.server_only() == (entry.key == "secret"), "what is server-only is not marked so");
    }
    // Another store that starts from it is the same one.
    AtomStore other;
    const atom::HydrateReport report = other.hydrate(snapshot, {.trust = Trust::server});
    require(report.rejected.empty() && report.applied.empty(), "a snapshot is not taken by another store");
    for (const Known& one : templates()) {
      if (!live_.contains(one.key)) continue;
      require(one.use(other) == live_.at(one.key).value, "a snapshot has another value than the atom");
    }
    if (kept_.size() < 8) kept_.emplace_back(snapshot, shown_in(snapshot));
  }

  int calls_ = 0;
  int expected_calls_ = 0;
  std::unique_ptr<AtomStore> store_ = std::make_unique<AtomStore>();
  std::vector<atom::Subscription> listening_;
  std::map<std::string, Live> live_;
  std::map<std::string, std::string> queued_;
  std::map<std::string, Waiting> unknown_;
  std::vector<std::pair<Snapshot, Shown>> kept_;
};

}  // namespace
}  // namespace fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Bytes bytes(data, size);
  fuzz::Script().run(bytes);
  return 0;
}
