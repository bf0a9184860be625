// A thousand requests on eight threads, each with a store of its own: nothing of one is ever seen in another.
// The check that says so is also shown requests that do share something, which it must report.
#include <atom/store.hpp>

#include "support/catch.hpp"

#include <atomic>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace isolation_test {
namespace {

using atom::Atom;
using atom::AtomStore;
using atom::Snapshot;

struct User {
  std::string name = "nobody";
  int id = 0;
  bool operator==(const User&) const = default;
};
class Cart : public Atom<std::vector<std::string>> {
 public:
  using Atom::Atom;
  void add(std::string item) {
    mutate([&](std::vector<std::string>& items) { items.push_back(std::move(item)); });
  }
};

const Atom<User> user{"isolation.user"};
const Cart cart{"isolation.cart", std::vector<std::string>{"welcome gift, with a name that lies on the heap"}};
const Atom<int> total{"isolation.total", 0, {.before_update = [](int&& next, const int&) { return next; }}};
const Atom<std::string> locale{"isolation.locale", "a default locale that lies on the heap as well"};
const Atom<std::string> theme{"isolation.theme", "light"};
const Atom<std::unique_ptr<int>> connection{"isolation.connection",
                                            atom::Factory{[] { return std::make_unique<int>(0); }}};

/// All that one request saw, from its own point of view.
struct Answer {
  std::string name_before;
  std::size_t items_before = 0;
  std::size_t atoms_before = 0;
  int connection_before = 0;
  std::string theme_before;
  std::vector<std::string> told;
  Snapshot snapshot;
};

std::string name_of(int id) {
  return "user number " + std::to_string(id) + ", whose name lies on the heap";
}

Answer serve(AtomStore& store, int id, const std::shared_ptr<const Snapshot>& defaults,
             std::vector<std::string>& told) {
  Answer answer;
  answer.atoms_before = store.size();
  store.hydrate(defaults);
  auto& mine = store.use(user);
  auto& basket = store.use(cart);
  answer.name_before = mine.value().name;
  answer.items_before = basket.value().size();
  answer.theme_before = store.value(theme);
  answer.connection_before = *store.use(connection).value();
  store.use(connection).mutate([&](std::unique_ptr<int>& c) { *c = id; });

  mine.on_change([&told](const User& now, const User& old) { told.push_back(old.name + " > " + now.name); });
  basket.on_change([&store, &told](const std::vector<std::string>& items) {
    told.push_back("cart " + std::to_string(items.size()));
    store.use(total).update([](const int& n) { return n + 1; });
  });
  store.batch([&] {
    mine.update(User{name_of(id), id});
    for (int i = 0; i < 1 + id % 5; ++i) basket.add("item " + std::to_string(i) + " of " + std::to_string(id));
  });
  store.use(locale).mutate([&](std::string& text) { text += std::to_string(id); });
  store.use(theme).update("theme " + std::to_string(id));
  store.hydrate(store.snapshot());
  answer.told = std::move(told);
  answer.snapshot = store.snapshot();
  return answer;
}

/// What the snapshot of a request must be, made without any store.
Snapshot expected(int id) {
  std::vector<std::string> items = cart.value();
  for (int i = 0; i < 1 + id % 5; ++i) items.push_back("item " + std::to_string(i) + " of " + std::to_string(id));
  Snapshot snapshot;
  snapshot.set(user, User{name_of(id), id}).set(cart, items).set(total, 1);
  snapshot.set(locale, locale.value() + std::to_string(id)).set(theme, "theme " + std::to_string(id));
  return snapshot;
}

/// What of other requests can be seen in this answer; empty: nothing.
std::vector<std::string> bleed(const Answer& answer, int id) {
  std::vector<std::string> found;
  if (answer.atoms_before != 0) found.push_back("the store was not empty at the start");
  if (answer.name_before != user.value().name) found.push_back("the user was somebody already");
  if (answer.items_before != cart.value().size()) found.push_back("the cart was not the default one");
  if (answer.theme_before != "dark") found.push_back("the theme was not the hydrated one");
  if (answer.connection_before != 0) found.push_back("the connection was used already");
  const std::vector<std::string> told{
      user.value().name + " > " + name_of(id),
      "cart " + std::to_string(cart.value().size() + 1 + static_cast<std::size_t>(id) % 5)};
  if (answer.told != told) found.push_back("listeners were told something else");
  if (!(answer.snapshot == expected(id))) found.push_back("the snapshot has other values");
  return found;
}

std::shared_ptr<const Snapshot> shared_defaults() {
  return std::make_shared<const Snapshot>(Snapshot{{"isolation.theme", "dark"}, {"isolation.stranger", 1}});
}

TEST_CASE("a thousand requests on eight threads show no bleed while templates come and go on other threads") {
  constexpr int threads = 8;
  constexpr int requests = 150;
  const auto defaults = shared_defaults();
  std::vector<std::vector<std::string>> found(threads);
  std::vector<int> wrong_on_the_side(2);
  std::atomic<bool> done{false};

  std::vector<std::thread> side;
  for (std::size_t s = 0; s < wrong_on_the_side.size(); ++s) {
    side.emplace_back([s, &wrong = wrong_on_the_side[s], &done] {
      for (int i = 0; i < 3000 && (i < 100 || !done); ++i) {
        const Atom<int> local{"isolation.side." + std::to_string(s) + "." + std::to_string(i % 100), i};
        const Atom<int> clash{atom::Key("isolation.side.clash", "side.cpp", static_cast<unsigned>(s)), i};
        wrong += atom::find(local.key()) != &local;
        wrong += atom::find("isolation.user") != &user;
        wrong += AtomStore().use(local).value() != i;
        if (i % 20 == 0) {
          wrong += atom::registered().size() < 6;
          (void)atom::conflicts();
        }
      }
    });
  }
  std::vector<std::thread> workers;
  for (int t = 0; t < threads; ++t) {
    workers.emplace_back([t, &mine = found[static_cast<std::size_t>(t)], &defaults] {
      for (int i = 0; i < requests; ++i) {
        const int id = 1 + t * requests + i;
        // Two requests of one thread are under way at once, too.
        AtomStore store;
        AtomStore other;
        std::vector<std::string> told;
        std::vector<std::string> told_other;
        const Answer answer = serve(store, id, defaults, told);
        const Answer answer_other = serve(other, id + 100'000, defaults, told_other);
        for (std::string& what : bleed(answer, id)) mine.push_back(std::move(what));
        for (std::string& what : bleed(answer_other, id + 100'000)) mine.push_back(std::move(what));
        store.use(theme).update("after the answer");
        if (!(answer.snapshot == expected(id))) mine.push_back("the answer changed after it was given");
      }
    });
  }
  for (std::thread& worker : workers) worker.join();
  done = true;
  for (std::thread& thread : side) thread.join();

  for (const auto& what : found) CHECK(what == std::vector<std::string>{});
  CHECK(wrong_on_the_side == std::vector<int>{0, 0});
  CHECK(*defaults == *shared_defaults());
  CHECK(user.value() == User());
  CHECK(cart.value().size() == 1);
  CHECK(defaults.use_count() == 1);
}

TEST_CASE("the check for bleed finds a store that serves two requests") {
  const auto defaults = shared_defaults();
  std::vector<std::string> told;
  AtomStore store;
  CHECK(bleed(serve(store, 1, defaults, told), 1).empty());
  const auto found = bleed(serve(store, 2, defaults, told), 2);
  CHECK(found.size() >= 5);
}

TEST_CASE("the check for bleed finds each thing that may leak on its own") {
  const auto defaults = shared_defaults();
  const auto leak = [&](auto plant) {
    std::vector<std::string> told;
    AtomStore store;
    plant(store, told);
    const Answer answer = serve(store, 7, defaults, told);
    return bleed(answer, 7);
  };
  CHECK(leak([](AtomStore&, auto&) {}).empty());
  CHECK_FALSE(leak([](AtomStore& store, auto&) { store.use(locale); }).empty());
  CHECK_FALSE(
      leak([](AtomStore& store, auto&) { store.hydrate(Snapshot{{"isolation.user", User{"Eve", 3}}}); }).empty());
  CHECK_FALSE(leak([](AtomStore& store, auto&) { store.hydrate(Snapshot{{"isolation.total", 4}}); }).empty());
  CHECK_FALSE(leak([](AtomStore&, auto& told) { told.push_back("of another request"); }).empty());
  CHECK_FALSE(leak([](AtomStore& store, auto&) { store.use(user).silent_update(User{"Eve", 3}); }).empty());
}

TEST_CASE("the check for bleed finds a value of another request in the answer") {
  const auto defaults = shared_defaults();
  std::vector<std::string> told;
  AtomStore store;
  Answer answer = serve(store, 7, defaults, told);
  CHECK(bleed(answer, 7).empty());
  CHECK_FALSE(bleed(answer, 8).empty());
  answer.snapshot.set(theme, "theme 8");
  CHECK_FALSE(bleed(answer, 7).empty());
}

TEST_CASE("a store may move from thread to thread, one at a time") {
  const auto defaults = shared_defaults();
  auto store = std::make_unique<AtomStore>();
  std::vector<std::string> told;
  std::optional<Answer> answer;
  std::thread([&] { store->use(user); }).join();
  std::thread([&] { store->destroy(); }).join();
  std::thread([&] { answer = serve(*store, 3, defaults, told); }).join();
  std::thread([&] { store.reset(); }).join();
  REQUIRE(answer);
  CHECK(bleed(*answer, 3).empty());
}

}  // namespace
}  // namespace isolation_test
