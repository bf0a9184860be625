#include <atom/fwd.hpp>

namespace {

// Signatures that need the names alone; what they are is known further down.
int first_number(const atom::AtomStore& store, const atom::Atom<int>& number);
bool is_ours(const atom::Error& error);
const atom::Value* look_up(const atom::Snapshot& snapshot, const char* key);
void end(atom::Subscription& subscription);

}  // namespace

#include <atom/store.hpp>

#include "support/catch.hpp"

#include <string>

namespace {

const atom::Atom<int> number{"fwd.number", 7};

TEST_CASE("functions declared with the forward header alone are the ones that the full headers define") {
  atom::AtomStore store;
  CHECK(first_number(store, number) == 7);
  CHECK(is_ours(atom::TypeMismatch("no")));
  const atom::Snapshot snapshot{{"fwd.word", "yes"}};
  REQUIRE(look_up(snapshot, "fwd.word"));
  CHECK(look_up(snapshot, "fwd.word")->get<std::string>() == "yes");
  atom::Subscription subscription = store.use(number).on_change([] {});
  end(subscription);
  CHECK_FALSE(subscription.active());
}

int first_number(const atom::AtomStore& store, const atom::Atom<int>& which) {
  return store.value(which);
}
bool is_ours(const atom::Error& error) {
  return std::string(error.what()) == "no";
}
const atom::Value* look_up(const atom::Snapshot& snapshot, const char* key) {
  return snapshot.find(key);
}
void end(atom::Subscription& subscription) {
  subscription.unsubscribe();
}

}  // namespace
