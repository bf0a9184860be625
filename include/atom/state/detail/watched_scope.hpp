// A scope that somebody watches: what its states are, as JSON, in the order in which they last changed. However many
// watch, there is one copy of it, and each of them is a place in that order: a slow one costs nothing, and gets the
// latest values when it comes.
#pragma once

#include <atom/config.hpp>
#include <atom/detail/json_writer.hpp>
#include <atom/state/error.hpp>
#include <atom/state/scope.hpp>
#include <atom/state/subscription.hpp>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <iterator>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace atom::inline v0_1::detail {

/// A function that is to be called when there is something to see. Until `end` it is called by one thread at a time.
class ScopeWaker : public StateListener {
 public:
  // Under the mutex of the scope:
  bool is_called = false;        // some thread is at it
  bool is_called_again = false;  // and is to do it once more
};
template <class F>
class ScopeWakerOf final : public ScopeWaker {
 public:
  explicit ScopeWakerOf(F&& function) : function_(std::move(function)) {}

 private:
  void hear(const StateNews&) override { function_(); }
  F function_;
};

/// A bijection after which each bit depends on all (the last step of SplitMix64, by Vigna after Stafford).
constexpr std::uint64_t mix(std::uint64_t number) noexcept {
  number = (number ^ (number >> 30)) * 0xbf58476d1ce4e5b9u;
  number = (number ^ (number >> 27)) * 0x94d049bb133111ebu;
  return number ^ (number >> 31);
}
/// The same in all processes (FNV-1a).
constexpr std::uint64_t hash_text(std::string_view text) noexcept {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return mix(hash);
}

class WatchedScope {
 public:
  /// Somebody who watches. All of it under the mutex of the scope.
  struct Watcher {
    std::uint64_t question = 0;  // which states it wants, as a part of its ids; never changed
    std::uint64_t seen = 0;      // the number of the last change that it has; 0: it has nothing yet
    bool waits = true;           // it is to be woken by the next one
    std::shared_ptr<ScopeWaker> waker = nullptr;
  };
  /// What a watcher does not have yet.
  struct Changes {
    std::string id;       // of all there is now
    bool is_all = false;  // else what follows is what has changed
    std::string changed;  // as JSON: an object of keys and values
    std::string removed;  // as JSON: an array of keys
    bool empty() const noexcept { return id.empty(); }
  };
  static constexpr std::size_t most_states = 10'000;
  static StateError too_many(const atom::Scope& scope) {
    return {StateErrorCode::too_large, "scope \"" + scope_in_message(scope) + "\" has more than " +
                                           std::to_string(most_states) + " states, too many to be watched together"};
  }

  explicit WatchedScope(atom::Scope s) : scope(std::move(s)) {}
  WatchedScope(const WatchedScope&) = delete;
  WatchedScope& operator=(const WatchedScope&) = delete;

  // ---- What it is told. Of each state it keeps the highest version.

  /// A text that is empty cannot be shown.
  void changed(std::string_view key, std::int64_t version, std::string json) {
    Wakers wakers;
    {
      const std::lock_guard lock(mutex_);
      const State* const state = find(key);
      if (is_closed_ || (state && state->version >= version)) return;
      put(key, version, std::move(json), true);
      wakers = wakers_now();
    }
    wake(wakers);
  }
  void ended(std::string_view key, std::int64_t last_version) {
    Wakers wakers;
    {
      const std::lock_guard lock(mutex_);
      const State* const state = find(key);
      if (is_closed_ || (state && (!state->is_there || state->version > last_version))) return;
      put(key, last_version, {}, false);
      wakers = wakers_now();
    }
    wake(wakers);
  }
  /// What a state was that was read, after the change of that number; version 0: not there. False: it has changed
  /// meanwhile, and is to be read anew. (What was read counts whatever its version, as for `are`.)
  bool is(std::string_view key, std::int64_t version, std::string json, std::uint64_t since) {
    Wakers wakers;
    {
      const std::lock_guard lock(mutex_);
      const State* const state = find(key);
      if (is_closed_ || (state && state->is_there && state->version == version)) return true;
      if (state && state->number > since) return false;
      if (version > 0) {
        put(key, version, std::move(json), true);
      } else if (!state || state->is_there) {
        put_end(key);
      }
      wakers = wakers_now();
    }
    wake(wakers);
    return true;
  }
  /// Whether it has ended with a version that nobody knows: what is told of it may be older than that, and must be
  /// read.
  bool is_in_doubt(std::string_view key) const {
    const std::lock_guard lock(mutex_);
    const State* const state = find(key);
    return state && state->is_in_doubt;
  }

  struct Listed {
    std::string key;
    std::int64_t version;
    std::string json;  // not needed where the version is known
  };
  bool knows(std::string_view key, std::int64_t version) const {
    const std::lock_guard lock(mutex_);
    const State* const state = find(key);
    return state && state->is_there && state->version == version;
  }
  /// Before a list is made: what has changed later is newer than the list.
  std::uint64_t number() const {
    const std::lock_guard lock(mutex_);
    return number_;
  }
  /// Who is to be woken by `wake` when nothing is locked any more.
  using Wakers = std::vector<std::shared_ptr<ScopeWaker>>;
  /// What all states were, after the change of that number. (A version that is lower than it was is that of a database
  /// that has lost writes.)
  [[nodiscard]] Wakers are(std::vector<Listed> states, std::uint64_t since) {
    std::sort(states.begin(), states.end(), [](const Listed& a, const Listed& b) { return a.key < b.key; });
    const std::lock_guard lock(mutex_);
    if (is_closed_) return {};
    const std::uint64_t before = number_;
    std::vector<std::string> gone;
    for (const State& state : states_) {
      const auto found = std::lower_bound(states.begin(), states.end(), state.key,
                                          [](const Listed& one, const std::string& key) { return one.key < key; });
      const bool is_listed = found != states.end() && found->key == state.key;
      if (!is_listed && state.is_there && state.number <= since) gone.push_back(state.key);
    }
    for (const std::string& key : gone) put_end(key);
    for (Listed& one : states) {
      const State* const state = find(one.key);
      const bool is_same = state && state->is_there && state->version == one.version;
      const bool is_later = state && state->version < one.version && !state->is_in_doubt;
      const bool is_newer = !state || is_later || state->number <= since;
      if (!is_same && is_newer) put(one.key, one.version, std::move(one.json), true);
    }
    if (number_ == 0) number_ = 1;  // so that also that there is nothing is something to be told
    return number_ == before ? Wakers() : wakers_now();
  }
  /// Sees to it that it is what there is, no older than `staleness` at the time `now` of the steady clock, in
  /// milliseconds; without one, in any case. `read(states)` fills them in, or says what is wrong; one at a time does
  /// so.
  template <class Read>
  std::optional<StateError> list(std::int64_t now, std::optional<std::chrono::milliseconds> staleness, Read read) {
    std::optional<StateError> error;
    Wakers wakers;
    {
      const std::lock_guard lock(listing_);
      if (staleness && listed_at_ != 0 && listed_at_ > now - staleness->count()) return std::nullopt;
      const std::uint64_t since = number();
      std::vector<Listed> states;
      error = read(states);
      if (!error) {
        wakers = are(std::move(states), since);
        listed_at_ = now;
      }
    }
    wake(wakers);
    if (error && error->code() == StateErrorCode::too_large) close(true);
    return error;
  }
  /// What a function throws is lost.
  void wake(const Wakers& wakers) noexcept {
    for (const auto& waker : wakers) {
      for (bool again = true; again;) {
        try {
          waker->tell({});
        } catch (...) {  // nobody is there to be told
        }
        const std::lock_guard lock(mutex_);
        again = std::exchange(waker->is_called_again, false);
        if (!again) waker->is_called = false;
      }
    }
  }
  /// Nothing more will be told.
  void close(bool too_large = false) {
    Wakers wakers;
    {
      const std::lock_guard lock(mutex_);
      is_closed_ = true;
      is_too_large_ = is_too_large_ || too_large;
      wakers = wakers_now();
    }
    wake(wakers);
  }

  // ---- Who watches

  void add(Watcher& watcher) {
    const std::lock_guard lock(mutex_);
    watchers_.push_back(&watcher);
  }
  /// One that has got nothing here yet had changes with this id: it goes on there, if that is known.
  void go_on(Watcher& watcher, std::string_view last_id) {
    const std::optional<std::uint64_t> number = number_of(last_id);
    const std::uint64_t last_sum = number.value_or(0) - watcher.question;
    const std::lock_guard lock(mutex_);
    // (What is known of one that is closed may be old.)
    if (is_closed_ || (number && last_sum == sum_)) watcher.seen = number_;
    if (!number || watcher.seen == number_) return;
    const auto known = std::find(sums_.rbegin(), sums_.rend(), last_sum);
    if (known == sums_.rend()) return;
    watcher.seen = number_ - 1 - static_cast<std::uint64_t>(known - sums_.rbegin());
  }
  void remove(Watcher& watcher) noexcept {
    std::shared_ptr<ScopeWaker> waker;
    {
      const std::lock_guard lock(mutex_);
      const auto found = std::find(watchers_.begin(), watchers_.end(), &watcher);
      if (found != watchers_.end()) watchers_.erase(found);
      waker = std::move(watcher.waker);
    }
    if (waker) waker->end();
  }
  /// What the watcher does not have yet, of the keys that `wanted(key)` wants. Then it waits again.
  template <class Wanted>
  Changes take(Watcher& watcher, Wanted wanted) {
    const std::lock_guard lock(mutex_);
    watcher.waits = true;
    Changes changes;
    if (watcher.seen == number_) return changes;
    changes.is_all = watcher.seen == 0 || watcher.seen < forgotten_;
    const auto is_old = [&](const State& state) { return !changes.is_all && state.number <= watcher.seen; };
    JsonWriter changed, removed;
    changed.begin_object();
    removed.begin_array();
    bool is_any = changes.is_all;
    auto first = states_.end();  // the last ones are new
    while (first != states_.begin() && !is_old(*std::prev(first))) --first;
    for (; first != states_.end(); ++first) {
      const State& state = *first;
      if (!wanted(state.key)) continue;
      if (state.is_there && !state.json.empty()) {
        changed.key(state.key);
        changed.written(state.json);
      } else if (!changes.is_all) {
        removed.text(state.key);
      } else {
        continue;
      }
      is_any = true;
    }
    changed.end_object();
    removed.end_array();
    changes.changed = changed.text();
    changes.removed = removed.text();
    watcher.seen = number_;
    if (is_any) changes.id = id_of(sum_ + watcher.question);
    return changes;
  }
  /// Until there is something that the watcher does not have, or nothing will be told any more. Whether it is so.
  bool wait(const Watcher& watcher, std::chrono::steady_clock::time_point deadline) {
    std::unique_lock lock(mutex_);
    return changed_.wait_until(lock, deadline, [&] { return watcher.seen != number_ || is_closed_; });
  }
  bool is_closed() const {
    const std::lock_guard lock(mutex_);
    return is_closed_;
  }
  bool is_too_large() const {
    const std::lock_guard lock(mutex_);
    return is_too_large_;
  }
  /// It is called when there is something to take, and again only after something was taken.
  void set_waker(Watcher& watcher, std::shared_ptr<ScopeWaker> waker) {
    std::shared_ptr<ScopeWaker> before;
    {
      const std::lock_guard lock(mutex_);
      before = std::move(watcher.waker);
    }
    if (before) before->end();  // first, so that the two do not run at once
    Wakers wakers;
    {
      const std::lock_guard lock(mutex_);
      watcher.waker = std::move(waker);
      watcher.waits = true;
      if (watcher.seen != number_ || is_closed_) add_if_waiting(watcher, wakers);
    }
    wake(wakers);
  }

  const atom::Scope scope;

 private:
  struct State {
    std::string key;
    std::int64_t version;
    std::string json;
    bool is_there;
    bool is_in_doubt;      // it has ended, with that version or a later one
    std::uint64_t number;  // of its last change
  };
  static constexpr std::size_t most_ended = 1000, most_sums = 1000;

  State* find(std::string_view key) const {
    const auto found = by_key_.find(key);
    return found == by_key_.end() ? nullptr : &*found->second;
  }
  void put(std::string_view key, std::int64_t version, std::string json, bool is_there) {
    auto found = by_key_.find(key);
    if (found == by_key_.end()) {
      states_.push_back({std::string(key), 0, {}, false, false, 0});
      found = by_key_.emplace(states_.back().key, std::prev(states_.end())).first;
      ++ended_;
    }
    State& state = *found->second;
    sums_.push_back(sum_);
    if (sums_.size() > most_sums) sums_.pop_front();
    if (state.is_there) {
      sum_ -= part_of_sum(state);
    } else {
      --ended_;
    }
    state.version = version;
    state.json = std::move(json);
    state.is_there = is_there;
    state.is_in_doubt = false;
    state.number = ++number_;
    if (is_there) {
      sum_ += part_of_sum(state);
    } else {
      ++ended_;
    }
    states_.splice(states_.end(), states_, found->second);
    if (ended_ > most_ended) forget_ended();
    // Whoever opens it anew is told that this is too much.
    if (states_.size() - ended_ > most_states) is_closed_ = is_too_large_ = true;
  }
  /// It is not there any more, and its last version is not known.
  void put_end(std::string_view key) {
    const State* const state = find(key);
    put(key, state ? state->version : 0, {}, false);
    find(key)->is_in_doubt = true;
  }
  /// Of those that have ended, the first half.
  void forget_ended() {
    for (auto state = states_.begin(); ended_ > most_ended / 2;) {
      if (state->is_there) {
        ++state;
        continue;
      }
      forgotten_ = state->number;
      by_key_.erase(state->key);
      state = states_.erase(state);
      --ended_;
    }
  }
  /// The same in all processes, whatever the order in which the states have come to be what they are.
  static std::uint64_t part_of_sum(const State& state) noexcept {
    return mix(mix(static_cast<std::uint64_t>(state.version)) + hash_text(state.key));
  }
  static constexpr std::string_view digits = "0123456789abcdef";
  /// As an id. Each number has one, and no other text passes for it.
  static std::string id_of(std::uint64_t number) {
    std::string id(16, '0');
    for (std::size_t i = id.size(); i-- > 0; number >>= 4) id[i] = digits[number & 15];
    return id;
  }
  /// Nothing, if it is no id.
  static std::optional<std::uint64_t> number_of(std::string_view id) noexcept {
    if (id.size() != 16 || id.find_first_not_of(digits) != id.npos) return std::nullopt;
    std::uint64_t number = 0;
    std::from_chars(id.data(), id.data() + id.size(), number, 16);
    return number;
  }
  /// Who is to be woken by a change, without the lock.
  Wakers wakers_now() {
    Wakers wakers;
    for (Watcher* const watcher : watchers_) add_if_waiting(*watcher, wakers);
    changed_.notify_all();
    return wakers;
  }
  static void add_if_waiting(Watcher& watcher, Wakers& wakers) {
    if (!watcher.waker || !std::exchange(watcher.waits, false)) return;
    if (std::exchange(watcher.waker->is_called, true)) {
      watcher.waker->is_called_again = true;
    } else {
      wakers.push_back(watcher.waker);
    }
  }

  std::mutex listing_;          // locked before the other one
  std::int64_t listed_at_ = 0;  // when the last list was begun; 0: never

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::list<State> states_;  // the last one has changed last
  std::map<std::string_view, std::list<State>::iterator, std::less<>> by_key_;
  std::size_t ended_ = 0;           // how many of them are not there any more
  std::uint64_t forgotten_ = 0;     // up to this change, some that have ended are not known any more
  std::uint64_t number_ = 0;        // of the last change
  std::uint64_t sum_ = 0;           // of what is there
  std::deque<std::uint64_t> sums_;  // what it was before the last changes
  std::vector<Watcher*> watchers_;
  bool is_closed_ = false;
  bool is_too_large_ = false;
};

}  // namespace atom::inline v0_1::detail
