// What the states of random commands are called, what is in them, and the equations that are applied to them.
#pragma once

#include <atom/atom.hpp>
#include <atom/fields.hpp>
#include <atom/json.hpp>
#include <atom/state/any_equation.hpp>
#include <atom/state/equation.hpp>
#include <atom/state/number.hpp>
#include <atom/state/scope.hpp>
#include <atom/state/session.hpp>
#include <atom/state/state.hpp>

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "support/equations.hpp"

namespace fuzz {

struct Poll {
  std::int64_t up = 0;
  std::int64_t down = 0;
  double share = 0;
  std::string title;
  std::vector<std::string> voters;
  bool operator==(const Poll&) const = default;
  static constexpr auto atom_fields() {
    return atom::describe(atom::field("up", &Poll::up), atom::field("down", &Poll::down),
                          atom::field("share", &Poll::share), atom::field("title", &Poll::title),
                          atom::field("voters", &Poll::voters));
  }
};

// ---- Types

using Types = std::tuple<std::int64_t, double, std::string, std::vector<int>, support::Figures, Poll,
                         std::optional<std::int64_t>>;
inline constexpr std::size_t type_count = std::tuple_size_v<Types>;

/// Calls `f.operator()<T>()` with the type of this number.
template <std::size_t I = 0, class F>
decltype(auto) with_type(std::size_t type, F&& f) {
  if constexpr (I + 1 < type_count) {
    if (type != I) return with_type<I + 1>(type, std::forward<F>(f));
  }
  return f.template operator()<std::tuple_element_t<I, Types>>();
}

// ---- Names

struct Key {
  std::string_view text;
  std::size_t type;
  /// It is an atom's as well, and other stores write it. Else its states have labels and defaults at random, which hold
  /// for the store that was told them.
  bool is_shared;
};
inline constexpr std::array<Key, 18> keys{{
    {"number", 0, true},
    {"a:b", 0, true},
    {"a%3Ab", 0, false},
    {"real", 1, true},
    {".", 1, false},
    {"'; drop table atom_state; --", 2, true},
    {"$global", 2, false},
    {"list", 3, true},
    {"\xc3\xa9", 3, false},
    {"e\xcc\x81", 3, true},
    {"{a}", 4, true},
    {"__proto__", 4, false},
    {"poll", 5, true},
    {"\\", 5, false},
    {"a b", 5, true},
    {"%", 6, true},
    {" ", 6, false},
    {"\xf0\x9f\x98\x80", 0, false},
}};
inline const std::vector<std::string>& bad_keys() {
  using namespace std::string_literals;
  static const std::vector<std::string> all{""s,     "\0"s,           "a\0b"s, "\n"s,
                                            "\x7f"s, "\xed\xa0\x80"s, "\xff"s, std::string(257, 'k')};
  return all;
}

inline const std::string client_id = "1:2.3";
/// Some lie below others, or beside them.
inline const std::vector<atom::Scope>& scopes() {
  static const std::vector<atom::Scope> all{atom::Scope::global(),
                                            atom::Scope{"a"},
                                            atom::Scope{"a.b"},
                                            atom::Scope{"a-b"},
                                            atom::Scope{"a"} / "\xff.'\"",
                                            atom::Scope::component("menu"),
                                            atom::Scope::client(client_id),
                                            atom::Scope::client(client_id) / "a",
                                            atom::Scope::client("$global"),
                                            atom::Scope::user("alice"),
                                            atom::Scope::user("alice") / "a"};
  return all;
}

/// What a state is without a value, unless it is drawn.
template <class T>
T usual_default() {
  if constexpr (std::same_as<T, std::int64_t>) {
    return 5;
  } else if constexpr (std::same_as<T, std::string>) {
    return "none";
  } else if constexpr (std::same_as<T, Poll>) {
    return {.title = "?", .voters = {"ann"}};
  } else {
    return {};
  }
}
/// The atom of a key that is shared.
template <class T>
const atom::Atom<T>& atom_of(const Key& key) {
  static const auto all = [] {
    std::array<std::unique_ptr<const atom::Atom<T>>, keys.size()> made;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      const bool is_one =
          keys[i].is_shared && with_type(keys[i].type, []<class Other>() { return std::same_as<T, Other>; });
      if (is_one) made[i] = std::make_unique<const atom::Atom<T>>(std::string(keys[i].text), usual_default<T>());
    }
    return made;
  }();
  return *all[static_cast<std::size_t>(&key - keys.data())];
}

// ---- Values

using support::EdgeNumbers;

inline std::string random_text(EdgeNumbers& random) {
  using namespace std::string_literals;
  static const std::array<std::string, 10> texts{""s,
                                                 "a"s,
                                                 "\"quotes\" 'too' \\ / %"s,
                                                 "\n\t\x01\0 end"s,
                                                 "<&>"s,
                                                 "\xe2\x82\xac"s,
                                                 "\xf0\x9f\x98\x80"s,
                                                 "\xe2\x80\xa8"s,
                                                 "{\"a\":"s,
                                                 "1e5"s};
  std::string text = texts[random.below(texts.size())];
  if (random.below(20) == 0) text.append(random.below(3000), 'x');
  return text;
}
template <class T>
T random_value(EdgeNumbers& random) {
  if constexpr (atom::detail::number<T>) {
    return random.next<T>();
  } else if constexpr (std::same_as<T, std::string>) {
    return random_text(random);
  } else if constexpr (std::same_as<T, std::vector<int>>) {
    std::vector<int> all(random.below(5));
    for (int& each : all) each = random.next<int>();
    return all;
  } else if constexpr (std::same_as<T, support::Figures>) {
    return support::FieldOf<support::Count>::random(random);
  } else if constexpr (std::same_as<T, Poll>) {
    Poll poll{random.next<std::int64_t>(), random.next<std::int64_t>(), random.next<double>(), random_text(random), {}};
    for (std::size_t i = random.below(3); i > 0; --i) poll.voters.push_back(random_text(random));
    return poll;
  } else {
    return random.below(3) == 0 ? T() : T(random.next<std::int64_t>());
  }
}
/// A long one in part.
template <class T>
std::string show(const T& value) {
  std::string text = atom::to_json(value);
  if (text.size() > 300) {
    text = text.substr(0, 100) + "... (" + std::to_string(text.size()) + " bytes, " +
           std::to_string(std::hash<std::string>()(text)) + ")";
  }
  return text;
}

// ---- Equations

template <class T>
struct Equation {
  std::string text;
  std::function<atom::StateResult<T>(atom::State<T>&, bool without_blocking)> apply;
  std::function<void(atom::Session&, const atom::Atom<T>&, const atom::AnyScope&)> apply_in;
};
inline std::string text_of(const atom::AnyEquation& equation) {
  std::string text;
  for (std::size_t i = 0; i < equation.size(); ++i) {
    const atom::EquationPart part = equation[i];
    if (i > 0) text += "; ";
    for (const std::string_view name : part.target()) text += std::string(name) + ": ";
    text += part.shape->text();
    for (std::size_t k = 0; k < part.shape->constants(); ++k) {
      const atom::Number number = part.constants[k];
      text += " k=" + (number.kind() == atom::NumberKind::f64   ? show(number.real())
                       : number.kind() == atom::NumberKind::u64 ? show(number.uint64())
                                                                : show(number.int64()));
    }
  }
  return text;
}
template <class T, class E>
Equation<T> equation_of(E e) {
  return {text_of(atom::AnyEquation::of<T>(e)),
          [e](atom::State<T>& state, bool without_blocking) {
            return without_blocking ? state.try_apply_async(e).wait() : state.try_apply(e);
          },
          [e](atom::Session& session, const atom::Atom<T>& atom, const atom::AnyScope& scope) {
            session.apply(atom, scope, e);
          }};
}

template <class T>
inline constexpr bool has_equations = !std::same_as<T, std::string> && !std::same_as<T, std::optional<std::int64_t>>;

/// Equations of all types.
class AnyEquations {
 public:
  explicit AnyEquations(std::uint64_t seed) : integers_(seed), doubles_(seed), random_(seed + 1) {}

  template <class T>
    requires has_equations<T>
  Equation<T> next() {
    if constexpr (std::same_as<T, std::int64_t>) {
      return drawn<T>(integers_);
    } else if constexpr (std::same_as<T, double>) {
      return drawn<T>(doubles_);
    } else if constexpr (std::same_as<T, support::Figures>) {
      using support::Figures;
      switch (random_.below(4)) {
        case 0:
          return equation_of<T>(atom::at(&Figures::small) + random_.next<std::int32_t>());
        case 1:
          return equation_of<T>(atom::at(&Figures::large) = atom::at(&Figures::count) / random_.next<std::int64_t>());
        case 2:
          return equation_of<T>(atom::all(atom::at(&Figures::count) - random_.next<std::int64_t>(),
                                          atom::at(&Figures::small) = 7, atom::at(&Figures::single) / 3));
        default:
          return equation_of<T>(atom::all(atom::at(&Figures::large) = atom::at(&Figures::count) * 2,
                                          atom::at(&Figures::count) = atom::at(&Figures::large) % 1000));
      }
    } else {
      return harmless<T>();
    }
  }
  /// One that is an error for no value.
  template <class T>
    requires has_equations<T>
  Equation<T> harmless() {
    if constexpr (atom::detail::number<T>) {
      const T bound = random_.next<T>();
      return random_.below(2) ? equation_of<T>(atom::max(atom::current, bound))
                              : equation_of<T>(atom::min(atom::current, bound));
    } else if constexpr (std::same_as<T, std::vector<int>>) {
      return equation_of<T>(atom::append(random_.next<int>()));
    } else if constexpr (std::same_as<T, support::Figures>) {
      return equation_of<T>(atom::at(&support::Figures::real) = random_.next<double>());
    } else {
      const std::string text = random_text(random_);
      switch (random_.below(4)) {
        case 0:
          return equation_of<T>(atom::at(&Poll::title) = text);
        case 1:
          return equation_of<T>(atom::at(&Poll::voters).append(text));
        case 2:
          return equation_of<T>(
              atom::all(atom::at(&Poll::up) = atom::at(&Poll::down), atom::at(&Poll::voters).append(text)));
        default:
          return equation_of<T>(atom::all(atom::at(&Poll::title) = text, atom::at(&Poll::share) = 0.1,
                                          atom::at(&Poll::down) = atom::max(atom::at(&Poll::up), 3)));
      }
    }
  }

 private:
  template <class T>
  Equation<T> drawn(auto& equations) {
    std::optional<Equation<T>> made;
    auto visit = [&](const auto& equation, const T&) { made = equation_of<T>(equation); };
    equations.next(visit);
    return *std::move(made);
  }

  support::RandomEquations<support::Value<std::int64_t>> integers_;
  support::RandomEquations<support::Value<double>> doubles_;
  EdgeNumbers random_;
};

/// What an update makes of a value.
template <class T>
T changed(T value) {
  if constexpr (std::same_as<T, std::int64_t>) {
    return ~value;
  } else if constexpr (std::same_as<T, double>) {
    return value / 3;
  } else if constexpr (std::same_as<T, std::string>) {
    return value.size() < 100 ? value + '!' : "";
  } else if constexpr (std::same_as<T, std::vector<int>>) {
    value.push_back(static_cast<int>(value.size()));
  } else if constexpr (std::same_as<T, support::Figures>) {
    value.large = ~value.large;
  } else if constexpr (std::same_as<T, Poll>) {
    std::swap(value.up, value.down);
  } else {
    return value ? T() : T(1);
  }
  return value;
}

}  // namespace fuzz
