// What is read back from text that this program has not written, or not in this version.
#include <atom/state/text_backend.hpp>

#include <atom/backend/memory.hpp>
#include <atom/fields.hpp>
#include <atom/state/state_store.hpp>

#include "support/backend_client.hpp"
#include "support/catch.hpp"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace text_backend_test {
namespace {

using atom::Scope;
using atom::StateErrorCode;
using atom::StateStore;
using support::Batch;
using support::Client;
using support::ContainsSubstring;

/// Of version 1 it was a list of names.
struct Cart {
  std::vector<std::string> things;
  int count = 0;
  bool operator==(const Cart&) const = default;
  static constexpr int atom_version = 2;
  static std::optional<Cart> atom_migrate(int from, const atom::Value& stored) {
    const auto things = from == 1 ? stored.to<std::vector<std::string>>() : std::nullopt;
    if (!things) return std::nullopt;
    return Cart{*things, static_cast<int>(things->size())};
  }
  static constexpr auto atom_fields() {
    return atom::describe(atom::field("things", &Cart::things), atom::field("count", &Cart::count));
  }
};
struct NoCodec {
  int number = 0;
};

const Scope shop{"shop"};

TEST_CASE("what an older version has stored is read by atom_migrate, and stored anew with the next write") {
  const auto memory = std::make_shared<atom::Memory>();
  Client client(*memory);
  client.run(Batch().write(shop, "cart", R"(["tea","milk"])", {.format = 1}));
  StateStore store(memory);
  auto cart = store.get_state<Cart>({}, {.key = "cart", .scope = shop});
  CHECK(cart.load() == Cart{{"tea", "milk"}, 2});
  CHECK(client.read(shop, "cart").value->format == 1);
  cart.update([](Cart now) {
    now.count = 3;
    return now;
  });
  CHECK(client.read(shop, "cart").value->format == 2);
  CHECK(cart.load() == Cart{{"tea", "milk"}, 3});
}

TEST_CASE("what cannot be migrated is an error without the value in it, and is left alone") {
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
    CHECK(cart.set({{"tea"}, 1}) > 0);  // but it may be replaced
    CHECK(cart.load().count == 1);
  };
  check(R"(["hunter2"])", 7, "atom_migrate makes nothing of version 7");
  check(R"({"hunter2":1})", 1, "atom_migrate makes nothing of version 1");
  check(R"(["hunter2")", 1, "does not read as");
  check("\"hunter2\"", 2, "does not read as");
}

TEST_CASE("a type without a codec is refused where there is a database, and says what it lacks") {
  StateStore store(std::make_shared<atom::Memory>());
  const auto state = store.try_get_state<NoCodec>({}, {.key = "plain", .scope = shop});
  REQUIRE_FALSE(state);
  CHECK(state.error().code() == StateErrorCode::type_mismatch);
  CHECK_THAT(state.error().what(), ContainsSubstring("NoCodec") && ContainsSubstring("atom_fields"));
}

}  // namespace
}  // namespace text_backend_test
