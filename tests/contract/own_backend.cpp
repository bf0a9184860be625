// States in the backend that the examples show.
#include "../../examples/own_backend/backend.hpp"

#include <memory>
#include <utility>

#include "contract/contract.hpp"

namespace contract {
namespace {

class InOwnBackend final : public Kind {
 public:
  std::unique_ptr<atom::StateStore> open(atom::StoreOptions options) override {
    database_ = std::make_shared<OwnBackend>();
    return reopen(std::move(options));
  }
  std::unique_ptr<atom::StateStore> reopen(atom::StoreOptions options) override {
    return std::make_unique<atom::StateStore>(database_, std::move(options));
  }
  std::shared_ptr<atom::Backend> backend() override { return database_; }

 private:
  std::shared_ptr<OwnBackend> database_;
};
const Registered<InOwnBackend> own_backend{"own_backend"};

}  // namespace
}  // namespace contract
