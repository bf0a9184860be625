// Where the poll is kept: by URL, in any database that the program was built with, or in memory alone.
#pragma once

#include <atom/backend/memory.hpp>
#include <atom/backend/open.hpp>
#ifdef LIVE_POLL_HAS_SQLITE
#include <atom/backend/sqlite.hpp>
#endif
#ifdef LIVE_POLL_HAS_REDIS
#include <atom/backend/redis.hpp>
#endif
#ifdef LIVE_POLL_HAS_POSTGRES
#include <atom/backend/postgres.hpp>
#endif
#ifdef LIVE_POLL_HAS_DYNAMODB
#include <atom/backend/dynamodb.hpp>
#endif
#include <atom/state/options.hpp>
#include <atom/state/state_store.hpp>

#include <chrono>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>

namespace live_poll {

/// Throws StateError: where the URL is none of these, or there is no such database.
inline std::unique_ptr<atom::StateStore> open_states(std::string_view url) {
  using namespace std::chrono_literals;
  const atom::StoreOptions options{
      .staleness = 500ms, .on_event = [](const atom::StateEvent& event) {
        std::cerr << "live_poll: " + std::string(to_string(event.kind)) + ": " + event.message + '\n' << std::flush;
      }};
  if (url == "memory:") return std::make_unique<atom::StateStore>(options);  // no database, not even a simple one
  return std::make_unique<atom::StateStore>(atom::open_backend<atom::Memory
#ifdef LIVE_POLL_HAS_SQLITE
                                                               ,
                                                               atom::Sqlite
#endif
#ifdef LIVE_POLL_HAS_REDIS
                                                               ,
                                                               atom::Redis
#endif
#ifdef LIVE_POLL_HAS_POSTGRES
                                                               ,
                                                               atom::Postgres
#endif
#ifdef LIVE_POLL_HAS_DYNAMODB
                                                               ,
                                                               atom::DynamoDb
#endif
                                                               >(url),
                                            options);
}

}  // namespace live_poll
