// States in a file.
#include <atom/backend/sqlite.hpp>

#include <memory>
#include <string_view>
#include <utility>

#include "backend/sqlite_client.hpp"
#include "contract/contract.hpp"

namespace contract {
namespace {

std::unique_ptr<support::TemporaryFolder>& folder() {
  static std::unique_ptr<support::TemporaryFolder> the_folder;
  return the_folder;
}

}  // namespace

std::string_view name() {
  return "sqlite";
}
std::unique_ptr<atom::StateStore> open(atom::StoreOptions options) {
  folder() = std::make_unique<support::TemporaryFolder>();
  return reopen(std::move(options));
}
bool persistent() {
  return true;
}
std::unique_ptr<atom::StateStore> reopen(atom::StoreOptions options) {
  return std::make_unique<atom::StateStore>(std::make_shared<atom::Sqlite>(*folder() / "app.db"), std::move(options));
}

}  // namespace contract
