// A small request: a store, three values of which two change, one listener, and a snapshot at the end. Each contender
// does the same, and returns what its listener heard.
#pragma once

#include <atom/fields.hpp>
#include <atom/store.hpp>

#include <benchmark/benchmark.h>

#include <any>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "bench/contenders.hpp"

namespace bench {

struct User {
  std::string name = "Anon";
  int age = 0;
  bool operator==(const User&) const = default;
  static constexpr auto atom_fields() {
    return atom::describe(atom::field("name", &User::name), atom::field("age", &User::age));
  }
};
struct Item {
  std::string name;
  int quantity = 1;
  bool operator==(const Item&) const = default;
  static constexpr auto atom_fields() {
    return atom::describe(atom::field("name", &Item::name), atom::field("quantity", &Item::quantity));
  }
};

inline const atom::Atom<User> user_atom{"bench.user"};
inline const atom::Atom<int> count_atom{"bench.count", 0};
inline const atom::Atom<std::vector<Item>> cart_atom{"bench.cart"};

/// Hands its snapshot to `done`.
template <class Done>
std::uint64_t serve_request(Done done) {
  std::uint64_t heard = 0;
  atom::AtomStore store;
  auto& user = store.use(user_atom);
  auto& count = store.use(count_atom);
  store.use(cart_atom);
  user.on_change([&heard](const User& now, const User& old) { heard += now.name.size() + old.name.size(); });
  benchmark::DoNotOptimize(store);
  user.update(User{"Ada", 36});
  count.update(5);
  done(store.snapshot());
  return heard;
}
inline std::uint64_t request_with_atoms() {
  return serve_request([](const atom::Snapshot& snapshot) { benchmark::DoNotOptimize(snapshot); });
}

/// Written by hand for exactly this request.
class Request {
 public:
  struct Values {
    User user;
    int count = 0;
    std::vector<Item> cart;
  };

  template <class Function>
  void on_user(Function function) {
    user_changed_.emplace_back(std::move(function));
  }
  bool set_user(User next) {
    if (next == values_.user) return false;
    const User old = std::exchange(values_.user, std::move(next));
    for (const auto& function : user_changed_) function(values_.user, old);
    return true;
  }
  bool set_count(int next) { return std::exchange(values_.count, next) != next; }
  Values snapshot() const { return values_; }

 private:
  Values values_;
  std::vector<std::function<void(const User& now, const User& old)>> user_changed_;
};

inline std::uint64_t request_with_struct() {
  std::uint64_t heard = 0;
  Request request;
  request.on_user([&heard](const User& now, const User& old) { heard += now.name.size() + old.name.size(); });
  benchmark::DoNotOptimize(request);
  request.set_user(User{"Ada", 36});
  request.set_count(5);
  const Request::Values snapshot = request.snapshot();
  benchmark::DoNotOptimize(snapshot);
  return heard;
}

inline std::uint64_t request_with_map() {
  static const std::string user_key = "bench.user", count_key = "bench.count", cart_key = "bench.cart";
  static const User user_default;
  static const std::vector<Item> cart_default;
  std::uint64_t heard = 0;
  AnyStore store;
  auto& user = store.use(user_key, user_default);
  auto& count = store.use(count_key, 0);
  store.use(cart_key, cart_default);
  user.changed.connect([&heard](const std::any& now, const std::any& old) {
    heard += std::any_cast<const User&>(now).name.size() + std::any_cast<const User&>(old).name.size();
  });
  benchmark::DoNotOptimize(store);
  AnyStore::update(user, User{"Ada", 36});
  AnyStore::update(count, 5);
  const AnyStore::Values snapshot = store.snapshot();
  benchmark::DoNotOptimize(snapshot);
  return heard;
}

}  // namespace bench
