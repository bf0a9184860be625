// The shop's atoms: what a request has, declared once for the whole program. Here are the defaults only, and nobody
// writes to these; each request makes clones of them in a store of its own.
#pragma once

#include "assets.hpp"

#include <atom/error.hpp>
#include <atom/fields.hpp>
#include <atom/store.hpp>

#include <algorithm>
#include <string>
#include <vector>

namespace shop {

struct User {
  std::string name;  // empty: not known
  bool operator==(const User&) const = default;
  static constexpr auto atom_fields() { return atom::describe(atom::field("name", &User::name)); }
};

struct Item {
  std::string title;
  int quantity = 1;
  bool operator==(const Item&) const = default;
  static constexpr auto atom_fields() {
    return atom::describe(atom::field("title", &Item::title), atom::field("quantity", &Item::quantity));
  }
};

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

inline const atom::Atom<User> user_atom{"user", User{}};
inline const Cart cart_atom{"cart"};
inline const atom::Atom<int> pieces_atom{"pieces", 0};  // in the cart, all together

/// The one thing that a browser may set, and that it keeps for the next visit. Empty: not chosen yet.
inline const atom::Atom<std::string> locale_atom{"locale",
                                                 "",
                                                 {.before_update =
                                                      [](std::string&& next, const std::string&) {
                                                        if (!words_in(next))
                                                          throw atom::Error("a language that the shop does not speak");
                                                        return next;
                                                      },
                                                  .client_writable = true,
                                                  .persist = true}};

/// Who this is, from visit to visit: a secret that no page shows.
inline const atom::Atom<std::string> session_atom{"session", "", {.server_only = true}};

}  // namespace shop
