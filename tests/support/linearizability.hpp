// Whether what several threads saw of one state can be explained by their calls having happened one after the other,
// each at one moment between its beginning and its end. Such a history is recorded here, and checked by trying the
// orders (Wing and Gong, "Testing and verifying concurrent objects", 1993), no situation twice (Lowe, "Testing for
// linearizability", 2017).
#pragma once

#include "support/threads.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <optional>
#include <ostream>
#include <random>
#include <sstream>
#include <string>
#include <tuple>
#include <unordered_set>
#include <utility>
#include <vector>

namespace support {

/// One call of one thread, and what came of it.
struct Call {
  enum class Kind : std::uint8_t { get, load, set, add, set_if, erase };
  /// The end of a call of which nobody knows what came of it: it may have taken effect, or still do so, or never.
  static constexpr std::uint64_t never = UINT64_MAX;

  Kind kind{};
  std::int64_t argument = 0;  ///< of set, add and set_if
  std::int64_t expected = 0;  ///< of set_if: the version
  std::int64_t result = 0;    ///< what it returned, 0 or 1 for a bool; of load, the value
  std::int64_t version = 0;   ///< that load or set returned
  std::size_t thread = 0;
  std::uint64_t begin = 0;
  std::uint64_t end = never;

  friend std::ostream& operator<<(std::ostream& out, const Call& call) {
    static constexpr const char* names[] = {"get", "load", "set", "add", "set_if", "erase"};
    out << "thread " << call.thread << ", " << call.begin << " to ";
    if (call.end == never) {
      out << "never";
    } else {
      out << call.end;
    }
    out << ": " << names[static_cast<std::size_t>(call.kind)] << '(' << call.argument;
    if (call.kind == Kind::set_if) out << ", version " << call.expected;
    return out << ") = " << call.result << ", version " << call.version;
  }
};
using Calls = std::vector<Call>;

inline std::string to_string(const Calls& calls) {
  std::ostringstream out;
  for (const Call& call : calls) out << call << '\n';
  return out.str();
}

/// What a state does whose calls come one after the other: a number, 0 where there is none, and its version, which is
/// one more with each write and never comes again.
class SequentialState {
 public:
  /// The state after a call, or nothing if the call could not have had this result.
  std::optional<SequentialState> after(const Call& call) const {
    using enum Call::Kind;
    SequentialState next = *this;
    const bool is_known = call.end != Call::never;
    bool fits = true;
    switch (call.kind) {
      case get:
        fits = call.result == value_;
        break;
      case load:
        fits = call.result == value_ && next.has_version(call.version);
        break;
      case set:
        next.write(call.argument);
        fits = next.has_version(call.version);
        break;
      case add:
        next.write(value_ + call.argument);
        fits = call.result == next.value_;
        break;
      case set_if: {
        // With a version that nobody has been told yet, the result says whether it is the expected one. One without a
        // result counts when it writes; else it is as if it had never been.
        const bool result = call.result != 0 || !is_known;
        const bool is_told = !present_ || version_ != untold;
        const bool succeeds = is_told ? call.expected == (present_ ? version_ : 0) : result;
        if (result != succeeds || (succeeds && !next.has_version(call.expected))) return std::nullopt;
        if (succeeds) next.write(call.argument);
        break;
      }
      case erase:
        fits = (call.result != 0) == present_;
        if (present_) next.end();
        break;
    }
    if (!fits && is_known) return std::nullopt;
    return next;
  }
  friend bool operator==(const SequentialState&, const SequentialState&) = default;
  std::size_t hash() const noexcept {
    const auto mix = [](std::size_t a, std::int64_t b) { return a * 1000003 + std::hash<std::int64_t>()(b); };
    return mix(mix(mix(present_ ? 1 : 0, value_), version_), last_);
  }

 private:
  static constexpr std::int64_t untold = -1;

  void write(std::int64_t value) {
    version_ = present_ && version_ != untold ? version_ + 1 : untold;
    present_ = true;
    value_ = value;
    if (version_ != untold) last_ = version_;
  }
  void end() {
    present_ = false;
    value_ = 0;
    version_ = 0;
  }
  /// Whether it may be the version; then it is.
  bool has_version(std::int64_t version) {
    if (!present_) return version == 0;
    if (version_ != untold) return version == version_;
    if (version <= last_) return false;
    version_ = last_ = version;
    return true;
  }

  bool present_ = false;
  std::int64_t value_ = 0;
  std::int64_t version_ = 0;
  std::int64_t last_ = 0;  // the highest that was told
};

/// The same, where writes that wait together become one (as with a database): they have one version, and that of a
/// value which is replaced at once is told to nobody. So a version grows with each write, by whatever it is; the one
/// that `set` returns is of use for `set_if` alone.
class CombinedState {
 public:
  std::optional<CombinedState> after(const Call& call) const {
    using enum Call::Kind;
    CombinedState next = *this;
    const bool is_known = call.end != Call::never;
    bool fits = true;
    switch (call.kind) {
      case get:
        fits = call.result == value_;
        break;
      case load:
        fits = call.result == value_ && next.has_version(call.version);
        break;
      case set:
        next.write(call.argument);
        break;
      case add:
        next.write(value_ + call.argument);
        fits = call.result == next.value_;
        break;
      case set_if: {
        const bool succeeds = call.result != 0 || !is_known;
        const bool can_fail = version_ == untold || call.expected != version_;
        if (succeeds ? !next.has_version(call.expected) : !can_fail) return std::nullopt;
        if (succeeds) next.write(call.argument);
        break;
      }
      case erase:
        fits = (call.result != 0) == present_;
        next.present_ = false;
        next.value_ = next.version_ = 0;
        break;
    }
    if (!fits && is_known) return std::nullopt;
    return next;
  }
  friend bool operator==(const CombinedState&, const CombinedState&) = default;
  std::size_t hash() const noexcept {
    const auto mix = [](std::size_t a, std::int64_t b) { return a * 1000003 + std::hash<std::int64_t>()(b); };
    return mix(mix(mix(present_ ? 1 : 0, value_), version_), last_);
  }

 private:
  static constexpr std::int64_t untold = -1;

  void write(std::int64_t value) {
    present_ = true;
    value_ = value;
    version_ = untold;
  }
  /// Whether it may be the version; then it is.
  bool has_version(std::int64_t version) {
    if (version_ != untold) return version == version_;
    if (version <= last_) return false;
    version_ = last_ = version;
    return true;
  }

  bool present_ = false;
  std::int64_t value_ = 0;
  std::int64_t version_ = 0;
  std::int64_t last_ = 0;  // the highest that was told
};

namespace detail {

template <class Model>
class HistorySearch {
 public:
  explicit HistorySearch(const Calls& calls) : calls_(calls) {
    for (std::size_t i = 0; i < calls.size(); ++i) {
      if (calls[i].end != Call::never) must_ |= bit(i);
    }
  }
  /// Whether the calls that are not in `done` can follow on `model`.
  bool can_follow(std::uint64_t done, const Model& model) {
    if ((done & must_) == must_) return true;
    if (!seen_.insert({done, model}).second) return false;
    std::uint64_t first_end = Call::never;  // of those that are not done: whatever begins later comes later
    for (std::size_t i = 0; i < calls_.size(); ++i) {
      if (!(done & bit(i)) && calls_[i].end < first_end) first_end = calls_[i].end;
    }
    for (std::size_t i = 0; i < calls_.size(); ++i) {
      if (done & bit(i) || calls_[i].begin > first_end) continue;
      const std::optional<Model> next = model.after(calls_[i]);
      if (next && can_follow(done | bit(i), *next)) return true;
    }
    return false;
  }

 private:
  struct Situation {
    std::uint64_t done;
    Model model;
    bool operator==(const Situation&) const = default;
  };
  struct Hash {
    std::size_t operator()(const Situation& s) const noexcept {
      return s.model.hash() * 31 + std::hash<std::uint64_t>()(s.done);
    }
  };
  static constexpr std::uint64_t bit(std::size_t i) noexcept { return std::uint64_t{1} << i; }

  const Calls& calls_;
  std::uint64_t must_ = 0;
  std::unordered_set<Situation, Hash> seen_;
};

}  // namespace detail

/// Whether the calls, 64 at most, can have happened one after the other on a `Model` that nobody has called yet.
template <class Model = SequentialState>
bool is_linearizable(const Calls& calls) {
  return detail::HistorySearch<Model>(calls).can_follow(0, Model());
}

/// What threads do that call one state at random. It has get() and add(k), which return the value; load(), the value
/// and its version; set(value), which returns the version; set_if(value, version) and erase(), which return a bool.
template <class Target>
Calls record_calls(Target& target, std::size_t threads, std::size_t calls_per_thread, std::uint64_t seed) {
  std::vector<Calls> recorded(threads, Calls(calls_per_thread));
  std::atomic<std::uint64_t> clock{0};
  in_threads(threads, [&](std::size_t thread) {
    using enum Call::Kind;
    std::mt19937_64 random(seed * 64 + thread);
    std::int64_t version_seen = 0;
    for (Call& call : recorded[thread]) {
      static constexpr Call::Kind kinds[] = {get, load, load, set, add, add, add, set_if, set_if, erase};
      call.kind = kinds[random() % std::size(kinds)];
      call.argument = static_cast<std::int64_t>(random() % 5) + (call.kind == add ? 1 : 100);
      call.thread = thread;
      call.expected = version_seen;
      call.begin = clock.fetch_add(1);
      switch (call.kind) {
        case get:
          call.result = target.get();
          break;
        case load:
          std::tie(call.result, call.version) = target.load();
          break;
        case set:
          call.version = target.set(call.argument);
          break;
        case add:
          call.result = target.add(call.argument);
          break;
        case set_if:
          call.result = target.set_if(call.argument, call.expected);
          break;
        case erase:
          call.result = target.erase();
          break;
      }
      call.end = clock.fetch_add(1);
      if (call.kind == load || call.kind == set) version_seen = call.version;
    }
  });
  Calls all;
  for (const Calls& calls : recorded) all.insert(all.end(), calls.begin(), calls.end());
  return all;
}

}  // namespace support
