// States behind everything that stands before a database, which is one in memory.
#include <atom/backend/memory.hpp>

#include <memory>
#include <utility>

#include "contract/contract.hpp"

namespace contract {
namespace {

class MemoryDatabase final : public Kind {
 public:
  std::unique_ptr<atom::StateStore> open(atom::StoreOptions options) override {
    database_ = std::make_shared<atom::Memory>();
    return reopen(std::move(options));
  }
  std::unique_ptr<atom::StateStore> reopen(atom::StoreOptions options) override {
    return std::make_unique<atom::StateStore>(database_, std::move(options));
  }
  std::shared_ptr<atom::Backend> backend() override { return database_; }

 private:
  std::shared_ptr<atom::Memory> database_;
};
const Registered<MemoryDatabase> memory_database{"memory_database"};

}  // namespace
}  // namespace contract
