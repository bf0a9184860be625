// States behind everything that stands before a database, which is one in memory.
#include <atom/backend/memory.hpp>

#include <memory>
#include <string_view>
#include <utility>

#include "contract/contract.hpp"

namespace contract {
namespace {

std::shared_ptr<atom::Memory>& database() {
  static std::shared_ptr<atom::Memory> the_database;
  return the_database;
}

}  // namespace

std::string_view name() {
  return "memory database";
}
std::unique_ptr<atom::StateStore> open(atom::StoreOptions options) {
  database() = std::make_shared<atom::Memory>();
  return reopen(std::move(options));
}
bool persistent() {
  return true;
}
std::unique_ptr<atom::StateStore> reopen(atom::StoreOptions options) {
  return std::make_unique<atom::StateStore>(database(), std::move(options));
}

}  // namespace contract
