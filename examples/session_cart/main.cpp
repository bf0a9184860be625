// Two tabs of one client, one cart in SQLite: nothing is lost, neither at once nor when the client signs in
#include <atom/backend/sqlite.hpp>
#include <atom/state/equation.hpp>
#include <atom/state/visitor.hpp>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <future>
#include <iostream>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <stdlib.h>

// Declared once, as atoms of a request are: a session makes them states of a client, or of a user, in the database.
using Things = std::map<std::string, int>;
struct Cart : atom::Atom<Things> {
  using Atom::Atom;
  void add(const std::string& thing) {
    mutate([&](Things& things) { ++things[thing]; });
  }
};
inline const Cart cart_atom{"cart"};
inline const atom::Atom<std::int64_t> sold_atom{"sold", 0};  // by the whole shop

std::string text(const Things& things) {
  std::string all;
  for (const auto& [thing, count] : things) all += (all.empty() ? "" : ", ") + std::to_string(count) + " " + thing;
  return all.empty() ? "empty" : all;
}

Things joined(const Things& users, const Things& clients) {
  Things both = users;
  for (const auto& [thing, count] : clients) both[thing] += count;
  return both;
}

// What a server does for each request: who is it, by the cookie; then its atoms. Where another request of this client
// has written meanwhile, `transact` begins anew on what there is then. Returns how often it began.
int add(atom::StateStore& states, const std::string& cookie, const std::string& thing) {
  int begun = 0;
  atom::Visitor visitor{states, cookie};
  visitor.transact([&](atom::Session& session) {
    ++begun;
    session.use(cart_atom).add(thing);
    session.apply(sold_atom, atom::Scope::global(), atom::current + 1);  // an equation, which no other one disturbs
  });
  return begun;
}

Things cart_of(atom::StateStore& states, const std::string& cookie) {
  return atom::Visitor{states, cookie}.session().use(cart_atom).value();
}

// What a browser sends back of a Set-Cookie header.
std::string cookie_of(const atom::Visitor& visitor) {
  const std::string header = visitor.set_cookie().value_or("");
  return header.substr(0, header.find(';'));
}

bool tell_story(atom::StateStore& states) {
  constexpr int each = 50;
  const auto sold = states.use(sold_atom, atom::Scope::global());
  const std::int64_t sold_before = sold.load();

  atom::Visitor visitor{states, ""};  // no cookie: a new client
  visitor.transact([](atom::Session& session) { session.use(cart_atom).add("bread"); });
  const std::string cookie = cookie_of(visitor);  // when something is kept

  std::cout << "Two tabs at once: the first adds " << each << " teas, the second " << each << " cakes\n";
  const auto tab = [&](const std::string& thing) {
    int begun = 0;
    for (int i = 0; i < each; ++i) begun += add(states, cookie, thing);
    return begun;
  };
  std::future<int> first = std::async(std::launch::async, tab, "tea");
  std::future<int> second = std::async(std::launch::async, tab, "cake");
  const int begun = first.get() + second.get();
  const Things kept = cart_of(states, cookie);
  const std::int64_t sold_now = sold.load() - sold_before;
  std::cout << "  cart       " << text(kept) << '\n'
            << "  began anew " << begun - 2 * each << " times, as the other tab had written meanwhile\n"
            << "  sold       " << sold_now << ", in a state of the whole shop\n";
  bool right = kept == Things{{"bread", 1}, {"cake", each}, {"tea", each}} && sold_now == 2 * each;

  std::cout << "\nThe same by hand: both tabs read the cart, and the first one commits\n";
  atom::Session one = visitor.session();
  atom::Session two = visitor.session();
  one.use(cart_atom).add("milk");
  two.use(cart_atom).add("jam");
  one.commit();
  const std::optional<atom::StateError> conflict = two.try_commit();  // all that a session writes, or nothing
  right = right && conflict && conflict->code() == atom::StateErrorCode::conflict;
  std::cout << "  second tab " << (conflict ? conflict->what() : "no conflict?") << '\n'
            << "  it now has " << text(*two.use(cart_atom)) << '\n';
  two.use(cart_atom).add("jam");  // once more, on what there is now
  two.commit();
  const Things clients = cart_of(states, cookie);
  std::cout << "  once more  " << text(clients) << '\n';
  right = right && clients == joined(kept, {{"jam", 1}, {"milk", 1}});

  std::cout << "\nThe client signs in as Alice, who left honey in her cart last week\n";
  const Things hers = states.transact(atom::Scope::user("alice"), [](atom::Session& session) {
    session.use(cart_atom).add("honey");
    return session.use(cart_atom).value();
  });
  visitor.sign_in("alice", atom::Merge().with(cart_atom, joined));
  const std::string new_cookie = cookie_of(visitor);  // a new id, against who has seen the old one
  const Things both = cart_of(states, new_cookie);
  std::cout << "  hers       " << text(hers) << '\n' << "  both       " << text(both) << '\n';
  right = right && both == joined(hers, clients) && new_cookie != cookie;

  visitor.sign_out();
  const Things afterwards = cart_of(states, new_cookie);
  std::cout << "  signed out " << text(afterwards) << ", and hers waits in the database\n";
  return right && afterwards.empty() && states.use(cart_atom, atom::Scope::user("alice")).load() == both;
}

int main(int argc, char** argv) {
  const std::vector<std::string_view> arguments(argv + 1, argv + argc);
  std::string file;
  bool in_memory = false;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i] == "--database" && i + 1 < arguments.size()) {
      file = arguments[++i];
    } else if (arguments[i] == "--memory") {
      in_memory = true;
    } else if (arguments[i] != "--once") {
      const bool wants_help = arguments[i] == "--help";
      (wants_help ? std::cout : std::cerr) << "usage: session_cart [--database FILE | --memory] [--once | --help]\n"
                                              "Two tabs share a cart, in a temporary file if nothing is said.\n";
      return wants_help ? 0 : 2;
    }
  }
  std::string folder;
  bool right = false;
  try {
    if (file.empty() && !in_memory) {
      folder = (std::filesystem::temp_directory_path() / "atom-cart-XXXXXX").string();
      if (!::mkdtemp(folder.data())) throw std::runtime_error("cannot make " + folder);
      file = folder + "/cart.db";
    }
    atom::StateStore states = in_memory ? atom::StateStore() : atom::StateStore{atom::Sqlite{file}};
    right = tell_story(states);
  } catch (const std::exception& error) {
    std::cerr << "session_cart: " << error.what() << '\n';
  }
  std::error_code ignored;
  if (!folder.empty()) std::filesystem::remove_all(folder, ignored);
  std::cout << (right ? "\nOK: nothing was lost.\n" : "\nFAILED: something is not as it should be.\n");
  return right && std::cout.flush() ? 0 : 1;
}
