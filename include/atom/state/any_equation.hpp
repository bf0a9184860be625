// An equation once the compiler has forgotten its type: what an engine queues, and a database renders as a statement or
// hands to a script. It has parts, one per field that changes. Of each part all but the constants and the names of the
// fields is a static object, its shape; so a database prepares one statement per shape and binds the rest.
#pragma once

#include <atom/codec.hpp>
#include <atom/config.hpp>
#include <atom/detail/json_writer.hpp>
#include <atom/state/equation.hpp>
#include <atom/state/error.hpp>
#include <atom/state/evaluate.hpp>
#include <atom/state/number.hpp>

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

namespace atom::inline v0_1 {

namespace detail {
class ShapeMaker;
}

/// A step of a calculation in reverse Polish notation.
struct Token {
  enum class Kind : std::uint8_t {
    field,      ///< Pushes the old value of a field.
    constant,   ///< Pushes a constant.
    operation,  ///< Pops two operands, the second one first, and pushes the result.
  };
  Kind kind = Kind::operation;
  std::uint8_t index = 0;       ///< Of the field, or of the constant.
  Operator op = Operator::add;  ///< Of an operation.
};

/// A part of an equation, but for its constants and the names of its fields: one static object per type of part.
class EquationShape {
 public:
  enum class Action : std::uint8_t {
    calculate,  ///< The target becomes what the tokens give.
    assign,     ///< The target becomes the item.
    append,     ///< The target is a list, and gets the item as its last element.
  };
  static constexpr std::size_t max_operands = detail::max_operands;  ///< So high the stack grows.
  static constexpr std::size_t max_constants = detail::max_constants;
  static constexpr std::size_t max_fields = detail::max_fields;

  constexpr Action action() const noexcept { return action_; }
  /// All of it as text, for the key of a cache: "i64 = i64@0 k +", where i64@0 is the first field and k the next
  /// constant; "assign"; "append". An address is no key: a plugin that is loaded again may have another shape there.
  constexpr std::string_view text() const noexcept { return {text_.data(), text_size_}; }

  // Of a calculation.
  /// The type of the target, which the result has to fit. With f32 and f64 every operand becomes an f64 first.
  constexpr NumberKind kind() const noexcept { return fields_[0]; }
  constexpr std::span<const Token> tokens() const noexcept { return {tokens_.data(), token_count_}; }
  constexpr std::size_t constants() const noexcept { return constant_count_; }
  /// The type of each field. The first one is the target, whether it is read or not.
  constexpr std::span<const NumberKind> fields() const noexcept { return {fields_.data(), field_count_}; }

 private:
  friend class detail::ShapeMaker;

  Action action_ = Action::calculate;
  std::uint8_t token_count_ = 0;
  std::uint8_t constant_count_ = 0;
  std::uint8_t field_count_ = 1;
  std::uint8_t text_size_ = 0;
  std::array<NumberKind, max_fields> fields_{};
  std::array<Token, 2 * max_operands - 1> tokens_{};
  std::array<char, 12 * max_operands> text_{};
};

/// A part of an equation: what is to become of one field, or of the value itself.
struct EquationPart {
  const EquationShape* shape = nullptr;
  /// As many as the shape says.
  std::array<Number, EquationShape::max_constants> constants{};
  /// As many as the shape says. The first one is the target.
  std::array<FieldPath, EquationShape::max_fields> fields{};

  // Of `assign` and `append`.
  const void* item = nullptr;
  /// With the codec of what the item becomes. Null where that has none.
  void (*write_item)(const void* item, detail::JsonWriter& writer) = nullptr;

  /// Empty where the value itself is the target.
  const FieldPath& target() const noexcept { return fields[0]; }
  /// Carries the tokens out: what the target becomes, where `old` are the old values of the fields.
  Calculated<Number> calculate(std::span<const Number> old) const noexcept;
};

namespace detail {

class ShapeMaker {
 public:
  template <class T, class Target, class Calculation>
  static consteval EquationShape make(const equations::Change<Target, Calculation>*) {
    ShapeMaker maker(kind_of<value_of<Target, T>>);
    maker.add(static_cast<const Calculation*>(nullptr));
    return maker.finished();
  }
  template <class T, class Target, class Value>
  static consteval EquationShape make(const equations::Assignment<Target, Value>*) {
    using M = value_of<Target, T>;
    if constexpr (calculates<Value, M>) {
      ShapeMaker maker(kind_of<M>);
      maker.add(static_cast<const Value*>(nullptr));
      return maker.finished();
    } else {
      return of_item(EquationShape::Action::assign, "assign");
    }
  }
  template <class T, class Target, class V>
  static consteval EquationShape make(const equations::Append<Target, V>*) {
    return of_item(EquationShape::Action::append, "append");
  }

 private:
  consteval explicit ShapeMaker(NumberKind target) { shape_.fields_[0] = target; }

  consteval void add(const equations::Current*) { add({Token::Kind::field, 0}); }
  template <class V>
  consteval void add(const equations::Constant<V>*) {
    add({Token::Kind::constant, shape_.constant_count_++});
  }
  template <class R, class... M>
  consteval void add(const equations::Path<R, M...>*) {
    shape_.fields_[shape_.field_count_] = kind_of<std::remove_const_t<typename equations::Path<R, M...>::Value>>;
    add({Token::Kind::field, shape_.field_count_++});
  }
  template <Operator op, class A, class B>
  consteval void add(const equations::Operation<op, A, B>*) {
    add(static_cast<const A*>(nullptr));
    add(static_cast<const B*>(nullptr));
    add({Token::Kind::operation, 0, op});
  }
  consteval void add(Token token) { shape_.tokens_[shape_.token_count_++] = token; }

  consteval EquationShape finished() {
    write(to_string(shape_.kind()));
    write(" =");
    for (const Token& token : shape_.tokens()) {
      write(" ");
      if (token.kind == Token::Kind::operation) {
        write(to_string(token.op));
      } else if (token.kind == Token::Kind::constant) {
        write("k");
      } else {
        write(to_string(shape_.fields_[token.index]));
        const char place[] = {'@', static_cast<char>('0' + token.index)};
        write({place, 2});
      }
    }
    return shape_;
  }
  static consteval EquationShape of_item(EquationShape::Action action, std::string_view text) {
    ShapeMaker maker({});
    maker.shape_.action_ = action;
    maker.write(text);
    return maker.shape_;
  }
  consteval void write(std::string_view text) {
    for (const char c : text) shape_.text_[shape_.text_size_++] = c;
  }

  EquationShape shape_;
};
template <class T, class Part>
inline constexpr EquationShape equation_shape = ShapeMaker::make<T>(static_cast<const Part*>(nullptr));

/// Collects what is not in the shape, in the order of the tokens.
class PartFiller {
 public:
  template <class T, class Target, class Calculation>
  static void fill(EquationPart& part, const equations::Change<Target, Calculation>& change) noexcept {
    PartFiller(part).add(change.calculation);
  }
  template <class T, class Target, class Value>
  static void fill(EquationPart& part, const equations::Assignment<Target, Value>& assignment) noexcept {
    using M = value_of<Target, T>;
    if constexpr (calculates<Value, M>) {
      PartFiller(part).add(assignment.value);
    } else {
      set_item<M>(part, assignment.value.value);
    }
  }
  template <class T, class Target, class V>
  static void fill(EquationPart& part, const equations::Append<Target, V>& append) noexcept {
    set_item<typename value_of<Target, T>::value_type>(part, append.item.value);
  }

 private:
  explicit PartFiller(EquationPart& part) noexcept : constant_(part.constants.data()), field_(&part.fields[1]) {}

  void add(const equations::Current&) noexcept {}
  template <class V>
  void add(const equations::Constant<V>& constant) noexcept {
    *constant_++ = Number(constant.value);
  }
  template <class R, class... M>
  void add(const equations::Path<R, M...>& path) noexcept {
    *field_++ = path.path();
  }
  template <Operator op, class A, class B>
  void add(const equations::Operation<op, A, B>& e) noexcept {
    add(e.a);
    add(e.b);
  }
  template <class M, class V>
  static void set_item(EquationPart& part, const V& item) noexcept {
    part.item = &item;
    if constexpr (writable<M>) {
      part.write_item = [](const void* object, JsonWriter& writer) {
        codec<M>::write(writer, static_cast<const M&>(*static_cast<const V*>(object)));
      };
    }
  }

  Number* constant_;
  FieldPath* field_;
};

/// The parts of an equation, each as a type and as an object.
template <class E>
struct PartsOf {
  template <class T>
  static constexpr std::array<const EquationShape*, 1> shapes{&equation_shape<T, part_of<E>>};
  template <class Visit>
  static void visit(const E& e, std::size_t, Visit visit) {
    visit(equations::targeted(e));
  }
};
template <class... E>
struct PartsOf<equations::All<E...>> {
  template <class T>
  static constexpr std::array<const EquationShape*, sizeof...(E)> shapes{&equation_shape<T, part_of<E>>...};
  template <class Visit>
  static void visit(const equations::All<E...>& all, std::size_t i, Visit visit) {
    std::apply([&](const E&... part) { ((i-- == 0 ? visit(equations::targeted(part)) : void()), ...); }, all.parts);
  }
};

/// What is done to an equation through a pointer to it.
struct EquationOps {
  std::span<const EquationShape* const> shapes;
  void (*fill)(const void* held, std::size_t i, EquationPart& part);
  std::optional<StateErrorCode> (*apply)(const void* held, void* value);
  void (*relocate)(void* from, void* to) noexcept;  ///< Null: by its bytes.
  void (*destroy)(void* held) noexcept;             ///< Null: there is nothing to do.
};

}  // namespace detail

/// An equation for states of one type. It owns what it holds, and can be moved but not copied. A small one is held in
/// place, without an allocation.
class AnyEquation {
 public:
  template <class T, equation_for<T> E>
  static AnyEquation of(E equation) {
    return AnyEquation(std::type_identity<T>(), std::move(equation));
  }
  AnyEquation(AnyEquation&& other) noexcept : ops_(std::exchange(other.ops_, nullptr)) {
    if (ops_ && ops_->relocate) {
      ops_->relocate(other.held_, held_);
    } else {
      std::memcpy(held_, other.held_, inline_size);
    }
  }
  AnyEquation& operator=(AnyEquation&& other) noexcept {
    if (this != &other) {
      this->~AnyEquation();
      new (this) AnyEquation(std::move(other));
    }
    return *this;
  }
  ~AnyEquation() {
    if (ops_ && ops_->destroy) ops_->destroy(held_);
  }

  // None of these may be called after it was moved away.
  std::span<const EquationShape* const> shapes() const noexcept { return ops_->shapes; }
  std::size_t size() const noexcept { return ops_->shapes.size(); }
  /// The part refers to the items, which this equation holds.
  EquationPart operator[](std::size_t i) const {
    EquationPart part;
    part.shape = ops_->shapes[i];
    ops_->fill(held_, i, part);
    return part;
  }
  /// As atom::apply_to does; `value` is a T.
  [[nodiscard]] std::optional<StateErrorCode> apply_to(void* value) const { return ops_->apply(held_, value); }

 private:
  static constexpr std::size_t inline_size = 64;
  template <class E>
  static constexpr bool is_inline =
      sizeof(E) <= inline_size && alignof(E) <= alignof(void*) && std::is_nothrow_move_constructible_v<E>;
  template <class E>
  using Held = std::conditional_t<is_inline<E>, E, std::unique_ptr<const E>>;
  template <class E>
  static const E& get(const void* held) noexcept {
    if constexpr (is_inline<E>) {
      return *static_cast<const E*>(held);
    } else {
      return **static_cast<const Held<E>*>(held);
    }
  }

  template <class Object>
  static void relocate(void* from, void* to) noexcept {
    auto* const object = static_cast<Object*>(from);
    new (to) Object(std::move(*object));
    object->~Object();
  }
  template <class Object>
  static void destroy(void* object) noexcept {
    static_cast<Object*>(object)->~Object();
  }

  template <class T, class E>
  static constexpr detail::EquationOps ops_of{
      detail::PartsOf<E>::template shapes<T>,
      [](const void* held, std::size_t i, EquationPart& part) {
        detail::PartsOf<E>::visit(get<E>(held), i, [&](const auto& typed) {
          part.fields[0] = typed.target.path();
          detail::PartFiller::fill<T>(part, typed);
        });
      },
      [](const void* held, void* value) { return atom::apply_to(get<E>(held), *static_cast<T*>(value)); },
      std::is_trivially_copyable_v<Held<E>> ? nullptr : &relocate<Held<E>>,
      std::is_trivially_destructible_v<Held<E>> ? nullptr : &destroy<Held<E>>,
  };

  template <class T, class E>
  AnyEquation(std::type_identity<T>, E equation) : ops_(&ops_of<T, E>) {
    if constexpr (is_inline<E>) {
      new (held_) E(std::move(equation));
    } else {
      new (held_) Held<E>(std::make_unique<const E>(std::move(equation)));
    }
  }

  const detail::EquationOps* ops_;
  alignas(void*) std::byte held_[inline_size];
};

// ------------------------------------------------------------------------------------------- the tokens, carried out

namespace detail {

/// Calls `f` with the operator as a template argument.
template <class F>
auto with_operator(Operator op, F f) {
  switch (op) {
    case Operator::add:
      return f.template operator()<Operator::add>();
    case Operator::subtract:
      return f.template operator()<Operator::subtract>();
    case Operator::multiply:
      return f.template operator()<Operator::multiply>();
    case Operator::divide:
      return f.template operator()<Operator::divide>();
    case Operator::remainder:
      return f.template operator()<Operator::remainder>();
    case Operator::min:
      return f.template operator()<Operator::min>();
    case Operator::max:
      break;
  }
  return f.template operator()<Operator::max>();
}

/// In Int128 or double.
template <class Wide>
Wide run(const EquationPart& part, std::span<const Number> old, bool& divides_by_zero) noexcept {
  constexpr bool is_exact = std::same_as<Wide, Int128>;
  const auto read = [](const Number& number) -> Wide {
    if constexpr (is_exact) {
      return number.integer();
    } else {
      return number.real();
    }
  };
  std::array<Wide, EquationShape::max_operands> stack{};
  std::size_t size = 0;
  for (const Token& token : part.shape->tokens()) {
    if (token.kind == Token::Kind::field) {
      stack[size++] = read(old[token.index]);
    } else if (token.kind == Token::Kind::constant) {
      stack[size++] = read(part.constants[token.index]);
    } else {
      const Wide b = stack[--size];
      Wide& a = stack[size - 1];
      a = with_operator(token.op, [&]<Operator op>() -> Wide {
        if constexpr (is_exact) {
          return exactly<op, Int128>(a, b, divides_by_zero);
        } else if constexpr (op != Operator::remainder) {
          return rounded<op>(a, b, divides_by_zero);
        } else {
          return 0;  // no shape has it
        }
      });
    }
  }
  return stack[0];
}

}  // namespace detail

inline Calculated<Number> EquationPart::calculate(std::span<const Number> old) const noexcept {
  const NumberKind kind = shape->kind();
  bool divides_by_zero = false;
  if (is_integer(kind)) {
    const detail::Int128 result = detail::run<detail::Int128>(*this, old, divides_by_zero);
    if (divides_by_zero) return StateErrorCode::division_by_zero;
    if (!detail::interval_of(kind).contains(result)) return StateErrorCode::overflow;
    return Number::of(result);
  }
  const double result = detail::run<double>(*this, old, divides_by_zero);
  const auto widened = [](auto calculated) -> Calculated<Number> {
    if (!calculated.has_value()) return calculated.problem();
    return Number(*calculated);
  };
  return kind == NumberKind::f32 ? widened(detail::as_result<float>(result, divides_by_zero))
                                 : widened(detail::as_result<double>(result, divides_by_zero));
}

}  // namespace atom::inline v0_1
