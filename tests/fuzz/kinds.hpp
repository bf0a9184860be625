// The kinds of stores of the contract (contract/kind.hpp), for random programs: those whose files are compiled with
// them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "contract/kind.hpp"

namespace fuzz {

struct NamedKind {
  std::string name;
  std::unique_ptr<contract::Kind> kind;
  bool is_slow;  ///< it takes ten times as long as the others, so it gets a part of what they get
};

/// One of each, about a database of its own in which nothing is; by name, those that are slow at the end.
std::vector<NamedKind> all_kinds();

}  // namespace fuzz
