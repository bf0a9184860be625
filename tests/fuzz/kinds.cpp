#include "kinds.hpp"

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "contract/kind.hpp"

namespace {

using Makers = std::map<std::string, std::unique_ptr<contract::Kind> (*)()>;
Makers& makers() {
  static Makers all;
  return all;
}

}  // namespace

void contract::add_kind(const char* name, std::unique_ptr<Kind> (*make)()) {
  makers().emplace(name, make);
}

std::vector<fuzz::NamedKind> fuzz::all_kinds() {
  std::vector<NamedKind> all;
  for (const bool is_slow : {false, true}) {
    for (const auto& [name, make] : makers()) {
      if ((name == "dynamodb") != is_slow) continue;
      all.push_back({name, make(), is_slow});
      all.back().kind->renew();
    }
  }
  return all;
}
