// What the library must know of the type of a state. A type may say which version of itself it is, and how a value that
// an older program has stored becomes one of now:
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

#include <atom/codec.hpp>
#include <atom/config.hpp>
#include <atom/detail/type_ops.hpp>
#include <atom/value.hpp>

#include <concepts>
#include <memory>
#include <optional>
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

struct StateType {
  const TypeOps& ops;
  int version;
  /// What was stored by another version, as one of now, or null. Null: there is no such function.
  SharedValue (*migrate)(int from, const Value& stored);
  /// A copy of a value.
  std::shared_ptr<void> (*copy)(const void* value);
  /// From text; null: it is none. Null: T cannot be read from text.
  SharedValue (*read)(Reader& reader);

  SharedValue share(const void* value) const { return copy(value); }
  bool same_type(const StateType& other) const noexcept { return this == &other || ops.same_type(other.ops); }
};

template <class T>
concept versioned_type = requires {
  { T::atom_version } -> std::convertible_to<int>;
};
template <class T>
concept migrating_type = requires(const Value& stored) {
  { T::atom_migrate(1, stored) } -> std::convertible_to<std::optional<T>>;
};

template <class T>
struct StateTypeFor {
  static SharedValue migrate(int from, const Value& stored) {
    std::optional<T> now = T::atom_migrate(from, stored);
    return now ? std::make_shared<const T>(*std::move(now)) : nullptr;
  }
  static std::shared_ptr<void> copy(const void* value) { return std::make_shared<T>(*static_cast<const T*>(value)); }
  static SharedValue read(Reader& reader) {
    auto value = std::make_shared<T>();
    return codec<T>::read(reader, *value) ? value : nullptr;
  }
  static constexpr StateType make() {
    StateType type{type_ops<T>, 0, nullptr, &copy, nullptr};
    if constexpr (readable<T> && std::default_initializable<T>) type.read = &read;
    if constexpr (versioned_type<T>) {
      static_assert(T::atom_version >= 0, "atom_version is not negative");
      type.version = T::atom_version;
    }
    if constexpr (migrating_type<T>) type.migrate = &migrate;
    return type;
  }
};

/// The one of T.
template <state_value T>
inline constexpr StateType state_type = StateTypeFor<T>::make();

}  // namespace detail
}  // namespace atom::inline v0_1
