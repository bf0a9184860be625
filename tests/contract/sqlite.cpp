// States in a file.
#include <atom/backend/sqlite.hpp>

#include <memory>
#include <utility>

#include "backend/sqlite_client.hpp"
#include "contract/contract.hpp"

namespace contract {
namespace {

class InSqlite final : public Kind {
 public:
  std::unique_ptr<atom::StateStore> open(atom::StoreOptions options) override {
    folder_ = std::make_unique<support::TemporaryFolder>();
    return reopen(std::move(options));
  }
  std::unique_ptr<atom::StateStore> reopen(atom::StoreOptions options) override {
    return std::make_unique<atom::StateStore>(backend(), std::move(options));
  }
  std::shared_ptr<atom::Backend> backend() override { return std::make_shared<atom::Sqlite>(*folder_ / "app.db"); }

 private:
  std::unique_ptr<support::TemporaryFolder> folder_;
};
const Registered<InSqlite> sqlite{"sqlite"};

}  // namespace
}  // namespace contract
