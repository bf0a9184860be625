// Text paths into described types: "address.city".
#include <atom/store.hpp>

#include "support/catch.hpp"
#include "support/described.hpp"

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace text_paths_test {
namespace {

struct Team {
  std::vector<support::User> members;
  std::map<std::string, int> points;
  bool open = false;
  bool operator==(const Team&) const = default;
  static constexpr auto atom_fields() {
    return atom::describe(atom::field("members", &Team::members), atom::field("points", &Team::points),
                          atom::field("open", &Team::open));
  }
};

const atom::Atom<Team> team_atom{
    "text_paths.team", Team{{{"Ada", 0, {"Rome", {}}, {1.5, 2}}, {"", 36, {"", "Via"}, {}}}, {{"a b", 4}}, false}};
const atom::Atom<support::User> custom_atom{
    "text_paths.custom",
    support::User{"Ada", 1, {}, {}},
    {.get = [](std::string_view path, const support::User& user) -> std::optional<atom::Value> {
      if (path == "initial") return atom::Value(user.name.substr(0, 1));
      return std::nullopt;
    }}};

TEST_CASE("15. A text path walks described fields and indices: missing gives the fallback") {
  atom::AtomStore store;
  auto& team = store.use(team_atom);
  CHECK(team.get<std::string>("members.0.address.city", "?") == "Rome");
  CHECK(team.get<double>("members.0.prices.1") == 2);
  CHECK(team.get<int>("points.a b") == 4);
  CHECK(team.get<support::Address>("members.0.address").city == "Rome");
  for (const char* path :
       {"nobody", "members.2.name", "members.00.name", "members.-1.name", "members.x.name", "members.0.address.street",
        "points.b", "members.0.name.first", "members..name", "members.0.", ".", "members.99999999999999999999.name"}) {
    CAPTURE(path);
    CHECK(team.get<std::string>(path, "fallback") == "fallback");
  }
}

TEST_CASE("15. Present but empty, zero or false gives the value itself") {
  atom::AtomStore store;
  auto& team = store.use(team_atom);
  CHECK(team.get<std::string>("members.1.name", "fallback").empty());
  CHECK(team.get<int>("members.0.age", 7) == 0);
  CHECK(team.get<bool>("open", true) == false);
  CHECK(team.get<std::string>("members.1.address.street", "fallback") == "Via");
  CHECK(team.get<std::vector<double>>("members.1.prices", {1}).empty());
}

TEST_CASE("A text path that leads to another type is an error") {
  atom::AtomStore store;
  auto& team = store.use(team_atom);
  CHECK_THROWS_AS(team.get<int>("members.0.name"), atom::TypeMismatch);
  CHECK(team.get<long>("members.1.age") == 36);  // an integer that fits
  CHECK_THROWS_AS(team.get<std::vector<int>>("members"), atom::TypeMismatch);
}

TEST_CASE("16. A custom getter replaces the text paths") {
  atom::AtomStore store;
  auto& custom = store.use(custom_atom);
  CHECK(custom.get<std::string>("initial") == "A");
  CHECK(custom.get<std::string>("name", "fallback") == "fallback");
}

TEST_CASE("17. A watch by text path fires only when that leaf changed, with the new and the old value") {
  atom::AtomStore store;
  auto& team = store.use(team_atom);
  std::vector<std::pair<std::string, std::string>> heard;
  atom::Subscription subscription = team.watch<std::string>(
      "members.0.name", [&](const std::string& now, const std::string& old) { heard.emplace_back(now, old); },
      "nobody");
  team.mutate([](Team& t) { t.open = true; });
  team.mutate([](Team& t) { t.members[1].name = "Bob"; });
  CHECK(heard.empty());
  team.mutate([](Team& t) { t.members[0].name = "Eve"; });
  team.mutate([](Team& t) { t.members.clear(); });
  CHECK(heard == std::vector<std::pair<std::string, std::string>>{{"Eve", "Ada"}, {"nobody", "Eve"}});
  subscription.unsubscribe();
  team.reset();
  CHECK(heard.size() == 2);
}

TEST_CASE("A watch by text path of another type is refused at once") {
  atom::AtomStore store;
  CHECK_THROWS_AS(store.use(team_atom).watch<int>("members.0.name", [](const int&) {}), atom::TypeMismatch);
}

const atom::Atom<std::vector<bool>> bits_atom{"text_paths.bits", {true, false}};

TEST_CASE("15. An element of a vector of bool that is false is not the fallback") {
  atom::AtomStore store;
  auto& bits = store.use(bits_atom);
  CHECK(bits.get<bool>("0", false));
  CHECK_FALSE(bits.get<bool>("1", true));
  CHECK(bits.get<bool>("2", true));
}

TEST_CASE("15. The empty path gives the whole value, and a template is read like a clone") {
  CHECK(team_atom.get<Team>("") == team_atom.value());
  CHECK(team_atom.get<std::string>("members.0.name") == "Ada");
  CHECK(team_atom.get<int>("nothing") == 0);
}

TEST_CASE("16. A custom getter is asked for each path, also the empty one, and sees the current value") {
  atom::AtomStore store;
  auto& custom = store.use(custom_atom);
  CHECK(custom.get<support::User>("", support::User{"fallback", 0, {}, {}}).name == "fallback");
  custom.change(&support::User::name, "Eve");
  CHECK(custom.get<std::string>("initial") == "E");
  CHECK_THROWS_AS(custom.get<int>("initial"), atom::TypeMismatch);
}

TEST_CASE("16. A watch by text path asks the custom getter, for the new and the old value") {
  atom::AtomStore store;
  auto& custom = store.use(custom_atom);
  std::vector<std::pair<std::string, std::string>> heard;
  custom.watch<std::string>("initial",
                            [&](const std::string& now, const std::string& old) { heard.emplace_back(now, old); });
  custom.change(&support::User::name, "Adam");
  custom.change(&support::User::age, 40);
  CHECK(heard.empty());
  custom.change(&support::User::name, "Bob");
  CHECK(heard == std::vector<std::pair<std::string, std::string>>{{"B", "A"}});
}

TEST_CASE("17. A watch by text path hears of what comes into being, once in a batch, and of a reset") {
  atom::AtomStore store;
  auto& team = store.use(team_atom);
  std::vector<std::pair<int, int>> heard;
  team.watch<int>("points.new", [&](int now, int old) { heard.emplace_back(now, old); }, -1);
  store.batch([&] {
    team.mutate([](Team& t) { t.points["new"] = 1; });
    team.mutate([](Team& t) { t.points["new"] = 2; });
  });
  team.mutate([](Team& t) { t.points["new"] = 2; });
  team.update([](Team t) {
    t.points["new"] = 3;
    return t;
  });
  team.reset();
  CHECK(heard == std::vector<std::pair<int, int>>{{2, -1}, {3, 2}, {-1, 3}});
}

TEST_CASE("17. A watch by text path takes as little as its listener wants") {
  atom::AtomStore store;
  auto& team = store.use(team_atom);
  int told = 0;
  team.watch<bool>("open", [&] { ++told; });
  team.watch<bool>("open", [&](bool now) { told += now; });
  team.watch<bool>("open", [&](bool now, bool old, atom::Atom<Team>& atom) { told += now && !old && &atom == &team; });
  team.change(&Team::open, true);
  CHECK(told == 3);
}

}  // namespace
}  // namespace text_paths_test
