// What `tests/gdb/run` looks at in gdb. Everything is reached through variables that an optimiser must leave alone: it
// does not know what `stop_here` reads.
#include <atom/collection.hpp>
#include <atom/derived.hpp>
#include <atom/family.hpp>
#include <atom/state/state_store.hpp>
#include <atom/store.hpp>

#include <cstring>
#include <new>
#include <optional>
#include <string>
#include <vector>

namespace shop {
enum class Kind { guest, member };
struct User {
  std::string name;
  bool logged_in = false;
  bool operator==(const User&) const = default;
};
struct Point {
  int x = 0;
  int y = 0;
  bool operator==(const Point&) const = default;
};
struct Large {
  char bytes[80] = "large";
  bool operator==(const Large&) const = default;
};
struct OnlyMoved {
  int number = 5;
  OnlyMoved() = default;
  OnlyMoved(OnlyMoved&&) = default;
  OnlyMoved& operator=(OnlyMoved&&) = default;
};
namespace {
struct Hidden {
  int number = 0;
  bool operator==(const Hidden&) const = default;
};
}  // namespace
// A class with verbs of its own.
class Counter : public atom::Atom<int> {
 public:
  using Atom::Atom;
  bool increment() {
    return update([](int n) { return n + 1; });
  }
};

const atom::Atom<User> user{"user", User{"Guest", false}};
const atom::Atom<int> count{"count", 1};
const atom::Atom<std::string> token{"token", "none", {.server_only = true}};
const atom::Atom<OnlyMoved> only_moved{"only_moved"};
const atom::Atom<Hidden> hidden{"hidden", Hidden{4}};
const atom::Atom<int> built{"built", atom::Factory{[] { return 8; }}};
const atom::Atom<Kind> kind{"kind", Kind::member};
const atom::AtomCollection<int> numbers{"numbers"};
const Counter counter{"counter", 40};
const atom::AtomFamily<int, Point> points{"point"};
const atom::Derived<int> twice{"twice", [](auto& get) { return 2 * get(count); }};
const atom::Derived<int> thrice{"thrice", [](auto& get) { return 3 * get(count); }};
}  // namespace shop

extern "C" [[gnu::noinline]] void stop_here() {
  asm volatile("" ::: "memory");
}

// What gdb prints by itself is taken from these.
std::string ada = "Ada";
std::vector<int> two_numbers = {1, 2};

atom::AtomStore* store;
atom::AtomStore* empty_store;
atom::Atom<shop::User>* user_clone;
atom::Atom<int>* count_clone;
const atom::Atom<shop::User>* user_template = &shop::user;
const atom::Atom<int>* built_template = &shop::built;
const atom::AtomBase* base;
const atom::AtomBase* no_atom = nullptr;
const atom::AtomBase* counter_base;
atom::Atom<shop::Point>* point_clone;
atom::Derived<int>* twice_clone;
atom::Derived<int>* thrice_clone;
const atom::Derived<int>* twice_template = &shop::twice;
atom::Snapshot* snapshot;
atom::Snapshot* many;
atom::Snapshot* from_client;
atom::Value* nothing;
atom::Value* number;
atom::Value* text;
atom::Value* point;
atom::Value* large;
atom::Value* a_vector;
atom::Value* a_hidden;
atom::Value* a_default;
atom::StateStore* states;
atom::StateStore* more_states;
atom::State<int>* stock;
atom::State<shop::Point>* place;
atom::State<std::string>* motto;
atom::State<int>* unset;
atom::State<int>* orphan;
atom::AnyState* any_state;
atom::Scope* scope;
atom::Error* error;
atom::Error* state_error;
// Corrupt ones: their memory is filled with what no such object has.
atom::AtomStore* bad_store;
atom::Atom<int>* bad_atom;
atom::Snapshot* bad_snapshot;
atom::Value* bad_value;
atom::State<int>* bad_state;
atom::StateStore* bad_states;
atom::Scope* bad_scope;
atom::Error* bad_error;

template <class T>
void corrupt(T*& object, int byte) {
  void* const memory = ::operator new(sizeof(T), std::align_val_t(alignof(T)));
  std::memset(memory, byte, sizeof(T));
  object = static_cast<T*>(memory);
}
void corrupt_all(int byte) {
  corrupt(bad_store, byte);
  corrupt(bad_atom, byte);
  corrupt(bad_snapshot, byte);
  corrupt(bad_value, byte);
  corrupt(bad_state, byte);
  corrupt(bad_states, byte);
  corrupt(bad_scope, byte);
  corrupt(bad_error, byte);
}

int main() {
  atom::AtomStore the_store;
  atom::AtomStore another_store;
  store = &the_store;
  empty_store = &another_store;
  user_clone = &the_store.use(shop::user);
  user_clone->update({"Ada", true});
  count_clone = &the_store.use(shop::count);
  count_clone->update(3);
  the_store.use(shop::token).update("secret");
  the_store.use(shop::only_moved);
  the_store.use(shop::hidden);
  the_store.use(shop::built);
  the_store.use(shop::kind);
  the_store.use(shop::numbers).update({1, 2});
  the_store.use(shop::counter).increment();
  point_clone = &the_store.use(shop::points(7));
  point_clone->update({5, 6});
  twice_clone = &the_store.use(shop::twice);
  twice_clone->value();
  thrice_clone = &the_store.use(shop::thrice);
  base = user_clone;
  counter_base = &the_store.use(shop::counter);

  atom::Snapshot a_snapshot{{"count", 3}, {"unknown", "Ada"}};
  a_snapshot.set(shop::token, "secret");
  snapshot = &a_snapshot;
  atom::Snapshot many_values;
  for (int i = 0; i < 20; ++i) many_values.set("n" + std::to_string(i), i);
  many = &many_values;
  atom::Snapshot client_values = atom::Snapshot{{"count", 4L}}.set_trust(atom::Trust::client);
  from_client = &client_values;

  atom::Value values[] = {atom::Value(),   42,
                          "Ada",           shop::Point{1, 2},
                          shop::Large{},   std::vector<int>{1, 2},
                          shop::Hidden{9}, *the_store.snapshot().find("hidden")};
  nothing = &values[0];
  number = &values[1];
  text = &values[2];
  point = &values[3];
  large = &values[4];
  a_vector = &values[5];
  a_hidden = &values[6];
  a_default = &values[7];

  const atom::Scope in_shop = atom::Scope{"shop"} / "a b";
  scope = new atom::Scope(in_shop);
  atom::StateStore the_states;
  states = &the_states;
  auto a_stock = the_states.get_state<int>(0, {.key = "stock", .scope = in_shop});
  a_stock.set(2);
  a_stock.set(3);
  auto a_place = the_states.get_state<shop::Point>({}, {.key = "place", .scope = in_shop});
  a_place.set({7, 8});
  atom::StateStore other_states;
  more_states = &other_states;
  auto a_motto = other_states.get_state<std::string>("", {.key = "the motto", .scope = atom::Scope{"shop"}});
  a_motto.set("Ada");
  auto is_unset = the_states.get_state<int>(11, {.key = "unset", .scope = in_shop});
  stock = &a_stock;
  place = &a_place;
  motto = &a_motto;
  unset = &is_unset;
  std::optional<atom::StateStore> short_lived(std::in_place);
  auto an_orphan = short_lived->get_state<int>(5, {.key = "orphan", .scope = in_shop});
  an_orphan.set(6);
  short_lived.reset();
  orphan = &an_orphan;
  auto listed = the_states.list(in_shop);
  any_state = &listed.items[0];

  atom::KeyConflict conflict("two of them");
  atom::StateError refused(atom::StateErrorCode::refused, "no");
  error = &conflict;
  state_error = &refused;

  corrupt_all(0xa5);
  stop_here();
  corrupt_all(0);
  stop_here();
  corrupt_all(0x01);
  stop_here();
  count_clone->update(4);
  stop_here();
}
