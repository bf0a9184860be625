// What a feed has to tell at one time: states that are to be read come once each, and together, when the rest is told.
// Else each write that others make of one state would cost a round trip, and who writes fast would never be caught up
// with.
#pragma once

#include <atom/config.hpp>
#include <atom/state/backend.hpp>
#include <atom/state/scope.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace atom::inline v0_1::detail {

/// Before a sink, until `end`. What is not told by then is to be taken for lost.
class ChangeBurst final : public FeedSink {
 public:
  explicit ChangeBurst(FeedSink& sink) noexcept : sink_(sink) {}

  void changed(const Scope& scope, std::string_view key, std::int64_t version,
               std::optional<StoredValue> value) override {
    if (value) return sink_.changed(scope, key, version, std::move(value));
    const auto [place, is_new] = places_.try_emplace({scope.text(), std::string(key)}, to_be_read_.size());
    if (is_new) to_be_read_.emplace_back(scope, key, version);
    ChangedState& state = to_be_read_[place->second];
    state.version = std::max(state.version, version);
    if (to_be_read_.size() > most) lost_track();
  }
  /// Then all is read that anybody wants, and what has come before need not be.
  void lost_track() override {
    clear();
    sink_.lost_track();
  }
  void end() {
    if (!to_be_read_.empty()) sink_.to_be_read(to_be_read_);
    clear();
  }

 private:
  void clear() noexcept {
    to_be_read_.clear();
    places_.clear();
  }

  static constexpr std::size_t most = 1000;

  FeedSink& sink_;
  std::vector<ChangedState> to_be_read_;
  std::map<std::pair<std::string, std::string>, std::size_t> places_;  // of scope and key
};

}  // namespace atom::inline v0_1::detail
