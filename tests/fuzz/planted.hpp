// A database that makes one mistake now and then, to see that it is found.
#pragma once

#include <atom/state/backend.hpp>
#include <atom/state/error.hpp>
#include <atom/state/scope.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/faulty_backend.hpp"

namespace fuzz {

enum class Mistake : std::uint8_t {
  none,
  writes_another_value,
  loses_a_write,
  writes_over_others,
  forgets_what_is_together,
  gives_an_old_version,
  reads_nothing,
  forgets_labels,
  purges_too_little,
  erases_too_little,
  lists_too_little,
  lists_out_of_order,
  forgets_a_scope,
};
inline constexpr std::array<std::string_view, 13> mistakes{"none",
                                                           "writes another value",
                                                           "loses a write",
                                                           "writes over what others have written",
                                                           "takes some of what goes together",
                                                           "says that the version is an older one",
                                                           "reads nothing where something is",
                                                           "forgets labels",
                                                           "purges by all labels but one",
                                                           "tells of one state too few when a scope is deleted",
                                                           "leaves the last one out of a list",
                                                           "lists in another order",
                                                           "forgets a scope"};

class Planted final : public support::PassingBackend {
 public:
  Planted(std::shared_ptr<atom::Backend> inner, Mistake mistake) : PassingBackend(std::move(inner)), is_(mistake) {}

  atom::BatchResult execute(const atom::Lane& lane, atom::BatchMode mode, std::span<const atom::Command> commands,
                            std::span<atom::Outcome> outcomes, atom::Deadline deadline) override {
    using Kind = atom::Command::Kind;
    std::vector<atom::Command> sent(commands.begin(), commands.end());
    atom::StoredValue other;
    atom::Command& first = sent[0];
    if (is_ == Mistake::forgets_what_is_together) mode = atom::BatchMode::independent;
    if (first.kind == Kind::write) {
      if (is_ == Mistake::writes_another_value && is_time()) {
        other = *first.value;
        std::replace(other.text.begin(), other.text.end(), '7', '8');
        first.value = &other;
      }
      if (is_ == Mistake::loses_a_write && is_time()) first.kind = Kind::check;
      if (is_ == Mistake::writes_over_others) first.expected.reset();
      if (is_ == Mistake::forgets_labels) first.labels = {};
    }
    atom::BatchResult result = PassingBackend::execute(lane, mode, sent, outcomes, deadline);
    if (is_ == Mistake::gives_an_old_version && first.kind == Kind::write && !outcomes[0].error && is_time()) {
      --outcomes[0].version;
    }
    return result;
  }
  std::optional<atom::StateError> read(std::span<const atom::StateName> names, std::span<atom::Outcome> outcomes,
                                       atom::Deadline deadline) override {
    auto error = PassingBackend::read(names, outcomes, deadline);
    if (is_ == Mistake::reads_nothing && is_time()) outcomes[0] = {};
    return error;
  }
  atom::StateResult<std::vector<atom::FoundState>> list(const Range& range, atom::Deadline deadline) override {
    auto found = PassingBackend::list(range, deadline);
    if (found->size() > 1 && is_ == Mistake::lists_too_little && is_time()) found->pop_back();
    if (found->size() > 1 && is_ == Mistake::lists_out_of_order && is_time()) std::swap(found->front(), found->back());
    return found;
  }
  atom::StateResult<std::vector<atom::Scope>> scopes(std::string_view after, std::size_t limit,
                                                     atom::Deadline deadline) override {
    auto found = PassingBackend::scopes(after, limit, deadline);
    if (!found->empty() && is_ == Mistake::forgets_a_scope && is_time()) found->erase(found->begin());
    return found;
  }
  atom::StateResult<std::vector<atom::FoundState>> erase_scope(const atom::Scope& scope,
                                                               atom::Deadline deadline) override {
    auto found = PassingBackend::erase_scope(scope, deadline);
    if (!found->empty() && is_ == Mistake::erases_too_little) found->pop_back();
    return found;
  }
  atom::StateResult<std::vector<atom::FoundState>> purge(std::span<const std::string> labels,
                                                         atom::Deadline deadline) override {
    if (is_ == Mistake::purges_too_little && !labels.empty()) labels = labels.subspan(1);
    return PassingBackend::purge(labels, deadline);
  }

 private:
  /// Not each time, or nothing else would be looked at.
  bool is_time() noexcept { return ++count_ % 50 == 0; }

  const Mistake is_;
  std::size_t count_ = 0;
};

}  // namespace fuzz
