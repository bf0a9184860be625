// usage: sqlite_crash [ROUNDS [SEED]]
// Two processes write to one file, and are killed (kill -9) at a random moment, ROUNDS times (10). Then the file must
// be sound, every acknowledged batch must be in it, whole and once, and the batch that was under way wholly or not at
// all. Each round goes on where the last one was killed, on the same lanes: it begins with the batch that nobody knows
// of.
#include <atom/backend/sqlite.hpp>

#include "support/backend_client.hpp"

#include <sqlite3.h>
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
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

using atom::current;
using atom::Outcome;
using atom::Scope;
using support::Batch;
using support::Client;

constexpr std::size_t writers = 2;
const Scope scope{"crash"};

void require(bool good, const std::string& what) {
  if (!good) throw std::runtime_error(what);
}
std::unique_ptr<atom::Sqlite> open(const std::string& path) {
  auto sqlite = std::make_unique<atom::Sqlite>(path);
  const auto error = sqlite->prepare(true, support::soon());
  require(!error, error ? error->what() : "");
  return sqlite;
}
std::int64_t number_at(Client& client, const std::string& key) {
  const std::string text = client.text(scope, key);
  return text.empty() ? 0 : std::stoll(text);
}

/// The batch of that number: one more in the writer's own counter and in everybody's, its number in three large values,
/// and a line in a log that grows.
Batch batch_of(const std::string& writer, std::uint64_t sequence) {
  Batch batch;
  batch.apply(scope, "own." + writer, {}, current + 1).apply(scope, "all", {}, current + 1);
  for (const char* part : {"a", "b", "c"}) {
    batch.write(scope, "part." + writer + part, std::to_string(sequence) + std::string(3000, ' '));
  }
  batch.write(scope, "log." + writer + "." + std::to_string(sequence), "1", {.expected = 0});
  if (sequence > 20) batch.erase(scope, "log." + writer + "." + std::to_string(sequence - 20));
  return batch;
}

/// Writes until it is killed; for each batch that was acknowledged its number goes to standard output.
int write_forever(const std::string& path, const std::string& writer, std::uint64_t sequence) {
  const auto sqlite = open(path);
  Client client(*sqlite);
  client.lane = {};
  client.lane.session[0] = static_cast<std::byte>(writer[0]);
  for (;; ++sequence) {
    client.lane.sequence = sequence;
    const atom::BatchResult result = client.send(batch_of(writer, sequence));
    require(!result.error, result.error ? result.error->what() : "");
    for (const Outcome& outcome : client.outcomes) require(!outcome.error, "a command had no effect");
    const std::string before = client.outcomes[0].value ? client.outcomes[0].value->text : "0";
    require(before == std::to_string(sequence - 1), "batch " + std::to_string(sequence) + " found " + before);
    require(::write(1, &sequence, sizeof(sequence)) == sizeof(sequence), "nobody listens");
  }
}

struct Writer {
  std::string name;
  std::uint64_t acknowledged = 0;
  pid_t process = 0;
  int from = 0;

  void start(const std::string& path) {
    int ends[2];
    require(::pipe(ends) == 0, "no pipe");
    process = ::fork();
    if (process == 0) {
      ::dup2(ends[1], 1);
      ::close(ends[0]);
      ::close(ends[1]);
      const std::string next = std::to_string(acknowledged + 1);
      ::execl("/proc/self/exe", "sqlite_crash", "--write", path.c_str(), name.c_str(), next.c_str(),
              static_cast<char*>(nullptr));
      ::_exit(99);
    }
    ::close(ends[1]);
    from = ends[0];
  }
  void kill() {
    ::kill(process, SIGKILL);
    int status = 0;
    ::waitpid(process, &status, 0);
    require(WIFSIGNALED(status), "a writer ended by itself");
    std::uint64_t sequence = 0;
    while (::read(from, &sequence, sizeof(sequence)) == sizeof(sequence)) {
      require(sequence == acknowledged + 1, "an acknowledgement is missing");
      acknowledged = sequence;
    }
    ::close(from);
  }
};

std::string integrity(const std::string& path) {
  sqlite3* db = nullptr;
  std::string result;
  sqlite3_open(path.c_str(), &db);
  sqlite3_exec(
      db, "pragma integrity_check",
      [](void* to, int, char** values, char**) {
        *static_cast<std::string*>(to) += values[0];
        return 0;
      },
      &result, nullptr);
  sqlite3_close(db);
  return result;
}

void check(const std::string& path, const std::array<Writer, writers>& all) {
  {
    const auto sqlite = open(path);
    Client client(*sqlite);
    std::int64_t sum = 0;
    for (const Writer& writer : all) {
      const std::int64_t done = number_at(client, "own." + writer.name);
      const auto acknowledged = static_cast<std::int64_t>(writer.acknowledged);
      require(done >= acknowledged, "an acknowledged batch is lost");
      require(done <= acknowledged + 1, "a batch was done twice");
      for (const char* part : {"a", "b", "c"}) {
        require(number_at(client, "part." + writer.name + part) == done, "a batch is torn");
      }
      for (std::int64_t i = std::max<std::int64_t>(1, done - 25); i <= done + 1; ++i) {
        const bool is_there = client.read(scope, "log." + writer.name + "." + std::to_string(i)).version > 0;
        require(is_there == (i > done - 20 && i <= done), "a batch is torn");
      }
      sum += done;
    }
    require(number_at(client, "all") == sum, "an increment is lost, or counts twice");
  }
  const std::string found = integrity(path);
  require(found == "ok", "the file is not sound: " + found);
}

/// Kills a process while it creates the file: the next one can.
void crash_creation(int rounds, std::minstd_rand& random) {
  for (int round = 0; round < rounds; ++round) {
    const support::TemporaryFolder folder;
    Writer writer{"a"};
    writer.start(folder / "app.db");
    std::this_thread::sleep_for(std::chrono::microseconds(std::uniform_int_distribution(0, 60'000)(random)));
    writer.kill();
    const auto sqlite = open(folder / "app.db");
    Client client(*sqlite);
    const std::int64_t done = number_at(client, "all");
    const auto acknowledged = static_cast<std::int64_t>(writer.acknowledged);
    require(done == acknowledged || done == acknowledged + 1, "a new file is not as it should be");
  }
}

int crash(int rounds, std::uint32_t seed) {
  std::printf("%d rounds, seed %u\n", rounds, seed);
  std::minstd_rand random(seed);
  crash_creation(2 * rounds, random);
  const support::TemporaryFolder folder;
  const std::string path = folder / "app.db";
  std::array<Writer, writers> all;
  for (std::size_t i = 0; i < writers; ++i) all[i].name = std::string(1, static_cast<char>('a' + i));
  for (int round = 0; round < rounds; ++round) {
    for (Writer& writer : all) writer.start(path);
    for (Writer& writer : all) {
      std::this_thread::sleep_for(std::chrono::microseconds(std::uniform_int_distribution(0, 400'000)(random)));
      writer.kill();
    }
    check(path, all);
  }
  std::uint64_t acknowledged = 0;
  for (const Writer& writer : all) acknowledged += writer.acknowledged;
  require(acknowledged > 0, "nothing was written");
  std::printf("%llu batches acknowledged, all of them there, whole and once\n",
              static_cast<unsigned long long>(acknowledged));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc == 5 && std::string_view(argv[1]) == "--write") {
      return write_forever(argv[2], argv[3], std::strtoull(argv[4], nullptr, 10));
    }
    const int rounds = argc > 1 ? std::atoi(argv[1]) : 10;
    return crash(rounds, argc > 2 ? static_cast<std::uint32_t>(std::strtoul(argv[2], nullptr, 10)) : 1);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "FAILED: %s\n", error.what());
    return 1;
  }
}
