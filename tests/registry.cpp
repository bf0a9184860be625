#include <atom/registry.hpp>
#include <atom/store.hpp>

#include "support/catch.hpp"

#include <algorithm>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace registry_test {
namespace {

using atom::Atom;
using atom::Key;

const Atom<int> declared{"registry.declared", 1};
constexpr unsigned line_after = __LINE__;

std::optional<atom::AtomInfo> info_of(std::string_view key) {
  std::optional<atom::AtomInfo> found;
  for (const atom::AtomInfo& info : atom::registered()) {
    if (info.key == key) found = info;
  }
  return found;
}
std::size_t conflicts_of(std::string_view key) {
  const auto all = atom::conflicts();
  return static_cast<std::size_t>(
      std::count_if(all.begin(), all.end(), [&](const auto& clash) { return clash.first.key == key; }));
}

TEST_CASE("a template is found by its key while it lives") {
  CHECK(atom::find("registry.declared") == &declared);
  CHECK(atom::find("registry.nobody") == nullptr);
  {
    const Atom<int> local{"registry.local", 1};
    CHECK(atom::find("registry.local") == &local);
  }
  CHECK(atom::find("registry.local") == nullptr);
  CHECK_FALSE(info_of("registry.local"));
}

TEST_CASE("a template is found by key and type") {
  CHECK(atom::find<int>("registry.declared") == &declared);
  CHECK(atom::find<long>("registry.declared") == nullptr);
  CHECK(atom::find<int>("registry.nobody") == nullptr);
}

TEST_CASE("the registry tells key, type and place of every live template") {
  const auto info = info_of("registry.declared");
  REQUIRE(info);
  CHECK(info->type_name == "int");
  CHECK(std::string_view(info->file) == __FILE__);
  CHECK(info->line == line_after - 1);
}

TEST_CASE("clones are not registered") {
  const std::size_t before = atom::registered().size();
  atom::AtomStore store;
  store.use(declared);
  CHECK(store.use(declared).clone_key() != "registry.declared");
  CHECK(atom::find(store.use(declared).clone_key()) == nullptr);
  CHECK(atom::registered().size() == before);
}

TEST_CASE("the texts of a template outlive it") {
  std::optional<atom::AtomInfo> info;
  {
    const std::string key = "registry.texts." + std::string(100, 'x');
    const Atom<int> local{key, 1};
    info = info_of(key);
  }
  REQUIRE(info);
  CHECK(info->key == "registry.texts." + std::string(100, 'x'));
  CHECK(std::string_view(info->file) == __FILE__);
}

TEST_CASE("a key may be taken again when its template is gone") {
  for (int i = 0; i < 3; ++i) {
    const Atom<int> local{"registry.again", i};
    CHECK(atom::find("registry.again") == &local);
    CHECK(conflicts_of("registry.again") == 0);
    CHECK(atom::AtomStore().use(local).value() == i);
  }
  const Atom<std::string> other{"registry.again", "text"};
  CHECK(atom::find<std::string>("registry.again") == &other);
  CHECK(atom::AtomStore().use(other).value() == "text");
}

TEST_CASE("two live templates with one key are a conflict that names both places") {
  const Atom<int> first{Key("registry.twice", "one.cpp", 1), 1};
  const Atom<std::string> second{Key("registry.twice", "two.cpp", 2), "2"};
  REQUIRE(conflicts_of("registry.twice") == 1);
  for (const atom::KeyClash& clash : atom::conflicts()) {
    if (clash.first.key != "registry.twice") continue;
    CHECK(clash.first.file == "one.cpp");
    CHECK(clash.first.line == 1);
    CHECK(clash.first.type_name == "int");
    CHECK(clash.second.file == "two.cpp");
    CHECK(clash.second.line == 2);
    CHECK(clash.second.type_name == "std::string");
  }
  CHECK(atom::find("registry.twice") == &first);
  CHECK(atom::find<std::string>("registry.twice") == nullptr);
}

TEST_CASE("what is server-only is not taken for an atom of its key in another file of that name") {
  const Atom<int> secret{Key("registry.marks", "cart/atoms.hpp", 12), 1, {.server_only = true}};
  const Atom<int> open{Key("registry.marks", "user/atoms.hpp", 12), 2, {.client_writable = true}};
  CHECK(conflicts_of("registry.marks") == 1);
  atom::AtomStore store;
  CHECK(store.use(secret).is_server_only());
  CHECK(store.get(open) == nullptr);
  CHECK_THROWS_WITH(store.use(open),
                    support::ContainsSubstring("cart/atoms.hpp:12") && support::ContainsSubstring("user/atoms.hpp:12"));
  atom::AtomStore another;
  CHECK_THROWS_AS(another.use(open), atom::KeyConflict);
  CHECK(another.value(secret) == 1);
}

TEST_CASE("a conflict is gone with either of the two") {
  auto first = std::make_unique<const Atom<int>>(Key("registry.either", "one.cpp", 1), 1);
  auto second = std::make_unique<const Atom<int>>(Key("registry.either", "two.cpp", 2), 2);
  const bool first_goes = GENERATE(false, true);
  (first_goes ? first : second).reset();
  CHECK(conflicts_of("registry.either") == 0);
  const Atom<int>& left = first_goes ? *second : *first;
  CHECK(atom::find("registry.either") == &left);
  atom::AtomStore store;
  CHECK(store.use(left).value() == left.value());
}

TEST_CASE("of three templates with one key, each but the first conflicts with the first") {
  auto first = std::make_unique<const Atom<int>>(Key("registry.three", "one.cpp", 1), 1);
  const Atom<int> second{Key("registry.three", "two.cpp", 2), 2};
  const Atom<int> third{Key("registry.three", "three.cpp", 3), 3};
  CHECK(conflicts_of("registry.three") == 2);
  CHECK_THROWS_AS(atom::AtomStore().use(third), atom::KeyConflict);
  first.reset();
  CHECK(conflicts_of("registry.three") == 1);
  CHECK(atom::AtomStore().use(second).value() == 2);
  CHECK_THROWS_AS(atom::AtomStore().use(third), atom::KeyConflict);
}

TEST_CASE("the same variable in two shared objects is no conflict, and either keeps the key alive") {
  auto one = std::make_unique<const Atom<int>>(Key("registry.alias", "a/atoms.hpp", 4), 1);
  auto two = std::make_unique<const Atom<int>>(Key("registry.alias", "b/atoms.hpp", 4), 1);
  CHECK(conflicts_of("registry.alias") == 0);
  const bool first_goes = GENERATE(false, true);
  (first_goes ? one : two).reset();
  CHECK(atom::find("registry.alias") == (first_goes ? two.get() : one.get()));
}

TEST_CASE("thousands of templates are all found, and gone afterwards") {
  std::vector<std::unique_ptr<const Atom<int>>> atoms;
  for (int i = 0; i < 2000; ++i) {
    atoms.push_back(std::make_unique<const Atom<int>>("registry.many." + std::to_string(i), i));
  }
  int wrong = 0;
  for (const auto& atom : atoms) wrong += atom::find(atom->key()) != atom.get();
  std::set<std::string_view> keys;
  for (const atom::AtomInfo& info : atom::registered()) keys.insert(info.key);
  for (const auto& atom : atoms) wrong += !keys.contains(atom->key());
  atoms.resize(1000);
  for (int i = 0; i < 2000; ++i) {
    wrong += (atom::find("registry.many." + std::to_string(i)) != nullptr) != (i < 1000);
  }
  CHECK(wrong == 0);
}

TEST_CASE("templates come and go on several threads while others look") {
  std::vector<int> wrong(4);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < wrong.size(); ++t) {
    threads.emplace_back([t, &wrong] {
      const std::string own = "registry.thread." + std::to_string(t);
      for (int i = 0; i < 200; ++i) {
        const Atom<int> mine{own, i};
        const Atom<int> shared{Key("registry.thread.shared", "same.hpp", 1), 1};
        const Atom<int> clashing{Key("registry.thread.clash", "clash.cpp", static_cast<unsigned>(t)), 1};
        wrong[t] += atom::find(own) != &mine;
        wrong[t] += atom::find("registry.thread.shared") == nullptr;
        wrong[t] += atom::find("registry.thread.clash") == nullptr;
        wrong[t] += atom::find("registry.declared") != &declared;
        if (i % 50 == 0) {
          wrong[t] += atom::registered().empty();
          (void)atom::conflicts();
        }
      }
      wrong[t] += atom::find(own) != nullptr;
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == std::vector<int>(4, 0));
  CHECK(conflicts_of("registry.thread.clash") == 0);
  CHECK(atom::find("registry.thread.shared") == nullptr);
}

}  // namespace
}  // namespace registry_test
