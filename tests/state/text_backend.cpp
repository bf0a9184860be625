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
#include <optional>
#include <string>
#include <vector>

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

struct NoCodec {
  int number = 0;
};

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

// ---- The same, by a store

const Scope shop{"shop"};

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
