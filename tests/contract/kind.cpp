#include "contract/contract.hpp"

#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace contract {
namespace {

using Kinds = std::map<std::string, std::unique_ptr<Kind> (*)(), std::less<>>;
Kinds& kinds() {
  static Kinds all;
  return all;
}

std::string_view wanted() {
  const char* const name = std::getenv("ATOM_CONTRACT");
  return name ? name : "";
}
Kind& kind() {
  static const std::unique_ptr<Kind> the_kind = [] {
    const auto found = kinds().find(wanted());
    if (found != kinds().end()) return found->second();
    std::fprintf(stderr, "ATOM_CONTRACT is \"%s\", and must be one of:", std::string(wanted()).c_str());
    for (const auto& [name, make] : kinds()) std::fprintf(stderr, " %s", name.c_str());
    std::fprintf(stderr, "\n");
    std::exit(2);
  }();
  return *the_kind;
}

}  // namespace

void add_kind(const char* name, std::unique_ptr<Kind> (*make)()) {
  kinds().emplace(name, make);
}

std::string_view name() {
  return wanted();
}
std::unique_ptr<atom::StateStore> open(atom::StoreOptions options) {
  return kind().open(std::move(options));
}
bool persistent() {
  return kind().persistent();
}
std::unique_ptr<atom::StateStore> reopen(atom::StoreOptions options) {
  return kind().reopen(std::move(options));
}
std::shared_ptr<atom::Backend> backend() {
  return kind().backend();
}

}  // namespace contract
