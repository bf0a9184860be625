// What databases that keep text have stored, read as the types of now.
#include <atom/state/text_backend.hpp>

#include <atom/backend/memory.hpp>
#include <atom/fields.hpp>
#include <atom/state/state_store.hpp>

#include "support/backend_client.hpp"
#include "support/catch.hpp"

#include <cstddef>
#include <map>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace text_backend_test {
/// A text that its codec and its copies throw for, if it says so.
struct Touchy {
  std::string text;

  Touchy() = default;
  explicit Touchy(std::string t) : text(std::move(t)) {}
  Touchy(const Touchy& other) : text(other.text) {
    if (text == "copy") throw std::runtime_error("hunter2");
  }
  Touchy(Touchy&&) = default;
  Touchy& operator=(const Touchy&) = default;
  Touchy& operator=(Touchy&&) = default;
  bool operator==(const Touchy&) const = default;
};
}  // namespace text_backend_test

template <>
struct atom::codec<text_backend_test::Touchy> {
  static void write(auto& writer, const text_backend_test::Touchy& value) {
    if (value.text == "write") throw std::runtime_error("hunter2");
    writer.text(value.text);
  }
  static bool read(Reader& reader, text_backend_test::Touchy& value) {
    if (!codec<std::string>::read(reader, value.text)) return false;
    if (value.text == "read") throw std::runtime_error("hunter2");
    if (value.text == "number") throw 42;
    if (value.text == "memory") throw std::bad_alloc();
    return true;
  }
};

namespace text_backend_test {
namespace {

using atom::Scope;
using atom::StateErrorCode;
using atom::StateResult;
using atom::StateStore;
using atom::StoredValue;
using support::Batch;
using support::Client;
using support::ContainsSubstring;

/// Version 1 was a map of counts.
struct Cart {
  std::vector<std::string> items;
  bool operator==(const Cart&) const = default;
  static constexpr int atom_version = 2;
  static std::optional<Cart> atom_migrate(int from, const atom::Value& stored) {
    const auto old = stored.to<std::map<std::string, int>>();
    if (from != 1 || !old) return std::nullopt;
    Cart cart;
    for (const auto& [name, count] : *old) cart.items.insert(cart.items.end(), static_cast<std::size_t>(count), name);
    return cart;
  }
  static constexpr auto atom_fields() { return atom::describe(atom::field("items", &Cart::items)); }
};

struct Letter {
  Touchy about;
  int pages = 0;
  bool operator==(const Letter&) const = default;
  static constexpr int atom_version = 1;
  static std::optional<Letter> atom_migrate(int, const atom::Value&) { throw std::runtime_error("hunter2"); }
  static constexpr auto atom_fields() {
    return atom::describe(atom::field("about", &Letter::about), atom::field("pages", &Letter::pages));
  }
};
StoredValue letter(const std::string& about, int format = 1) {
  return {R"({"about":")" + about + R"(","pages":2})", format};
}

struct NoCodec {
  int number = 0;
};

const Scope shop{"shop"};

template <class T>
StateResult<T> read(const StoredValue& stored) {
  const auto value = atom::detail::read_stored(atom::detail::type_ops<T>, stored);
  if (!value) return value.error();
  return *static_cast<const T*>(value->get());
}
template <class T>
std::string why_not(const StoredValue& stored) {
  const StateResult<T> value = read<T>(stored);
  REQUIRE_FALSE(value);
  CHECK(value.error().code() == StateErrorCode::undecodable);
  CHECK_FALSE(value.error().retryable());
  return value.error().message();
}

TEST_CASE("text backend: what this version of a type has stored is read") {
  CHECK(read<Cart>({R"({"items":["pear"]})", 2}).value() == Cart{{"pear"}});
  CHECK(read<Cart>({"{}", 2}).value() == Cart{});
  CHECK(read<int>({"7", 0}).value() == 7);
}

TEST_CASE("text backend: what another version has stored becomes what the type makes of it") {
  CHECK(read<Cart>({R"({"apple":2,"pear":1})", 1}).value() == Cart{{"apple", "apple", "pear"}});
  CHECK_THAT(why_not<Cart>({R"({"items":["pear"]})", 1}), ContainsSubstring("atom_migrate makes nothing of version 1"));
  CHECK_THAT(why_not<Cart>({R"({"items":["pear"]})", 3}), ContainsSubstring("atom_migrate makes nothing of version 3"));
  CHECK_THAT(why_not<int>({"7", 1}), ContainsSubstring("it is of version 1, and the type has no atom_migrate"));
}

TEST_CASE("text backend: what does not read is an error that names the type and the place, and no value") {
  for (const int version : {1, 2}) {
    const std::string message = why_not<Cart>({R"({"items":["secret)", version});
    CHECK_THAT(message, ContainsSubstring("Cart"));
    CHECK_THAT(message, !ContainsSubstring("secret"));
  }
  const std::string message = why_not<Cart>({R"({"items":"secret"})", 2});
  CHECK_THAT(message, ContainsSubstring("items: expected"));
  CHECK_THAT(message, !ContainsSubstring("secret"));
  using Carts = std::map<std::string, Cart>;  // the keys of a map are values as well
  const std::string of_map = why_not<Carts>({R"({"secret":{"items":[1]}})", 0});
  CHECK_THAT(of_map, ContainsSubstring(": *.items[0]: expected string") && !ContainsSubstring("secret"));
  for (const char* const twice : {R"({"secret":{},"secret":{}})", R"({"secret":{"items":[],"items":[]}})"}) {
    const std::string broken = why_not<Carts>({twice, 0});
    CHECK_THAT(broken, ContainsSubstring("expected the key once") && !ContainsSubstring("secret"));
  }
}

TEST_CASE("text backend: what a codec or atom_migrate throws is an error without its text") {
  CHECK(read<Letter>(letter("calm")).value() == Letter{Touchy("calm"), 2});
  for (const char* const about : {"read", "number"}) {
    const std::string message = why_not<Letter>(letter(about));
    CHECK_THAT(message, ContainsSubstring("Letter: its codec has thrown") && !ContainsSubstring("hunter2"));
  }
  const std::string of_migrate = why_not<Letter>(letter("calm", 0));
  CHECK_THAT(of_migrate, ContainsSubstring("Letter: its atom_migrate has thrown") && !ContainsSubstring("hunter2"));
}

TEST_CASE("text backend: where there is no memory to read a value it may be tried again") {
  const StateResult<Letter> value = read<Letter>(letter("memory"));
  REQUIRE_FALSE(value);
  CHECK(value.error().code() == StateErrorCode::unavailable);
  CHECK(value.error().effect() == atom::Effect::none);
  CHECK(value.error().retryable());
}

TEST_CASE("text backend: what code of the user's throws in a calculation is an error of that command") {
  struct Calculating : atom::Memory {
    Made made(const std::string& about) const {
      static const atom::AnyEquation equation = atom::AnyEquation::of<Letter>(atom::at(&Letter::pages) + 1);
      const atom::AnyEquation* const equations[] = {&equation};
      atom::Command command{.kind = atom::Command::Kind::apply, .name = {shop, "letter"}};
      command.type = &atom::detail::type_ops<Letter>;
      command.equations = equations;
      return calculate(atom::BatchMode::independent, command, letter(about));
    }
  };
  const Calculating backend;
  CHECK(backend.made("calm").value->text == R"({"about":"calm","pages":3})");
  for (const char* const about : {"read", "number", "copy", "write"}) {
    CAPTURE(about);
    CHECK(backend.made(about).error == StateErrorCode::undecodable);
    CHECK_FALSE(backend.made(about).value);
  }
  CHECK(backend.made("memory").error == StateErrorCode::unavailable);
}

// ---- The same, by a store

TEST_CASE(
    "text backend: what an older version has stored is read by atom_migrate, and stored anew with the next write") {
  const auto memory = std::make_shared<atom::Memory>();
  Client client(*memory);
  client.run(Batch().write(shop, "cart", R"({"milk":1,"tea":1})", {.format = 1}));
  StateStore store(memory);
  auto cart = store.get_state<Cart>({}, {.key = "cart", .scope = shop});
  CHECK(cart.load() == Cart{{"milk", "tea"}});
  CHECK(client.read(shop, "cart").value->format == 1);
  cart.update([](Cart now) {
    now.items.pop_back();
    return now;
  });
  CHECK(client.read(shop, "cart").value->format == 2);
  CHECK(cart.load() == Cart{{"milk"}});
}

TEST_CASE("text backend: what cannot be migrated is an error without the value in it, and is left alone") {
  const auto memory = std::make_shared<atom::Memory>();
  Client client(*memory);
  const auto check = [&](const std::string& stored, int format, const char* why) {
    INFO(why);
    client.run(Batch().write(shop, "cart", stored, {.format = format}));
    StateStore store(memory);
    auto cart = store.get_state<Cart>({}, {.key = "cart", .scope = shop});
    const auto read = cart.try_load();
    REQUIRE_FALSE(read);
    CHECK(read.error().code() == StateErrorCode::undecodable);
    CHECK_FALSE(read.error().retryable());
    CHECK_THAT(read.error().what(), ContainsSubstring(why) && !ContainsSubstring("hunter2"));
    CHECK_FALSE(cart.try_update([](const Cart& now) { return now; }));
    CHECK(client.text(shop, "cart") == stored);
    CHECK(cart.set({{"tea"}}) > 0);  // but it may be replaced
    CHECK(cart.load() == Cart{{"tea"}});
  };
  check(R"({"hunter2":1})", 7, "atom_migrate makes nothing of version 7");
  check(R"(["hunter2"])", 1, "atom_migrate makes nothing of version 1");
  check(R"(["hunter2")", 1, "does not read as");
  check(R"({"hunter2":1,"hunter2":2})", 1, "expected the key once");
  check("\"hunter2\"", 2, "does not read as");
}

TEST_CASE("text backend: a type without a codec is refused where there is a database, and says what it lacks") {
  StateStore store(std::make_shared<atom::Memory>());
  const auto state = store.try_get_state<NoCodec>({}, {.key = "plain", .scope = shop});
  REQUIRE_FALSE(state);
  CHECK(state.error().code() == StateErrorCode::type_mismatch);
  CHECK_THAT(state.error().what(), ContainsSubstring("NoCodec") && ContainsSubstring("atom_fields"));
}

}  // namespace
}  // namespace text_backend_test
