// States in a file that is synchronised at each batch, against one transaction for each write.
#include <atom/backend/sqlite.hpp>
#include <atom/state/state_store.hpp>

#include <sqlite3.h>

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>

#include "bench/bench.hpp"
#include "support/backend_client.hpp"
#include "support/threads.hpp"

namespace {

using Number = std::int64_t;

/// SQLite as one would use it by oneself.
class ByHand {
 public:
  explicit ByHand(const std::string& path) {
    check(sqlite3_open(path.c_str(), &db_));
    for (const char* sql : {"pragma journal_mode = wal", "pragma synchronous = full",
                            "create table state(key text primary key, value integer not null) without rowid"}) {
      check(sqlite3_exec(db_, sql, nullptr, nullptr, nullptr));
    }
    check(sqlite3_prepare_v2(
        db_, "insert into state values('n', 1) on conflict do update set value = value + 1 returning value", -1, &add_,
        nullptr));
  }
  ByHand(const ByHand&) = delete;
  ByHand& operator=(const ByHand&) = delete;
  ~ByHand() {
    sqlite3_finalize(add_);
    sqlite3_close(db_);
  }
  Number add() {
    if (sqlite3_step(add_) != SQLITE_ROW) throw std::runtime_error(sqlite3_errmsg(db_));
    const Number value = sqlite3_column_int64(add_, 0);
    if (sqlite3_step(add_) != SQLITE_DONE) throw std::runtime_error(sqlite3_errmsg(db_));
    check(sqlite3_reset(add_));
    return value;
  }

 private:
  void check(int code) const {
    if (code != SQLITE_OK) throw std::runtime_error(sqlite3_errmsg(db_));
  }
  sqlite3* db_ = nullptr;
  sqlite3_stmt* add_ = nullptr;
};

/// So many threads add to one state, each a hundred times.
template <std::size_t threads>
void add_in_threads(benchmark::State& state) {
  const support::TemporaryFolder folder;
  atom::StateStore store{atom::Sqlite{folder / "app.db"}};
  atom::State<Number> number = store.get_state<Number>(0, {.key = "n", .scope = atom::Scope::global()});
  constexpr std::size_t each = 100;
  Number rounds = 0;
  for (auto _ : state) {
    support::in_threads(threads, [&](std::size_t) {
      for (std::size_t i = 0; i < each; ++i) number.apply(atom::current + 1);
    });
    ++rounds;
  }
  if (number.load() != rounds * static_cast<Number>(threads * each)) state.SkipWithError("the sum is wrong");
  bench::operations(state, threads * each);
}

const bench::Registration all([] {
  bench::add("sqlite/1/store", &add_in_threads<1>)->UseRealTime();
  bench::add("sqlite/64/store", &add_in_threads<64>)->UseRealTime();
  bench::add("sqlite/hand", [](benchmark::State& state) {
    const support::TemporaryFolder folder;
    ByHand by_hand(folder / "app.db");
    constexpr std::size_t each = 25;
    for (auto _ : state) {
      for (std::size_t i = 0; i < each; ++i) benchmark::DoNotOptimize(by_hand.add());
    }
    bench::operations(state, each);
  })->UseRealTime();
  bench::add("sqlite/get", [](benchmark::State& state) {
    const support::TemporaryFolder folder;
    atom::StateStore store{atom::Sqlite{folder / "app.db"}};
    const atom::State<Number> number = store.create_state<Number>(1, {.key = "n", .scope = atom::Scope::global()});
    for (auto _ : state) benchmark::DoNotOptimize(number.get());
  });
  bench::add("sqlite/load", [](benchmark::State& state) {
    const support::TemporaryFolder folder;
    atom::StateStore store{atom::Sqlite{folder / "app.db"}};
    const atom::State<Number> number = store.create_state<Number>(1, {.key = "n", .scope = atom::Scope::global()});
    for (auto _ : state) benchmark::DoNotOptimize(number.load());
  });
});

}  // namespace
