// Where the shop keeps what it knows of its clients: in a file, by SQLite, or in memory alone.
#pragma once

#include <atom/state/error.hpp>
#include <atom/state/options.hpp>
#include <atom/state/state_store.hpp>
#ifdef SHOP_HAS_SQLITE
#include <atom/backend/sqlite.hpp>
#endif

#include <filesystem>
#include <iostream>
#include <stdexcept>
#include <string>
#include <system_error>

#include <stdlib.h>

namespace shop {

#ifdef SHOP_HAS_SQLITE
inline constexpr bool has_sqlite = true;
#else
inline constexpr bool has_sqlite = false;
#endif

/// Opens the file, and makes it if need be; without a name, in memory. Where it need not be `durable`, a power cut may
/// undo the last writes, and they take a fraction of the time. Throws StateError.
inline atom::StateStore open_states(const std::string& file, [[maybe_unused]] bool durable = true) {
  const atom::StoreOptions options{.on_event = [](const atom::StateEvent& event) {
    std::cerr << "ssr_server: " + std::string(to_string(event.kind)) + ": " + event.message + '\n' << std::flush;
  }};
#ifdef SHOP_HAS_SQLITE
  if (!file.empty()) {
    const auto synchronous = durable ? atom::Synchronous::full : atom::Synchronous::normal;
    return atom::StateStore{atom::Sqlite{{.path = file, .synchronous = synchronous}}, options};
  }
#endif
  if (!file.empty()) {
    throw atom::StateError(atom::StateErrorCode::refused,
                           "this program was built without SQLite, so it cannot open " + file);
  }
  return atom::StateStore{options};
}

/// A folder that goes with this object.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::error_code failed;
    std::string name = (std::filesystem::temp_directory_path(failed) / "atom-shop-XXXXXX").string();
    if (failed || !::mkdtemp(name.data())) throw std::runtime_error("there is no place for temporary files");
    path_ = name;
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() { remove(); }

  void remove() noexcept {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::string operator/(const char* name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

}  // namespace shop
