// The shop's atoms: what a request has, declared once for the whole program. Here are the defaults only, and nobody
// writes to these; each request makes clones of them in a store of its own.
#pragma once

#include <atom/store.hpp>

#include <algorithm>
#include <string>
#include <vector>

namespace shop {

struct User {
  std::string name;  // empty: not known
  bool operator==(const User&) const = default;
};

struct Item {
  std::string title;
  int quantity = 1;
  bool operator==(const Item&) const = default;
};

enum class Theme { light, dark };

/// What the visitor wants to buy.
struct Cart : atom::Atom<std::vector<Item>> {
  using Atom::Atom;
  /// One piece more of `title`.
  void add(const std::string& title) {
    mutate([&](std::vector<Item>& items) {
      const auto item = std::find_if(items.begin(), items.end(), [&](const Item& i) { return i.title == title; });
      if (item == items.end()) {
        items.push_back({title, 1});
      } else {
        ++item->quantity;
      }
    });
  }
};

inline constexpr int most_visits = 1'000'000;

inline const atom::Atom<User> user_atom{"user", User{}};
inline const Cart cart_atom{"cart"};
inline const atom::Atom<int> pieces_atom{"pieces", 0};  // in the cart, all together
inline const atom::Atom<std::string> locale_atom{"locale", "en"};

// These two a browser may set, by its cookies.
inline const atom::Atom<Theme> theme_atom{"theme", Theme::light, {.client_writable = true}};
inline const atom::Atom<int> visits_atom{
    "visits",
    0,
    {.before_update = [](int&& next, const int&) { return std::clamp(next, 0, most_visits); },
     .client_writable = true}};

}  // namespace shop
