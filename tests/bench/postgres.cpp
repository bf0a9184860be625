// States in a PostgreSQL server, against pgbench, and against libpq, which sends an update plainly.
#include <atom/backend/postgres.hpp>

#include <libpq-fe.h>

#include <cstddef>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>

#include "bench/bench.hpp"
#include "bench/process.hpp"
#include "bench/servers.hpp"
#include "support/backend_client.hpp"
#include "support/chaos_proxy.hpp"
#include "support/postgres_server.hpp"

namespace {

/// What is acknowledged is on the disk: fsync and synchronous_commit are on, as they are by default.
class Postgres {
 public:
  static Postgres& get() {
    static Postgres one;
    return one;
  }

  std::string url() const { return server_.url(); }
  std::string socket() const { return server_.folder() + "/.s.PGSQL.5432"; }
  bench::Numbers& numbers() noexcept { return numbers_; }

  /// Sends the update so often, one after the other, prepared.
  void add_plainly(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      const std::unique_ptr<PGresult, void (*)(PGresult*)> result(
          PQexecPrepared(plain_.get(), "add", 0, nullptr, nullptr, nullptr, 1), PQclear);
      if (PQntuples(result.get()) != 1) throw std::runtime_error(PQerrorMessage(plain_.get()));
    }
  }
  /// Seconds that one transaction takes, of 64 clients that run so many each: to add 1 to one of the first rows.
  double benchmark(std::size_t rows, std::size_t each) const {
    const std::string script = folder_ / "script.sql";
    std::ofstream(script) << "\\set id random(1, " << rows << ")\n"
                          << "update by_hand set value = value + 1 where id = :id returning value;\n";
    const std::string output =
        bench::output_of({support::PostgresServer::program("pgbench"), "-n", "-M", "prepared", "-c", "64", "-j", "2",
                          "-t", std::to_string(each), "-f", script, url()});
    const std::size_t rate = output.find("tps = ");
    if (rate == output.npos) throw std::runtime_error("pgbench prints something else");
    return 1 / std::stod(output.substr(rate + 6));
  }

 private:
  Postgres() {
    server_.run(
        "create table by_hand(id integer primary key, value bigint not null) with (fillfactor = 80);"
        "insert into by_hand select id, 0 from generate_series(1, 10000) id; vacuum analyze by_hand;");
    const std::unique_ptr<PGresult, void (*)(PGresult*)> prepared(
        PQprepare(plain_.get(), "add", "update by_hand set value = value + 1 where id = 1 returning value", 0, nullptr),
        PQclear);
    if (PQresultStatus(prepared.get()) != PGRES_COMMAND_OK) throw std::runtime_error(PQerrorMessage(plain_.get()));
  }

  const support::TemporaryFolder folder_;
  const support::PostgresServer server_{{"max_connections=100"}};
  bench::Numbers numbers_{std::make_shared<atom::Postgres>(server_.url()), 10'000};
  const std::unique_ptr<PGconn, void (*)(PGconn*)> plain_{PQconnectdb(server_.url().c_str()), PQfinish};
};

const bench::Registration all([] {
  bench::add_work<Postgres>("postgres/1/store", 200, [](Postgres& it) { it.numbers().add_one_by_one(200); });
  bench::add_work<Postgres>("postgres/1/plain", 200, [](Postgres& it) { it.add_plainly(200); });
  bench::add_work<Postgres>("postgres/256/store", 256 * 100,
                            [](Postgres& it) { it.numbers().add_in_coroutines(256, 100); });
  bench::add_measured<Postgres>("postgres/hot/benchmark", [](Postgres& it) { return it.benchmark(1, 8); });
  bench::add_work<Postgres>("postgres/many/store", 256 * 50, [](Postgres& it) { it.numbers().add_anywhere(256, 50); });
  bench::add_measured<Postgres>("postgres/many/benchmark", [](Postgres& it) { return it.benchmark(10'000, 50); });
  bench::add_round_trips<Postgres>("postgres/session", [](const support::ChaosProxy& proxy) {
    return std::make_shared<atom::Postgres>("host=127.0.0.1 dbname=postgres user=atom sslmode=disable port=" +
                                            std::to_string(proxy.port()));
  });
  bench::add_delays<Postgres>("postgres/feed/", [](Postgres& it) {
    return bench::delays_heard(std::make_shared<atom::Postgres>(it.url()), "postgres", it.url());
  });
  bench::add_child("postgres", [](const std::string& url) { bench::listen(std::make_shared<atom::Postgres>(url)); });
});

}  // namespace
