// What can be the value of a state. A type may say which version of itself it is, and how a value that an older program
// has stored becomes one of now:
//
//   struct Cart {
//     std::vector<Item> items;
//     static constexpr int atom_version = 2;  // 0 where nothing is said
//     /// `stored` is what a Cart of version `from` was stored as; empty: it cannot be read.
//     static std::optional<Cart> atom_migrate(int from, const atom::Value& stored) {
//       if (from != 1) return {};
//       const auto old = stored.to<CartOfVersion1>();
//       return old ? std::optional(Cart{old->things}) : std::nullopt;
//     }
//     static constexpr auto atom_fields() { ... }
//   };
//
// A member that is new needs neither: what is missing in a stored value has its default.
#pragma once

#include <atom/config.hpp>
#include <atom/detail/type_ops.hpp>

#include <concepts>
#include <cstddef>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

namespace atom::inline v0_1 {

/// A type that can be the value of a state: its copies share nothing that can be changed. To reach a database it also
/// needs a codec (codec.hpp).
template <class T>
concept state_value =
    std::is_object_v<T> && std::same_as<T, std::remove_cv_t<T>> && detail::copyable<T> && detail::isolated<T>;

namespace detail {

/// A value of any type, shared by all who look at it, and not changed any more.
using SharedValue = std::shared_ptr<const void>;

/// A value that `build(place)` builds in raw memory, or null if it answers false.
template <class Build>
std::shared_ptr<void> build_value(const TypeOps& type, Build build) {
  struct Memory {
    const TypeOps* type;
    void operator()(void* place) const noexcept { ::operator delete(place, std::align_val_t(type->align)); }
  };
  std::unique_ptr<void, Memory> memory(::operator new(type.size, std::align_val_t(type.align)), Memory{&type});
  if (!build(memory.get())) return nullptr;
  struct End {
    const TypeOps* type;
    void operator()(void* value) const noexcept {
      type->clear(value);
      Memory{type}(value);
    }
  };
  return {memory.release(), End{&type}};
}
inline std::shared_ptr<void> copy_value(const TypeOps& type, const void* value) {
  return build_value(type, [&](void* place) { return type.copy(place, value, nullptr), true; });
}

}  // namespace detail
}  // namespace atom::inline v0_1
