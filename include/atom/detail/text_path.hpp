// Where a text path leads: "address.city", "items.2.name". It walks described members, the elements of sequences by
// index, and the entries of maps by key. An optional is what it holds, and nothing when it is empty.
#pragma once

#include <atom/codec.hpp>
#include <atom/detail/type_ops.hpp>
#include <atom/fields.hpp>
#include <atom/value.hpp>

#include <charconv>
#include <cstddef>
#include <optional>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>

namespace atom::inline v0_1::detail {

/// A part of a value, or nothing.
struct Place {
  const TypeOps* type = nullptr;
  const void* object = nullptr;
};

/// Whether a text path can lead into a T.
template <class T>
inline constexpr bool has_paths = [] {
  constexpr Shape shape = shape_of<T>();
  return shape == Shape::structure || shape == Shape::map || shape == Shape::sequence || shape == Shape::array ||
         shape == Shape::optional;
}();

/// An index is plain digits, without a sign or a zero in front.
inline bool read_index(std::string_view text, std::size_t& index) noexcept {
  if (text.empty() || (text.size() > 1 && text[0] == '0')) return false;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), index);
  return error == std::errc() && end == text.data() + text.size();
}

template <class T>
Place follow_path(const T& value, std::string_view path);

/// Where `rest` leads from what is called `step` in the value.
template <class T>
Place follow_step(const T& value, std::string_view step, std::string_view rest) {
  constexpr Shape shape = shape_of<T>();
  Place found;
  if constexpr (shape == Shape::structure) {
    any_field<T>([&](const auto& field) {
      if (field.name.name() != step) return false;
      found = follow_path(value.*field.member, rest);
      return true;
    });
  } else if constexpr (shape == Shape::map) {
    for (const auto& [key, mapped] : value) {
      if (std::string_view(key) == step) return follow_path(mapped, rest);
    }
  } else {
    std::size_t index;
    if (!read_index(step, index)) return {};
    for (auto&& element : value) {
      if (index-- > 0) continue;
      if constexpr (std::is_same_v<typename T::value_type, bool>) {
        static constexpr bool values[] = {false, true};  // a vector of bool has none that could be pointed to
        found = follow_path(values[element ? 1 : 0], rest);
      } else if constexpr (std::is_lvalue_reference_v<decltype(element)>) {
        found = follow_path(element, rest);
      }
      break;
    }
  }
  return found;
}

template <class T>
Place follow_path(const T& value, std::string_view path) {
  if constexpr (shape_of<T>() == Shape::optional) {
    return value.has_value() ? follow_path(*value, path) : Place{};
  } else {
    if (path.empty()) return {&type_ops<T>, &value};
    if constexpr (has_paths<T>) {
      const std::size_t dot = path.find('.');
      if (dot == path.npos) return follow_step(value, path, {});
      if (dot + 1 < path.size()) return follow_step(value, path.substr(0, dot), path.substr(dot + 1));
    }
    return {};
  }
}

/// What was found, as a V; `fallback` if that is nothing. Throws TypeMismatch if it is something else.
template <class V>
V value_as(const Value& found, V fallback) {
  if (!found.has_value()) return fallback;
  if (std::optional<V> v = found.to<V>()) return *std::move(v);
  return found.get<V>();
}
template <class V>
V value_at(const Place& place, V fallback) {
  Value found;
  if (place.type) found.refer_to(*place.type, place.object);
  return value_as<V>(found, std::move(fallback));
}

}  // namespace atom::inline v0_1::detail
