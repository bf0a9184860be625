// Random equations with operands at the edges, for whatever can carry one out: the evaluator, the tokens, a store, a
// database. `RandomEquations<Value<T>>` makes them for a number, `RandomEquations<FieldsOf<...>>` for a struct.
#pragma once

#include <atom/fields.hpp>
#include <atom/state/any_equation.hpp>
#include <atom/state/equation.hpp>
#include <atom/state/evaluate.hpp>
#include <atom/state/number.hpp>

#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <random>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

namespace support {

/// Numbers near the ends of types, near what a double keeps, and anything else.
class EdgeNumbers {
 public:
  explicit EdgeNumbers(std::uint64_t seed) : random_(seed) {}

  std::size_t below(std::size_t count) { return static_cast<std::size_t>(random_() % count); }

  template <atom::detail::number T>
  T next() {
    if constexpr (std::floating_point<T>) {
      return next_floating<T>();
    } else {
      using Limits = std::numeric_limits<T>;
      const auto small = static_cast<T>(below(5));
      switch (below(8)) {
        case 0:
          return static_cast<T>((Limits::max)() - small);
        case 1:
          return static_cast<T>((Limits::min)() + small);
        case 2:  // 2^53, where a double begins to leave integers out
          return static_cast<T>((std::int64_t{1} << 53) - 2 + static_cast<std::int64_t>(small));
        case 3:
          return static_cast<T>(-(std::int64_t{1} << 53) - 2 + static_cast<std::int64_t>(small));
        case 4:
          return static_cast<T>(random_());
        case 5:
          return static_cast<T>(static_cast<std::int64_t>(below(2'000'001)) - 1'000'000);
        default:
          return static_cast<T>(static_cast<std::int64_t>(below(21)) - 10);
      }
    }
  }

 private:
  template <class T>
  T next_floating() {
    using Limits = std::numeric_limits<T>;
    const auto small = static_cast<T>(static_cast<int>(below(21)) - 10);
    const T sign = below(2) ? T(1) : T(-1);
    switch (below(8)) {
      case 0:
        return sign * (Limits::max)();
      case 1:
        return small * Limits::denorm_min();
      case 2:
        return sign * T(0);
      case 3: {
        using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
        const auto any = std::bit_cast<T>(static_cast<Bits>(random_()));
        return atom::detail::is_finite(any) ? any : T(1);
      }
      case 4:
        return static_cast<T>(static_cast<std::int64_t>(random_()));
      case 5:
        return small / T(10);
      case 6:
        return sign * (Limits::min)();
      default:
        return small;
    }
  }

  std::mt19937_64 random_;
};

/// Equations of the value itself.
template <atom::detail::number T>
struct Value {
  using State = T;
  static auto x() { return atom::current; }
  /// What becomes of the state, when x becomes that.
  static auto of(auto calculation) { return calculation; }
  static T random(EdgeNumbers& numbers) { return numbers.next<T>(); }
};

/// A state with fields of several types.
struct Figures {
  std::int64_t count = 0;
  std::int32_t small = 0;
  std::uint64_t large = 0;
  double real = 0;
  float single = 0;
  bool operator==(const Figures&) const = default;
  static constexpr auto atom_fields() {
    return atom::describe(atom::field("count", &Figures::count), atom::field("small", &Figures::small),
                          atom::field("large", &Figures::large), atom::field("real", &Figures::real),
                          atom::field("single", &Figures::single));
  }
};
/// What is in a field of a state.
inline atom::Number number_at(const Figures& figures, const atom::FieldPath& path) {
  const std::string_view name = path[0];
  return name == "count"   ? atom::Number(figures.count)
         : name == "small" ? atom::Number(figures.small)
         : name == "large" ? atom::Number(figures.large)
         : name == "real"  ? atom::Number(figures.real)
                           : atom::Number(figures.single);
}
template <atom::detail::number T>
atom::Number number_at(T value, const atom::FieldPath&) {
  return atom::Number(value);
}

/// Equations in which one field becomes something that is calculated with another one.
template <class To, class From>
struct FieldsOf {
  using State = Figures;
  static auto x() { return From::field(); }
  static auto of(auto calculation) { return To::field() = calculation; }
  static Figures random(EdgeNumbers& numbers) {
    Figures figures;
    figures.count = numbers.next<std::int64_t>();
    figures.small = numbers.next<std::int32_t>();
    figures.large = numbers.next<std::uint64_t>();
    figures.real = numbers.next<double>();
    figures.single = numbers.next<float>();
    return figures;
  }
};
struct Count {
  static constexpr auto field() { return atom::at(&Figures::count); }
};
struct Small {
  static constexpr auto field() { return atom::at(&Figures::small); }
};
struct Large {
  static constexpr auto field() { return atom::at(&Figures::large); }
};
struct Real {
  static constexpr auto field() { return atom::at(&Figures::real); }
};
struct Single {
  static constexpr auto field() { return atom::at(&Figures::single); }
};

/// Equations of one field for itself.
template <class Of>
struct FieldOf : FieldsOf<Of, Of> {
  static auto of(auto calculation) { return calculation; }
};

template <class Subject>
class RandomEquations {
 public:
  using State = typename Subject::State;
  struct Case {
    atom::AnyEquation equation;
    State old;
  };

  explicit RandomEquations(std::uint64_t seed) : numbers_(seed) {}

  /// Calls `visit(equation, old)` with an equation and the state before it. It is compiled for equations of many types.
  template <class Visit>
  void next(Visit& visit) {
    static constexpr auto all = []<std::size_t... I>(std::index_sequence<I...>) {
      return std::array<bool (*)(EdgeNumbers&, Visit&), sizeof...(I)>{&RandomEquations::make<I, Visit>...};
    }(std::make_index_sequence<forms * operators>());
    while (!all[numbers_.below(all.size())](numbers_, visit)) {
    }
  }
  /// The same for what needs no type.
  Case next() {
    std::optional<Case> made;
    auto visit = [&](const auto& equation, const State& old) {
      made.emplace(Case{atom::AnyEquation::of<State>(equation), old});
    };
    next(visit);
    return std::move(*made);
  }

 private:
  static constexpr std::size_t operators = 7;
  static constexpr std::size_t forms = 5;

  template <std::size_t op>
  static auto calculated(const auto& a, const auto& b) {
    return atom::equations::operation<static_cast<atom::Operator>(op)>(a, b);
  }
  template <std::size_t form, std::size_t op>
  static auto formed(const auto& k, const auto& l) {
    const auto x = Subject::x();
    constexpr std::size_t then = (3 * op + form) % operators;
    if constexpr (form == 0) {
      return calculated<op>(x, k);
    } else if constexpr (form == 1) {
      return calculated<op>(k, x);
    } else if constexpr (form == 2) {
      return calculated<then>(calculated<op>(x, k), l);
    } else if constexpr (form == 3) {
      return calculated<then>(k, calculated<op>(x, l));
    } else {
      return calculated<then>(calculated<op>(k, x), x);
    }
  }
  /// Answers whether there is such an equation.
  template <std::size_t I, class Visit>
  static bool make(EdgeNumbers& numbers, Visit& visit) {
    constexpr std::size_t form = I / operators;
    constexpr std::size_t op = I % operators;
    using Integer = std::tuple_element_t<I % 3, std::tuple<std::int64_t, std::uint64_t, std::int32_t>>;
    using Floating = std::tuple_element_t<I % 2, std::tuple<double, float>>;
    return make_with<form, op, Integer>(numbers, visit) || make_with<form, op, Floating>(numbers, visit) ||
           make_with<form, op, std::int32_t>(numbers, visit);
  }
  template <std::size_t form, std::size_t op, class K, class Visit>
  static bool make_with(EdgeNumbers& numbers, Visit& visit) {
    using E = decltype(Subject::of(formed<form, op>(K(), K())));
    constexpr bool is_equation = atom::equation_for<E, State>;
    if constexpr (is_equation) {
      const K k = numbers.template next<K>();
      const K l = numbers.template next<K>();
      visit(Subject::of(formed<form, op>(k, l)), Subject::random(numbers));
    }
    return is_equation;
  }

  EdgeNumbers numbers_;
};

}  // namespace support
