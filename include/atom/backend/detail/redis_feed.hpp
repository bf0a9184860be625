// What changes in a Redis server, read from its stream as it comes.
#pragma once

#include <atom/backend/detail/change_burst.hpp>
#include <atom/backend/detail/redis_batch.hpp>
#include <atom/backend/detail/redis_connection.hpp>
#include <atom/backend/detail/waiting.hpp>
#include <atom/config.hpp>
#include <atom/state/backend.hpp>
#include <atom/state/detail/home_process.hpp>
#include <atom/state/error.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace atom::inline v0_1::detail {

class RedisFeed final : public Feed {
 public:
  RedisFeed(const RedisConnection::Options& options, std::string stream, Deadline deadline)
      : connection_(options, &bell_), stream_(std::move(stream)) {
    try {
      connection_.open(deadline);
      seen_ = newest(deadline);
      is_behind_ = false;
    } catch (const StateError&) {  // the first poll will say so
      connection_.close();
    }
  }
  RedisFeed(const RedisFeed&) = delete;
  RedisFeed& operator=(const RedisFeed&) = delete;

  std::optional<StateError> poll(FeedSink& sink, Deadline deadline) override {
    if (!home_.is_here()) {
      return StateError(StateErrorCode::closed, "Redis: the feed belongs to the process that this one was forked from");
    }
    if (!bell_) return connection_.failure(StateErrorCode::unavailable, "no more files may be opened", true);
    for (bool is_again = false;; is_again = true) {
      try {
        follow(sink, deadline);
        return std::nullopt;
      } catch (const StateError& error) {
        connection_.close();
        is_asked_ = false;
        // One that was closed while nothing happened is made anew at once, unless it was woken.
        if (bell_.stop() || is_again || error.code() != StateErrorCode::unavailable || !was_good_) return error;
        was_good_ = false;
      }
    }
  }
  void wake() noexcept override { bell_.ring(); }

 private:
  using Clock = std::chrono::steady_clock;
  /// So long the server waits for changes before it answers that there are none, ...
  static constexpr std::chrono::milliseconds at_most_silent{1000};
  /// ... and if it does not answer then, it is not there any more.
  static constexpr std::chrono::milliseconds patience{2000};
  static constexpr std::size_t most_entries = 100;
  /// So long it is left alone when it has told of all. Else it would answer each write of this process twice.
  static constexpr std::chrono::milliseconds pause{1};

  void follow(FeedSink& sink, Deadline deadline) {
    for (;;) {
      if (!connection_.is_open()) resume();
      if (bell_.stop()) return;
      if (std::exchange(is_behind_, false)) sink.lost_track();
      if (!is_asked_) {
        if (Clock::now() >= asks_from_) {
          ask();
        } else {
          bell_.wait(std::min(deadline, asks_from_));
          if (Clock::now() >= deadline) return;
          continue;
        }
      }
      if (const RedisReply answer = connection_.try_read()) {
        is_asked_ = false;
        was_good_ = true;
        if (answer.is_error()) throw redis_error(connection_.server(), answer.text());
        if (!answer.is_none()) {
          const std::string from = seen_;
          const bool is_all = answer[0][1].size() < most_entries;
          hand_out(sink, answer[0][1]);
          if (is_all) {
            asks_from_ = Clock::now() + pause;
          } else if (from != start) {  // as far behind as that, it may be further than the stream is long
            is_behind_ = !is_kept(from, Clock::now() + patience) || is_behind_;
          }
        }
        if (Clock::now() < deadline) continue;
      }
      if (Clock::now() >= deadline) return;
      connection_.wait_for_either(bell_.socket(), std::min(deadline, answers_by_));
      if (Clock::now() >= answers_by_) {
        throw connection_.failure(StateErrorCode::unavailable, "it does not answer any more", true);
      }
    }
  }

  /// Connects again. It goes on where it was, if that has not been cut off; but as the server may be another one by
  /// now, or have lost what was told of before, anything may have changed.
  void resume() {
    is_behind_ = true;
    const Deadline deadline = Clock::now() + most_to_connect_feed;
    connection_.open(deadline);
    if (!seen_.empty() && seen_ != start && is_kept(seen_, deadline)) return;
    seen_ = newest(deadline);
  }
  /// Whether it has not been cut off; then nothing after it has.
  bool is_kept(const std::string& entry, Deadline deadline) {
    return call({"XRANGE", stream_, entry, entry}, deadline).size() == 1;
  }
  std::string newest(Deadline deadline) {
    const RedisReply last = call({"XREVRANGE", stream_, "+", "-", "COUNT", "1"}, deadline);
    return last.size() == 0 ? std::string(start) : std::string(last[0][0].text());
  }
  RedisReply call(const RedisRequest& request, Deadline deadline) {
    RedisReply reply = connection_.call(request, deadline, Effect::none);
    if (reply.is_error()) throw redis_error(connection_.server(), reply.text());
    return reply;
  }
  /// Whose answer may come after the end of this poll: the next one goes on waiting for it.
  void ask() {
    const auto silent = std::to_string(at_most_silent.count());
    answers_by_ = Clock::now() + at_most_silent + patience;
    connection_.send({"XREAD", "COUNT", std::to_string(most_entries), "BLOCK", silent, "STREAMS", stream_, seen_},
                     answers_by_);
    is_asked_ = true;
  }
  struct Change {
    atom::Scope scope;
    std::string_view key;
    RedisState state;

    static Change parse(const RedisValue& name_of, const RedisValue& state) {
      const std::string_view name = name_of.text();
      const std::size_t space = name.find(' ');
      RedisValue::require(space != name.npos);
      return {redis_scope(name.substr(0, space)), name.substr(space + 1), RedisState::parse(state.text())};
    }
  };
  /// Entries: a number, and of each change "SCOPE KEY" and the state, or its version. One that does not read so was
  /// written by somebody else, or by another version of this program: it may stand for any change, and is passed by.
  void hand_out(FeedSink& sink, const RedisValue& entries) {
    ChangeBurst burst(sink);
    for (std::size_t i = 0; i < entries.size(); ++i) {
      const RedisValue fields = entries[i][1];
      for (std::size_t k = 0; k + 2 <= fields.size(); k += 2) {
        std::optional<Change> change;
        try {
          change = Change::parse(fields[k], fields[k + 1]);
        } catch (const StateError&) {
          is_behind_ = true;
          continue;
        }
        burst.changed(change->scope, change->key, change->state.version, std::move(change->state.value));
      }
      seen_ = entries[i][0].text();
    }
    burst.end();
  }

  static constexpr std::string_view start = "0-0";

  const HomeProcess home_;
  Bell bell_;
  RedisConnection connection_;
  const std::string stream_;
  std::string seen_ = {};  // the last entry
  bool is_behind_ = true;  // something may have been missed
  bool is_asked_ = false;  // and waits for the answer
  bool was_good_ = true;   // it has answered since it was connected
  Clock::time_point answers_by_{};
  Clock::time_point asks_from_{};
};

}  // namespace atom::inline v0_1::detail
