// The poll as one would write it without the library: votes and clients in maps behind a mutex. It forgets nobody.
#pragma once

#include "../../../examples/live_poll/poll.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <random>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace bench {

class PlainPoll {
 public:
  live_poll::Response answer(const live_poll::Request& request) {
    live_poll::Response response;
    std::string id = session_of(request.cookies);
    if (request.method == "POST") {
      if (live_poll::is_from_elsewhere(request)) return live_poll::refusal(403, "Another site has sent this.");
      const std::string choice = request.path.substr(std::string_view("/vote/").size());
      {
        const std::lock_guard lock(mutex_);
        if (!voted_.contains(id)) {
          id = new_id();
          response.headers.emplace_back("Set-Cookie", "session=" + id + "; Path=/; HttpOnly; SameSite=Lax");
        }
        std::string& voted = voted_[id];
        if (voted != choice) {
          if (!voted.empty()) --votes_[voted];
          ++votes_[choice];
          voted = choice;
        }
      }
      response.type = "application/json";
      response.body = "{\"voted\":\"" + choice + "\"}";
    } else {
      std::vector<live_poll::Line> lines;
      std::string voted;
      {
        const std::lock_guard lock(mutex_);
        for (const live_poll::Option& option : live_poll::options()) {
          lines.push_back({option.votes.key(), option.label, votes_[std::string(option.votes.key())]});
        }
        if (const auto found = voted_.find(id); found != voted_.end()) voted = found->second;
      }
      response.body = live_poll::render(lines, voted);
    }
    live_poll::add_headers_of_all(response);
    return response;
  }

 private:
  static std::string session_of(std::string_view cookies) {
    constexpr std::string_view name = "session=";
    const std::size_t begin = cookies.find(name);
    if (begin == cookies.npos) return {};
    cookies.remove_prefix(begin + name.size());
    return std::string(cookies.substr(0, cookies.find(';')));
  }
  std::string new_id() {
    std::string id;
    for (int i = 0; i < 32; ++i) id += "0123456789abcdef"[random_() & 15];
    return id;
  }

  std::mutex mutex_;
  std::random_device random_;
  std::unordered_map<std::string, std::int64_t> votes_;
  std::unordered_map<std::string, std::string> voted_;
};

}  // namespace bench
