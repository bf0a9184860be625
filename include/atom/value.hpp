// A value whose type is only known when the program runs. Snapshots are made of these.
// Small values lie in the object itself; what a template declares as its default is referred to, not copied.
#pragma once

#include <atom/config.hpp>
#include <atom/detail/encoded.hpp>
#include <atom/detail/type_ops.hpp>
#include <atom/error.hpp>
#include <atom/fwd.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace atom::inline v0_1 {

namespace detail {
class Judgement;
class Layers;
struct Place;
template <class V>
V value_at(const Place& place, V fallback);
}  // namespace detail

/// Holds one value of any copyable type, or none. What it holds does not change, but by assigning another Value. Two
/// Values may be read from two threads at once; one Value may be, while nobody assigns to it.
class Value {
 public:
  /// Holds nothing.
  Value() noexcept {}  // not defaulted: `Value{}` must not zero the buffer

  /// Holds a copy of `value` (or what it was moved from). Text that it would only refer to (a literal, a
  /// std::string_view) is held as a std::string.
  template <class T>
    requires(!std::same_as<std::remove_cvref_t<T>, Value>)
  Value(T&& value) {
    using Decayed = std::decay_t<T>;
    constexpr bool is_text =
        std::same_as<Decayed, const char*> || std::same_as<Decayed, char*> || std::same_as<Decayed, std::string_view>;
    using Held = std::conditional_t<is_text, std::string, Decayed>;
    static_assert(detail::copyable<Held>, "atom::Value holds copyable types only");
    if constexpr (detail::copyable<Held>) hold<Held>(std::forward<T>(value));
  }

  Value(const Value& other) { copy(other); }
  Value(Value&& other) noexcept { steal(other); }
  Value& operator=(Value other) noexcept {
    reset();
    steal(other);
    return *this;
  }
  ~Value() { reset(); }

  bool has_value() const noexcept { return type_; }

  /// The name of the type that is held, or "nothing".
  std::string_view type_name() const noexcept { return type_ ? type_->name : std::string_view("nothing"); }

  /// Whether `write` can write what is held.
  bool has_codec() const noexcept { return type_ && type_->write; }
  /// Writes what is held, with the codec of its type.
  void write(detail::JsonWriter& writer) const {
    if (!has_codec()) throw TypeMismatch(std::string(type_name()) + " has no codec");
    type_->write(data(), writer);
  }

  /// The value, if it is exactly a T, else null.
  template <class T>
  const T* try_get() const noexcept {
    return is(detail::type_ops<T>) ? static_cast<const T*>(data()) : nullptr;
  }

  /// The value; throws TypeMismatch if it is not exactly a T.
  template <class T>
  const T& get() const {
    if (const T* value = try_get<T>()) return *value;
    wrong_type(detail::type_ops<T>);
  }

  /// The value as a T where it is one, or an integer that fits in T, or text for a string T, or JSON that reads as a T;
  /// else nothing.
  template <class T>
  std::optional<T> to() const {
    if (const T* value = try_get<T>()) return *value;
    if constexpr (detail::copyable<T>) {
      DecodeError error;
      if (Value converted = convert(detail::type_ops<T>, error); converted.has_value()) return converted.get<T>();
    }
    return std::nullopt;
  }

  /// Whether both hold equal values of the same type, or both hold nothing. Values of a type without `==` are not
  /// equal.
  friend bool operator==(const Value& a, const Value& b) {
    if (!a.type_ || !b.type_) return a.type_ == b.type_;
    return a.type_->same_type(*b.type_) && a.type_->equal && a.type_->equal(a.data(), b.data());
  }

 private:
  friend class AtomStore;
  template <class>
  friend class Atom;
  friend class detail::Judgement;
  friend class detail::Layers;
  friend class detail::SessionHook;
  template <class V>
  friend V detail::value_at(const detail::Place& place, V fallback);
  enum class Place : std::uint8_t { inside, heap, elsewhere };

  bool is(const detail::TypeOps& type) const noexcept { return type_ && type_->same_type(type); }

  // Into an empty Value:

  /// An object that is never changed and outlives every Value: a template's default.
  void refer_to(const detail::TypeOps& type, const void* object) noexcept {
    point_to(object);
    place_ = Place::elsewhere;
    type_ = &type;
  }
  void copy_from(const detail::TypeOps& type, const void* object) {
    fill(type, [&](void* place) { type.copy(place, object, nullptr); });
  }
  /// Empty if what is held does not convert; where it is text, the error says why.
  Value convert(const detail::TypeOps& to, DecodeError& error,
                detail::MapKeys map_keys = detail::MapKeys::named) const {
    Value value;
    if (!type_) return value;
    if (const auto* const encoded = try_get<detail::Encoded>()) {
      if (to.read) {
        value.fill(to, [&](void* place) { return encoded->decode(to, place, nullptr, error, map_keys); });
      } else {
        error = {{}, std::string(to.name) + ", which has no codec", {}};
      }
    } else if (to.convert) {
      value.fill(to, [&](void* place) { return to.convert(place, *type_, data(), nullptr); });
    }
    return value;
  }

  template <class T, class Arg>
  void hold(Arg&& arg) {
    fill(detail::type_ops<T>, [&](void* place) { ::new (place) T(std::forward<Arg>(arg)); });
  }
  /// Finds room for an object and has it built there; `build` may answer false: then nothing is held.
  template <class Build>
  void fill(const detail::TypeOps& type, Build build) {
    const auto built = [&](void* place) {
      if constexpr (std::is_void_v<std::invoke_result_t<Build&, void*>>) {
        build(place);
        return true;
      } else {
        return build(place);
      }
    };
    if (type.fits_value) {
      place_ = Place::inside;
      if (built(buffer_)) type_ = &type;
      return;
    }
    struct Memory {
      const detail::TypeOps& type;
      void* place;
      ~Memory() {
        if (place) deallocate(type, place);
      }
    } memory{type, allocate(type)};
    if (!built(memory.place)) return;
    point_to(std::exchange(memory.place, nullptr));
    place_ = Place::heap;
    type_ = &type;
  }

  void copy(const Value& other) {
    if (!other.type_) return;
    if (other.place_ == Place::elsewhere) {
      refer_to(*other.type_, other.data());
    } else {
      copy_from(*other.type_, other.data());
    }
  }
  void steal(Value& other) noexcept {
    type_ = std::exchange(other.type_, nullptr);
    if (!type_) return;
    place_ = other.place_;
    if (place_ == Place::inside && type_->relocate) {
      type_->relocate(buffer_, other.buffer_);
    } else {
      std::memcpy(buffer_, other.buffer_, place_ == Place::inside ? type_->size : sizeof(void*));
    }
  }
  void reset() noexcept {
    if (!type_ || place_ == Place::elsewhere) return;
    if (place_ == Place::heap) return free_heap();
    type_->clear(buffer_);
    type_ = nullptr;
  }
  ATOM_NOINLINE void free_heap() noexcept {
    void* const object = const_cast<void*>(data());
    type_->clear(object);
    deallocate(*type_, object);
    type_ = nullptr;
  }

  const void* data() const noexcept {
    if (place_ == Place::inside) return buffer_;
    const void* object;
    std::memcpy(&object, buffer_, sizeof object);
    return object;
  }
  void point_to(const void* object) noexcept { std::memcpy(buffer_, &object, sizeof object); }

  static void* allocate(const detail::TypeOps& type) {
    if (type.align <= __STDCPP_DEFAULT_NEW_ALIGNMENT__) return ::operator new(type.size);
    return ::operator new(type.size, std::align_val_t(type.align));
  }
  static void deallocate(const detail::TypeOps& type, void* place) noexcept {
    if (type.align <= __STDCPP_DEFAULT_NEW_ALIGNMENT__) return ::operator delete(place);
    ::operator delete(place, std::align_val_t(type.align));
  }
  [[noreturn]] ATOM_COLD void wrong_type(const detail::TypeOps& wanted) const {
    throw TypeMismatch("a value was asked for as " + std::string(wanted.name) + ", but it holds " +
                       std::string(type_name()));
  }

  const detail::TypeOps* type_ = nullptr;
  alignas(void*) std::byte buffer_[detail::value_buffer_size];
  Place place_ = Place::inside;
};

}  // namespace atom::inline v0_1
