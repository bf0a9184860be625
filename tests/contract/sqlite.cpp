// States in a file.
#include <atom/backend/sqlite.hpp>

#include <memory>

#include "contract/kind.hpp"
#include "support/backend_client.hpp"

namespace contract {
namespace {

class InSqlite final : public Kind {
 public:
  void renew() override { folder_ = std::make_unique<support::TemporaryFolder>(); }
  std::shared_ptr<atom::Backend> backend() override {
    return std::make_shared<atom::Sqlite>(
        atom::SqliteOptions{.path = *folder_ / "app.db", .synchronous = atom::Synchronous::normal});
  }

 private:
  std::unique_ptr<support::TemporaryFolder> folder_;
};
const Registered<InSqlite> sqlite{"sqlite"};

}  // namespace
}  // namespace contract
