// States in a PostgreSQL server.
#include <atom/backend/postgres.hpp>

#include <memory>
#include <string>
#include <utility>

#include "contract/contract.hpp"
#include "support/postgres_server.hpp"

namespace contract {
namespace {

/// One server, and a schema for each store.
class InPostgres final : public Kind {
 public:
  std::unique_ptr<atom::StateStore> open(atom::StoreOptions options) override {
    schema_ = "s" + std::to_string(++schemas_);
    server_.run("create schema " + schema_);
    return reopen(std::move(options));
  }
  std::unique_ptr<atom::StateStore> reopen(atom::StoreOptions options) override {
    return std::make_unique<atom::StateStore>(backend(), std::move(options));
  }
  std::shared_ptr<atom::Backend> backend() override {
    return std::make_shared<atom::Postgres>(server_.url("options='-c search_path=" + schema_ + "'"));
  }

 private:
  support::PostgresServer server_;
  std::string schema_;
  int schemas_ = 0;
};
const Registered<InPostgres> postgres{"postgres"};

}  // namespace
}  // namespace contract
