// The store that is in memory alone.
#include "contract/kind.hpp"

#include <memory>

namespace contract {
namespace {

class InMemory final : public Kind {
 public:
  void renew() override {}
  std::shared_ptr<atom::Backend> backend() override { return nullptr; }
};
const Registered<InMemory> memory{"memory"};

}  // namespace
}  // namespace contract
