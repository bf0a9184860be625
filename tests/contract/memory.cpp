// The store that is in memory alone.
#include "contract/contract.hpp"

#include <memory>
#include <utility>

namespace contract {
namespace {

class InMemory final : public Kind {
 public:
  std::unique_ptr<atom::StateStore> open(atom::StoreOptions options) override {
    return std::make_unique<atom::StateStore>(std::move(options));
  }
  bool persistent() const override { return false; }
  std::unique_ptr<atom::StateStore> reopen(atom::StoreOptions) override { return nullptr; }
};
const Registered<InMemory> memory{"memory"};

}  // namespace
}  // namespace contract
