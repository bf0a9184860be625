// Which type a value has, once the compiler has forgotten it. One table per type would be enough within one shared
// object. But a plugin, and a program that does not export its symbols, have a table each for the same type; and types
// that one translation unit keeps for itself (in an anonymous namespace, lambdas, local ones) may have the same name in
// another one and still be different. To take two types for one is a wild read; so what cannot be told counts as two.
#pragma once

#include <atom/config.hpp>

#include <concepts>
#include <cstddef>
#include <string>
#include <string_view>
#include <typeinfo>

namespace atom::inline v0_1::detail {

/// The name of T as the compiler spells it. Needs no RTTI.
template <class T>
constexpr std::string_view type_name() noexcept {
  if constexpr (std::same_as<T, std::string>) {
    return "std::string";
  } else if constexpr (requires { T::atom_public_name; }) {  // one of ours that a user need not know
    return T::atom_public_name;
  } else {
#if defined(_MSC_VER) && !defined(__clang__)
    std::string_view name = __FUNCSIG__;
    name.remove_prefix(name.find("type_name<") + 10);
    return name.substr(0, name.rfind(">(void)"));
#else
    std::string_view name = __PRETTY_FUNCTION__;  // "... [with T = int; std::string_view = ...]" or "... [T = int]"
    name.remove_prefix(name.find("T = ") + 4);
    const std::size_t end = name.rfind("; std::string_view = ");
    return name.substr(0, end != name.npos ? end : name.rfind(']'));
#endif
  }
}

/// The names of T: the compiler's, and where there is RTTI the linker's.
struct TypeIdentity {
  std::string_view name;
  const std::type_info* rtti;  // null without RTTI

  /// Whether two tables, not the same one, are surely of one type.
  ATOM_COLD bool same_elsewhere(const TypeIdentity& other) const noexcept {
    if (!rtti || !other.rtti) return name == other.name && spells_linkage && !is_local(name);
#if defined(__clang__) && !defined(_MSC_VER)
    // Here std::type_info is no help: with libstdc++ it goes by the name alone, with libc++ by the address alone.
    const std::string_view mangled = rtti->name();
    return mangled == other.rtti->name() && !is_mangled_local(mangled);
#else
    return *rtti == *other.rtti;
#endif
  }

 private:
#if defined(__clang__) || defined(_MSC_VER)
  static constexpr bool spells_linkage = false;  // of a local type they only say the last name
#else
  static constexpr bool spells_linkage = true;
#endif

  /// Of a name as g++ spells it: in an anonymous namespace, without a name, a lambda, or inside a function, as in
  /// "f()::T", "A::f() const::T" and "f() &::T".
  static constexpr bool is_local(std::string_view name) noexcept {
    for (const std::string_view mark : {"{anonymous}", "<unnamed", "<lambda", ")::", " const::", "volatile::", "&::"}) {
      if (name.find(mark) != name.npos) return true;
    }
    return false;
  }
  /// Of a name as the Itanium C++ ABI mangles it: in an anonymous namespace, without a name or a lambda ("$_0"), or
  /// inside a function (Z) with internal linkage (L and its name, which starts with a number).
  static constexpr bool is_mangled_local(std::string_view name) noexcept {
    if (name.find("_GLOBAL__N") != name.npos || name.find("$_") != name.npos) return true;
    const std::size_t function = name.find('Z');
    if (function == name.npos) return false;
    for (std::size_t i = function; i + 1 < name.size(); ++i) {
      if (name[i] == 'L' && name[i + 1] >= '0' && name[i + 1] <= '9') return true;
    }
    return false;
  }
};

template <class T>
constexpr TypeIdentity type_identity() noexcept {
#if defined(__cpp_rtti)
  return {type_name<T>(), &typeid(T)};
#else
  return {type_name<T>(), nullptr};
#endif
}

}  // namespace atom::inline v0_1::detail
