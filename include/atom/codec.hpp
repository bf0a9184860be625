// How a value becomes text and comes back, whatever the format: `codec<T>::write(writer, value)` and
// `codec<T>::read(reader, value)`. There is one for bool, integers, floating point, text, optional, containers, maps
// with text keys, sets, std::array, pair, tuple, variant, durations, and for described structs and enums (fields.hpp).
// Containers are recognised by shape, so this includes none of their headers.
//
// For a type of your own, specialise it with the type's own header:
//
//   template <>
//   struct atom::codec<Money> {
//     static void write(auto& writer, const Money& money) { atom::codec<std::int64_t>::write(writer, money.cents); }
//     static bool read(atom::Reader& in, Money& money) { return atom::codec<std::int64_t>::read(in, money.cents); }
//   };
#pragma once

#include <atom/config.hpp>
#include <atom/detail/traits.hpp>
#include <atom/detail/type_identity.hpp>
#include <atom/fields.hpp>

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

namespace atom::inline v0_1 {

/// Something that values are read from. It stands at one value; every function answers false if that value is not what
/// was asked for, and then remembers what was expected, found, and where. Limits on sizes are the reader's business.
class Reader {
 public:
  using ReadMember = bool (*)(void* object, std::size_t index, Reader& reader);
  using ReadEntry = bool (*)(void* object, std::string_view key, Reader& reader);
  /// Which element it is, of how many.
  struct Place {
    std::size_t index;
    std::size_t count;
  };
  using ReadElement = bool (*)(void* object, Place place, Reader& reader);
  struct Names {
    const std::string_view* first;
    std::size_t count;
  };

  virtual bool boolean(bool& value) = 0;
  /// An integer from `least` to `most`; 1.5, 1e3 and "1" are none. `expected` names the type in the error.
  virtual bool integer(std::int64_t& value, std::int64_t least, std::int64_t most, std::string_view expected) = 0;
  virtual bool unsigned_integer(std::uint64_t& value, std::uint64_t most, std::string_view expected) = 0;
  virtual bool number(double& value) = 0;
  /// UTF-8, valid while the reader is.
  virtual bool text(std::string_view& value) = 0;
  virtual bool is_null() = 0;
  /// Calls `read` for each member that has one of `names`; others are skipped.
  virtual bool object(Names names, void* object, ReadMember read) = 0;
  /// Calls `read` for each member.
  virtual bool map(void* object, ReadEntry read) = 0;
  /// Calls `read` for each element.
  virtual bool array(void* object, ReadElement read) = 0;
  /// Answers false: the value is not what was expected. For a check that only the caller can make.
  virtual bool fail(std::string_view expected) = 0;

 protected:
  ~Reader() = default;
};

template <class T>
struct codec;

namespace detail {

enum class Shape : std::uint8_t {
  none,
  boolean,
  integer,
  number,
  text,
  enumeration,
  structure,
  duration,
  optional,
  map,
  set,
  sequence,
  array,
  tuple,
  variant,
  monostate,
};

/// The last part of the name of a type, "Circle" of "shapes::Circle"; nothing for an instance of a template.
consteval std::string_view last_name(std::string_view type) {
  if (type.find('<') != type.npos) return {};
  const std::size_t colons = type.rfind("::");
  return colons == type.npos ? type : type.substr(colons + 2);
}
template <class T>
concept text_like = std::is_class_v<T> && std::convertible_to<const T&, std::string_view>;
template <class T>
concept duration_like = requires(const T& t) {
  typename T::rep;
  typename T::period;
  { t.count() } -> std::same_as<typename T::rep>;
};
template <class T>
concept holds_optionally = requires(T& t, const T& c) {
  typename T::value_type;
  { c.has_value() } -> std::same_as<bool>;
  *c;
  t.reset();
};
template <class T>
concept range_like = requires(const T& c) {
  typename T::value_type;
  c.begin();
  c.end();
};
template <class T>
concept map_like = range_like<T> && requires {
  typename T::key_type;
  typename T::mapped_type;
} && std::convertible_to<const typename T::key_type&, std::string_view>;
template <class T>
concept set_like = range_like<T> && requires(T& t) {
  typename T::key_type;
  t.insert(std::declval<typename T::key_type&&>());
};
template <class T>
concept sequence_like = range_like<T> && requires(T& t) {
  t.clear();
  t.push_back(std::declval<typename T::value_type&&>());
};

template <class T>
consteval Shape shape_of();

template <class T>
concept writable = requires { requires !requires { codec<T>::none; }; };
template <class T>
concept readable = writable<T> && requires(Reader& reader, T& value) {
  { codec<T>::read(reader, value) } -> std::same_as<bool>;
};
template <class T>
concept all_writable = tuple_like<T> && []<std::size_t... I>(std::index_sequence<I...>) {
  return (writable<std::remove_cv_t<std::tuple_element_t<I, T>>> && ...);
}(std::make_index_sequence<std::tuple_size_v<T>>{});
template <class T>
concept all_readable = all_writable<T> && []<std::size_t... I>(std::index_sequence<I...>) {
  return (readable<std::remove_cv_t<std::tuple_element_t<I, T>>> && ...);
}(std::make_index_sequence<std::tuple_size_v<T>>{});
/// A variant of alternatives that have codecs.
template <class T>
struct VariantOf {
  static constexpr std::size_t size = 0;
  static constexpr bool is_writable = false, is_readable = false;
};
template <template <class...> class V, class... A>
  requires variant_like<V<A...>>
struct VariantOf<V<A...>> {
  static constexpr std::size_t size = sizeof...(A);
  static constexpr bool is_writable = (writable<A> && ...);
  static constexpr bool is_readable = (readable<A> && ...);
  template <std::size_t I>
  using Alternative = std::tuple_element_t<I, std::tuple<A...>>;
};

template <class T>
consteval Shape shape_of() {
  if constexpr (std::same_as<T, bool>) {
    return Shape::boolean;
  } else if constexpr (integer<T>) {
    return Shape::integer;
  } else if constexpr (std::same_as<T, float> || std::same_as<T, double>) {
    return Shape::number;
  } else if constexpr (std::is_enum_v<T>) {
    return described<T> ? Shape::enumeration : Shape::none;
  } else if constexpr (!std::is_class_v<T>) {
    return Shape::none;
  } else if constexpr (described<T>) {
    return Shape::structure;
  } else if constexpr (text_like<T>) {
    return Shape::text;
  } else if constexpr (duration_like<T>) {
    return writable<typename T::rep> ? Shape::duration : Shape::none;
  } else if constexpr (holds_optionally<T>) {
    return writable<typename T::value_type> ? Shape::optional : Shape::none;
  } else if constexpr (map_like<T>) {
    return writable<typename T::mapped_type> ? Shape::map : Shape::none;
  } else if constexpr (set_like<T>) {
    return writable<typename T::key_type> ? Shape::set : Shape::none;
  } else if constexpr (sequence_like<T>) {
    return writable<typename T::value_type> ? Shape::sequence : Shape::none;
  } else if constexpr (variant_like<T>) {
    return VariantOf<T>::is_writable ? Shape::variant : Shape::none;
  } else if constexpr (tuple_like<T>) {
    if constexpr (range_like<T>) {
      return writable<typename T::value_type> ? Shape::array : Shape::none;
    } else {
      return all_writable<T> ? Shape::tuple : Shape::none;
    }
  } else {
    return type_name<T>() == "std::monostate" ? Shape::monostate : Shape::none;
  }
}

/// What an alternative of a variant is called in text.
template <class T>
consteval std::string_view name_of() {
  if constexpr (requires { codec<T>::name; }) {
    return codec<T>::name;
  } else {
    return last_name(type_name<T>());
  }
}

template <class T, Shape = shape_of<T>()>
struct Codec {
  static constexpr bool none = true;
};

template <class T>
struct Codec<T, Shape::boolean> {
  static constexpr std::string_view name = "bool";
  static void write(auto& writer, const T& value) { writer.boolean(value); }
  static bool read(Reader& reader, T& value) { return reader.boolean(value); }
};

template <class T>
struct Codec<T, Shape::integer> {
  static constexpr bool is_signed = std::is_signed_v<T>;
  static constexpr std::size_t width = sizeof(T) == 1 ? 0 : sizeof(T) == 2 ? 1 : sizeof(T) == 4 ? 2 : 3;
  static constexpr std::string_view name = std::array<std::string_view, 8>{
      "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64"}[width + (is_signed ? 4 : 0)];
  static void write(auto& writer, const T& value) {
    if constexpr (is_signed) {
      writer.integer(value);
    } else {
      writer.unsigned_integer(value);
    }
  }
  static bool read(Reader& reader, T& value) {
    using Limits = std::numeric_limits<T>;
    if constexpr (is_signed) {
      std::int64_t wide = 0;
      if (!reader.integer(wide, (Limits::min)(), (Limits::max)(), name)) return false;
      value = static_cast<T>(wide);
    } else {
      std::uint64_t wide = 0;
      if (!reader.unsigned_integer(wide, (Limits::max)(), name)) return false;
      value = static_cast<T>(wide);
    }
    return true;
  }
};

template <class T>
struct Codec<T, Shape::number> {
  static constexpr std::string_view name = std::same_as<T, float> ? "float" : "double";
  static void write(auto& writer, const T& value) { writer.number(value); }
  static bool read(Reader& reader, T& value) {
    double wide = 0;
    if (!reader.number(wide)) return false;
    if constexpr (std::same_as<T, float>) {
      // The greatest float is written as 3.4028235e+38, which is a little more: what rounds to it is it.
      constexpr double most = (std::numeric_limits<float>::max)();
      constexpr double beyond = 0x1.ffffffp127;
      if (!(wide < beyond && wide > -beyond)) return reader.fail(name);
      wide = wide > most ? most : wide < -most ? -most : wide;
    }
    value = static_cast<T>(wide);
    return true;
  }
};

template <class T>
struct Codec<T, Shape::text> {
  static constexpr std::string_view name = "string";
  static void write(auto& writer, const T& value) { writer.text(std::string_view(value)); }
  static bool read(Reader& reader, T& value)
    requires requires(std::string_view text) { value.assign(text.data(), text.size()); }
  {
    std::string_view text;
    if (!reader.text(text)) return false;
    value.assign(text.data(), text.size());
    return true;
  }
};

template <class T>
struct Codec<T, Shape::monostate> {
  static constexpr std::string_view name = "null";
  static void write(auto& writer, const T&) { writer.null(); }
  static bool read(Reader& reader, T&) { return reader.is_null() || reader.fail("null"); }
};

template <class T>
struct Codec<T, Shape::enumeration> {
  static constexpr std::string_view name = last_name(type_name<T>());
  /// A value that has no enumerator is written as its number, which is not read back.
  static void write(auto& writer, const T& value) {
    const bool found = any_field<T>([&](const auto& enumerator) {
      if (enumerator.value != value) return false;
      writer.text(enumerator.name.name());
      return true;
    });
    if (!found) writer.integer(static_cast<std::int64_t>(value));
  }
  static bool read(Reader& reader, T& value) {
    std::string_view text;
    if (!reader.text(text)) return false;
    return any_field<T>([&](const auto& enumerator) {
             if (enumerator.name.name() != text) return false;
             value = enumerator.value;
             return true;
           }) ||
           reader.fail(name);
  }
};

/// Members that text does not have keep what they are.
template <class T>
struct Codec<T, Shape::structure> {
  static constexpr std::string_view name = last_name(type_name<T>());
  static void write(auto& writer, const T& value) {
    writer.begin_object();
    any_field<T>([&](const auto& field) {
      using Member = std::remove_cvref_t<decltype(value.*field.member)>;
      static_assert(writable<Member>,
                    "atom_fields names a member whose type has no codec: describe that type, or "
                    "specialise atom::codec for it");
      writer.template quoted_key<std::remove_cvref_t<decltype(field.name)>::quoted_size>(field.name.text);
      codec<Member>::write(writer, value.*field.member);
      return false;
    });
    writer.end_object();
  }
  static bool read(Reader& reader, T& value)
    requires std::default_initializable<T>
  {
    constexpr Reader::Names names{names_of<T>.data(), names_of<T>.size()};
    return reader.object(names, &value, &read_member);
  }

 private:
  static bool read_member(void* object, std::size_t index, Reader& reader) {
    static constexpr auto readers = []<std::size_t... I>(std::index_sequence<I...>) {
      return std::array<bool (*)(T&, Reader&), names_of<T>.size()>{&read_one<I>...};
    }(std::make_index_sequence<names_of<T>.size()>{});
    return readers[index](*static_cast<T*>(object), reader);
  }
  template <std::size_t I>
  static bool read_one(T& object, Reader& reader) {
    constexpr auto member = get_field<I>(fields_of<T>).member;
    using Member = std::remove_cvref_t<decltype(object.*member)>;
    static_assert(readable<Member>, "atom_fields names a member whose type cannot be read from text");
    return codec<Member>::read(reader, object.*member);
  }
};

/// Its count.
template <class T>
struct Codec<T, Shape::duration> {
  static constexpr std::string_view name = "duration";
  static void write(auto& writer, const T& value) { codec<typename T::rep>::write(writer, value.count()); }
  static bool read(Reader& reader, T& value) {
    typename T::rep count{};
    if (!codec<typename T::rep>::read(reader, count)) return false;
    value = T(count);
    return true;
  }
};

/// Null, or what it holds.
template <class T>
struct Codec<T, Shape::optional> {
  using Held = typename T::value_type;
  static_assert(!holds_optionally<Held>, "an optional of an optional has no codec: null would mean either");
  static constexpr std::string_view name = "optional";
  static void write(auto& writer, const T& value) {
    if (value.has_value()) {
      codec<Held>::write(writer, *value);
    } else {
      writer.null();
    }
  }
  static bool read(Reader& reader, T& value)
    requires(readable<Held> && std::default_initializable<Held>)
  {
    if (reader.is_null()) {
      value.reset();
      return true;
    }
    return codec<Held>::read(reader, value.emplace());
  }
};

template <class T>
struct Codec<T, Shape::map> {
  using Mapped = typename T::mapped_type;
  static constexpr std::string_view name = "map";
  static void write(auto& writer, const T& value) {
    writer.begin_object();
    for (const auto& [key, mapped] : value) {
      writer.key(std::string_view(key));
      codec<Mapped>::write(writer, mapped);
    }
    writer.end_object();
  }
  static bool read(Reader& reader, T& value)
      // Readable: it owns its text. A view would refer to the text that is read, which goes.
    requires(readable<Mapped> && std::default_initializable<Mapped> && readable<typename T::key_type> &&
             std::constructible_from<typename T::key_type, std::string_view>)
  {
    value.clear();
    return reader.map(&value, [](void* object, std::string_view key, Reader& in) {
      Mapped mapped{};
      if (!codec<Mapped>::read(in, mapped)) return false;
      static_cast<T*>(object)->emplace(typename T::key_type(key), std::move(mapped));
      return true;
    });
  }
};

/// For containers into which an element goes when it is read. What they differ in is how it is added.
template <class T, class Element, class Add>
bool read_elements(Reader& reader, T& value, Add) {
  value.clear();
  return reader.array(&value, [](void* object, Reader::Place, Reader& in) {
    Element element{};
    if (!codec<Element>::read(in, element)) return false;
    Add()(*static_cast<T*>(object), std::move(element));
    return true;
  });
}
template <class Element>
void write_elements(auto& writer, const auto& value) {
  writer.begin_array();
  for (const auto& element : value) codec<Element>::write(writer, static_cast<const Element&>(element));
  writer.end_array();
}

template <class T>
struct Codec<T, Shape::set> {
  using Element = typename T::key_type;
  static constexpr std::string_view name = "set";
  static void write(auto& writer, const T& value) { write_elements<Element>(writer, value); }
  static bool read(Reader& reader, T& value)
    requires(readable<Element> && std::default_initializable<Element>)
  {
    return read_elements<T, Element>(reader, value, [](T& set, Element&& e) { set.insert(std::move(e)); });
  }
};
template <class T>
struct Codec<T, Shape::sequence> {
  using Element = typename T::value_type;
  static constexpr std::string_view name = "array";
  static void write(auto& writer, const T& value) { write_elements<Element>(writer, value); }
  static bool read(Reader& reader, T& value)
    requires(readable<Element> && std::default_initializable<Element>)
  {
    if constexpr (requires {
                    { value.emplace_back() } -> std::same_as<Element&>;
                  }) {
      value.clear();
      return reader.array(&value, [](void* object, Reader::Place place, Reader& in) {
        T& sequence = *static_cast<T*>(object);
        if constexpr (requires { sequence.reserve(place.count); }) {
          if (place.index == 0) sequence.reserve(place.count < reserved_at_most ? place.count : reserved_at_most);
        }
        return codec<Element>::read(in, sequence.emplace_back());
      });
    } else {
      return read_elements<T, Element>(reader, value,
                                       [](T& sequence, Element&& e) { sequence.push_back(std::move(e)); });
    }
  }

 private:
  /// Elements for which there is room from the start: not as many as a stranger's text claims, before one was read.
  static constexpr std::size_t reserved_at_most = 4096 / sizeof(Element) + 1;
};

/// Reads an array of exactly `Size` elements, with `read_at(value, index, reader)`.
template <std::size_t Size, class T, class ReadAt>
bool read_exactly(Reader& reader, T& value, ReadAt) {
  struct Target {
    T& value;
    std::size_t count = 0;
  } target{value};
  const auto read_element = [](void* object, Reader::Place place, Reader& in) {
    Target& t = *static_cast<Target*>(object);
    if (place.index >= Size) return in.fail("the end of the array");
    ++t.count;
    return ReadAt()(t.value, place.index, in);
  };
  return reader.array(&target, read_element) && (target.count == Size || reader.fail("a longer array"));
}

/// std::array.
template <class T>
struct Codec<T, Shape::array> {
  using Element = typename T::value_type;
  static constexpr std::string_view name = "array";
  static void write(auto& writer, const T& value) { write_elements<Element>(writer, value); }
  static bool read(Reader& reader, T& value)
    requires readable<Element>
  {
    return read_exactly<std::tuple_size_v<T>>(
        reader, value, [](T& array, std::size_t index, Reader& in) { return codec<Element>::read(in, array[index]); });
  }
};

/// Pair and tuple.
template <class T>
struct Codec<T, Shape::tuple> {
  static constexpr std::string_view name = "tuple";
  static constexpr std::size_t size = std::tuple_size_v<T>;
  static void write(auto& writer, const T& value) {
    writer.begin_array();
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      (codec<std::remove_cv_t<std::tuple_element_t<I, T>>>::write(writer, get_element<I>(value)), ...);
    }(std::make_index_sequence<size>{});
    writer.end_array();
  }
  static bool read(Reader& reader, T& value)
    requires all_readable<T>
  {
    return read_exactly<size>(reader, value, [](T& tuple, std::size_t index, Reader& in) {
      return read_at(tuple, index, in, std::make_index_sequence<size>{});
    });
  }

 private:
  template <std::size_t I, class U>
  static auto& get_element(U& value) {
    using std::get;
    return get<I>(value);
  }
  template <std::size_t... I>
  static bool read_at(T& value, std::size_t index, Reader& reader, std::index_sequence<I...>) {
    return ((index == I && codec<std::remove_cv_t<std::tuple_element_t<I, T>>>::read(reader, get_element<I>(value))) ||
            ...);
  }
};

/// An object of one member, whose name says which alternative it is: {"Circle": {"radius": 1}}.
template <class T>
struct Codec<T, Shape::variant> {
  static constexpr std::string_view name = "variant";
  static constexpr std::size_t size = VariantOf<T>::size;
  template <std::size_t I>
  using Alternative = typename VariantOf<T>::template Alternative<I>;
  static constexpr auto names = []<std::size_t... I>(std::index_sequence<I...>) {
    return std::array<std::string_view, size>{name_of<Alternative<I>>()...};
  }(std::make_index_sequence<size>{});

  static void write(auto& writer, const T& value) {
    require_names();
    if (value.valueless_by_exception()) return writer.null();
    writer.begin_object();
    writer.key(names[value.index()]);
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      ((value.index() == I ? write_as<I>(writer, value) : void()), ...);
    }(std::make_index_sequence<size>{});
    writer.end_object();
  }
  static bool read(Reader& reader, T& value)
    requires VariantOf<T>::is_readable
  {
    require_names();
    struct Target {
      T& value;
      std::size_t count = 0;
    } target{value};
    const auto read_entry = [](void* object, std::string_view key, Reader& in) {
      Target& t = *static_cast<Target*>(object);
      if (t.count++ > 0) return in.fail("one alternative");
      return read_as(t.value, key, in, std::make_index_sequence<size>{});
    };
    return reader.map(&target, read_entry) && (target.count == 1 || reader.fail("one alternative"));
  }

 private:
  static consteval void require_names() {
    for (std::size_t i = 0; i < size; ++i) {
      if (names[i].empty()) throw "an alternative is a template, and has no plain name: specialise atom::codec for it";
      for (std::size_t j = 0; j < i; ++j) {
        if (names[i] == names[j])
          throw "two alternatives have one name in text: specialise atom::codec for the variant";
      }
    }
  }
  template <std::size_t I>
  static void write_as(auto& writer, const T& value) {
    using std::get;
    codec<Alternative<I>>::write(writer, get<I>(value));
  }
  template <std::size_t... I>
  static bool read_as(T& value, std::string_view key, Reader& reader, std::index_sequence<I...>) {
    bool known = false;
    bool done = false;
    ((key == names[I] && (known = true, done = codec<Alternative<I>>::read(reader, value.template emplace<I>()))) ||
     ...);
    return known ? done : reader.fail("the name of an alternative");
  }
};

}  // namespace detail

/// See the top of this file. `codec<T>::none` exists where a T has none.
template <class T>
struct codec : detail::Codec<T> {};

}  // namespace atom::inline v0_1
