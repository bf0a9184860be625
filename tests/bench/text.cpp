// What does text cost? A snapshot of about 1.5 kB: a user, a cart of 20 items, a locale.
#include <atom/json.hpp>
#include <atom/json_reader.hpp>
#include <atom/store.hpp>

#include <nlohmann/json.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "bench/bench.hpp"
#include "bench/node.hpp"

namespace {

struct User {
  std::string name;
  bool logged_in = false;
  bool operator==(const User&) const = default;
  static constexpr auto atom_fields() {
    return atom::describe(atom::field("name", &User::name), atom::field("loggedIn", &User::logged_in));
  }
};
struct Item {
  std::int64_t id = 0;
  std::string title;
  double price = 0;
  int quantity = 0;
  bool operator==(const Item&) const = default;
  static constexpr auto atom_fields() {
    return atom::describe(atom::field("id", &Item::id), atom::field("title", &Item::title),
                          atom::field("price", &Item::price), atom::field("qty", &Item::quantity));
  }
};
struct Page {
  User user;
  std::vector<Item> cart;
  std::string locale;
  bool operator==(const Page&) const = default;
  static constexpr auto atom_fields() {
    return atom::describe(atom::field("bench_text_user", &Page::user), atom::field("bench_text_cart", &Page::cart),
                          atom::field("bench_text_locale", &Page::locale));
  }
};

const atom::Atom<User> user_atom{"bench_text_user", User{"Ada Lovelace", true}, {.client_writable = true}};
const atom::Atom<std::vector<Item>> cart_atom{"bench_text_cart", {}, {.client_writable = true}};
const atom::Atom<std::string> locale_atom{"bench_text_locale", "en", {.client_writable = true}};

std::vector<Item> some_items() {
  std::vector<Item> items;
  for (int i = 0; i < 20; ++i) {
    items.push_back({1'000'000 + i, "A thing of beauty " + std::to_string(i), 9.99 + i * 1.25, i % 5 + 1});
  }
  return items;
}
atom::Snapshot some_snapshot() {
  atom::AtomStore store;
  store.use(user_atom);
  store.use(cart_atom).update(some_items());
  store.use(locale_atom);
  return store.snapshot();
}

/// Written by hand for exactly these types, with the same rules for text and numbers.
std::string by_hand(const User& user, const std::vector<Item>& cart, const std::string& locale) {
  atom::detail::JsonWriter writer;
  const auto key = [&]<std::size_t N>(const char(&name)[N]) { writer.quoted_key<N - 1>(name); };
  writer.begin_object();
  key("\"bench_text_user\":");
  writer.begin_object();
  key("\"name\":");
  writer.text(user.name);
  key("\"loggedIn\":");
  writer.boolean(user.logged_in);
  writer.end_object();
  key("\"bench_text_cart\":");
  writer.begin_array();
  for (const Item& item : cart) {
    writer.begin_object();
    key("\"id\":");
    writer.integer(item.id);
    key("\"title\":");
    writer.text(item.title);
    key("\"price\":");
    writer.number(item.price);
    key("\"qty\":");
    writer.integer(item.quantity);
    writer.end_object();
  }
  writer.end_array();
  key("\"bench_text_locale\":");
  writer.text(locale);
  writer.end_object();
  return std::string(writer.text());
}

/// simdjson used directly, where the order of the members is known.
bool read_directly(simdjson::ondemand::parser& parser, const simdjson::padded_string& text, Page& page) {
  simdjson::ondemand::document document;
  if (parser.iterate(text).get(document)) return false;
  simdjson::ondemand::object user;
  std::string_view view;
  if (document["bench_text_user"].get(user) || user["name"].get(view)) return false;
  page.user.name = view;
  if (user["loggedIn"].get(page.user.logged_in)) return false;
  simdjson::ondemand::array cart;
  if (document["bench_text_cart"].get(cart)) return false;
  for (auto element : cart) {
    simdjson::ondemand::object object;
    if (element.get(object)) return false;
    Item item;
    std::int64_t quantity;
    if (object["id"].get(item.id) || object["title"].get(view) || object["price"].get(item.price) ||
        object["qty"].get(quantity)) {
      return false;
    }
    item.title = view;
    item.quantity = static_cast<int>(quantity);
    page.cart.push_back(std::move(item));
  }
  if (document["bench_text_locale"].get(view)) return false;
  page.locale = view;
  return true;
}

nlohmann::json to_nlohmann(const User& user, const std::vector<Item>& cart, const std::string& locale) {
  nlohmann::json items = nlohmann::json::array();
  for (const Item& item : cart) {
    items.push_back({{"id", item.id}, {"title", item.title}, {"price", item.price}, {"qty", item.quantity}});
  }
  return {{"bench_text_user", {{"name", user.name}, {"loggedIn", user.logged_in}}},
          {"bench_text_cart", std::move(items)},
          {"bench_text_locale", locale}};
}
Page from_nlohmann(const std::string& text) {
  const nlohmann::json json = nlohmann::json::parse(text);
  Page page;
  page.user = {json["bench_text_user"]["name"], json["bench_text_user"]["loggedIn"]};
  for (const nlohmann::json& item : json["bench_text_cart"]) {
    page.cart.push_back({item["id"], item["title"], item["price"], item["qty"]});
  }
  page.locale = json["bench_text_locale"];
  return page;
}

const bench::Registration all([] {
  const auto json = [] { return atom::to_json(some_snapshot()); };
  bench::add_in_node("text/encode/node", "stringify", json);
  bench::add_in_node("text/decode/node", "parse", json);
  bench::add("text/encode/atom", [](benchmark::State& state) {
    const atom::Snapshot snapshot = some_snapshot();
    for (auto _ : state) benchmark::DoNotOptimize(atom::to_json(snapshot));
  });
  bench::add("text/encode/hand", [](benchmark::State& state) {
    const atom::Snapshot snapshot = some_snapshot();
    const User& user = snapshot.get(user_atom);
    const std::vector<Item>& cart = snapshot.get(cart_atom);
    const std::string& locale = snapshot.get(locale_atom);
    if (by_hand(user, cart, locale) != atom::to_json(snapshot)) state.SkipWithError("another text");
    for (auto _ : state) benchmark::DoNotOptimize(by_hand(user, cart, locale));
  });
  bench::add("text/encode/nlohmann", [](benchmark::State& state) {
    const std::vector<Item> cart = some_items();
    const User user{"Ada Lovelace", true};
    const std::string locale = "en";
    for (auto _ : state) benchmark::DoNotOptimize(to_nlohmann(user, cart, locale).dump());
  });

  bench::add("text/decode/hydrate", [](benchmark::State& state) {
    const std::string text = atom::to_json(some_snapshot());
    for (auto _ : state) {
      const atom::Result<atom::Snapshot> snapshot = atom::snapshot_from_json(text);
      atom::AtomStore store;
      store.hydrate(*snapshot);
      benchmark::DoNotOptimize(store.use(user_atom).value());
      benchmark::DoNotOptimize(store.use(cart_atom).value());
      benchmark::DoNotOptimize(store.use(locale_atom).value());
      if (store.use(cart_atom)->size() != 20) state.SkipWithError("it was not read");
    }
  });
  bench::add("text/decode/atom", [](benchmark::State& state) {
    const std::string text = atom::to_json(some_snapshot());
    for (auto _ : state) {
      const atom::Result<Page> page = atom::from_json<Page>(text);
      if (!page) state.SkipWithError("it was not read");
      benchmark::DoNotOptimize(page);
    }
  });
  bench::add("text/decode/simdjson", [](benchmark::State& state) {
    const simdjson::padded_string text(atom::to_json(some_snapshot()));
    simdjson::ondemand::parser parser;
    for (auto _ : state) {
      Page page;
      if (!read_directly(parser, text, page)) state.SkipWithError("it was not read");
      benchmark::DoNotOptimize(page);
    }
  });
  bench::add("text/decode/nlohmann", [](benchmark::State& state) {
    const std::string text = atom::to_json(some_snapshot());
    for (auto _ : state) benchmark::DoNotOptimize(from_nlohmann(text));
  });
});

}  // namespace
