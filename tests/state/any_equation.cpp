#include <atom/state/any_equation.hpp>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/counted.hpp"
#include "support/described.hpp"
#include "support/equations.hpp"

#include <atom/detail/json_writer.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace any_equation_test {
namespace {

using atom::AnyEquation;
using atom::at;
using atom::current;
using atom::EquationPart;
using atom::EquationShape;
using atom::Number;
using atom::NumberKind;
using atom::StateErrorCode;
using atom::Token;
using support::Address;
using support::Figures;
using support::User;

template <class T>
std::string text(const auto& equation) {
  std::string all;
  const AnyEquation any = AnyEquation::of<T>(equation);
  for (const EquationShape* shape : any.shapes()) all.append(all.empty() ? "" : "; ").append(shape->text());
  return all;
}
std::string path(const atom::FieldPath& names) {
  std::string all;
  for (const std::string_view name : names) all.append(all.empty() ? "" : ".").append(name);
  return all;
}
std::string item(const EquationPart& part) {
  atom::detail::JsonWriter writer;
  part.write_item(part.item, writer);
  return std::string(writer.text());
}

TEST_CASE("The shape of an equation is what it does, in reverse Polish notation") {
  CHECK(text<std::int64_t>(current + 1) == "i64 = i64@0 k +");
  CHECK(text<std::int64_t>(5 - current) == "i64 = k i64@0 -");
  CHECK(text<std::uint8_t>(-current) == "u8 = k u8@0 -");
  CHECK(text<int>(clamp(current - 1, 0, 10)) == "i32 = i32@0 k - k max k min");
  CHECK(text<double>(current * current / 2) == "f64 = f64@0 f64@0 * k /");
  CHECK(text<float>(max(current, 0.5)) == "f32 = f32@0 k max");
  CHECK(text<short>(7 % current) == "i16 = k i16@0 %");
}

TEST_CASE("The fields of an equation are numbered, the target first") {
  CHECK(text<Figures>(at(&Figures::count) + 1) == "i64 = i64@0 k +");
  CHECK(text<Figures>(at(&Figures::real) = 3) == "f64 = k");
  CHECK(text<Figures>(at(&Figures::count) = at(&Figures::small)) == "i64 = i32@1");
  CHECK(text<Figures>(at(&Figures::real) = at(&Figures::count) / at(&Figures::single)) == "f64 = i64@1 f32@2 /");
  const AnyEquation any = AnyEquation::of<Figures>(at(&Figures::real) = at(&Figures::count) / at(&Figures::single));
  const EquationPart part = any[0];
  CHECK(path(part.fields[0]) == "real");
  CHECK(path(part.fields[1]) == "count");
  CHECK(path(part.fields[2]) == "single");
  REQUIRE(part.shape->fields().size() == 3);
  CHECK(part.shape->fields()[0] == NumberKind::f64);
  CHECK(part.shape->fields()[1] == NumberKind::i64);
  CHECK(part.shape->fields()[2] == NumberKind::f32);
  CHECK(path(AnyEquation::of<User>(at(&User::address, &Address::city) = "Oslo")[0].fields[0]) == "address.city");
  CHECK(AnyEquation::of<int>(current + 1)[0].fields[0].size() == 0);
}

TEST_CASE("Equations that differ in constants or names have one shape") {
  const auto shape = [](const auto& equation) { return AnyEquation::of<Figures>(equation).shapes()[0]; };
  CHECK(shape(at(&Figures::count) + 1) == shape(at(&Figures::count) + 2));
  CHECK(shape(at(&Figures::count) + 1)->text() == shape(at(&Figures::count) + 1L)->text());
  CHECK(AnyEquation::of<std::int64_t>(current + 1).shapes()[0]->text() == shape(at(&Figures::count) + 1)->text());
}

TEST_CASE("The constants come in the order of the tokens") {
  const EquationPart part = AnyEquation::of<std::int64_t>(clamp(UINT64_MAX - current, -1, 10L))[0];
  REQUIRE(part.shape->constants() == 3);
  CHECK(part.constants[0] == Number(UINT64_MAX));
  CHECK(part.constants[1] == Number(-1));
  CHECK(part.constants[2] == Number(10));
  const auto tokens = part.shape->tokens();
  REQUIRE(tokens.size() == 7);
  CHECK(tokens[0].kind == Token::Kind::constant);
  CHECK(tokens[1].kind == Token::Kind::field);
  CHECK(tokens[2].op == atom::Operator::subtract);
  CHECK(tokens[5].index == 2);
  CHECK(tokens[6].op == atom::Operator::min);
}

TEST_CASE("Several fields are several parts") {
  const AnyEquation any =
      AnyEquation::of<User>(all(at(&User::age) + 1, at(&User::name) = "Ada", at(&User::prices).append(2.5)));
  REQUIRE(any.size() == 3);
  CHECK(any.shapes()[0]->text() == "i32 = i32@0 k +");
  CHECK(any.shapes()[1]->text() == "assign");
  CHECK(any.shapes()[2]->text() == "append");
  CHECK(any.shapes()[1]->action() == EquationShape::Action::assign);
  CHECK(path(any[0].fields[0]) == "age");
  CHECK(path(any[1].fields[0]) == "name");
  CHECK(path(any[2].fields[0]) == "prices");
}

TEST_CASE("An item is written with the codec of what it becomes") {
  const AnyEquation list = AnyEquation::of<std::vector<double>>(atom::append(2));
  CHECK(item(list[0]) == "2");
  const AnyEquation name = AnyEquation::of<User>(at(&User::name) = "a<b");
  CHECK(item(name[0]) == "\"a\\u003cb\"");
  const AnyEquation address = AnyEquation::of<User>(at(&User::address) = Address{"Oslo", std::nullopt});
  CHECK(item(address[0]) == R"({"city":"Oslo","street":null})");
  const AnyEquation street = AnyEquation::of<User>(at(&User::address, &Address::street) = "Karl Johans gate");
  CHECK(item(street[0]) == "\"Karl Johans gate\"");
}

TEST_CASE("An item without a codec is not written") {
  const AnyEquation any = AnyEquation::of<std::vector<support::Opaque>>(atom::append(support::Opaque{1}));
  CHECK(any[0].write_item == nullptr);
  std::vector<support::Opaque> value;
  CHECK_FALSE(any.apply_to(&value));
  CHECK(value == std::vector{support::Opaque{1}});
}

TEST_CASE("An equation whose type is forgotten is applied as before") {
  std::int64_t number = 5;
  const AnyEquation any = AnyEquation::of<std::int64_t>(current * 2 + 1);
  CHECK_FALSE(any.apply_to(&number));
  CHECK(number == 11);
  number = INT64_MAX;
  CHECK(any.apply_to(&number) == StateErrorCode::overflow);
  CHECK(number == INT64_MAX);
}

using Item = support::Counted<struct AnyEquationItem>;

TEST_CASE("An equation is moved and not copied, and ends what it holds") {
  STATIC_REQUIRE(std::is_nothrow_move_constructible_v<AnyEquation>);
  STATIC_REQUIRE_FALSE(std::is_copy_constructible_v<AnyEquation>);
  const int alive = Item::counts().alive;
  {
    std::optional<AnyEquation> any = AnyEquation::of<std::vector<Item>>(atom::append(Item(3)));
    Item::forget();
    AnyEquation moved = std::move(*any);
    any.reset();
    CHECK(Item::counts().copies == 0);
    std::vector<Item> items;
    CHECK_FALSE(moved.apply_to(&items));
    CHECK(items.at(0).value == 3);
    moved = AnyEquation::of<std::vector<Item>>(atom::append(Item(4)));
    CHECK_FALSE(moved.apply_to(&items));
    CHECK(items.at(1).value == 4);
    AnyEquation& self = moved;
    moved = std::move(self);
    CHECK_FALSE(moved.apply_to(&items));
  }
  CHECK(Item::counts().alive == alive);
}

TEST_CASE("A small equation is held without an allocation, a large one is too") {
  const support::Allocations allocations;
  AnyEquation small = AnyEquation::of<Figures>(clamp(at(&Figures::count) + 1, 0, 10));
  AnyEquation moved = std::move(small);
  Figures figures;
  const bool failed = moved.apply_to(&figures).has_value() || moved[0].shape == nullptr;
  CHECK(allocations.count() == 0);
  CHECK_FALSE(failed);
  AnyEquation large = AnyEquation::of<Figures>(all(at(&Figures::count) + 1, at(&Figures::small) + 1,
                                                   at(&Figures::large) + 1, at(&Figures::real) = at(&Figures::count)));
  CHECK(allocations.count() == 1);
  small = std::move(large);
  CHECK_FALSE(small.apply_to(&figures));
  CHECK(figures == Figures{.count = 2, .small = 1, .large = 1, .real = 1});
}

TEST_CASE("The tokens of a part give what the equation gives") {
  const AnyEquation any = AnyEquation::of<Figures>(at(&Figures::small) = at(&Figures::count) / at(&Figures::large) - 1);
  const auto given = [&](std::int64_t count, std::uint64_t large) {
    const Number old[] = {Number(0), Number(count), Number(large)};
    return any[0].calculate(old);
  };
  CHECK(*given(-7, 2) == Number(-4));
  CHECK(given(1, 0).problem() == StateErrorCode::division_by_zero);
  CHECK(given(INT64_MAX, 1).problem() == StateErrorCode::overflow);
  const Number seven[] = {Number(0.0f), Number(7.0)};
  const AnyEquation real = AnyEquation::of<Figures>(at(&Figures::single) = at(&Figures::real) / 3);
  CHECK(*real[0].calculate(seven) == Number(static_cast<float>(7.0 / 3)));
  const Number huge[] = {Number(0.0f), Number(1e200)};
  CHECK(real[0].calculate(huge).problem() == StateErrorCode::not_finite);
}

TEST_CASE("Random equations are the same for everybody who has the seed") {
  support::RandomEquations<support::Value<std::int64_t>> first(3);
  support::RandomEquations<support::Value<std::int64_t>> second(3);
  for (int i = 0; i < 50; ++i) {
    const auto a = first.next();
    const auto b = second.next();
    REQUIRE(a.old == b.old);
    REQUIRE(a.equation[0].shape == b.equation[0].shape);
    REQUIRE(a.equation[0].constants == b.equation[0].constants);
  }
}

}  // namespace
}  // namespace any_equation_test
