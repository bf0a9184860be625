// The figures that the library is to reach, and others worth knowing: what is measured against what, and the target.
// Every name is that of a benchmark in one of the .cpp files beside this one.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

namespace bench {

enum class Measure {
  ratio,        ///< our time, divided by the other's
  extra,        ///< our time less the other's
  time,         ///< our time
  allocations,  ///< how often a call of ours allocates
  bytes,        ///< how much memory one of ours takes
  round_trips,  ///< how often one of ours goes to a server and back
  instructions  ///< ours, divided by the other's; where valgrind is not installed, left out
};

/// A line of the table. Times are in nanoseconds, for one operation.
struct Figure {
  std::string_view what;
  std::string_view against = {};
  std::string_view ours;
  std::string_view theirs = {};
  Measure measure = Measure::ratio;
  std::optional<double> at_most = {};
  /// Where they are named, our time and the other's are first divided by the times of these.
  std::string_view ours_alone = {};
  std::string_view theirs_alone = {};
};

/// What is compared with each other; its benchmarks have names that start with `prefix`, and their repetitions are
/// interleaved.
struct Group {
  std::string_view title;
  std::string_view prefix;
  std::vector<Figure> figures;
  /// In a run that is not quick.
  int repetitions = 60;
};

inline const std::vector<Group>& groups() {
  using enum Measure;
  static const std::vector<Group> all{
      // The first, because the number of templates in the process only grows.
      {"use, with few templates in the process",
       "lookup/few/",
       {
           {"use, 3 atoms", "reading a member", "lookup/few/3/use", "lookup/few/3/member", extra, 2},
           {"use, 10 atoms", "reading a member", "lookup/few/10/use", "lookup/few/10/member", extra, 2},
       }},
      {"Lookup and reading, with 10,000 templates in the process",
       "lookup/many/",
       {
           {"use, 3 atoms", "reading a member", "lookup/many/3/use", "lookup/many/3/member", extra, 2},
           {"use, 10 atoms", "reading a member", "lookup/many/10/use", "lookup/many/10/member", extra, 2},
           {"use, 100 atoms", "reading a member", "lookup/many/100/use", "lookup/many/100/member", extra, 2},
           {"use, 1000 atoms", "reading a member", "lookup/many/1000/use", "lookup/many/1000/member", extra, 2},
           {"value()", "reading a member", "lookup/many/10/value", "lookup/many/10/member", extra, 1},
           {"get(atom), 10 atoms", "reading a member", "lookup/many/10/get", "lookup/many/10/member", extra},
           {"get(key), 10 atoms", "unordered_map<string, ..>", "lookup/many/10/key", "lookup/many/10/map", ratio},
           {"get(key), 1000 atoms", "unordered_map<string, ..>", "lookup/many/1000/key", "lookup/many/1000/map", ratio},
       }},
      {"A whole request: store, 3 use, 1 listener, 2 updates, snapshot, destroy",
       "request/",
       {
           {"a struct, a number, a vector", "struct, vector<function>", "request/mixed/atom", "request/mixed/struct",
            ratio, 3},
           {"a struct, a number, a vector", "unordered_map<string, any>", "request/mixed/atom", "request/mixed/map",
            ratio, 0.2},
           {"a struct, a number, a vector", "node: a Map, copies by hand", "request/mixed/atom", "request/mixed/copies",
            ratio},
           {"a struct, a number, a vector", "node: a Map, structuredClone", "request/mixed/atom",
            "request/mixed/structuredClone", ratio},
           {"a struct, a number, a vector", "node: nanostores", "request/mixed/atom", "request/mixed/nanostores",
            ratio},
           {"a struct, a number, a vector", "node: jotai, createStore", "request/mixed/atom", "request/mixed/jotai",
            ratio},
           {"a struct, a number, a vector", "node: effector, fork", "request/mixed/atom", "request/mixed/effector",
            ratio},
           {"its allocations", "struct, vector<function>", "request/mixed/atom", "request/mixed/struct", allocations,
            0},
           {"its allocations", "unordered_map<string, any>", "request/mixed/atom", "request/mixed/map", allocations, 0},
           {"its instructions", "struct, vector<function>", "request/mixed/atom", "request/mixed/struct", instructions},
           {"its instructions", "unordered_map<string, any>", "request/mixed/atom", "request/mixed/map", instructions},
           {"three numbers", "struct, vector<function>", "request/numbers/atom", "request/numbers/struct", ratio},
           {"three numbers", "unordered_map<string, any>", "request/numbers/atom", "request/numbers/map", ratio},
           {"its allocations", "struct, vector<function>", "request/numbers/atom", "request/numbers/struct",
            allocations, 0},
           {"instructions, three numbers", "struct, vector<function>", "request/numbers/atom", "request/numbers/struct",
            instructions},
           {"instructions, three numbers", "unordered_map<string, any>", "request/numbers/atom", "request/numbers/map",
            instructions},
       }},
      {"Store, use, read, destroy",
       "default/",
       {
           {"default of 10,000 elements", "default of one int", "default/vector", "default/int", ratio, 1.25},
       }},
      {"Update",
       "update/",
       {
           {"no listener", "vector<function>", "update/0/atom", "update/0/function", ratio, 1.5},
           {"1 listener", "vector<function>", "update/1/atom", "update/1/function", ratio, 4},
           {"1 listener", "libsigc++", "update/1/atom", "update/1/sigc", ratio},
           {"1 listener", "Boost.Signals2", "update/1/atom", "update/1/signals2", ratio},
           {"10 listeners", "vector<function>", "update/10/atom", "update/10/function", ratio, 1.5},
           {"10 listeners", "libsigc++", "update/10/atom", "update/10/sigc", ratio},
           {"10 listeners", "Boost.Signals2", "update/10/atom", "update/10/signals2", ratio},
           {"100 listeners", "vector<function>", "update/100/atom", "update/100/function", ratio, 1.5},
           {"100 listeners", "libsigc++", "update/100/atom", "update/100/sigc", ratio},
           {"100 listeners", "Boost.Signals2", "update/100/atom", "update/100/signals2", ratio},
           {"1 listener, new value only", "vector<function>", "update/1/atom, new only", "update/1/function", ratio},
           {"in a batch of its own", "without a batch", "update/1/atom, batch", "update/1/atom", extra},
           {"mutate, no listener", "update, no listener", "update/0/atom, mutate", "update/0/atom", extra},
       }},
      {"Derived values: write a number and read what is computed from it; each node",
       "derived/",
       {
           {"read what is up to date", "by hand", "derived/read/atom", "derived/read/hand", extra},
           {"one", "by hand", "derived/one/atom", "derived/one/hand", extra},
           {"one, with a listener", "by hand", "derived/one/atom, observed", "derived/one/hand", extra},
           {"a chain of 10", "by hand", "derived/chain/atom", "derived/chain/hand", extra},
           {"a chain of 10, with a listener", "by hand", "derived/chain/atom, observed", "derived/chain/hand", extra},
           {"a diamond of 100", {}, "derived/diamond/atom", {}, time, 15},
           {"a diamond of 100", "by hand", "derived/diamond/atom", "derived/diamond/hand", extra},
           {"a diamond of 100, with a listener", {}, "derived/diamond/atom, observed", {}, time, 15},
           {"its allocations", {}, "derived/diamond/atom", {}, allocations, 0},
           {"its allocations, with a listener", {}, "derived/diamond/atom, observed", {}, allocations, 0},
       }},
      {"Writes together, each with a listener",
       "together/",
       {
           {"a transaction of 1", "a batch", "together/1/transaction", "together/1/batch", extra},
           {"a transaction of 10", "a batch", "together/10/transaction", "together/10/batch", extra},
           {"allocations of a batch of 10", {}, "together/10/batch", {}, allocations, 0},
           {"allocations of a transaction of 10", {}, "together/10/transaction", {}, allocations, 0},
       }},
      {"Subscribe and unsubscribe, beside 3 others",
       "subscribe/",
       {
           {"on_change, unsubscribe", "vector<function>", "subscribe/3/atom", "subscribe/3/function", ratio},
           {"on_change, unsubscribe", "libsigc++", "subscribe/3/atom", "subscribe/3/sigc", ratio},
           {"on_change, unsubscribe", "Boost.Signals2", "subscribe/3/atom", "subscribe/3/signals2", ratio},
       }},
      {"Stores",
       "store/",
       {
           {"create, destroy", {}, "store/empty", {}, time},
           {"use and drop", {}, "store/drop", {}, time},
           {"create, use 1000, destroy: each", "unordered_map<string, any>", "store/1000/atom", "store/1000/map",
            ratio},
       }},
      {"Snapshot",
       "snapshot/",
       {
           {"of 3 numbers: each", "unordered_map<string, any>", "snapshot/3/atom", "snapshot/3/map", ratio},
           {"of 10 numbers: each", "unordered_map<string, any>", "snapshot/10/atom", "snapshot/10/map", ratio},
           {"of 100 numbers: each", "unordered_map<string, any>", "snapshot/100/atom", "snapshot/100/map", ratio},
           {"of 10,000 elements, untouched", {}, "snapshot/default", {}, time},
       }},
      {"Store, hydrate 10,000 elements and a text, use both, destroy",
       "hydrate/",
       {
           {"shared", "without hydrate", "hydrate/shared", "hydrate/nothing", extra},
           {"moved", "copying the snapshot only", "hydrate/moved", "hydrate/copy only", extra},
           {"copied", "copying the snapshot only", "hydrate/copied", "hydrate/copy only", extra},
       }},
      {"Text: a snapshot of 1.5 kB",
       "text/",
       {
           {"to JSON", "an encoder by hand", "text/encode/atom", "text/encode/hand", ratio, 1.5},
           {"to JSON", "nlohmann-json", "text/encode/atom", "text/encode/nlohmann", ratio},
           {"to JSON", "node, JSON.stringify", "text/encode/atom", "text/encode/node", ratio},
           {"JSON to typed values", "simdjson by hand", "text/decode/atom", "text/decode/simdjson", ratio, 1.6},
           {"JSON to typed values", "nlohmann-json", "text/decode/atom", "text/decode/nlohmann", ratio},
           {"JSON to typed values", "node, JSON.parse, untyped", "text/decode/atom", "text/decode/node", ratio},
           {"JSON to a store, all used", "simdjson by hand", "text/decode/hydrate", "text/decode/simdjson", ratio},
       }},
      {"Two threads with a store each, against one thread",
       "threads/",
       {
           {"a request on each of two", "the same with a struct", "threads/2/atom", "threads/2/struct", ratio, 1.1,
            "threads/1/atom", "threads/1/struct"},
       }},
      {"States in memory",
       "states/",
       {
           {"apply(current + 1)", "atomic, fetch_add", "states/1/apply", "states/1/fetch_add", ratio, 1 / 0.7},
           {"the same by two threads", "atomic, fetch_add", "states/2/apply", "states/2/fetch_add", ratio, 1 / 0.45},
           {"get()", "atomic, load", "states/get", "states/load", extra},
           {"of a million, 20 in a scope", "tbb::concurrent_hash_map", "states/20 in a scope/1000000/store",
            "states/20 in a scope/1000000/tbb", ratio, 1 / 1.2},
           {"of a million, 1000 in a scope", "tbb::concurrent_hash_map", "states/1000 in a scope/1000000/store",
            "states/1000 in a scope/1000000/tbb", ratio},
           {"memory of each of 20 ints in a scope", {}, "states/20 in a scope/1000000/store", {}, bytes, 96},
           {"memory of each of 1000", {}, "states/1000 in a scope/1000000/store", {}, bytes},
       }},
      {"States in SQLite, synchronous = full",
       "sqlite/",
       {
           {"64 threads on one state", "a transaction each", "sqlite/64/store", "sqlite/hand", ratio, 1 / 20.0},
           {"one thread", "a transaction each", "sqlite/1/store", "sqlite/hand", ratio},
           {"get()", {}, "sqlite/get", {}, time},
           {"load()", {}, "sqlite/load", {}, time},
       }},
      {"States in Redis, which writes nothing to its disk: apply(current + 1)",
       "redis/",
       {
           {"64 threads, 1 state", "redis-benchmark -c 64 INCR", "redis/64/store", "redis/64/benchmark", ratio,
            1 / 2.5},
           {"256 coroutines, 1 state", "redis-benchmark -c 64 INCR", "redis/256/store", "redis/64/benchmark", ratio,
            1 / 50.0},
           {"4096 coroutines, 100,000 states", "redis-benchmark -c 4 -P 16 HINCRBY", "redis/many/store",
            "redis/many/benchmark", ratio, 1 / 0.5},
           {"one thread", "HINCRBY by hiredis", "redis/1/store", "redis/1/plain", ratio, 1 / 0.8},
           {"session, 5 atoms, shared counter", {}, "redis/session", {}, round_trips, 2},
           {"set() to on_change elsewhere", "median of 500", "redis/feed/median", {}, time},
           {"set() to on_change elsewhere", "99th percentile", "redis/feed/99", {}, time},
       },
       20},
      {"States in PostgreSQL, fsync and synchronous_commit on: apply(current + 1)",
       "postgres/",
       {
           {"256 coroutines, 1 state", "pgbench -M prepared -c 64, 1 row", "postgres/256/store",
            "postgres/hot/benchmark", ratio, 1 / 100.0},
           {"256 coroutines, 10,000 states", "pgbench -c 64, 10,000 rows", "postgres/many/store",
            "postgres/many/benchmark", ratio, 1 / 4.0},
           {"one thread", "update by libpq, prepared", "postgres/1/store", "postgres/1/plain", ratio, 1 / 0.5},
           {"session, 5 atoms, shared counter", {}, "postgres/session", {}, round_trips, 2},
           {"set() to on_change elsewhere", "median of 500", "postgres/feed/median", {}, time},
           {"set() to on_change elsewhere", "99th percentile", "postgres/feed/99", {}, time},
       },
       20},
  };
  return all;
}

}  // namespace bench
