// The copy of a scope that is watched: what is kept of what it is told, who gets what, and who is woken.
#include <atom/state/detail/watched_scope.hpp>

#include "support/catch.hpp"
#include "support/threads.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace state_watched_scope_test {
namespace {

using namespace std::chrono_literals;
using atom::Scope;
using atom::detail::ScopeWakerOf;
using atom::detail::WatchedScope;
using Listed = std::vector<WatchedScope::Listed>;

/// One who watches.
class Page {
 public:
  explicit Page(WatchedScope& watched, std::string_view last_id = {}, std::uint64_t question = 0) : watched_(watched) {
    watcher_.question = question;
    watched_.add(watcher_);
    watched_.go_on(watcher_, last_id);
  }
  Page(const Page&) = delete;
  Page& operator=(const Page&) = delete;
  ~Page() { watched_.remove(watcher_); }

  /// "all {...}", "{...} [...]", or nothing.
  std::string take() {
    return take([](std::string_view) { return true; });
  }
  template <class Wanted>
  std::string take(Wanted wanted) {
    const WatchedScope::Changes changes = watched_.take(watcher_, wanted);
    if (changes.empty()) return {};
    id = changes.id;
    return changes.is_all ? "all " + changes.changed : changes.changed + " " + changes.removed;
  }
  bool wait(std::chrono::milliseconds within) {
    return watched_.wait(watcher_, std::chrono::steady_clock::now() + within);
  }
  template <class F>
  void wake_by(F function) {
    watched_.set_waker(watcher_, std::make_shared<ScopeWakerOf<F>>(std::move(function)));
  }
  void wake_by_nothing() { watched_.set_waker(watcher_, nullptr); }

  std::string id;

 private:
  WatchedScope& watched_;
  WatchedScope::Watcher watcher_ = {};
};
void list(WatchedScope& watched, Listed states) {
  const std::uint64_t since = watched.number();
  watched.wake(watched.are(std::move(states), since));
}
std::string id_of(WatchedScope& watched) {
  Page page(watched);
  (void)page.take();
  return page.id;
}
std::string key_of(std::size_t number) {
  return "k" + std::to_string(number);
}

// ---- What is kept, and told

TEST_CASE("who comes gets all there is, and then what changes, in the order of the changes") {
  WatchedScope watched(Scope{"s"});
  watched.changed("b", 1, "1");
  watched.changed("a", 1, "2");
  Page page(watched);
  CHECK(page.take() == R"(all {"b":1,"a":2})");
  CHECK(page.take().empty());
  watched.changed("c", 1, "3");
  watched.changed("a", 2, "4");
  watched.ended("b", 1);
  CHECK(page.take() == R"({"c":3,"a":4} ["b"])");
  CHECK(page.take().empty());
}

TEST_CASE("of several changes of a state the last one is told") {
  WatchedScope watched(Scope{"s"});
  list(watched, {});
  Page page(watched);
  CHECK(page.take() == "all {}");
  watched.changed("a", 1, "1");
  watched.changed("a", 2, "2");
  watched.changed("b", 1, "3");
  watched.ended("b", 1);
  watched.ended("a", 2);
  watched.changed("a", 3, "4");
  CHECK(page.take() == R"({"a":4} ["b"])");
}

TEST_CASE("before anything is known of it there is nothing to be told, and then that there is nothing") {
  WatchedScope watched(Scope{"s"});
  Page page(watched);
  CHECK(page.take().empty());
  list(watched, {});
  CHECK(page.take() == "all {}");
  list(watched, {});
  CHECK(page.take().empty());
}

TEST_CASE("of what is told late the highest version counts") {
  WatchedScope watched(Scope{"s"});
  Page page(watched);
  watched.changed("a", 3, "3");
  watched.changed("a", 2, "2");
  watched.changed("a", 3, "4");
  watched.ended("a", 2);
  CHECK(page.take() == R"(all {"a":3})");
  watched.ended("a", 3);
  watched.changed("a", 3, "3");
  watched.changed("a", 1, "1");
  CHECK(page.take() == R"({} ["a"])");
  watched.ended("b", 5);  // of which nothing was known
  watched.changed("b", 5, "5");
  CHECK(page.take() == R"({} ["b"])");
  watched.ended("b", 6);
  CHECK(page.take().empty());
  watched.changed("b", 6, "6");
  CHECK(page.take() == R"({"b":6} [])");
}

TEST_CASE("only the keys that are wanted are told, and nothing if they have not changed") {
  WatchedScope watched(Scope{"s"});
  const auto only_a = [](std::string_view key) { return key == "a"; };
  list(watched, {{"a", 1, "1"}, {"b", 1, "2"}});
  Page page(watched);
  CHECK(page.take(only_a) == R"(all {"a":1})");
  watched.changed("b", 2, "3");
  CHECK(page.take(only_a).empty());
  watched.ended("b", 2);
  watched.changed("a", 2, "4");
  CHECK(page.take(only_a) == R"({"a":4} [])");
}

TEST_CASE("a value that cannot be shown is not there for who watches") {
  WatchedScope watched(Scope{"s"});
  watched.changed("a", 1, "");
  watched.changed("b", 1, "1");
  Page page(watched);
  CHECK(page.take() == R"(all {"b":1})");
  watched.changed("b", 2, "");
  CHECK(page.take() == R"({} ["b"])");
  watched.changed("a", 2, "2");
  CHECK(page.take() == R"({"a":2} [])");
  CHECK(watched.knows("b", 2));
}

// ---- Lists

TEST_CASE("a list says what is there, and what is not there any more") {
  WatchedScope watched(Scope{"s"});
  Page page(watched);
  list(watched, {{"b", 1, "1"}, {"a", 1, "2"}});
  CHECK(page.take().starts_with("all "));
  list(watched, {{"c", 1, "3"}, {"a", 2, "4"}});
  CHECK(page.take() == R"({"a":4,"c":3} ["b"])");
  list(watched, {{"a", 2, ""}, {"c", 1, ""}});  // no text where the version is known
  CHECK(page.take().empty());
}

TEST_CASE("what has changed since a list was begun is newer than the list") {
  WatchedScope watched(Scope{"s"});
  list(watched, {{"a", 1, "1"}, {"b", 1, "1"}, {"c", 1, "1"}});
  Page page(watched);
  (void)page.take();
  const std::uint64_t since = watched.number();
  watched.changed("a", 2, "2");
  watched.ended("b", 1);
  watched.changed("d", 1, "2");
  (void)watched.are({{"a", 1, "1"}, {"b", 1, "1"}, {"c", 1, "1"}}, since);
  CHECK(page.take() == R"({"a":2,"d":2} ["b"])");
  (void)watched.are({{"a", 3, "3"}, {"b", 2, "3"}}, since);  // but a later version is later
  CHECK(page.take() == R"({"a":3,"b":3} ["c"])");
}

TEST_CASE("a list with versions that are lower is one of a database that has lost writes") {
  WatchedScope watched(Scope{"s"});
  list(watched, {{"a", 5, "5"}, {"b", 5, "5"}});
  watched.ended("b", 5);
  Page page(watched);
  (void)page.take();
  list(watched, {{"a", 3, "3"}, {"b", 4, "4"}});
  CHECK(page.take() == R"({"a":3,"b":4} [])");
  watched.changed("a", 4, "4");
  CHECK(page.take() == R"({"a":4} [])");
}

TEST_CASE("what was read anew counts, whatever its version, unless it has changed meanwhile") {
  WatchedScope watched(Scope{"s"});
  list(watched, {{"a", 5, "5"}, {"b", 5, "5"}});
  Page page(watched);
  (void)page.take();
  const std::uint64_t since = watched.number();
  CHECK(watched.is("a", 3, "3", since));
  CHECK(watched.is("b", 0, "", since));
  CHECK(page.take() == R"({"a":3} ["b"])");
  CHECK_FALSE(watched.is("a", 0, "", since));
  CHECK_FALSE(watched.is("b", 6, "6", since));
  CHECK(watched.is("a", 3, "3", since));
  CHECK(watched.is("b", 0, "", watched.number()));
  CHECK(page.take().empty());
  CHECK(watched.is("b", 6, "6", watched.number()));
  CHECK(page.take() == R"({"b":6} [])");
}

TEST_CASE("of what has ended with a version that is not known, a list that was begun before says nothing") {
  WatchedScope watched(Scope{"s"});
  const std::uint64_t since = watched.number();
  CHECK(watched.is("a", 0, "", since));
  CHECK(watched.is_in_doubt("a"));
  (void)watched.are({{"a", 7, "7"}}, since);
  Page page(watched);
  CHECK(page.take() == "all {}");
  list(watched, {{"a", 8, "8"}});
  CHECK(page.take() == R"({"a":8} [])");
  CHECK_FALSE(watched.is_in_doubt("a"));
  watched.ended("a", 8);
  CHECK_FALSE(watched.is_in_doubt("a"));
  list(watched, {{"a", 9, "9"}});
  list(watched, {});
  CHECK(watched.is_in_doubt("a"));
  CHECK_FALSE(watched.is_in_doubt("b"));
}

TEST_CASE("too many states close it, and no more is told") {
  WatchedScope watched(Scope{"s"});
  Listed states;
  for (std::size_t i = 0; i < WatchedScope::most_states; ++i) states.push_back({key_of(i), 1, "1"});
  list(watched, states);
  CHECK_FALSE(watched.is_closed());
  watched.ended("k0", 1);
  watched.changed("one", 1, "1");
  CHECK_FALSE(watched.is_closed());
  Page page(watched);
  int woken = 0;
  page.wake_by([&] { ++woken; });
  (void)page.take();
  watched.changed("two", 1, "1");
  CHECK(watched.is_closed());
  CHECK(watched.is_too_large());
  CHECK(woken == 2);
  watched.changed("one", 2, "2");
  watched.ended("one", 2);
  list(watched, {});
  CHECK(page.take() == R"({"two":1} [])");
  CHECK(page.take().empty());
  CHECK(WatchedScope::too_many(watched.scope).code() == atom::StateErrorCode::too_large);
}

// ---- Ids

TEST_CASE("the same states with the same versions have the same id, however they came to be so") {
  WatchedScope one(Scope{"s"}), other(Scope{"t"}), third(Scope{"s"});
  one.changed("a", 1, "1");
  one.changed("b", 7, "2");
  one.changed("a", 5, "3");
  other.changed("gone", 1, "1");
  other.changed("b", 7, "2");
  other.changed("a", 5, "3");
  other.ended("gone", 1);
  list(third, {{"b", 7, "2"}, {"a", 5, "3"}});
  CHECK(id_of(one).size() == 16);
  CHECK(id_of(one) == id_of(other));
  CHECK(id_of(one) == id_of(third));
}

TEST_CASE("other states, other keys and other versions have another id") {
  std::set<std::string> ids;
  std::size_t count = 0;
  const auto add = [&](Listed states) {
    WatchedScope watched(Scope{"s"});
    list(watched, std::move(states));
    ids.insert(id_of(watched));
    ++count;
  };
  add({});
  const std::vector<std::string> keys = {"a", "b", "c", "aa", "ab", "ba", "a/1", "b/1"};
  for (const std::string& key : keys) {
    for (const std::int64_t version : {0, 1, 2, 3, 4, 5, 96, 97, 98, 256, 65536}) add({{key, version + 1, "1"}});
  }
  for (std::int64_t i = 1; i <= 40; ++i) {
    for (std::int64_t k = 1; k <= 40; ++k) add({{"x", i, "1"}, {"y", k, "1"}});
  }
  CHECK(ids.size() == count);
}

TEST_CASE("who knows the id of what there is gets nothing, and who knows one before gets what has changed") {
  WatchedScope watched(Scope{"s"});
  list(watched, {{"a", 1, "1"}, {"b", 1, "1"}});
  const std::string first = id_of(watched);
  watched.changed("c", 1, "2");
  const std::string second = id_of(watched);
  watched.changed("a", 2, "3");
  watched.ended("b", 1);
  const std::string last = id_of(watched);
  CHECK(Page(watched, last).take().empty());
  CHECK(Page(watched, second).take() == R"({"a":3} ["b"])");
  CHECK(Page(watched, first).take() == R"({"c":2,"a":3} ["b"])");
  Page page(watched, last);
  watched.changed("d", 1, "4");
  CHECK(page.take() == R"({"d":4} [])");
}

TEST_CASE("an id is known for a thousand changes") {
  WatchedScope watched(Scope{"s"});
  list(watched, {{"a", 1, "1"}, {"b", 1, "1"}});
  const std::string first = id_of(watched);
  for (std::int64_t i = 2; i <= 1001; ++i) watched.changed("a", i, std::to_string(i));
  CHECK(Page(watched, first).take() == R"({"a":1001} [])");
  watched.changed("a", 1002, "1002");
  CHECK(Page(watched, first).take().starts_with("all "));
}

TEST_CASE("an id that is not known gets all there is") {
  WatchedScope watched(Scope{"s"});
  watched.changed("a", 1, "1");
  watched.changed("a", 2, "2");
  const std::string good = id_of(watched);
  for (const std::string& id :
       std::vector<std::string>{"", "0", "1", "0000000000000001", "ffffffffffffffff", good + "0", good.substr(1),
                                " " + good, good + "\n", "-000000000000001", "+000000000000001", "0x00000000000001",
                                std::string(16, '\0'), std::string(16, 'g'), std::string(100'000, 'f'), "\xff\xfe"}) {
    CAPTURE(id);
    CHECK(Page(watched, id).take() == R"(all {"a":2})");
  }
}

TEST_CASE("who comes when it is closed gets nothing") {
  WatchedScope watched(Scope{"s"});
  watched.changed("a", 1, "1");
  watched.close();
  CHECK(Page(watched).take().empty());
}

TEST_CASE("an id of who wants other states is not known") {
  WatchedScope watched(Scope{"s"});
  watched.changed("a", 1, "1");
  Page page(watched, {}, 5);
  (void)page.take();
  CHECK(page.id != id_of(watched));
  CHECK(Page(watched, page.id, 5).take().empty());
  CHECK(Page(watched, page.id).take().starts_with("all "));
  CHECK(Page(watched, page.id, 6).take().starts_with("all "));
  const std::string before = page.id;
  watched.changed("a", 2, "2");
  CHECK(Page(watched, before, 5).take() == R"({"a":2} [])");
}

TEST_CASE("of a thousand that have ended the older half is forgotten, and who missed their end gets all there is") {
  WatchedScope watched(Scope{"s"});
  watched.changed("stays", 1, "0");
  const std::string first = id_of(watched);
  Page slow(watched), slower(watched);
  (void)slow.take();
  (void)slower.take();
  const auto churn = [&](std::size_t from, std::size_t to) {
    for (std::size_t i = from; i < to; ++i) {
      watched.changed(key_of(i), 1, "1");
      watched.ended(key_of(i), 1);
    }
  };
  churn(0, 400);
  CHECK(Page(watched, first).take().empty());  // all is as it was
  churn(400, 1000);
  const std::string removed = slow.take();
  CHECK(removed.starts_with("{} [\"k0\","));
  CHECK(static_cast<std::size_t>(std::count(removed.begin(), removed.end(), ',')) == 999);
  churn(1000, 1001);
  CHECK(slower.take() == R"(all {"stays":0})");
  CHECK(slow.take() == R"({} ["k1000"])");
  watched.changed("k0", 1, "1");  // it is not known any more that this is old
  CHECK(slow.take() == R"({"k0":1} [])");
}

// ---- Who is woken

TEST_CASE("a function is called once when there is something to take, and again only after that") {
  WatchedScope watched(Scope{"s"});
  Page page(watched);
  int woken = 0;
  page.wake_by([&] { ++woken; });
  CHECK(woken == 0);
  watched.changed("a", 1, "1");
  watched.changed("a", 2, "2");
  CHECK(woken == 1);
  CHECK_FALSE(page.take().empty());
  CHECK(woken == 1);
  watched.ended("a", 2);
  CHECK(woken == 2);
  watched.close();
  CHECK(woken == 2);
  (void)page.take();
  watched.close();
  CHECK(woken == 3);
}

TEST_CASE("a function is called at once if there is something already, or nothing more will come") {
  WatchedScope watched(Scope{"s"});
  list(watched, {});
  Page page(watched);
  int woken = 0;
  page.wake_by([&] { ++woken; });
  CHECK(woken == 1);
  (void)page.take();
  page.wake_by([&] { ++woken; });
  CHECK(woken == 1);
  watched.close();
  CHECK(woken == 2);
  page.wake_by([&] { ++woken; });
  CHECK(woken == 3);
}

TEST_CASE("a function that is replaced is not called any more, and may replace itself") {
  WatchedScope watched(Scope{"s"});
  Page page(watched);
  std::string log;
  page.wake_by([&] { log += "a"; });
  page.wake_by([&] {
    log += "b";
    page.wake_by([&] {
      log += "c";
      (void)page.take();
    });
  });
  watched.changed("a", 1, "1");
  CHECK(log == "bc");
  watched.changed("a", 2, "2");
  CHECK(log == "bcc");
  page.wake_by_nothing();
  watched.changed("a", 3, "3");
  CHECK(log == "bcc");
}

TEST_CASE("a function that takes, and one that changes something, is called again but not inside itself") {
  WatchedScope watched(Scope{"s"});
  Page page(watched);
  int inside = 0, most_inside = 0;
  std::string log;
  page.wake_by([&] {
    most_inside = std::max(most_inside, ++inside);
    log += page.take() + ";";
    if (log.size() < 50) watched.changed("a", static_cast<std::int64_t>(log.size()), std::to_string(log.size()));
    --inside;
  });
  watched.changed("a", 1, "1");
  CHECK(log == R"(all {"a":1};{"a":12} [];{"a":24} [];{"a":36} [];{"a":48} [];)");
  CHECK(most_inside == 1);
}

TEST_CASE("what a function throws stops nobody") {
  WatchedScope watched(Scope{"s"});
  Page first(watched), second(watched);
  int woken = 0;
  first.wake_by([&] {
    ++woken;
    throw std::runtime_error("no");
  });
  second.wake_by([&] { ++woken; });
  CHECK_NOTHROW(watched.changed("a", 1, "1"));
  CHECK(woken == 2);
  (void)first.take();
  CHECK_NOTHROW(watched.changed("a", 2, "1"));
  CHECK(woken == 3);
}

TEST_CASE("a function that ends who watches, itself or another one, is the last to be called for it") {
  WatchedScope watched(Scope{"s"});
  auto own = std::make_unique<Page>(watched);
  auto other = std::make_unique<Page>(watched);
  std::string log;
  own->wake_by([&] {
    own = nullptr;
    other = nullptr;
    log += "own";
  });
  other->wake_by([&] { log += "other"; });
  watched.changed("a", 1, "1");
  watched.changed("a", 2, "2");
  CHECK(log == "own");
}

TEST_CASE("a function is never called by two threads at once, and the last change is never missed") {
  WatchedScope watched(Scope{"s"});
  for (int round = 0; round < 20; ++round) {
    Page page(watched);
    (void)page.take();
    std::atomic<int> inside{0};
    std::atomic<bool> twice{false};
    std::string last;
    page.wake_by([&] {
      if (++inside > 1) twice = true;
      if (std::string now = page.take(); !now.empty()) last = std::move(now);
      --inside;
    });
    support::in_threads(3, [&](std::size_t thread) {
      for (std::int64_t i = 1; i <= 100; ++i) watched.changed(key_of(thread), 100 * round + i, std::to_string(i));
    });
    CHECK_FALSE(twice);
    CHECK_FALSE(last.empty());
    CHECK(page.take().empty());
  }
}

TEST_CASE("when who watches has ended, its function is not running any more") {
  WatchedScope watched(Scope{"s"});
  std::atomic<std::int64_t> version{0};
  for (int round = 0; round < 200; ++round) {
    auto page = std::make_unique<Page>(watched);
    (void)page->take();
    std::atomic<bool> ended{false}, late{false};
    page->wake_by([&] {
      for (int i = 0; i < 3; ++i) std::this_thread::yield();
      if (ended) late = true;
    });
    support::in_threads(2, [&](std::size_t thread) {
      if (thread == 0) return watched.changed("a", ++version, "1");
      if (round % 2) {
        page->wake_by_nothing();
      } else {
        page = nullptr;
      }
      ended = true;
    });
    REQUIRE_FALSE(late);
  }
}

TEST_CASE("a thread waits until something changes, or nothing more will come, or its time is over") {
  WatchedScope watched(Scope{"s"});
  list(watched, {});
  Page page(watched);
  CHECK(page.wait(0ms));
  (void)page.take();
  CHECK_FALSE(page.wait(1ms));
  support::in_threads(2, [&](std::size_t thread) {
    if (thread == 0) return watched.changed("a", 1, "1");
    while (!page.wait(1h)) {
    }
  });
  CHECK(page.take() == R"({"a":1} [])");
  support::in_threads(2, [&](std::size_t thread) {
    if (thread == 0) return watched.close();
    while (!page.wait(1h)) {
    }
  });
  CHECK(page.take().empty());
  CHECK(page.wait(0ms));
}

}  // namespace
}  // namespace state_watched_scope_test
