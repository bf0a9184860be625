#include <atom/backend/memory.hpp>
#include <atom/backend/open.hpp>
#include <atom/backend/sqlite.hpp>
#include <atom/state/state_store.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "support/backend_client.hpp"
#include "support/catch.hpp"

namespace open_test {
namespace {

using atom::open_backend;
using atom::StateStore;

std::string refusal(const std::string& url) {
  try {
    static_cast<void>(open_backend<atom::Memory, atom::Sqlite>(url));
  } catch (const atom::StateError& error) {
    CHECK(error.code() == atom::StateErrorCode::refused);
    const std::string message = error.message();
    const std::size_t end = message.rfind(" (without effect)");
    CHECK(end != std::string::npos);
    return message.substr(0, end);
  }
  return "";
}
void count_one(StateStore&& store) {
  auto visits = store.create_state<std::int64_t>(0, {.key = "visits", .scope = atom::Scope::global()});
  CHECK(visits.apply(atom::current + 1) == 1);
}

TEST_CASE("a URL names the backend that a store stands on") {
  CHECK(open_backend<atom::Memory>("memory:")->traits().name == "memory");
  count_one(StateStore{open_backend<atom::Sqlite, atom::Memory>("memory:")});

  const support::TemporaryFolder folder;
  const std::string path = folder / "app.db";
  REQUIRE(path.starts_with('/'));
  SECTION("the path of a file") {
    count_one(StateStore{open_backend<atom::Memory, atom::Sqlite>("sqlite:" + path)});
  }
  SECTION("with no host") {
    count_one(StateStore{open_backend<atom::Memory, atom::Sqlite>("sqlite://" + path)});
  }
  CHECK(std::filesystem::exists(path));
}

TEST_CASE("nothing is connected to, and no file is made, before a store is") {
  const support::TemporaryFolder folder;
  const std::string path = folder / "app.db";
  const auto backend = open_backend<atom::Sqlite>("sqlite:" + path);
  CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("a URL that is none of the program's backends is refused with those that it may be") {
  const std::string wanted = "the URL of a backend begins with one of memory:, sqlite:, and not with ";
  CHECK(refusal("redis://app:secret@db.example.com") == wanted + "redis:");
  CHECK(refusal("app.db") == wanted + "something else");
  CHECK(refusal("memory") == wanted + "something else");
  CHECK(refusal("") == wanted + "something else");
  CHECK(refusal("app:secret@db.example.com").find("secret") == std::string::npos);
  CHECK(refusal("s3cret@db.example.com:6379") == wanted + "something else");
  CHECK(refusal("Sqlite:app.db") == wanted + "something else");
}

TEST_CASE("a URL that names no file, or more than memory, is refused") {
  for (const char* const url : {"sqlite:", "sqlite://", "sqlite://app.db"}) {
    CAPTURE(url);
    CHECK(refusal(url).starts_with("the URL of states in SQLite is sqlite: and a path"));
  }
  CHECK(refusal("memory:app") == "the URL of states in memory is memory: alone");
}

}  // namespace
}  // namespace open_test
