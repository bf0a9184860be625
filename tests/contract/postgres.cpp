// States in a PostgreSQL server.
#include <atom/backend/postgres.hpp>

#include <memory>
#include <string>

#include "contract/kind.hpp"
#include "support/postgres_server.hpp"

namespace contract {
namespace {

/// One server, and a schema for each store. It does not crash, so it need not wait for the disk.
class InPostgres final : public Kind {
 public:
  void renew() override {
    schema_ = "s" + std::to_string(++schemas_);
    server_.run("create schema " + schema_);
  }
  std::shared_ptr<atom::Backend> backend() override {
    return std::make_shared<atom::Postgres>(server_.url("options='-c search_path=" + schema_ + "'"));
  }
  bool is_server() const override { return true; }

 private:
  support::PostgresServer server_{{"fsync=off"}};
  std::string schema_;
  int schemas_ = 0;
};
const Registered<InPostgres> postgres{"postgres"};

}  // namespace
}  // namespace contract
