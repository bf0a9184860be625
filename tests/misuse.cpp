#include <atom/collection.hpp>
#include <atom/context.hpp>
#include <atom/family.hpp>
#include <atom/misuse.hpp>
#include <atom/store.hpp>

#include "support/catch.hpp"
#include "support/misuse.hpp"

#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace misuse_test {
namespace {

using atom::AtomStore;
using atom::StoreScope;
using Listening = support::ListeningToMisuse;
using support::if_checked;
using support::Reports;

const atom::Atom<int> number{"misuse.number", 5};
const atom::Atom<std::string> text{"misuse.text", "default"};
const atom::AtomCollection<int> items{"misuse.items"};
const atom::AtomFamily<int, int> members{"misuse.member"};

TEST_CASE("A template that is read while a store is current is reported, by its key") {
  const Listening listening;
  CHECK(number.value() == 5);  // no store is current
  AtomStore store;
  const StoreScope scope(store);
  CHECK(number.value() == 5);
  CHECK(text->size() == 7);
  CHECK(items.empty());
  CHECK(number.default_value() == 5);  // says what it wants
  CHECK(store.value(number) == 5);
  CHECK(store.use(number).value() == 5);
  const std::string rest = " is read as a template while a store is current: take its clone, store.use(atom)";
  CHECK(Listening::reports() ==
        if_checked({"atom \"misuse.number\"" + rest, "atom \"misuse.text\"" + rest, "atom \"misuse.items\"" + rest}));
}

TEST_CASE("A template may be read inside of a scope that makes no store current") {
  const Listening listening;
  auto bound = atom::bind([] { return number.value(); });
  AtomStore store;
  const StoreScope scope(store);
  CHECK(bound() == 5);
  CHECK(Listening::reports().empty());
}

#if !defined(ATOM_DETAIL_ASAN) && ATOM_CHECKS  // with it, AddressSanitizer finds it
TEST_CASE("An atom that is used after its store dropped or destroyed it is reported, by its key, and refused") {
  const Listening listening;
  AtomStore store;
  auto& a = store.use(number);
  auto& b = store.use(text);
  auto& c = store.use(items);
  store.drop(number);
  CHECK_THROWS_AS(a.value(), atom::Error);
  CHECK_THROWS_AS(a.update(7), atom::Error);
  CHECK_THROWS_AS(a.on_change([] {}), atom::Error);
  store.destroy();
  CHECK_THROWS_AS(b->size(), atom::Error);
  CHECK_THROWS_AS(c.push(1), atom::Error);
  const std::string rest = " is used after its store has dropped or destroyed it";
  CHECK(Listening::reports() == Reports{"atom \"misuse.number\"" + rest, "atom \"misuse.number\"" + rest,
                                        "atom \"misuse.number\"" + rest, "atom \"misuse.text\"" + rest,
                                        "atom \"misuse.items\"" + rest});
  CHECK(store.use(number).value() == 5);
  CHECK(Listening::reports().size() == 5);
}
#endif

/// Runs `other` in another thread while this one is inside a batch of the store.
template <class Other>
void while_inside(AtomStore& store, Other other) {
  store.batch([&] { std::thread(other).join(); });
}

TEST_CASE("Two threads inside one store are reported, with the atom that the second one is at") {
  const Listening listening;
  AtomStore store;
  auto& clone = store.use(number);
  store.use(text).on_change([] {});
  while_inside(store, [&] { store.use(number); });
  while_inside(store, [&] { clone.update(6); });
  while_inside(store, [&] { store.use(text).silent_update("b"); });
  while_inside(store, [&] { store.use(members(3)); });
  while_inside(store, [&] { store.hydrate(atom::Snapshot()); });
  const std::string twice = "a store is used by two threads at once";
  CHECK(Listening::reports() ==
        if_checked({twice + ", near its atom \"misuse.number\"", twice + ", near its atom \"misuse.number\"",
                    twice + ", near its atom \"misuse.text\"", twice + ", near its atom \"misuse.member\"", twice}));
}

TEST_CASE("A second thread inside of a listener is reported") {
  const Listening listening;
  AtomStore store;
  store.use(number).on_change([&] { std::thread([&] { store.use(text); }).join(); });
  store.use(number).update(6);
  CHECK(Listening::reports() == if_checked({"a store is used by two threads at once, near its atom \"misuse.text\""}));
}

TEST_CASE("A store that goes from thread to thread, and a thread with several stores, are no misuse") {
  const Listening listening;
  AtomStore store;
  store.use(number).on_change([] {});
  for (int i = 0; i < 3; ++i) {
    std::thread([&] {
      AtomStore other;
      store.batch([&] {
        store.use(number).update(i);
        other.batch([&] { other.use(number).update(store.use(number).value() + 10); });
        store.batch([&] { store.use(text).update("x"); });
      });
      store.drop(text);
    }).join();
  }
  CHECK(Listening::reports().empty());
}

TEST_CASE("After two threads were inside, one of them alone is not reported any more") {
  const Listening listening;
  AtomStore store;
  while_inside(store, [&] { store.batch([&] { store.use(number); }); });
  const std::size_t reports = Listening::reports().size();
  store.use(number).update(9);
  std::thread([&] { store.use(number).update(10); }).join();
  CHECK(Listening::reports().size() == reports);
}

TEST_CASE("A store that goes in its own listener is not looked at afterwards") {
  const Listening listening;
  auto* const store = new AtomStore;
  store->use(number).on_change([&] { delete store; });
  store->batch([&] { store->use(number).update(6); });
  CHECK(Listening::reports().empty());
}

#if ATOM_CHECKS
TEST_CASE("Without a handler it is printed on stderr") {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::tmpfile(), &std::fclose);
  REQUIRE(file);
  const atom::MisuseHandler before = atom::set_misuse_handler(nullptr);
  std::fflush(stderr);
  const int was = ::dup(STDERR_FILENO);
  ::dup2(::fileno(file.get()), STDERR_FILENO);
  {
    AtomStore store;
    const StoreScope scope(store);
    (void)number.value();
  }
  std::fflush(stderr);
  ::dup2(was, STDERR_FILENO);
  ::close(was);
  atom::set_misuse_handler(before);
  std::rewind(file.get());
  char line[200] = "";
  CHECK(std::fgets(line, sizeof line, file.get()));
  CHECK(std::string_view(line).starts_with("atom: "));
  CHECK_THAT(line, support::ContainsSubstring("misuse.number"));
}
#endif

TEST_CASE("A handler may throw, out of what was misused; null prints again") {
  const atom::MisuseHandler before =
      atom::set_misuse_handler([](std::string_view message) { throw std::logic_error(std::string(message)); });
  AtomStore store;
  {
    const StoreScope scope(store);
#if ATOM_CHECKS
    CHECK_THROWS_AS(number.value(), std::logic_error);
#endif
    CHECK(store.use(number).value() == 5);
  }
  CHECK(atom::set_misuse_handler(nullptr) != before);
  CHECK(atom::set_misuse_handler(before) == before);
}

}  // namespace
}  // namespace misuse_test
