// The members of a struct, by name: what text, text paths and databases need to know of it. It stands in the class, as
// `static constexpr auto atom_fields()`, so that no order of headers can make two translation units disagree:
//
//   struct User {
//     std::string name;
//     int age = 0;
//     static constexpr auto atom_fields() {
//       return atom::describe(atom::field("name", &User::name), atom::field("age", &User::age));
//     }
//   };
//
// For a type of somebody else's, and for an enum, specialise `atom::fields`, in the header of the type itself:
//
//   template <>
//   inline constexpr auto atom::fields<Color> =
//       atom::describe(atom::enumerator("red", Color::red), atom::enumerator("blue", Color::blue));
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <string_view>
#include <type_traits>
#include <utility>

namespace atom::inline v0_1 {

namespace detail {

/// A name in quotes and with a colon, as JSON has it, made when it is compiled: `"name":`. Plain ASCII that needs no
/// escaping anywhere, 1 to 58 characters.
template <std::size_t N>
struct QuotedName {
  char text[N + 3] = {};
  consteval explicit QuotedName(const char (&name)[N]) {
    static_assert(N >= 2 && N <= 59, "the name of a field has 1 to 58 characters");
    text[0] = '"';
    for (std::size_t i = 0; i + 1 < N; ++i) {
      const char c = name[i];
      if (c < 0x20 || c > 0x7e || std::string_view("\"\\<>&'.").find(c) != std::string_view::npos) {
        throw "the name of a field is plain ASCII, without quotes, backslash, <, >, & and dot";
      }
      text[i + 1] = c;
    }
    text[N] = '"';
    text[N + 1] = ':';
  }
  static constexpr std::size_t quoted_size = N + 2;
  constexpr std::string_view name() const noexcept { return {text + 1, N - 1}; }
};

template <class C, class M, std::size_t N>
struct Field {
  QuotedName<N> name;
  M C::* member;
};
template <class E, std::size_t N>
struct Enumerator {
  QuotedName<N> name;
  E value;
};

template <std::size_t I, class F>
struct Leaf {
  F field;
};
template <class Indices, class... F>
struct FieldsOf;
template <std::size_t... I, class... F>
struct FieldsOf<std::index_sequence<I...>, F...> : Leaf<I, F>... {
  static constexpr std::size_t size = sizeof...(F);
  constexpr std::array<std::string_view, size> names() const noexcept {
    return {static_cast<const Leaf<I, F>&>(*this).field.name.name()...};
  }
};
template <std::size_t I, class F>
constexpr const F& get_field(const Leaf<I, F>& leaf) noexcept {
  return leaf.field;
}

struct NoFields {};

}  // namespace detail

/// A member, under the name that it has in text.
template <class C, class M, std::size_t N>
  requires std::is_object_v<M>
consteval auto field(const char (&name)[N], M C::* member) {
  return detail::Field<C, M, N>{detail::QuotedName<N>(name), member};
}
/// A value of an enum, under the name that it has in text.
template <class E, std::size_t N>
  requires std::is_enum_v<E>
consteval auto enumerator(const char (&name)[N], E value) {
  return detail::Enumerator<E, N>{detail::QuotedName<N>(name), value};
}
/// All fields of a struct, or all enumerators of an enum: at most 64, with different names.
template <class... F>
consteval auto describe(F... fields) {
  static_assert(sizeof...(F) <= 64, "a description has at most 64 fields");
  const detail::FieldsOf<std::index_sequence_for<F...>, F...> all{{fields}...};
  const auto names = all.names();
  for (std::size_t i = 0; i < names.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (names[i] == names[j]) throw "two fields have the same name";
    }
  }
  return all;
}

/// Specialised for types that cannot have a static member function `atom_fields`.
template <class T>
inline constexpr detail::NoFields fields{};

namespace detail {

template <class T>
concept describes_itself = requires { T::atom_fields(); };
template <class T>
concept described_outside = !std::same_as<std::remove_cv_t<decltype(fields<T>)>, NoFields>;

template <class T>
inline constexpr auto fields_of = fields<T>;
template <describes_itself T>
inline constexpr auto fields_of<T> = T::atom_fields();
/// In the order of the description.
template <class T>
inline constexpr auto names_of = fields_of<T>.names();

/// Calls `visit(field)` for each field or enumerator, until one answers true. Whether one did.
template <class T, class Visit>
constexpr bool any_field(Visit visit) {
  return [&]<std::size_t... I>(std::index_sequence<I...>) {
    return (visit(get_field<I>(fields_of<T>)) || ...);
  }(std::make_index_sequence<names_of<T>.size()>{});
}

}  // namespace detail

/// A struct or an enum that has fields.
template <class T>
concept described = detail::describes_itself<T> || detail::described_outside<T>;

}  // namespace atom::inline v0_1
