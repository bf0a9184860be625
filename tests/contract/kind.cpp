#include "contract/kind.hpp"

#include <atom/state/state_store.hpp>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "contract/contract.hpp"

namespace contract {
namespace {

using Kinds = std::map<std::string, std::unique_ptr<Kind> (*)(), std::less<>>;
Kinds& kinds() {
  static Kinds all;
  return all;
}

Kind& kind() {
  static const std::unique_ptr<Kind> the_kind = [] {
    const char* const name = std::getenv("ATOM_CONTRACT");
    const std::string_view wanted = name ? name : "";
    const auto found = kinds().find(wanted);
    if (found != kinds().end()) {
      auto made = found->second();
      made->renew();
      return made;
    }
    std::fprintf(stderr, "ATOM_CONTRACT is \"%s\", and must be one of:", std::string(wanted).c_str());
    for (const auto& [known, make] : kinds()) std::fprintf(stderr, " %s", known.c_str());
    std::fprintf(stderr, "\n");
    std::exit(2);
  }();
  return *the_kind;
}
std::unique_ptr<atom::StateStore> store_on(std::shared_ptr<atom::Backend> backend, atom::StoreOptions options) {
  if (!backend) return std::make_unique<atom::StateStore>(std::move(options));
  return std::make_unique<atom::StateStore>(std::move(backend), std::move(options));
}

}  // namespace

void add_kind(const char* name, std::unique_ptr<Kind> (*make)()) {
  kinds().emplace(name, make);
}

std::unique_ptr<atom::StateStore> open(atom::StoreOptions options) {
  return store_on(open_backend(), std::move(options));
}
bool persistent() {
  return kind().backend() != nullptr;
}
int rounds(int count) {
  if (std::getenv("ATOM_SOAK")) return 4 * count;
  return kind().is_server() ? count / 4 : count;
}
std::unique_ptr<atom::StateStore> reopen(atom::StoreOptions options) {
  return store_on(kind().backend(), std::move(options));
}
std::shared_ptr<atom::Backend> open_backend() {
  kind().renew();
  return kind().backend();
}

}  // namespace contract
