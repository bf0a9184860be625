// The hosts that a URL of PostgreSQL names, where they are several: libpq tries one after the other, but as it leaves
// `connect_timeout` to whoever connects without blocking, one that says nothing would have all the time.
#pragma once

#include <atom/config.hpp>

#include <libpq-fe.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace atom::inline v0_1::detail {

/// As a URL has it.
struct PostgresHost {
  std::string host, hostaddr, port;
};

/// What is not in the URL is taken from the environment, as libpq does. None, if it is one, or if it is libpq's to find
/// out which they are, in which order, or what is wrong with them.
inline std::vector<PostgresHost> postgres_hosts(const std::string& url) {
  struct Freer {
    void operator()(PQconninfoOption* options) const noexcept { PQconninfoFree(options); }
  };
  const std::unique_ptr<PQconninfoOption, Freer> parsed(PQconninfoParse(url.c_str(), nullptr));
  // What is between the commas; nothing, if nothing is said of it.
  const auto parts_of = [&](std::string_view keyword) {
    std::vector<std::string> parts;
    const PQconninfoOption* option = parsed.get();
    while (option && option->keyword && option->keyword != keyword) ++option;
    if (!option || !option->keyword) return parts;
    const char* const value = option->val || !option->envvar ? option->val : std::getenv(option->envvar);
    if (!value) return parts;
    const auto add = [&](std::string_view part) {
      parts.emplace_back(part.empty() && option->compiled ? option->compiled : part);
    };
    std::string_view left = value;
    for (std::size_t end; (end = left.find(',')) != left.npos; left.remove_prefix(end + 1)) add(left.substr(0, end));
    add(left);
    return parts;
  };
  for (const char* const finds_hosts : {"service", "load_balance_hosts"}) {
    if (!parts_of(finds_hosts).empty()) return {};
  }
  std::vector<std::string> hosts = parts_of("host"), addresses = parts_of("hostaddr"), ports = parts_of("port");
  const std::size_t count = std::max(hosts.size(), addresses.size());
  if (count < 2) return {};
  if (ports.size() == 1) ports.resize(count, ports.front());
  for (const auto* const parts : {&hosts, &addresses, &ports}) {
    const bool is_whole = parts->size() == count && std::count(parts->begin(), parts->end(), "") == 0;
    if (!parts->empty() && !is_whole) return {};
  }
  std::vector<PostgresHost> all(count);
  for (std::size_t i = 0; i < count; ++i) {
    if (!hosts.empty()) all[i].host = hosts[i];
    if (!addresses.empty()) all[i].hostaddr = addresses[i];
    if (!ports.empty()) all[i].port = ports[i];
  }
  return all;
}

}  // namespace atom::inline v0_1::detail
