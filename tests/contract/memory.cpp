// The store that is in memory alone.
#include "contract/contract.hpp"

#include <memory>
#include <string_view>
#include <utility>

namespace contract {

std::string_view name() {
  return "memory";
}
std::unique_ptr<atom::StateStore> open(atom::StoreOptions options) {
  return std::make_unique<atom::StateStore>(std::move(options));
}
bool persistent() {
  return false;
}
std::unique_ptr<atom::StateStore> reopen(atom::StoreOptions) {
  return nullptr;
}

}  // namespace contract
