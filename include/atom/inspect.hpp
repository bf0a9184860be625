// What `AtomStore::inspect` answers.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace atom::inline v0_1 {

/// What a store tells of one of its atoms.
struct CloneInfo {
  std::string key;
  std::string_view type_name;
  bool modified = false;  ///< written in this store
  bool server_only = false;
  bool client_writable = false;
  bool derived = false;                        ///< computed from others
  std::size_t listeners = 0;                   ///< of all kinds, with the `on_update` option, a history, and what a
                                               ///< persisted atom is saved by
  std::vector<std::string> dependencies = {};  ///< the keys of what its value was computed from
};

}  // namespace atom::inline v0_1
