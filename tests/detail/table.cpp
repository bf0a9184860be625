#include <atom/detail/table.hpp>

#include "support/catch.hpp"

#include <cstdint>
#include <deque>
#include <memory_resource>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace table_test {
namespace {

using atom::detail::Arena;

class Item {
 public:
  Item(std::uint32_t hash, std::string key) : hash_(hash), key_(std::move(key)) {}
  std::uint32_t hash() const { return hash_; }
  std::string_view key() const { return key_; }

 private:
  std::uint32_t hash_;
  std::string key_;
};
using Table = atom::detail::Table<Item>;

struct Fixture {
  Arena arena{std::pmr::new_delete_resource()};
  Table table;
  ~Fixture() { table.clear(arena); }
  void insert(const void* identity, Item& item) {
    table.reserve_one(arena);
    table.insert(identity, item);
  }
};

/// How the upper bits are spread: the table's slot is the upper bits of the hash.
using Hashes = std::uint32_t (*)(std::mt19937&);
std::uint32_t spread(std::mt19937& random) {
  return static_cast<std::uint32_t>(random());
}
std::uint32_t all_the_same(std::mt19937&) {
  return 0xF0000000u;
}
std::uint32_t around_the_end(std::mt19937& random) {
  return 0xE0000000u + static_cast<std::uint32_t>(random() % 4) * 0x10000000u;  // homes 14, 15, 0, 1 of 16
}
std::uint32_t last_slot_of_any_size(std::mt19937& random) {
  return 0xFFFFFFFFu - static_cast<std::uint32_t>(random() % 3);
}

TEST_CASE_METHOD(Fixture, "an empty table finds nothing") {
  int identity = 0;
  CHECK(table.find(&identity, 0) == nullptr);
  CHECK(table.find(nullptr, 0) == nullptr);
  CHECK(table.find(&identity, 5, "key") == nullptr);
  CHECK(table.find(5, "key") == nullptr);
}

TEST_CASE_METHOD(Fixture, "an item is found by its identity and by its key") {
  Item item(0x12345678u, "one");
  int identity = 0;
  insert(&identity, item);
  CHECK(table.find(&identity, item.hash()) == &item);
  CHECK(table.find(&identity, item.hash(), "one") == &item);
  CHECK(table.find(item.hash(), "one") == &item);
  CHECK(table.find(item.hash(), "two") == nullptr);
  CHECK(table.find(0x12345679u, "one") == nullptr);
}

TEST_CASE_METHOD(Fixture, "an unknown identity with a known key finds the item of that key") {
  Item item(1, "one");
  int known = 0;
  int unknown = 0;
  insert(&known, item);
  CHECK(table.find(&unknown, 1) == nullptr);
  CHECK(table.find(&unknown, 1, "one") == &item);
}

TEST_CASE_METHOD(Fixture, "identity goes before key, wherever the two lie") {
  Item first(1, "same");
  Item second(1, "same");
  int a = 0;
  int b = 0;
  insert(&a, first);
  insert(&b, second);
  CHECK(table.find(&a, 1, "same") == &first);
  CHECK(table.find(&b, 1, "same") == &second);
}

TEST_CASE_METHOD(Fixture, "erasing an item takes all its identities along, and nobody else's") {
  Item aliased(0xF0000000u, "aliased");
  Item other(0xF0000000u, "other");
  int a = 0;
  int b = 0;
  int c = 0;
  int d = 0;
  insert(&a, aliased);
  insert(&b, other);
  insert(&c, aliased);
  insert(&d, aliased);
  CHECK(table.find(&c, aliased.hash(), "aliased") == &aliased);
  table.erase(aliased);
  CHECK(table.find(&a, aliased.hash(), "aliased") == nullptr);
  CHECK(table.find(&c, aliased.hash(), "aliased") == nullptr);
  CHECK(table.find(aliased.hash(), "aliased") == nullptr);
  CHECK(table.find(&b, other.hash(), "other") == &other);
}

TEST_CASE_METHOD(Fixture, "erasing an item that is not there changes nothing") {
  Item here(7, "here");
  const Item absent(7, "absent");
  int identity = 0;
  insert(&identity, here);
  table.erase(absent);
  CHECK(table.find(7, "here") == &here);
}

TEST_CASE_METHOD(Fixture, "a cleared table is empty and may be filled again") {
  std::deque<Item> items;
  for (std::uint32_t i = 0; i < 100; ++i) {
    Item& item = items.emplace_back(i << 20, std::to_string(i));
    insert(&item, item);
  }
  table.clear(arena);
  for (Item& item : items) CHECK(table.find(item.hash(), item.key()) == nullptr);
  insert(&items[3], items[3]);
  CHECK(table.find(&items[3], items[3].hash(), "3") == &items[3]);
}

class CountingItem {
 public:
  explicit CountingItem(int number) : key_(std::to_string(number)) {}
  std::uint32_t hash() const { return ++asked, 0x12345678u; }
  std::string_view key() const { return ++asked, std::string_view(key_); }
  static inline std::uint64_t asked = 0;

 private:
  std::string key_;
};

TEST_CASE("items whose keys were chosen for their one hash are not each compared with each") {
  Arena arena(std::pmr::new_delete_resource());
  atom::detail::Table<CountingItem> table;
  std::deque<CountingItem> items;
  CountingItem::asked = 0;
  int wrong = 0;
  for (int i = 0; i < 20'000; ++i) {
    CountingItem& item = items.emplace_back(i);
    wrong += table.find(&item, item.hash(), item.key()) != nullptr;
    table.reserve_one(arena);
    table.insert(&item, item);
  }
  for (CountingItem& item : items) {
    wrong += table.find(&item, item.hash(), item.key()) != &item;
    wrong += table.find(item.hash(), item.key()) != &item;
  }
  for (CountingItem& item : items) {
    table.erase(item);
    wrong += table.find(item.hash(), item.key()) != nullptr;
  }
  CHECK(wrong == 0);
  CHECK(CountingItem::asked < 100 * items.size());
  table.clear(arena);
}

TEST_CASE("a crowded table that is cleared is a table again") {
  Arena arena(std::pmr::new_delete_resource());
  Table table;
  std::deque<Item> items;
  const auto fill = [&](std::uint32_t hash) {
    for (int i = 0; i < 400; ++i) {
      Item& item = items.emplace_back(hash, "key." + std::to_string(i));
      table.reserve_one(arena);
      table.insert(&item, item);
    }
  };
  fill(7);
  CHECK(table.find(&items[0], 7) == nullptr);
  CHECK(table.find(&items[0], 7, "key.0") == &items[0]);
  fill(7);
  CHECK(table.find(&items[400], 7, "key.0") == &items[400]);
  table.erase(items[400]);
  CHECK(table.find(&items[400], 7, "key.0") == &items[0]);
  CHECK(table.find(&items[0], 7, "key.0") == &items[0]);
  table.clear(arena);
  CHECK(table.find(7, "key.0") == nullptr);
  table.reserve_one(arena);
  table.insert(&items[3], items[3]);
  CHECK(table.find(&items[3], 7) == &items[3]);
  table.clear(arena);
}

TEST_CASE("a table behaves as a map does, under random inserts and erases and every spread of hashes") {
  const Hashes hashes = GENERATE(&spread, &all_the_same, &around_the_end, &last_slot_of_any_size);
  const std::size_t limit = GENERATE(std::size_t{11}, std::size_t{60}, std::size_t{400});
  std::mt19937 random(11);
  Arena arena(std::pmr::new_delete_resource());
  Table table;
  std::deque<Item> items;
  std::vector<std::pair<const void*, Item*>> here;
  std::deque<char> identities;
  int wrong = 0;
  const auto check_all = [&] {
    for (const auto& [identity, item] : here) {
      wrong += table.find(identity, item->hash(), item->key()) != item;
      wrong += table.find(item->hash(), item->key()) != item;
    }
    for (int i = 0; i < 3; ++i) wrong += table.find(hashes(random), "absent") != nullptr;
  };
  const std::size_t steps = limit < 100 ? 1500 : 1200;
  for (std::size_t step = 0; step < steps; ++step) {
    if (here.size() < limit && random() % 3) {
      // Every fifth is one more identity of an item that is there.
      Item* item = !here.empty() && random() % 5 == 0 ? here[random() % here.size()].second : nullptr;
      if (!item) item = &items.emplace_back(hashes(random), "key." + std::to_string(items.size()));
      const void* const identity = &identities.emplace_back();
      table.reserve_one(arena);
      table.insert(identity, *item);
      here.emplace_back(identity, item);
    } else if (!here.empty()) {
      Item* const gone = here[random() % here.size()].second;
      table.erase(*gone);
      wrong += table.find(gone->hash(), gone->key()) != nullptr;
      std::erase_if(here, [&](const auto& entry) { return entry.second == gone; });
    }
    if (limit < 100 || step % 40 == 0) check_all();
  }
  check_all();
  CHECK(wrong == 0);
  table.clear(arena);
}

}  // namespace
}  // namespace table_test
