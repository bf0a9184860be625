// States in the backend that the examples show.
#include "../../examples/own_backend/backend.hpp"

#include <memory>
#include <string_view>
#include <utility>

#include "contract/contract.hpp"

namespace contract {
namespace {

std::shared_ptr<OwnBackend>& database() {
  static std::shared_ptr<OwnBackend> the_database;
  return the_database;
}

}  // namespace

std::string_view name() {
  return "own backend";
}
std::unique_ptr<atom::StateStore> open(atom::StoreOptions options) {
  database() = std::make_shared<OwnBackend>();
  return reopen(std::move(options));
}
bool persistent() {
  return true;
}
std::unique_ptr<atom::StateStore> reopen(atom::StoreOptions options) {
  return std::make_unique<atom::StateStore>(database(), std::move(options));
}

}  // namespace contract
