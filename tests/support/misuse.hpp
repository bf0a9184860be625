// What is reported as misuse.
#pragma once

#include <atom/misuse.hpp>

#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace support {

using Reports = std::vector<std::string>;

/// What is reported while it lives; by other threads too.
class ListeningToMisuse {
 public:
  ListeningToMisuse() : before_(atom::set_misuse_handler(&note)) {
    const std::scoped_lock lock(mutex());
    all().clear();
  }
  ListeningToMisuse(const ListeningToMisuse&) = delete;
  ListeningToMisuse& operator=(const ListeningToMisuse&) = delete;
  ~ListeningToMisuse() { atom::set_misuse_handler(before_); }
  static Reports reports() {
    const std::scoped_lock lock(mutex());
    return all();
  }

 private:
  static void note(std::string_view message) {
    const std::scoped_lock lock(mutex());
    all().emplace_back(message);
  }
  static std::mutex& mutex() {
    static std::mutex m;
    return m;
  }
  static Reports& all() {
    static Reports reports;
    return reports;
  }
  atom::MisuseHandler before_;
};

/// Where there are no checks, there are no reports.
inline Reports if_checked(Reports reports) {
#if ATOM_CHECKS
  return reports;
#else
  reports.clear();
  return reports;
#endif
}

}  // namespace support
