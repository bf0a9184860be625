#include <atom/atom.hpp>
#include <atom/detail/definition.hpp>
#include <atom/options.hpp>

#include "support/catch.hpp"

#include <memory>
#include <memory_resource>
#include <new>
#include <string>
#include <utility>

namespace definition_test {
namespace {

using atom::AtomOptions;
using atom::Key;
using atom::detail::AtomDefinition;

TEST_CASE("a definition owns its texts") {
  std::string key = "definition.text";
  std::string file = "some/file.cpp";
  const AtomDefinition<int> definition(Key(key, file.c_str(), 3), AtomOptions<int>{}, std::in_place, 5);
  key.assign(key.size(), '-');
  file.assign(file.size(), '-');
  CHECK(definition.info().key == "definition.text");
  CHECK(definition.info().file == "some/file.cpp");
  CHECK(definition.info().line == 3);
  CHECK(definition.info().type_name == "int");
  CHECK(definition.hash == atom::detail::hash_key("definition.text"));
}

TEST_CASE("a definition holds the default") {
  const AtomDefinition<std::string> definition(Key("definition.default"), AtomOptions<std::string>{}, std::in_place,
                                               "hello");
  REQUIRE(definition.default_value);
  CHECK(*static_cast<const std::string*>(definition.default_value) == "hello");
}

TEST_CASE("a definition with a factory has no default and builds a value each time") {
  using T = std::unique_ptr<int>;
  const AtomDefinition<T> definition(Key("definition.factory"), AtomOptions<T>{},
                                     atom::detail::Hook<T()>([] { return std::make_unique<int>(7); }));
  CHECK_FALSE(definition.default_value);
  T* built[2];
  alignas(T) std::byte places[2][sizeof(T)];
  for (int i = 0; i < 2; ++i) {
    definition.build(places[i], nullptr);
    built[i] = std::launder(reinterpret_cast<T*>(places[i]));
    CHECK(**built[i] == 7);
  }
  CHECK(built[0]->get() != built[1]->get());
  for (T* object : built) object->~T();
}

TEST_CASE("a value that takes an allocator is built on the memory that is given") {
  using T = std::pmr::string;
  const AtomDefinition<T> definition(Key("definition.memory"), AtomOptions<T>{},
                                     atom::detail::Hook<T()>([] { return T("text"); }));
  std::pmr::monotonic_buffer_resource memory;
  alignas(T) std::byte place[sizeof(T)];
  definition.build(place, &memory);
  T* const built = std::launder(reinterpret_cast<T*>(place));
  CHECK(built->get_allocator().resource() == &memory);
  CHECK(*built == "text");
  built->~T();
}

TEST_CASE("a definition knows which options it was given") {
  const AtomDefinition<int> plain(Key("definition.plain"), AtomOptions<int>{}, std::in_place, 0);
  CHECK_FALSE(plain.server_only);
  CHECK_FALSE(plain.client_writable);
  CHECK_FALSE(plain.has_before_update);
  CHECK_FALSE(plain.has_on_update);
  const AtomDefinition<int> rich(Key("definition.rich"),
                                 AtomOptions<int>{.before_update = [](int&& next, const int&) { return next; },
                                                  .on_update = [](const int&, const int&, atom::Atom<int>&) {},
                                                  .server_only = true,
                                                  .client_writable = true},
                                 std::in_place, 0);
  CHECK(rich.server_only);
  CHECK(rich.client_writable);
  CHECK(rich.has_before_update);
  CHECK(rich.has_on_update);
}

TEST_CASE("before_update is shown a copy of the next value, and the current one") {
  int seen_current = 0;
  const AtomDefinition<int> definition(Key("definition.before"),
                                       AtomOptions<int>{.before_update =
                                                            [&](int&& next, const int& current) {
                                                              seen_current = current;
                                                              return ++next;
                                                            }},
                                       std::in_place, 0);
  const int next = 10;
  const int current = 3;
  CHECK(definition.before_update(&next, &current).get<int>() == 11);
  CHECK(next == 10);
  CHECK(seen_current == 3);
}

TEST_CASE("two definitions are the same variable when key place and type are, whatever folder the file lies in") {
  const auto define = []<class T>(T, const char* file, unsigned line) {
    return std::make_unique<AtomDefinition<T>>(Key("definition.same", file, line), AtomOptions<T>{}, std::in_place,
                                               T());
  };
  const auto one = define(0, "a/b/atoms.hpp", 4);
  CHECK(one->same_variable(*define(0, "a/b/atoms.hpp", 4)));
  CHECK(one->same_variable(*define(0, "../x/atoms.hpp", 4)));
  CHECK(one->same_variable(*define(0, "atoms.hpp", 4)));
  CHECK(one->same_variable(*define(0, "C:\\x\\atoms.hpp", 4)));
  CHECK_FALSE(one->same_variable(*define(0, "a/b/atoms.hpp", 5)));
  CHECK_FALSE(one->same_variable(*define(0, "a/b/other_atoms.hpp", 4)));
  CHECK_FALSE(one->same_variable(*define(0L, "a/b/atoms.hpp", 4)));
}

TEST_CASE("two definitions with other marks or functions are two variables, in two files of one name") {
  const auto define = [](AtomOptions<int> options) {
    return std::make_unique<AtomDefinition<int>>(Key("definition.marks", "a/atoms.hpp", 4), std::move(options),
                                                 std::in_place, 0);
  };
  const auto plain = define({});
  const auto differs = [&](AtomOptions<int> options) {
    const auto other = define(std::move(options));
    return !plain->same_variable(*other) && !other->same_variable(*plain);
  };
  CHECK_FALSE(differs({}));
  CHECK(differs({.server_only = true}));
  CHECK(differs({.client_writable = true}));
  CHECK(differs({.persist = true}));
  CHECK(differs({.before_update = [](int&& next, const int&) { return next; }}));
  CHECK(differs({.on_update = [](const int&, const int&, atom::Atom<int>&) {}}));
}

}  // namespace
}  // namespace definition_test
