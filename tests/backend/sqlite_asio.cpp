// States, sessions and event streams in coroutines of Boost.Asio. A server on one thread whose database is stuck, as a
// process that holds the lock of the file is stopped: whoever needs the database gets an error at the deadline, and
// nobody else waits. Who is cancelled does not wait either, and an event loop that ends takes nothing with it that is
// still needed.
#include <atom/backend/sqlite.hpp>
#include <atom/state/event_stream.hpp>
#include <atom/state/session.hpp>
#include <atom/state/state_store.hpp>
#include <atom/state/visitor.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/asio/version.hpp>
#include <boost/asio/write.hpp>
#if BOOST_ASIO_VERSION >= 101900  // before, Asio cancels no single operation
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#endif

#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "../../examples/adapters/events_in_asio.hpp"
#include "../../examples/adapters/state_in_asio.hpp"
#include "support/backend_client.hpp"
#include "support/catch.hpp"
#include "support/threads.hpp"

namespace sqlite_asio_test {
namespace {

namespace asio = boost::asio;
using asio::use_awaitable;
using asio::ip::tcp;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using Number = std::int64_t;

constexpr auto deadline = 2000ms;

/// A process that has begun to write to the file, and is stopped.
class Stuck {
 public:
  explicit Stuck(const std::string& path) : pid_(fork()) {
    if (pid_ == 0) {
      sqlite3* db = nullptr;
      const bool is_good = sqlite3_open(path.c_str(), &db) == SQLITE_OK &&
                           sqlite3_exec(db, "begin immediate", nullptr, nullptr, nullptr) == SQLITE_OK;
      if (is_good) raise(SIGSTOP);
      _exit(is_good ? 0 : 1);
    }
    int status = 0;
    waitpid(pid_, &status, WUNTRACED);
    is_stopped_ = WIFSTOPPED(status);
  }
  Stuck(const Stuck&) = delete;
  Stuck& operator=(const Stuck&) = delete;
  ~Stuck() {
    if (!is_stopped_) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  bool is_stopped() const noexcept { return is_stopped_; }

 private:
  pid_t pid_;
  bool is_stopped_ = false;
};

/// `add` adds one to a state and answers with the sum; anything else is answered at once.
class Server {
 public:
  explicit Server(atom::State<Number> number) : number_(std::move(number)) {
    asio::co_spawn(context_, accept(), asio::detached);
    thread_ = std::thread([this] { context_.run(); });
  }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  ~Server() {
    asio::post(context_, [this] { acceptor_.close(); });
    thread_.join();
  }
  /// What it answers, and after how long.
  std::pair<std::string, Clock::duration> ask(const std::string& line) {
    asio::io_context context;
    tcp::socket socket(context);
    socket.connect(acceptor_.local_endpoint());
    const Clock::time_point begins = Clock::now();
    asio::write(socket, asio::buffer(line + '\n'));
    std::string answer;
    asio::read_until(socket, asio::dynamic_buffer(answer), '\n');
    return {answer.substr(0, answer.find('\n')), Clock::now() - begins};
  }

 private:
  asio::awaitable<void> accept() {
    for (;;) {
      boost::system::error_code closed;
      tcp::socket socket = co_await acceptor_.async_accept(asio::redirect_error(use_awaitable, closed));
      if (closed) co_return;
      asio::co_spawn(context_, serve(std::move(socket)), asio::detached);
    }
  }
  asio::awaitable<void> serve(tcp::socket socket) {
    std::string line;
    co_await asio::async_read_until(socket, asio::dynamic_buffer(line), '\n', use_awaitable);
    std::string answer = "here\n";
    if (line == "add\n") {
      const atom::StateResult<Number> sum = co_await in_asio(number_.try_apply_async(atom::current + 1));
      answer = sum ? std::to_string(*sum) + '\n' : std::string(sum.error().what()) + '\n';
    }
    co_await asio::async_write(socket, asio::buffer(answer), use_awaitable);
  }

  asio::io_context context_;
  tcp::acceptor acceptor_{context_, {asio::ip::address_v4::loopback(), 0}};
  atom::State<Number> number_;
  std::thread thread_;
};

TEST_CASE("a database that is stuck keeps no event loop from answering, and who waits gets an error at the deadline",
          "[case93]") {
  const support::TemporaryFolder folder;
  const std::string path = folder / "app.db";
  atom::StateStore store{atom::Sqlite{path}, {.deadline = deadline}};
  const auto number = store.get_state<Number>(0, {.key = "n", .scope = atom::Scope::global()});
  auto stuck = std::make_unique<Stuck>(path);
  REQUIRE(stuck->is_stopped());
  Server server(number);

  auto waits = std::async(std::launch::async, [&] { return server.ask("add"); });
  std::vector<Clock::duration> times;
  while (waits.wait_for(2ms) == std::future_status::timeout) {
    const auto [answer, time] = server.ask("ping");
    REQUIRE(answer == "here");
    times.push_back(time);
  }
  const auto [error, time] = waits.get();
  std::sort(times.begin(), times.end());
  // A loop that is blocked answers one. (Other processes of this machine may have their turn now and then.)
  REQUIRE(times.size() > 10);
  CHECK(times[times.size() / 2] < 50ms);
  CHECK(times.back() < deadline * 3 / 4);
  CHECK_THAT(error, support::ContainsSubstring("(without effect)"));
  CHECK(time >= deadline);
  CHECK(time < deadline * 7 / 4);

  stuck = nullptr;
  CHECK(server.ask("add").first == "1");
}

const atom::Atom<Number> pens_atom{"sqlite_asio.pens", 0};

/// A request that loads and commits, without blocking the loop. What the client is told to remember.
asio::awaitable<std::string> add_pen(atom::StateStore& store, std::string cookies) {
  const std::unique_ptr<atom::Visitor> visitor = co_await in_asio(atom::Visitor::find_async(store, cookies));
  atom::Session session = visitor->session();
  co_await in_asio(session.load_async(pens_atom));
  session.use(pens_atom).update(session.use(pens_atom).value() + 1);
  co_await in_asio(session.commit_async());
  const auto cookie = visitor->set_cookie();
  co_return cookie ? cookie->substr(0, cookie->find(';')) : cookies;
}

TEST_CASE("sessions are loaded and committed in coroutines of Boost.Asio", "[case90][case93]") {
  const support::TemporaryFolder folder;
  atom::StateStore store{atom::Sqlite{folder / "app.db"}};
  std::string cookie;
  for (int i = 0; i < 2; ++i) {
    asio::io_context context;
    auto done = asio::co_spawn(context, add_pen(store, cookie), asio::use_future);
    context.run();
    cookie = done.get();
  }
  atom::Visitor visitor(store, cookie);
  CHECK(visitor.session().use(pens_atom).value() == 2);
}

/// What a page is sent until its stream ends.
asio::awaitable<std::vector<std::string>> read_events(atom::EventStream& events, std::chrono::milliseconds within) {
  std::vector<std::string> all;
  while (!events.ended()) all.push_back(co_await next_in_asio(events, within));
  co_return all;
}

TEST_CASE("events are awaited in a coroutine of Boost.Asio, which is woken by them, by time, and by their end",
          "[case93]") {
  const support::TemporaryFolder folder;
  atom::StateStore store{atom::Sqlite{folder / "app.db"}};
  const atom::Scope poll{"poll"};
  atom::EventStream events = store.events(poll, {});
  auto number = store.get_state<Number>(0, {.key = "n", .scope = poll});
  asio::io_context context;
  const auto in_time = [&](std::chrono::milliseconds within) {
    auto text = asio::co_spawn(context, next_in_asio(events, within), asio::use_future);
    context.restart();
    context.run();
    return text.get();
  };
  CHECK_THAT(in_time(1min), support::ContainsSubstring("event: snapshot\ndata: {}"));  // at once
  CHECK(in_time(1ms) == ":\n\n");
  std::thread writer([&] {
    std::this_thread::sleep_for(20ms);
    number.set(7);
  });
  CHECK_THAT(in_time(1min), support::ContainsSubstring("data: {\"changed\":{\"n\":7},\"removed\":[]}"));
  writer.join();

  auto all = asio::co_spawn(context, read_events(events, 1min), asio::use_future);
  std::thread closer;
  asio::post(context, [&] {  // the page waits by now
    closer = std::thread([&] { store.close(1s); });
  });
  context.restart();
  context.run();
  closer.join();
  CHECK(all.get() == std::vector<std::string>{""});
}

atom::State<Number> number_of(atom::StateStore& store) {
  return store.get_state<Number>(0, {.key = "n", .scope = atom::Scope::global()});
}

#if BOOST_ASIO_VERSION >= 101900

using asio::experimental::awaitable_operators::operator||;

/// Whether the operation was faster than so many microseconds.
asio::awaitable<bool> add_within(atom::State<Number> number, std::chrono::microseconds time) {
  asio::steady_timer timer(co_await asio::this_coro::executor, time);
  const auto first = co_await (in_asio(number.apply_async(atom::current + 1)) || timer.async_wait(use_awaitable));
  co_return first.index() == 0;
}

/// Of a coroutine that is cancelled when it has waited for a while: whether it went on at once, with that error.
template <class Coroutine>
bool is_cancelled(asio::io_context& context, Coroutine coroutine) {
  asio::cancellation_signal signal;
  std::exception_ptr thrown;
  Clock::time_point ends;
  const auto strand = asio::make_strand(context);
  asio::co_spawn(strand, std::move(coroutine), asio::bind_cancellation_slot(signal.slot(), [&](std::exception_ptr e) {
                   thrown = e;
                   ends = Clock::now();
                 }));
  asio::steady_timer timer(strand, 50ms);
  Clock::time_point cancelled;
  timer.async_wait([&](boost::system::error_code) {
    cancelled = Clock::now();
    signal.emit(asio::cancellation_type::terminal);
  });
  context.restart();
  context.run();
  if (!thrown || ends - cancelled > deadline / 2) return false;
  try {
    std::rethrow_exception(thrown);
  } catch (const boost::system::system_error& error) {
    return error.code() == asio::error::operation_aborted;
  }
}

TEST_CASE("who waits for a state in Boost.Asio and is cancelled goes on at once, and the operation goes on",
          "[case93]") {
  const support::TemporaryFolder folder;
  const std::string path = folder / "app.db";
  atom::StateStore store{atom::Sqlite{path}, {.deadline = deadline}};
  const auto number = number_of(store);
  auto stuck = std::make_unique<Stuck>(path);
  REQUIRE(stuck->is_stopped());
  asio::io_context context;
  const Clock::time_point begins = Clock::now();
  auto is_done = asio::co_spawn(context, add_within(number, 50ms), asio::use_future);
  context.run();
  CHECK_FALSE(is_done.get());
  CHECK(Clock::now() - begins < deadline / 2);  // the context waits for nothing that nobody waits for
  stuck = nullptr;
  while (number.load() == 0 && Clock::now() - begins < 30s) std::this_thread::sleep_for(1ms);
  CHECK(number.load() == 1);
}

TEST_CASE("who is cancelled in Boost.Asio gets the error that Asio's own operations give", "[case93]") {
  const support::TemporaryFolder folder;
  const std::string path = folder / "app.db";
  atom::StateStore store{atom::Sqlite{path}, {.deadline = deadline}};
  auto number = number_of(store);
  atom::EventStream events = store.events(atom::Scope{"poll"}, {});
  events.take();
  asio::io_context context;
  CHECK(is_cancelled(context, [&]() -> asio::awaitable<void> { co_await next_in_asio(events, 1min); }));
  const Stuck stuck(path);
  REQUIRE(stuck.is_stopped());
  CHECK(is_cancelled(context,
                     [&]() -> asio::awaitable<void> { co_await in_asio(number.apply_async(atom::current + 1)); }));
  CHECK(is_cancelled(context, [&]() -> asio::awaitable<void> {
    atom::Session session{store, atom::Scope::client("4f2a")};
    session.use(pens_atom, atom::Scope::client("4f2a")).update(1);
    co_await in_asio(session.commit_async());
  }));
  CHECK(is_cancelled(context, [&]() -> asio::awaitable<void> {
    const atom::Visitor visitor(store, "");
    co_await in_asio(visitor.transact_async([](atom::Session& session) { session.use(pens_atom).update(1); }));
  }));
}

TEST_CASE("an event that comes to a page whose wait was cancelled is there at its next one", "[case93]") {
  atom::StateStore store;
  const atom::Scope poll{"poll"};
  atom::EventStream events = store.events(poll, {});
  events.take();
  asio::io_context context;
  REQUIRE(is_cancelled(context, [&]() -> asio::awaitable<void> { co_await next_in_asio(events, 1min); }));
  store.get_state<Number>(0, {.key = "n", .scope = poll}).set(7);
  auto text = asio::co_spawn(context, next_in_asio(events, 1min), asio::use_future);
  context.restart();
  context.run();
  CHECK_THAT(text.get(), support::ContainsSubstring("\"n\":7"));
}

asio::awaitable<void> set_next(atom::State<Number> number, Number value) {
  co_await asio::post(use_awaitable);
  number.set(value);
}

/// How many events were given neither to the page, whose wait is cancelled just as each of them comes, nor kept for it.
asio::awaitable<int> lose_events(atom::EventStream& events, atom::State<Number> number) {
  int lost = 0;
  for (Number i = 1; i <= 100; ++i) {
    std::string text;
    if (i % 2 == 0) {
      const auto first = co_await (next_in_asio(events, 1min) || set_next(number, i));
      if (first.index() == 0) text = std::get<0>(first);
    } else {
      const auto first = co_await (set_next(number, i) || next_in_asio(events, 1min));
      if (first.index() == 1) text = std::get<1>(first);
    }
    text += events.take();
    if (text.find("\"n\":" + std::to_string(i)) == text.npos) ++lost;
  }
  co_return lost;
}

TEST_CASE("an event that comes just as the wait of a page is cancelled is there at its next one", "[case93]") {
  atom::StateStore store;
  const atom::Scope poll{"poll"};
  atom::EventStream events = store.events(poll, {});
  events.take();
  auto number = store.get_state<Number>(0, {.key = "n", .scope = poll});
  asio::io_context context;
  auto lost = asio::co_spawn(context, lose_events(events, number), asio::use_future);
  context.run();
  CHECK(lost.get() == 0);
}

TEST_CASE("a commit of a session that was cancelled in Boost.Asio is heard of by the next one", "[case90][case93]") {
  const support::TemporaryFolder folder;
  const std::string path = folder / "app.db";
  atom::StateStore store{atom::Sqlite{path}, {.deadline = deadline}};
  atom::Session session{store, atom::Scope::client("4f2a")};
  session.use(pens_atom).update(1);
  asio::io_context context;
  {
    const Stuck stuck(path);
    REQUIRE(stuck.is_stopped());
    REQUIRE(is_cancelled(context, [&]() -> asio::awaitable<void> { co_await in_asio(session.commit_async()); }));
  }
  session.commit();
  CHECK_FALSE(session.has_changes());
  CHECK(atom::Session(store, atom::Scope::client("4f2a")).use(pens_atom).value() == 1);
}

TEST_CASE("of an operation and its cancellation, one resumes the coroutine, whichever of many threads they are in",
          "[case93]") {
  const support::TemporaryFolder folder;
  atom::StateStore store{atom::Sqlite{folder / "app.db"}};
  const auto number = number_of(store);
  constexpr Number coroutines = 2000;
  std::atomic<Number> first{0}, second{0};
  asio::io_context context;
  for (Number i = 0; i < coroutines; ++i) {
    asio::co_spawn(asio::make_strand(context), add_within(number, std::chrono::microseconds(i * 37 % 4001)),
                   [&](const std::exception_ptr& thrown, bool is_done) {
                     if (!thrown) ++(is_done ? first : second);
                   });
  }
  support::in_threads(4, [&](std::size_t) { context.run(); });
  CHECK(first + second == coroutines);
  CHECK(store.close(30s));
  atom::StateStore again{atom::Sqlite{folder / "app.db"}};
  CHECK(number_of(again).load() == coroutines);
}

#endif

TEST_CASE("an event loop that is stopped and destroyed waits for what is in a database, and drops who waits for it",
          "[case90][case93]") {
  const support::TemporaryFolder folder;
  const std::string path = folder / "app.db";
  std::atomic<int> calls{0};
  bool goes_on = false;
  atom::StoreOptions options{.deadline = deadline};
  std::mutex mutex;
  std::vector<std::function<void()>> late;
  // The store's word that it is done comes when nobody is there any more. (Who keeps it outlives the store.)
  const bool is_late = GENERATE(false, true);
  if (is_late) {
    options.executor = [&](std::function<void()> go_on) {
      const std::lock_guard lock(mutex);
      late.push_back(std::move(go_on));
    };
  }
  atom::StateStore store{atom::Sqlite{path}, options};
  const Stuck stuck(path);
  REQUIRE(stuck.is_stopped());
  std::optional<asio::io_context> context(std::in_place);
  const auto visit = [&]() -> asio::awaitable<void> {
    std::string here = "what a function refers to";
    auto visitor = std::make_unique<atom::Visitor>(store, "");
    auto change = [&here, &calls](atom::Session& session) {
      ++calls;
      session.use(pens_atom).update(static_cast<Number>(here.size()));
    };
    co_await in_asio(visitor->transact_async(std::move(change)));
    goes_on = true;
  };
  const auto commit = [&]() -> asio::awaitable<void> {
    atom::Session session{store, atom::Scope::client("4f2a")};
    session.apply(pens_atom, atom::current + 1);
    co_await in_asio(session.commit_async());
    goes_on = true;
  };
  const auto add = [&]() -> asio::awaitable<void> {
    co_await in_asio(number_of(store).apply_async(atom::current + 1));
    goes_on = true;
  };
  asio::co_spawn(*context, visit, asio::detached);
  asio::co_spawn(*context, commit, asio::detached);
  asio::co_spawn(*context, add, asio::detached);
  std::atomic<bool> all_wait{false};
  asio::post(*context, [&] { all_wait = true; });
  std::thread loop([&] { context->run(); });
  while (calls == 0 || !all_wait) std::this_thread::sleep_for(1ms);
  store.close(1ms);
  context->stop();
  loop.join();
  context.reset();
  const auto come = [&] {
    const std::lock_guard lock(mutex);
    return late.size();
  };
  while (is_late && come() < 3) std::this_thread::sleep_for(1ms);
  for (const auto& go_on : late) go_on();
  CHECK_FALSE(goes_on);
}

TEST_CASE("a process that is forked from one whose event loop waits destroys its copy without waiting", "[case93]") {
  const support::TemporaryFolder folder;
  atom::StateStore store{atom::Sqlite{folder / "app.db"}};
  std::atomic<bool> has_begun{false};
  std::promise<void> end;
  std::optional<asio::io_context> context(std::in_place);
  bool goes_on = false;
  const auto wait = [&]() -> asio::awaitable<void> {
    auto work = [&] {
      has_begun = true;
      end.get_future().wait();
    };
    co_await in_asio(store.async(std::move(work)));
    goes_on = true;
  };
  asio::co_spawn(*context, wait, asio::detached);
  context->poll();
  while (!has_begun) std::this_thread::sleep_for(1ms);
  const pid_t child = fork();
  if (child == 0) {
    alarm(10);  // ends a child that waits
    context.reset();
    _exit(0);
  }
  int status = 1;
  waitpid(child, &status, 0);
  CHECK(status == 0);
  end.set_value();
  context->run();
  CHECK(goes_on);
}

TEST_CASE("an event loop is stopped and destroyed just as operations end", "[case93]") {
  const support::TemporaryFolder folder;
  atom::StateStore store{atom::Sqlite{folder / "app.db"}};
  const atom::StateOptions n{.key = "n", .scope = atom::Scope::global()};
  const auto add_twice = [&]() -> asio::awaitable<void> {
    co_await in_asio(number_of(store).apply_async(atom::current + 1));
    co_await in_asio(store.has_state_async(n));
    co_await in_asio(number_of(store).apply_async(atom::current + 1));
  };
  constexpr int rounds = 200;
  for (int round = 0; round < rounds; ++round) {
    asio::io_context context;
    for (int i = 0; i < 8; ++i) asio::co_spawn(asio::make_strand(context), add_twice, asio::detached);
    std::thread one([&] { context.run(); });
    std::thread other([&] { context.run(); });
    std::this_thread::sleep_for(std::chrono::microseconds(round * 97 % 2003));
    context.stop();
    one.join();
    other.join();
  }
  CHECK(number_of(store).load() <= 2 * 8 * rounds);
}

}  // namespace
}  // namespace sqlite_asio_test
