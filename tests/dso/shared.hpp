// What the host and its plugins have in common: an inline atom, and the functions by which the host reaches a plugin.
#pragma once

#include <atom/store.hpp>

#include <string>

namespace dso {

inline const atom::Atom<std::string> title{"dso.title", "untitled", {.client_writable = true}};

struct Plugin {
  /// Whether the plugin and the host have one registry, or one each.
  const void* (*registry)();
  /// The clone of `title`, as the plugin sees it.
  atom::AtomBase* (*title_clone)(atom::AtomStore& store);
  void (*set_title)(atom::AtomStore& store, const char* text);
  /// Writes to an atom that only this plugin declares; returns what it finds in it afterwards.
  std::string (*use_own)(atom::AtomStore& store);
  void (*drop_own)(atom::AtomStore& store);
  /// Uses an atom whose key the host has as well, for something else.
  void (*use_contested)(atom::AtomStore& store);
  atom::Snapshot (*request)();
};

/// The name and the type of the one function that a plugin exports.
using EntryPoint = const Plugin* (*)();
inline constexpr const char* entry_point = "dso_plugin";

}  // namespace dso
