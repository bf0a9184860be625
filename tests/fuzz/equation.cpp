// Random equations with operands at the edges: what the evaluator gives, the tokens must give, and a naive calculation.
//
//   fuzz_equation [--equations N] [--seed S]      defaults: 100000 equations, seed 1
//
// A failure prints the equation.

#include "support/equations.hpp"

#include <atom/state/any_equation.hpp>
#include <atom/state/error.hpp>
#include <atom/state/number.hpp>

#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

namespace fuzz {
namespace {

using atom::Number;
using atom::NumberKind;
using atom::Operator;
using atom::StateErrorCode;
using Int128 = atom::detail::Int128;
using Result = atom::Calculated<Number>;

std::string text(const Number& number) {
  if (number.kind() != NumberKind::f64) {
    return number.kind() == NumberKind::u64 ? std::to_string(number.uint64()) : std::to_string(number.int64());
  }
  char digits[64];
  std::snprintf(digits, sizeof digits, "%a", number.real());
  return digits;
}
std::string text(const Result& result) {
  return result.has_value() ? text(*result) : "error " + std::to_string(static_cast<int>(result.problem()));
}

bool is_same(const Result& a, const Result& b) {
  return a.has_value() == b.has_value() && (a.has_value() ? *a == *b : a.problem() == b.problem());
}

/// Each operation on its own, checked with what the compiler has for that.
std::optional<Int128> naive(Operator op, Int128 a, Int128 b) {
  Int128 result = 0;
  switch (op) {
    case Operator::add:
      if (__builtin_add_overflow(a, b, &result)) std::abort();
      return result;
    case Operator::subtract:
      if (__builtin_sub_overflow(a, b, &result)) std::abort();
      return result;
    case Operator::multiply:
      result = a * b;
      if (a != 0 && (result / a != b)) std::abort();
      return result;
    case Operator::divide:
      return b == 0 ? std::nullopt : std::optional(a / b);
    case Operator::remainder:
      return b == 0 ? std::nullopt : std::optional(a - a / b * b);
    case Operator::min:
      return b < a ? b : a;
    case Operator::max:
      return b > a ? b : a;
  }
  return std::nullopt;
}
std::optional<double> naive(Operator op, double a, double b) {
  volatile double result = a;  // in memory, where there is neither more precision nor a fused operation
  switch (op) {
    case Operator::add:
      result = a + b;
      break;
    case Operator::subtract:
      result = a - b;
      break;
    case Operator::multiply:
      result = a * b;
      break;
    case Operator::divide:
      if (std::fpclassify(b) == FP_ZERO) return std::nullopt;
      result = a / b;
      break;
    case Operator::min:
      if (std::isnan(b) || b < a) result = std::isnan(a) ? a : b;
      break;
    case Operator::max:
      if (std::isnan(b) || b > a) result = std::isnan(a) ? a : b;
      break;
    case Operator::remainder:
      std::abort();
  }
  return result;
}

template <class Wide, class Read>
std::optional<Wide> naive(const atom::EquationPart& part, std::span<const Number> old, Read read) {
  std::vector<Wide> stack;
  for (const atom::Token& token : part.shape->tokens()) {
    if (token.kind == atom::Token::Kind::operation) {
      const Wide b = stack.back();
      stack.pop_back();
      const std::optional<Wide> result = naive(token.op, stack.back(), b);
      if (!result) return std::nullopt;
      stack.back() = *result;
    } else {
      stack.push_back(read(token.kind == atom::Token::Kind::field ? old[token.index] : part.constants[token.index]));
    }
  }
  return stack.back();
}
template <class T>
Result naive_result(const atom::EquationPart& part, std::span<const Number> old) {
  if constexpr (std::is_integral_v<T>) {
    const auto exact = naive<Int128>(part, old, [](const Number& number) { return number.integer(); });
    if (!exact) return StateErrorCode::division_by_zero;
    const auto result = static_cast<T>(*exact);
    if (result != *exact) return StateErrorCode::overflow;
    return Number(result);
  } else {
    const auto rounded = naive<double>(part, old, [](const Number& number) { return number.real(); });
    if (!rounded) return StateErrorCode::division_by_zero;
    const auto result = static_cast<T>(*rounded);
    if (!std::isfinite(result)) return StateErrorCode::not_finite;
    return Number(std::fpclassify(result) == FP_ZERO ? T(0) : result);
  }
}
Result naive_result(const atom::EquationPart& part, std::span<const Number> old) {
  switch (part.shape->kind()) {
    case NumberKind::i8:
      return naive_result<std::int8_t>(part, old);
    case NumberKind::i16:
      return naive_result<std::int16_t>(part, old);
    case NumberKind::i32:
      return naive_result<std::int32_t>(part, old);
    case NumberKind::i64:
      return naive_result<std::int64_t>(part, old);
    case NumberKind::u8:
      return naive_result<std::uint8_t>(part, old);
    case NumberKind::u16:
      return naive_result<std::uint16_t>(part, old);
    case NumberKind::u32:
      return naive_result<std::uint32_t>(part, old);
    case NumberKind::u64:
      return naive_result<std::uint64_t>(part, old);
    case NumberKind::f32:
      return naive_result<float>(part, old);
    case NumberKind::f64:
      break;
  }
  return naive_result<double>(part, old);
}

struct Tally {
  long equations = 0;
  std::array<long, 256> errors{};
};

/// Whether all three give the same, `count` times.
template <class Subject>
bool compare(std::uint64_t seed, long count, Tally& tally) {
  support::RandomEquations<Subject> equations(seed);
  for (long i = 0; i < count; ++i) {
    const auto [equation, before] = equations.next();
    const atom::EquationPart part = equation[0];
    std::vector<Number> old;
    for (std::size_t field = 0; field < part.shape->fields().size(); ++field) {
      old.push_back(support::number_at(before, part.fields[field]));
    }
    auto value = before;
    const std::optional<StateErrorCode> problem = equation.apply_to(&value);
    const Result typed = problem ? Result(*problem) : Result(support::number_at(value, part.fields[0]));
    const Result tokens = part.calculate(old);
    const Result expected = naive_result(part, old);
    ++tally.equations;
    if (problem) ++tally.errors[static_cast<std::size_t>(*problem)];
    const bool is_untouched = !problem || value == before;
    if (is_same(typed, expected) && is_same(tokens, expected) && is_untouched) continue;
    std::printf("%s\n", std::string(part.shape->text()).c_str());
    for (const Number& number : old) std::printf("  field    %s\n", text(number).c_str());
    for (std::size_t k = 0; k < part.shape->constants(); ++k)
      std::printf("  constant %s\n", text(part.constants[k]).c_str());
    std::printf("  typed %s, tokens %s, naive %s%s\n", text(typed).c_str(), text(tokens).c_str(),
                text(expected).c_str(), is_untouched ? "" : ", and the value was changed");
    return false;
  }
  return true;
}

template <class... Subject>
bool compare_all(std::uint64_t seed, long count, Tally& tally) {
  return (compare<Subject>(seed, count / static_cast<long>(sizeof...(Subject)) + 1, tally) && ...);
}

int run(int argc, char** argv) {
  std::uint64_t seed = 1;
  long count = 100'000;
  for (int i = 1; i < argc; i += 2) {
    const std::string option = argv[i];
    if (i + 1 < argc && option == "--equations") {
      count = std::strtol(argv[i + 1], nullptr, 10);
    } else if (i + 1 < argc && option == "--seed") {
      seed = std::strtoull(argv[i + 1], nullptr, 10);
    } else {
      std::printf("usage: fuzz_equation [--equations N] [--seed S]\n");
      return option == "--help" ? 0 : 2;
    }
  }
  using support::FieldOf, support::FieldsOf, support::Value;
  Tally tally;
  const bool is_good = compare_all<Value<std::int64_t>, Value<std::uint64_t>, Value<double>, FieldOf<support::Small>,
                                   FieldsOf<support::Count, support::Large>, FieldsOf<support::Single, support::Count>>(
      seed, count, tally);
  std::printf("%ld equations, seed %llu: %ld overflow, %ld division by zero, %ld not finite\n", tally.equations,
              static_cast<unsigned long long>(seed), tally.errors[static_cast<std::size_t>(StateErrorCode::overflow)],
              tally.errors[static_cast<std::size_t>(StateErrorCode::division_by_zero)],
              tally.errors[static_cast<std::size_t>(StateErrorCode::not_finite)]);
  return is_good ? 0 : 1;
}

}  // namespace
}  // namespace fuzz

int main(int argc, char** argv) {
  return fuzz::run(argc, argv);
}
