// What the library must still know of a T once it has forgotten the type: one constant table per T, shared by values,
// snapshots and atoms, so that everything else is compiled once.
#pragma once

#include <atom/codec.hpp>
#include <atom/config.hpp>
#include <atom/detail/arena.hpp>
#include <atom/detail/encoded.hpp>
#include <atom/detail/json_writer.hpp>
#include <atom/detail/traits.hpp>
#include <atom/detail/type_identity.hpp>
#include <atom/equal.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory_resource>
#include <new>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace atom::inline v0_1::detail {

/// The types that take part in the only two conversions there are: an integer that fits, and text.
enum class Kind : std::uint8_t { other, signed_integer, unsigned_integer, text };

/// A string of char that owns its text.
template <class T>
concept text = requires {
  typename T::traits_type;
  typename T::allocator_type;
  requires std::same_as<typename T::value_type, char>;
} && std::constructible_from<T, std::string_view>;

template <class T>
inline constexpr bool takes_memory = std::uses_allocator_v<T, std::pmr::polymorphic_allocator<>>;

/// Builds a T at `place`; a T that takes a polymorphic allocator gets `memory` (where there is one).
template <class T, class... Args>
T* construct(void* place, [[maybe_unused]] std::pmr::memory_resource* memory, Args&&... args) {
  if constexpr (takes_memory<T>) {
    if (memory) {
      std::pmr::polymorphic_allocator<>(memory).construct(static_cast<T*>(place), std::forward<Args>(args)...);
      return std::launder(static_cast<T*>(place));
    }
  }
  return ::new (place) T(std::forward<Args>(args)...);
}

struct TypeOps : TypeIdentity {
  std::size_t size;
  std::size_t align;
  std::uint8_t piece;  // the size class in an arena
  Kind kind;
  bool trivial;     // trivially copyable and destructible
  bool shareable;   // there are copies, and they share nothing that can be changed
  bool fits_value;  // may lie in a Value's own buffer
  /// Copies into raw storage. Null: T cannot be copied.
  void (*copy)(void* to, const void* from, std::pmr::memory_resource* memory);
  /// Moves into raw storage and destroys the source. Null: copy the bytes.
  void (*relocate)(void* to, void* from) noexcept;
  /// Null: nothing to destroy.
  void (*destroy)(void* object) noexcept;
  /// Null: values of T always count as different.
  bool (*equal)(const void* a, const void* b);
  /// Builds a T from an integer that fits, or from text. Null: nothing converts to T. False: it does not fit.
  bool (*convert)(void* to, const TypeOps& from_type, const void* from, std::pmr::memory_resource* memory);
  /// Writes it as text. Null: T has no codec.
  void (*write)(const void* object, JsonWriter& writer);
  /// Builds a T in raw storage from text; false: it is none. Null: T cannot be read from text.
  bool (*read)(void* to, Reader& reader, std::pmr::memory_resource* memory);

  bool same_type(const TypeOps& other) const noexcept {
    return this == &other ||
           (size == other.size && align == other.align && kind == other.kind && same_elsewhere(other));
  }

  void clear(void* object) const noexcept {
    if (destroy) destroy(object);
  }
  /// The same for one that lies in a piece of an arena.
  void end(void* object, Arena& arena) const noexcept {
    clear(object);
    if (piece != Arena::no_piece) [[likely]] {
      arena.recycle(object, piece);
    } else {
      arena.recycle(object, size, align);
    }
  }
};

/// Reads an integer of any size as the widest of its signedness and hands it to `use`.
template <class Use>
bool with_integer(const TypeOps& type, const void* object, Use use) {
  const auto widen = [&]<class Wide>(auto narrow8, auto narrow16, auto narrow32, Wide wide) {
    const auto load = [&](auto& number) {
      std::memcpy(&number, object, sizeof number);
      return use(static_cast<Wide>(number));
    };
    switch (type.size) {
      case 1:
        return load(narrow8);
      case 2:
        return load(narrow16);
      case 4:
        return load(narrow32);
      default:
        return load(wide);
    }
  };
  return type.kind == Kind::signed_integer ? widen(std::int8_t{}, std::int16_t{}, std::int32_t{}, std::int64_t{})
                                           : widen(std::uint8_t{}, std::uint16_t{}, std::uint32_t{}, std::uint64_t{});
}

inline constexpr std::size_t value_buffer_size = 48;

template <class T>
struct TypeOpsFor {
  static void copy(void* to, const void* from, std::pmr::memory_resource* memory) {
    construct<T>(to, memory, *static_cast<const T*>(from));
  }
  static void relocate(void* to, void* from) noexcept {
    ::new (to) T(std::move(*static_cast<T*>(from)));
    static_cast<T*>(from)->~T();
  }
  static void destroy(void* object) noexcept { static_cast<T*>(object)->~T(); }
  static bool equal(const void* a, const void* b) {
    return same_value(*static_cast<const T*>(a), *static_cast<const T*>(b));
  }
  static bool convert(void* to, const TypeOps& from_type, const void* from, std::pmr::memory_resource* memory) {
    if constexpr (integer<T>) {
      if (from_type.kind != Kind::signed_integer && from_type.kind != Kind::unsigned_integer) return false;
      return with_integer(from_type, from, [&](auto number) {
        if (!std::in_range<T>(number)) return false;
        construct<T>(to, memory, static_cast<T>(number));
        return true;
      });
    } else {
      if (from_type.kind != Kind::text) return false;
      construct<T>(to, memory, std::string_view(*static_cast<const std::string*>(from)));
      return true;
    }
  }
  static void write(const void* object, JsonWriter& writer) { codec<T>::write(writer, *static_cast<const T*>(object)); }
  static bool read(void* to, Reader& reader, std::pmr::memory_resource* memory) {
    struct Guard {
      T* object;
      ~Guard() {
        if (object) object->~T();
      }
    } guard{construct<T>(to, memory)};
    if (!codec<T>::read(reader, *guard.object)) return false;
    guard.object = nullptr;
    return true;
  }
  static consteval Kind kind() {
    if constexpr (integer<T>) {
      return std::is_signed_v<T> ? Kind::signed_integer : Kind::unsigned_integer;
    } else {
      return std::same_as<T, std::string> ? Kind::text : Kind::other;
    }
  }
  static consteval TypeOps make() {
    TypeOps ops{};
    static_cast<TypeIdentity&>(ops) = type_identity<T>();
    ops.size = sizeof(T);
    ops.align = alignof(T);
    ops.piece = Arena::size_class(sizeof(T), alignof(T));
    ops.kind = kind();
    ops.trivial = std::is_trivially_copyable_v<T>;
    ops.shareable = copyable<T> && isolated<T>;
    ops.fits_value =
        sizeof(T) <= value_buffer_size && alignof(T) <= alignof(void*) && std::is_nothrow_move_constructible_v<T>;
    if constexpr (copyable<T>) ops.copy = &copy;
    if constexpr (std::is_nothrow_move_constructible_v<T> && !std::is_trivially_copyable_v<T>) {
      ops.relocate = &relocate;
    }
    if constexpr (!std::is_trivially_destructible_v<T>) ops.destroy = &destroy;
    if constexpr (compare<T>) ops.equal = &equal;
    if constexpr (integer<T> || text<T>) ops.convert = &convert;
    if constexpr (writable<T>) ops.write = &write;
    if constexpr (readable<T> && std::default_initializable<T>) ops.read = &read;
    return ops;
  }
};

template <class T>
inline constexpr TypeOps type_ops = TypeOpsFor<T>::make();

}  // namespace atom::inline v0_1::detail
