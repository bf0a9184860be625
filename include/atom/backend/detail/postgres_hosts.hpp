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
#include <utility>
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
  std::vector<std::string> hosts, addresses, ports;
  for (const PQconninfoOption* option = parsed.get(); option && option->keyword; ++option) {
    const std::string_view name = option->keyword;
    const char* const value = option->val || !option->envvar ? option->val : std::getenv(option->envvar);
    if (!value) continue;
    if (name == "service" || name == "load_balance_hosts") return {};
    std::vector<std::string>* const parts = name == "host"       ? &hosts
                                            : name == "hostaddr" ? &addresses
                                            : name == "port"     ? &ports
                                                                 : nullptr;
    if (!parts) continue;
    const auto add = [&](std::string_view part) {
      parts->emplace_back(part.empty() && option->compiled ? option->compiled : part);
    };
    std::string_view left = value;
    for (std::size_t end; (end = left.find(',')) != left.npos; left.remove_prefix(end + 1)) add(left.substr(0, end));
    add(left);
  }
  const std::size_t count = std::max(hosts.size(), addresses.size());
  if (ports.size() == 1) ports.resize(count, ports.front());
  std::vector<PostgresHost> all(count);
  for (const auto& [parts, part] :
       {std::pair(&hosts, &PostgresHost::host), std::pair(&addresses, &PostgresHost::hostaddr),
        std::pair(&ports, &PostgresHost::port)}) {
    if (parts->empty()) continue;
    if (parts->size() != count || std::count(parts->begin(), parts->end(), "") > 0) return {};
    for (std::size_t i = 0; i < count; ++i) all[i].*part = std::move((*parts)[i]);
  }
  return count > 1 ? all : std::vector<PostgresHost>();
}

}  // namespace atom::inline v0_1::detail
