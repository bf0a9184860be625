// What changes in a PostgreSQL database: one's own changes at once, and others' as the server tells of them.
#pragma once

#include <atom/backend/detail/change_burst.hpp>
#include <atom/backend/detail/change_queue.hpp>
#include <atom/backend/detail/postgres_answers.hpp>
#include <atom/backend/detail/postgres_connection.hpp>
#include <atom/backend/detail/waiting.hpp>
#include <atom/config.hpp>
#include <atom/detail/segment.hpp>
#include <atom/state/backend.hpp>
#include <atom/state/error.hpp>
#include <atom/state/scope.hpp>

#include <poll.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace atom::inline v0_1::detail {

/// What a server passes on has at most 7999 bytes, with the number of the table.
inline constexpr std::size_t longest_postgres_notice = 7900;

/// Adds a name to what others are told: who tells, and the names of states, each word after a space. What becomes too
/// long is about all states.
inline void add_to_postgres_notice(std::string& notice, const Scope& scope, std::string_view key) {
  if (notice.ends_with(postgres_notice_of_all)) return;
  const std::size_t before = notice.find(' ');
  notice += ' ' + scope.text() + ' ';
  escape(notice, key);
  if (notice.size() > longest_postgres_notice) {
    notice.resize(std::min(before, notice.size()));
    notice += ' ' + std::string(postgres_notice_of_all);
  }
}

class PostgresFeed;

/// The feeds of one object, each told of what that object writes.
class PostgresFeeds {
 public:
  void add(PostgresFeed& feed) {
    const std::lock_guard lock(mutex_);
    feeds_.push_back(&feed);
  }
  void remove(PostgresFeed& feed) noexcept {
    const std::lock_guard lock(mutex_);
    std::erase(feeds_, &feed);
  }
  void tell(const StateName& name, std::int64_t version, const StoredValue* value) noexcept;

 private:
  std::mutex mutex_;
  std::vector<PostgresFeed*> feeds_;
};

class PostgresFeed final : public Feed {
 public:
  /// `origin` is what the object whose feeds these are calls itself when it tells others.
  PostgresFeed(PostgresTarget target, std::string origin, PostgresFeeds& feeds)
      : connection_(std::move(target), &bell_), origin_(std::move(origin)), feeds_(feeds) {
    feeds_.add(*this);
  }
  PostgresFeed(const PostgresFeed&) = delete;
  PostgresFeed& operator=(const PostgresFeed&) = delete;
  ~PostgresFeed() override { feeds_.remove(*this); }

  /// Whether it can be used: there may be no file descriptors left.
  explicit operator bool() const noexcept { return bell_ && news_; }

  void add(const StateName& name, std::int64_t version, const StoredValue* value) noexcept {
    own_.add(name, version, value);
    news_.ring();
  }
  void wake() noexcept override { bell_.ring(); }
  std::optional<StateError> poll(FeedSink& sink, Deadline deadline) override {
    try {
      for (;;) {
        news_.stop();
        own_.wait(sink, {});
        follow(sink);
        if (bell_.stop() || Clock::now() >= deadline) return std::nullopt;
        wait(std::min(deadline, next_beat_));
      }
    } catch (const StateError& error) {
      connection_.close();
      bell_.stop();
      return error;
    }
  }

 private:
  using Clock = std::chrono::steady_clock;
  /// So often the server is asked whether it is still there, and so long it has to answer.
  static constexpr std::chrono::seconds between_beats{2};

  /// Tells what others have written. If there is no connection any more, makes one, and then anything may have changed.
  void follow(FeedSink& sink) {
    if (connection_.is_open() && !is_alive()) connection_.close();
    if (!connection_.is_open()) {
      connection_.open(Clock::now() + most_to_connect_feed);
      connection_.add(postgres::listen);
      connection_.add(postgres::identify);
      connection_.end(Effect::none);
      table_ = std::to_string(connection_.receive().back().integer(0, 0));
      next_beat_ = Clock::now() + between_beats;
      sink.lost_track();
    }
    ChangeBurst burst(sink);
    while (const std::optional<std::string> notice = connection_.notification()) {
      read_postgres_notice(*notice, table_, origin_, burst);
    }
    burst.end();
  }
  bool is_alive() {
    try {
      const bool has_answered = connection_.pass_on();
      if (Clock::now() < next_beat_) return true;
      next_beat_ = Clock::now() + between_beats;
      if (!has_answered) return false;
      connection_.add(postgres::beat);
      connection_.end_untold();
      return true;
    } catch (const StateError&) {  // if it cannot be reached again, that is the error
      return false;
    }
  }
  void wait(Deadline deadline) {
    const short also = connection_.has_more_to_send() ? POLLOUT : 0;
    pollfd all[] = {{bell_.socket(), POLLIN, 0},
                    {news_.socket(), POLLIN, 0},
                    {connection_.socket(), static_cast<short>(POLLIN | also), 0}};
    wait_for(all, 3, deadline);
  }

  Bell bell_;
  PostgresConnection connection_;
  const std::string origin_;
  PostgresFeeds& feeds_;
  ChangeQueue own_;
  Bell news_;  // rings for `own_`; by itself, as what is written here must not keep it from connecting
  std::string table_;
  Deadline next_beat_{};
};

inline void PostgresFeeds::tell(const StateName& name, std::int64_t version, const StoredValue* value) noexcept {
  const std::lock_guard lock(mutex_);
  for (PostgresFeed* feed : feeds_) feed->add(name, version, value);
}

}  // namespace atom::inline v0_1::detail
