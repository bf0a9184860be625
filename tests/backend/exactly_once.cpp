// usage: exactly_once redis|postgres|dynamodb faults [INCREMENTS [SEED]]
//        exactly_once redis|postgres|dynamodb kills|losses [SECONDS [SEED]]
// Three processes with 16 threads add to three counters in one server, and report what came of each increment:
//   faults  over a network where each kind of fault befalls 2 % of the requests: 3,000 increments. All are there, and
//           their results are 1 to n, each once.
//   kills   the same, while the server is killed every second and comes back (5 seconds). What was acknowledged is
//           there; of what was given up at its deadline, and may be there, at most all. One of the processes gives up
//           soon, so that there is some; the others do not.
//   losses  the server is killed, and does not keep what it has acknowledged. The processes report the loss, and what
//           is there is what was acknowledged without that, to the number.
#include <atom/backend/memory.hpp>
#include <atom/backend/open.hpp>
#include <atom/config.hpp>
#include <atom/state/backend.hpp>
#include <atom/state/equation.hpp>
#include <atom/state/error.hpp>
#include <atom/state/options.hpp>
#include <atom/state/scope.hpp>
#include <atom/state/state_store.hpp>

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "support/backend_client.hpp"
#include "support/chaos_proxy.hpp"
#include "support/threads.hpp"

#if defined(ATOM_HAS_REDIS)
#include <atom/backend/redis.hpp>

#include "support/redis_server.hpp"
#endif
#if defined(ATOM_HAS_POSTGRES)
#include <atom/backend/postgres.hpp>

#include "support/postgres_server.hpp"
#endif
#if defined(ATOM_HAS_DYNAMODB)
#include <atom/backend/dynamodb.hpp>

#include "support/dynamo_server.hpp"
#endif

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using Fault = support::ChaosProxy::Fault;

constexpr std::size_t processes = 3, threads = 16, keys = 3;
constexpr unsigned per_mille = 20;

void require(bool good, const std::string& what) {
  if (!good) throw std::runtime_error(what);
}
std::size_t number(const char* text) {
  return static_cast<std::size_t>(std::strtoull(text, nullptr, 10));
}

// --------------------------------------------------------------------------------------------------------- the servers

class Server {
 public:
  virtual ~Server() = default;
  virtual std::string socket() const = 0;
  virtual std::string url() const = 0;
  virtual std::string url_at(int port) const = 0;
  virtual void kill() = 0;
  virtual void start() = 0;
};

#if defined(ATOM_HAS_REDIS)
class Redis : public Server {
 public:
  explicit Redis(bool keeps)
      : server_(keeps ? std::vector<std::string>{"--appendonly", "yes", "--appendfsync", "always"}
                      : std::vector<std::string>{}) {}
  std::string socket() const override { return server_.socket(); }
  std::string url() const override { return server_.url(); }
  std::string url_at(int port) const override { return "redis://127.0.0.1:" + std::to_string(port); }
  void kill() override { server_.stop(SIGKILL); }
  void start() override { server_.start(); }

 private:
  support::RedisServer server_;
};
#endif
#if defined(ATOM_HAS_POSTGRES)
class Postgres : public Server {
 public:
  explicit Postgres(bool keeps)
      : server_(keeps ? std::vector<std::string>{}
                      : std::vector<std::string>{"synchronous_commit=off", "wal_writer_delay=10s",
                                                 "wal_writer_flush_after=64MB"}) {}
  std::string socket() const override { return server_.folder() + "/.s.PGSQL.5432"; }
  std::string url() const override { return "postgresql:///postgres?user=atom&host=" + server_.folder(); }
  /// (Without asking for TLS first, after which nothing may be sent at once.)
  std::string url_at(int port) const override {
    return "postgresql://atom@127.0.0.1:" + std::to_string(port) + "/postgres?sslmode=disable&gssencmode=disable";
  }
  /// All its processes end at once. (Were only the first one killed, the others would go on for a while.)
  void kill() override { server_.stop(SIGQUIT); }
  void start() override { server_.start(); }

 private:
  support::PostgresServer server_;
};
#endif

#if defined(ATOM_HAS_DYNAMODB)
class DynamoDb : public Server {
 public:
  explicit DynamoDb(bool keeps)
      : server_(keeps ? support::DynamoServer::Kind::lasting : support::DynamoServer::Kind::whole) {
    show();
  }
  std::string socket() const override { return socket_; }
  std::string url() const override { return url_at(server_.port()); }
  std::string url_at(int port) const override {
    return "dynamodb://once?region=eu-central-1&endpoint=" + support::DynamoServer::endpoint_at(port);
  }
  void kill() override {
    server_.stop(SIGKILL);
    ::unlink(socket_.c_str());
  }
  void start() override {
    server_.start();
    show();
  }

 private:
  /// Where others reach it; not before its table is there, as one that is missing is an error for good.
  void show() const {
    atom::DynamoDb dynamodb(url());
    if (const auto error = dynamodb.prepare(true, Clock::now() + 30s)) throw *error;
    require(std::rename(server_.socket().c_str(), socket_.c_str()) == 0, "the socket cannot be renamed");
  }

  support::DynamoServer server_;
  const support::TemporaryFolder folder_;
  const std::string socket_ = folder_ / "socket";
};
#endif

std::unique_ptr<Server> start_server([[maybe_unused]] std::string_view kind, [[maybe_unused]] bool keeps) {
#if defined(ATOM_HAS_REDIS)
  if (kind == "redis") return std::make_unique<Redis>(keeps);
#endif
#if defined(ATOM_HAS_POSTGRES)
  if (kind == "postgres") return std::make_unique<Postgres>(keeps);
#endif
#if defined(ATOM_HAS_DYNAMODB)
  if (kind == "dynamodb") return std::make_unique<DynamoDb>(keeps);
#endif
  throw std::runtime_error("it was built without this backend");
}
std::shared_ptr<atom::Backend> open(const std::string& url) {
  // (The last one is there for its comma.)
  return atom::open_backend<
#if defined(ATOM_HAS_REDIS)
      atom::Redis,
#endif
#if defined(ATOM_HAS_POSTGRES)
      atom::Postgres,
#endif
#if defined(ATOM_HAS_DYNAMODB)
      atom::DynamoDb,
#endif
      atom::Memory>(url);
}
auto counter(atom::StateStore& states, std::size_t key) {
  return states.get_state(std::int64_t{0}, {.key = std::to_string(key), .scope = atom::Scope{"once"}});
}

// ------------------------------------------------------------------------------------------- a process that increments

/// What a process reports on its standard output.
struct Report {
  enum class What : std::int64_t { acknowledged, in_doubt, failed, lost } what;
  std::int64_t key;
  std::int64_t value;  ///< the result; of what is lost, how much
};
void report(Report::What what, std::size_t key, std::int64_t value) {
  const Report all{what, static_cast<std::int64_t>(key), value};
  if (::write(1, &all, sizeof all) != sizeof all) ::_exit(98);  // nobody listens
}

struct Work {
  std::string url;
  std::size_t first, last;         // threads, of all
  std::size_t increments;          // of all threads; 0: until standard input ends, and then once more
  std::chrono::milliseconds time;  // for each
  bool gives_up;                   // at the end of its time
  std::chrono::milliseconds pause;
};

bool is_told_to_end() {
  pollfd file{0, POLLIN, 0};
  return ::poll(&file, 1, 0) > 0;
}
/// Preparing is the one call that nobody makes again by himself.
std::shared_ptr<atom::Backend> open_patiently(const std::string& url) {
  const auto backend = open(url);
  for (const auto last = Clock::now() + 60s;;) {
    const auto error = backend->prepare(true, Clock::now() + 10s);
    if (!error) return backend;
    if (!error->retryable() || Clock::now() > last) throw *error;
    std::this_thread::sleep_for(10ms);
  }
}
int increment(const Work& work) {
  atom::StateStore states(open_patiently(work.url),
                          {.deadline = work.time, .on_event = [](const atom::StateEvent& event) {
                             if (event.kind != atom::StateEvent::Kind::history_lost) return;
                             report(Report::What::lost, 0, static_cast<std::int64_t>(event.lost));
                           }});
  support::in_threads(work.last - work.first, [&](std::size_t i) {
    const std::size_t thread = work.first + i;
    const std::size_t share = work.increments / threads + (thread < work.increments % threads);
    const auto once = [&](std::size_t n) {
      const std::size_t key = (thread + n) % keys;
      const auto result = counter(states, key).try_apply(atom::current + 1);
      if (result) return report(Report::What::acknowledged, key, *result);
      if (!work.gives_up) throw std::runtime_error(result.error().what());
      const bool is_known = result.error().effect() == atom::Effect::none;
      report(is_known ? Report::What::failed : Report::What::in_doubt, key, 0);
    };
    std::size_t n = 0;
    for (; work.increments > 0 ? n < share : !is_told_to_end(); ++n) {
      once(n);
      std::this_thread::sleep_for(work.pause);
    }
    if (work.increments == 0) once(n);  // so that each lane has seen the server that is there now
  });
  require(states.close(30s), "something is in doubt for good");
  return 0;
}

// ------------------------------------------------------------------------------------------------------- who watches
// it

struct Seen {
  std::array<std::vector<std::int64_t>, keys> results;
  std::array<std::int64_t, keys> in_doubt{};
  std::int64_t failed = 0, lost = 0, losses = 0, kills = 0;

  void add(const Report& report) {
    const auto key = static_cast<std::size_t>(report.key);
    switch (report.what) {
      case Report::What::acknowledged:
        return results.at(key).push_back(report.value);
      case Report::What::in_doubt:
        ++in_doubt.at(key);
        return;
      case Report::What::failed:
        ++failed;
        return;
      case Report::What::lost:
        lost += report.value;
        ++losses;
        return;
    }
  }
  std::int64_t acknowledged() const {
    std::size_t all = 0;
    for (const auto& some : results) all += some.size();
    return static_cast<std::int64_t>(all);
  }
};

class Processes {
 public:
  explicit Processes(std::vector<Work> works) {
    int answers[2];
    int orders[2];
    require(::pipe2(answers, O_CLOEXEC) == 0 && ::pipe2(orders, O_CLOEXEC) == 0, "no pipe");
    for (const Work& work : works) {
      std::vector<std::string> words{"exactly_once",
                                     "--increment",
                                     work.url,
                                     std::to_string(work.first),
                                     std::to_string(work.last),
                                     std::to_string(work.increments),
                                     std::to_string(work.time.count()),
                                     std::to_string(work.gives_up),
                                     std::to_string(work.pause.count())};
      std::vector<char*> arguments;
      for (std::string& word : words) arguments.push_back(word.data());
      arguments.push_back(nullptr);
      const pid_t process = ::fork();
      if (process == 0) {
        ::dup2(orders[0], 0);
        ::dup2(answers[1], 1);
        ::execv("/proc/self/exe", arguments.data());
        ::_exit(99);
      }
      running_.push_back(process);
    }
    ::close(answers[1]);
    ::close(orders[0]);
    answers_ = answers[0];
    orders_ = orders[1];
  }
  Processes(const Processes&) = delete;
  Processes& operator=(const Processes&) = delete;
  ~Processes() {
    tell_to_end();
    ::close(answers_);
    for (const pid_t process : running_) {
      ::kill(process, SIGKILL);
      ::waitpid(process, nullptr, 0);
    }
  }

  /// Reads what they report until then. Whether they go on after that.
  bool listen(Seen& seen, Clock::time_point until) {
    for (;;) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count();
      pollfd file{answers_, POLLIN, 0};
      if (left <= 0 || ::poll(&file, 1, static_cast<int>(left)) == 0) return true;
      Report report;
      // They are written whole, so they are read whole.
      const ssize_t size = ::read(answers_, &report, sizeof report);
      if (size == 0) return false;
      require(size == sizeof report, "half a report");
      seen.add(report);
    }
  }
  void tell_to_end() {
    if (orders_ >= 0) ::close(std::exchange(orders_, -1));
  }
  /// All must have gone well.
  void join() {
    while (!running_.empty()) {
      int status = 0;
      ::waitpid(running_.back(), &status, 0);
      running_.pop_back();
      require(WIFEXITED(status) && WEXITSTATUS(status) == 0, "a process failed");
    }
  }

 private:
  std::vector<pid_t> running_;
  int answers_, orders_;
};

/// What the server has in the end.
std::array<std::int64_t, keys> stored(const Server& server) {
  atom::StateStore states(open_patiently(server.url()), {.deadline = 30s});
  std::array<std::int64_t, keys> all{};
  for (std::size_t key = 0; key < keys; ++key) all[key] = counter(states, key).load();
  return all;
}

struct Plan {
  std::string kind, mode;
  std::size_t length;
  std::uint32_t seed;
  bool kills() const { return mode != "faults"; }
  bool keeps() const { return mode != "losses"; }
};

std::vector<Work> divide(const Plan& plan, const std::string& url) {
  std::vector<Work> works;
  for (std::size_t i = 0; i < processes; ++i) {
    const bool gives_up = plan.mode == "kills" && i == 0;
    works.push_back({.url = url,
                     .first = i * threads / processes,
                     .last = (i + 1) * threads / processes,
                     .increments = plan.kills() ? 0 : plan.length,
                     .time = gives_up ? 100ms : 60s,
                     .gives_up = gives_up,
                     // Of the last thousand batches a store knows how much is lost with them.
                     .pause = plan.keeps() ? 0ms : 20ms});
  }
  return works;
}
Seen run(const Plan& plan, Server& server, const std::string& url) {
  Processes all(divide(plan, url));
  Seen seen;
  for (std::size_t second = 0; plan.kills() && second < plan.length; ++second) {
    require(all.listen(seen, Clock::now() + 1s), "the processes have ended before they were told to");
    server.kill();
    std::this_thread::sleep_for(50ms);
    server.start();
    ++seen.kills;
  }
  all.tell_to_end();
  require(!all.listen(seen, Clock::now() + (plan.kills() ? 120s : 800s)), "the processes do not end");
  all.join();
  return seen;
}

void check(const Plan& plan, Seen& seen, const std::array<std::int64_t, keys>& stored) {
  std::int64_t sum = 0;
  for (std::size_t key = 0; key < keys; ++key) {
    sum += stored[key];
    if (!plan.keeps()) continue;
    std::vector<std::int64_t>& results = seen.results[key];
    std::sort(results.begin(), results.end());
    const auto acknowledged = static_cast<std::int64_t>(results.size());
    require(std::adjacent_find(results.begin(), results.end()) == results.end(), "two increments had one result");
    require(results.front() >= 1 && results.back() <= stored[key], "a result that no increment can have");
    require(stored[key] >= acknowledged, "an acknowledged increment is lost");
    require(stored[key] <= acknowledged + seen.in_doubt[key], "an increment counts twice, or one that had no effect");
  }
  require(sum > 0, "nothing was written");
  if (plan.kills()) {
    require(seen.kills > 0, "the server was not killed");
  } else {
    require(seen.acknowledged() == static_cast<std::int64_t>(plan.length), "increments are missing");
  }
  if (plan.keeps()) {
    require(seen.losses == 0, "a loss is reported that was none");
  } else {
    require(seen.lost > 0, "nothing was lost");
    require(sum == seen.acknowledged() - seen.lost, "the loss that is reported is not the one that there was");
  }
}

void print_faults(const support::ChaosProxy& proxy) {
  std::printf("  network: %zu requests on %zu connections", proxy.requests(), proxy.connections());
  for (std::size_t kind = 0; kind < support::ChaosProxy::kinds; ++kind) {
    std::printf(", %zu %s", proxy.happened(static_cast<Fault>(kind)), support::ChaosProxy::names[kind].data());
  }
  std::printf("\n");
}
int run(const Plan& plan) {
  const auto begin = Clock::now();
  const auto server = start_server(plan.kind, plan.keeps());
  // What is repeated after its number was lost is carried out again, and nobody can tell: there the network is good.
  support::ChaosProxy proxy(server->socket(), plan.seed, plan.keeps() ? per_mille : 0);
  Seen seen = run(plan, *server, server->url_at(proxy.port()));
  proxy.close();
  const std::array<std::int64_t, keys> found = stored(*server);

  std::printf("%s, %s, seed %u: %zu threads in %zu processes, %.1f s\n", plan.kind.c_str(), plan.mode.c_str(),
              plan.seed, threads, processes, std::chrono::duration<double>(Clock::now() - begin).count());
  std::printf("  increments: %lld acknowledged, %lld in doubt, %lld without effect; stored %lld + %lld + %lld\n",
              static_cast<long long>(seen.acknowledged()),
              static_cast<long long>(seen.in_doubt[0] + seen.in_doubt[1] + seen.in_doubt[2]),
              static_cast<long long>(seen.failed), static_cast<long long>(found[0]), static_cast<long long>(found[1]),
              static_cast<long long>(found[2]));
  if (plan.kills()) {
    std::printf("  server: killed %lld times; lost %lld increments, in %lld reports\n",
                static_cast<long long>(seen.kills), static_cast<long long>(seen.lost),
                static_cast<long long>(seen.losses));
  }
  if (plan.keeps()) print_faults(proxy);
  std::fflush(stdout);  // before what may be said of it
  check(plan, seen, found);
  for (std::size_t kind = 0; plan.keeps() && kind < support::ChaosProxy::kinds; ++kind) {
    const std::string name(support::ChaosProxy::names[kind]);
    require(proxy.happened(static_cast<Fault>(kind)) > 0, "a fault never happened: " + name);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc == 9 && std::string_view(argv[1]) == "--increment") {
      return increment({.url = argv[2],
                        .first = number(argv[3]),
                        .last = number(argv[4]),
                        .increments = number(argv[5]),
                        .time = std::chrono::milliseconds(number(argv[6])),
                        .gives_up = number(argv[7]) != 0,
                        .pause = std::chrono::milliseconds(number(argv[8]))});
    }
    const std::string_view mode = argc > 2 ? argv[2] : "";
    require(mode == "faults" || mode == "kills" || mode == "losses",
            "usage: exactly_once redis|postgres|dynamodb faults|kills|losses [INCREMENTS or SECONDS [SEED]]");
    return run({.kind = argv[1],
                .mode = argv[2],
                .length = argc > 3           ? number(argv[3])
                          : mode == "faults" ? 3000
                                             : 5,
                .seed = argc > 4 ? static_cast<std::uint32_t>(number(argv[4])) : 1});
  } catch (const std::exception& error) {
    std::fprintf(stderr, "FAILED: %s\n", error.what());
    return 1;
  }
}
