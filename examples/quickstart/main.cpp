// Two requests at the same time, on two threads. Each has a store of its own, so neither sees what the other holds.
#include <atom/store.hpp>

#include <iostream>
#include <latch>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

// Declared once, const, for the whole program: a key and a default. Nobody writes to these; stores make clones of them.
inline const atom::Atom<std::string> user_atom{"user", "nobody"};

// A class of your own adds verbs.
struct Cart : atom::Atom<std::vector<std::string>> {
  using Atom::Atom;
  void add(std::string item) {
    mutate([&](std::vector<std::string>& items) { items.push_back(std::move(item)); });
  }
};
inline const Cart cart_atom{"cart"};

std::string text(const std::vector<std::string>& items) {
  std::string all;
  for (const std::string& item : items) all += (all.empty() ? "" : " + ") + item;
  return all.empty() ? "empty" : all;
}

// What a server does for each request. `both_wrote` makes sure that the two really overlap.
std::string handle(const std::string& name, const std::vector<std::string>& wanted, std::latch& both_wrote) {
  std::ostringstream page;
  atom::AtomStore store;  // this request's atoms, gone with the block
  auto& user = store.use(user_atom);
  auto& cart = store.use(cart_atom);
  page << "  at first    user: " << *user << ", cart: " << text(*cart) << '\n';

  user.on_change([&](const std::string& now, const std::string& old) {
    page << "  listener    user: " << old << " -> " << now << '\n';
  });
  cart.on_change([&](const auto& now) { page << "  listener    cart: " << text(now) << "  (told once)\n"; });

  store.batch([&] {  // many writes, and each listener is told once, afterwards
    user.update(name);
    for (const std::string& item : wanted) cart.add(item);
  });

  both_wrote.arrive_and_wait();
  const atom::Snapshot snapshot = store.snapshot();  // all values, by key: a plain value that outlives the store
  page << "  snapshot    user: " << snapshot.get(user_atom) << ", cart: " << text(snapshot.get(cart_atom)) << '\n';
  return page.str();
}

int main(int argc, char** argv) {
  const std::string_view option = argc > 1 ? argv[1] : "--once";
  if (argc > 2 || option != "--once") {
    (option == "--help" ? std::cout : std::cerr) << "usage: quickstart [--once | --help]\n"
                                                    "Serves two requests on two threads and prints what each saw.\n";
    return argc == 2 && option == "--help" ? 0 : 2;
  }
  std::latch both_wrote(2);
  std::string alice, bob;
  std::thread first([&] { alice = handle("Alice", {"tea", "cake"}, both_wrote); });
  std::thread second([&] { bob = handle("Bob", {"coffee"}, both_wrote); });
  first.join();
  second.join();

  std::cout << "Alice's request, on one thread\n" << alice << "\nBob's request, at the same time on another\n" << bob;
  std::cout << "\nThe templates, afterwards\n  untouched   user: " << *user_atom << ", cart: " << text(*cart_atom)
            << '\n';
  return std::cout.flush() ? 0 : 1;
}
