// The shop's atoms, declared once for the whole program. Here are the defaults only, and nobody writes to these; each
// request makes clones of them, some in a session, which keeps them, and some in a store that goes with the request.
#pragma once

#include "assets.hpp"

#include <atom/derived.hpp>
#include <atom/error.hpp>
#include <atom/fields.hpp>
#include <atom/store.hpp>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

namespace shop {

// --------------------------------------------------------------------------------- what is kept of a client, by a
// session

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
inline const atom::Derived<int> pieces_atom{"pieces",  // in the cart, all together; computed, and so not kept
                                            [](auto& get) {
                                              int sum = 0;
                                              for (const Item& item : get(cart_atom)) sum += item.quantity;
                                              return sum;
                                            }};
/// How many forms the client has sent: the shop's own business, which no page shows.
inline const atom::Atom<std::int64_t> seen_atom{"seen", 0, {.server_only = true}};

// ------------------------------------------------------------------------------------------ what is one request's
// alone

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

/// What a link has put into the cart, which is kept only when the form is sent.
inline const atom::Atom<std::vector<std::string>> offered_atom{"offered", {}, {.server_only = true}};

}  // namespace shop
