// What changes in a scope, as server-sent events: the text that a page's EventSource reads. For any web framework: this
// makes the text, and the framework sends it.
//
//   atom::EventStream events = states.events(scope, {.last_event_id = request.header("Last-Event-ID")});
//   while (!events.ended() && send(events.wait(15s))) {}      // a thread for each page; or, without one:
//   events.on_ready([&] { asio::post(io, send_what_there_is); });   // send(events.take())
//
// Each event has JSON as its data:
//
//   event: snapshot    {"votes":3,"title":"Lunch"}                     all states of the scope, as the first event
//   event: change      {"changed":{"votes":4},"removed":["title"]}    what has changed since the event before
//
// The `id` of an event says which values they all have. A page that lost its connection sends the last one that it has
// got, and gets what has changed since, from any process that has the same database: nothing if nothing has changed,
// and a snapshot where it is not known what has.
#pragma once

#include <atom/config.hpp>
#include <atom/key.hpp>
#include <atom/registry.hpp>
#include <atom/state/detail/core.hpp>
#include <atom/state/detail/watched_scope.hpp>
#include <atom/state/detail/watched_scopes.hpp>
#include <atom/state/engine.hpp>
#include <atom/state/error.hpp>
#include <atom/state/scope.hpp>

#include <algorithm>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace atom::inline v0_1 {

struct EventStreamOptions {
  /// What the browser has sent as `Last-Event-ID`, whatever it is.
  std::string last_event_id = {};
  /// Only these states are shown. By default, all of the scope are but those of server-only atoms: who may read the
  /// stream sees them. (What is server-only for another program alone is not known here: then name what may be shown.)
  std::vector<std::string> keys = {};
  /// After so long a browser connects again that has lost its connection.
  std::chrono::milliseconds retry = std::chrono::seconds(1);
};

/// The events of one page, from `states.events(scope)`. It takes no memory for what is not sent yet: a page that reads
/// slowly gets the latest values, and may miss some in between. The end of a time to live is seen when the scope is
/// listed the next time, as each stream that is opened does that `StoreOptions::staleness` after the last one.
///
/// With a database it shows what that has, which may be behind `get` here: what this process writes comes by the same
/// way as what others do, and from one that does not tell when the scope is listed, `StoreOptions::staleness` later at
/// most. The states that a session commits together come each by itself, so that an event may have some of them.
///
/// One thread at a time uses it. It may outlive its store, and ends with it.
class EventStream {
 public:
  /// The header of the answer; with it go `Cache-Control: no-store` and, behind nginx, `X-Accel-Buffering: no`.
  static constexpr std::string_view content_type = "text/event-stream";

  EventStream(EventStream&&) noexcept = default;
  EventStream& operator=(EventStream&& other) noexcept {
    if (this != &other) {
      leave();
      link_ = std::move(other.link_);
      retry_ = std::move(other.retry_);
    }
    return *this;
  }
  ~EventStream() { leave(); }

  /// What there is to be sent: whole events, or nothing. Never waits.
  std::string take() {
    std::string text = std::exchange(retry_, {});
    const auto wanted = [&](std::string_view key) { return link_->shows(key); };
    const auto changes = link_->watched->take(link_->watcher, wanted);
    if (changes.empty()) return text;
    text.append("id: ")
        .append(changes.id)
        .append(changes.is_all ? "\nevent: snapshot\ndata: " : "\nevent: change\ndata: ");
    if (changes.is_all) return text.append(changes.changed).append("\n\n");
    return text.append("{\"changed\":")
        .append(changes.changed)
        .append(",\"removed\":")
        .append(changes.removed)
        .append("}\n\n");
  }
  /// The same, when there is something, or so long later a comment: sending it shows whether the page is still there.
  /// Nothing once the stream has ended.
  std::string wait(std::chrono::milliseconds within) {
    // (A time that is too long for the clock is one that nobody waits for.)
    const auto deadline = std::chrono::steady_clock::now() + std::min<std::chrono::milliseconds>(within, longest_wait);
    for (;;) {
      if (std::string text = take(); !text.empty()) return text;
      if (ended()) return {};
      if (!link_->watched->wait(link_->watcher, deadline)) return ":\n\n";
    }
  }
  /// Calls `wake()` when there is something to take, or the stream has ended; and again only when something has been
  /// taken since. At once, if it is so already. It is called by the thread that writes, or that follows the database,
  /// by one at a time, and with no lock held: it should hand the work on, and not throw. When the stream has gone, it
  /// is not running any more (a function may end its own stream); so do not end one while holding a lock that its
  /// function wants.
  template <std::invocable F>
  void on_ready(F wake) {
    const std::shared_ptr<detail::WatchedScope> watched = link_->watched;  // it may end this stream
    watched->set_waker(link_->watcher, std::make_shared<detail::ScopeWakerOf<F>>(std::move(wake)));
  }
  /// Whether the store is closed or gone, or the scope has become too large: nothing more comes.
  bool ended() const { return link_->watched->is_closed(); }

 private:
  friend EventStream open_event_stream(detail::StateCore& core, const Scope& scope, const EventStreamOptions& options);

  struct Link {
    detail::StateCore& core;  // there unless the scopes are closed
    std::shared_ptr<detail::WatchedScopes> scopes;
    std::shared_ptr<detail::WatchedScope> watched;
    std::vector<std::string> keys;
    detail::WatchedScope::Watcher watcher = {};

    bool shows(std::string_view key) const {
      if (!keys.empty()) return std::find(keys.begin(), keys.end(), key) != keys.end();
      const auto* const atom = detail::Registry::instance().find_declared(key, detail::hash_key(key));
      return !atom || !atom->server_only;
    }
  };
  static constexpr std::chrono::hours longest_wait{24 * 365};
  explicit EventStream(std::unique_ptr<Link> link) noexcept : link_(std::move(link)) {}
  void leave() noexcept {
    if (!link_) return;
    if (link_->scopes->is_foreign()) return static_cast<void>(link_.release());
    link_->watched->remove(link_->watcher);
    link_->scopes->leave(*link_->watched,
                         [core = &link_->core](const detail::WatchedScope& watched) { core->stop_watching(watched); });
    link_ = nullptr;
  }

  std::unique_ptr<Link> link_;
  std::string retry_;
};

namespace detail {

/// In memory: what the states of a scope are.
inline std::optional<StateError> list_in_memory(StateCore& core, const std::shared_ptr<WatchedScope>& watched) {
  std::vector<StateEvent> events;  // to be told when nothing is locked
  const auto read = [&](std::vector<WatchedScope::Listed>& states) -> std::optional<StateError> {
    for (const NodeReference& node : core.table.nodes(watched->scope)) {
      if (!node->type().write) continue;
      core.watch(node, watched);
      const SeenValue seen = core.peek(*node);
      if (seen.version <= 0) continue;
      states.push_back({std::string(node->key()), seen.version, {}});
      if (states.size() > WatchedScope::most_states) return WatchedScope::too_many(watched->scope);
      if (watched->knows(node->key(), seen.version)) continue;
      states.back().json =
          StateCore::shown(*node, seen.value, [&](StateEvent event) { events.push_back(std::move(event)); });
    }
    return std::nullopt;
  };
  auto error = watched->list(StateTable::milliseconds_now(), core.options.staleness, read);
  for (const StateEvent& event : events) core.report(event);
  return error;
}
/// Which states are wanted, in any order; 0: all.
inline std::uint64_t question_of(std::vector<std::string> keys) {
  std::sort(keys.begin(), keys.end());
  std::uint64_t question = 0;
  for (const std::string& key : keys) question = mix(question + hash_text(key));
  return question;
}

}  // namespace detail

inline EventStream open_event_stream(detail::StateCore& core, const Scope& scope, const EventStreamOptions& options) {
  if (core.engine) {
    if (auto refused = core.engine->refusal()) throw *std::move(refused);
    core.watched_scopes->are_followed();
    core.engine->follow();  // before anything is read, so that nothing is missed
  }
  auto link = std::make_unique<EventStream::Link>(EventStream::Link{core, core.watched_scopes, nullptr, options.keys});
  link->watcher.question = detail::question_of(options.keys);
  link->watched = core.watched_scopes->enter(scope);
  EventStream stream(std::move(link));  // it leaves from here on, whatever is thrown
  const std::shared_ptr<detail::WatchedScope>& watched = stream.link_->watched;
  watched->add(stream.link_->watcher);
  auto error = core.engine ? core.engine->refresh(*watched, core.options.staleness, core.deadline())
                           : detail::list_in_memory(core, watched);
  if (error) throw *std::move(error);
  if (watched->is_too_large()) throw detail::WatchedScope::too_many(scope);
  watched->go_on(stream.link_->watcher, options.last_event_id);
  stream.retry_ = "retry: " + std::to_string(options.retry.count()) + "\n\n";
  return stream;
}

}  // namespace atom::inline v0_1
