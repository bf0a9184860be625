// What `AtomStore::hydrate` is told, and what it answers.
#pragma once

#include <atom/detail/definition.hpp>
#include <atom/detail/inline_vector.hpp>
#include <atom/fwd.hpp>
#include <atom/snapshot.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace atom::inline v0_1 {

struct HydrateOptions {
  /// Tell listeners, after everything is set. Silent by default.
  bool notify = false;
  /// Whose values these are, whatever the snapshot says of itself.
  std::optional<Trust> trust = {};
};

/// A value that was not taken, and why.
struct Rejection {
  enum class Cause : std::uint8_t {
    type,          ///< of another type, and it does not convert, or the codec has thrown
    not_writable,  ///< from a client, for an atom that is not client-writable
    refused,       ///< by the atom's `before_update`, which threw
    shared,        ///< of a type that points to something that can be changed: two stores would share it
    busy,          ///< the atom is inside its own `mutate`
    derived,       ///< the atom is computed from others
  };
  std::string key;
  Cause cause;
  std::string reason;  ///< for people, such as "expected int, found std::string"
};

/// A key in a report: a template's, which lives for ever, or a copy.
class ReportedKey : public std::string_view {
 public:
  ReportedKey(const ReportedKey& other) : std::string_view(other) {
    if (other.copy_) own(other);
  }
  ReportedKey(ReportedKey&& other) noexcept : std::string_view(other), copy_(std::exchange(other.copy_, nullptr)) {}
  ReportedKey& operator=(const ReportedKey&) = delete;
  ~ReportedKey() { delete[] copy_; }

 private:
  template <class, std::size_t>
  friend class detail::InlineVector;
  /// Of an atom that has this definition, or is in that family.
  ReportedKey(std::string_view key, const detail::Definition& definition) : std::string_view(definition.key) {
    if (definition.family || definition.is_family) own(key);
  }
  void own(std::string_view key) {
    copy_ = new char[key.size()];
    key.copy(copy_, key.size());
    static_cast<std::string_view&>(*this) = {copy_, key.size()};
  }
  char* copy_ = nullptr;
};

/// What became of each key of a snapshot.
struct HydrateReport {
  using Keys = detail::InlineVector<ReportedKey, 6>;
  Keys applied;                      ///< to atoms that the store has
  Keys queued;                       ///< for the first use of atoms that it does not have yet
  std::vector<std::string> unknown;  ///< queued too, but no registered template or family has the key
  std::vector<Rejection> rejected;

  /// Whether every value was taken or queued for a template that exists.
  bool ok() const noexcept { return unknown.empty() && rejected.empty(); }
};

}  // namespace atom::inline v0_1
