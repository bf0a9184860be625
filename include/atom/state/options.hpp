// What a store of states and its sessions can be told, and what it tells.
#pragma once

#include <atom/config.hpp>
#include <atom/state/scope.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory_resource>
#include <string>
#include <string_view>
#include <vector>

namespace atom::inline v0_1 {

namespace detail {
/// So that no clock overflows, here or in a database.
inline constexpr std::chrono::milliseconds longest_time_to_live = std::chrono::hours(24 * 365 * 100);
/// Of one state. The longest of them and the largest value fit together into an item of DynamoDB, and those of all that
/// a batch has into a transaction.
inline constexpr std::size_t most_labels = 16;
}  // namespace detail

/// Which state, and what it is created with. Where it is there already, labels and time to live are what they were: in
/// a database as long as it has a value; a store that writes one again, after it has ended, gives it those of its own.
struct StateOptions {
  /// 1 to 256 bytes of UTF-8 without control characters.
  std::string key = {};
  /// By default the component of the request: `states.in(context)`.
  AnyScope scope = {};
  /// `states.purge` deletes by these: at most 16, each of what a key may be.
  std::vector<std::string> labels = {};
  /// Time to live, from the last write; 0: for ever. More than a hundred years are a hundred.
  std::chrono::milliseconds ttl = {};
  /// Reading starts its time anew, too. With a database, where that is a write, not before an eighth of it is over.
  bool sliding = {};
};

/// Something that whoever runs the program may want to know.
struct StateEvent {
  enum class Kind : std::uint8_t {
    listener_threw,  ///< A function given to `on_change` has thrown; the change stands.
    retry,           ///< The database did not answer, or not as it should; it is asked again. Of many in a row the
                     ///< first is told, and then each time they have become twice as many; `stats()` counts all. (Of
                     ///< writes, and of what is read by `_async`; what a thread waits to read has its error alone.)
    in_doubt,        ///< Writes were given up at their deadline that may have taken effect. It is found out later.
    history_lost,    ///< The database has lost writes that it had acknowledged.
    dropped,         ///< A session has ended with changes that were not committed, or commits a change that a database
                     ///< cannot keep, as its type has no codec.
    feed_down,       ///< Changes by others are not told for a while; what was missed is caught up with. It is told when
                     ///< that begins, after a second, and then each time it has lasted twice as long.
    feed_up,         ///< They are told again.
    undecodable,     ///< What is stored does not read as the type of the state, or as anything an event stream can show
                     ///< (or its codec has thrown): it is left alone, and not shown.
  };
  Kind kind{};
  std::string state = {};  ///< as `State::id`, but without a client's or user's id; empty: it is about the store
  std::string message = {};
  std::exception_ptr exception = {};
  /// Of `history_lost`: how many operations of this store were acknowledged and are lost. (Of those long ago, that is
  /// more than a thousand batches, it is not known any more.)
  std::uint64_t lost = 0;
};

/// Its name, as a log or a metric may show it: "feed_down".
constexpr std::string_view to_string(StateEvent::Kind kind) noexcept {
  using enum StateEvent::Kind;
  switch (kind) {
    case listener_threw:
      return "listener_threw";
    case retry:
      return "retry";
    case in_doubt:
      return "in_doubt";
    case history_lost:
      return "history_lost";
    case dropped:
      return "dropped";
    case feed_down:
      return "feed_down";
    case feed_up:
      return "feed_up";
    case undecodable:
      return "undecodable";
  }
  return "";
}

struct StoreOptions {
  /// More states in one scope are an error: who names them may come from outside.
  std::size_t states_per_scope = 100'000;
  /// With a database: how long an operation may take. Of `transact` and `promote` also in memory. More than a hundred
  /// years are a hundred.
  std::chrono::milliseconds deadline = std::chrono::seconds(5);
  /// With a database: how far `get` may be behind; 0: it asks each time.
  std::chrono::milliseconds staleness = std::chrono::seconds(1);
  /// With a database: threads of the store's that wait in place of coroutines, for all but what is awaited of a single
  /// state. They begin as they are needed; what finds them busy waits for one, within its deadline.
  std::size_t threads = 4;
  /// Called by any thread, also by several at once.
  std::function<void(const StateEvent&)> on_event = {};
  /// Where coroutines go on that waited for a state: called with what is to be run. By default, in the thread that did
  /// the waiting. What it posts to must outlive the store, whose threads may call it until the store has gone.
  std::function<void(std::function<void()>)> executor = {};
};

/// Of one request: see session.hpp.
struct SessionOptions {
  /// What sessions of this route used last time is read at once at the first use: a name of the program's, such as
  /// "/cart", not a path with an id in it. Without one, each atom is read when it is first used.
  std::string route = {};
  /// Time to live of the states that it writes in its own scope and below, and in those of clients and users, from the
  /// last commit; 0: for ever. What it writes elsewhere is not its own to end. (In memory a state that is there keeps
  /// the one that it was made with.)
  std::chrono::milliseconds ttl = {};
  /// So long after it was made nothing of it waits for a database any more; 0: as long as `StoreOptions::deadline`
  /// says, each time anew, which is never exceeded.
  std::chrono::milliseconds deadline = {};
  /// Where its memory beyond its own comes from; null: the default resource.
  std::pmr::memory_resource* memory = nullptr;
};

/// Counted since the store was opened.
struct StateStats {
  std::size_t states = 0;        ///< in memory, with a value or a handle
  std::uint64_t batches = 0;     ///< sent to the database, those that were sent again included
  std::uint64_t operations = 0;  ///< on single states that went through the database: writes, and `_async` reads
  std::uint64_t retries = 0;     ///< of these, and of commits
};

}  // namespace atom::inline v0_1
