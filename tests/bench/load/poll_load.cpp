// How many requests the server of live_poll answers in a second, in memory, against the same server whose poll is
// written by hand. wrk asks both in turn.
//
//   poll_load [SECONDS] [ROUNDS]      of each run, by default 3 and 7
#include "../../../examples/live_poll/client.hpp"
#include "../../../examples/live_poll/server.hpp"
#include "../process.hpp"
#include "plain_poll.hpp"

#include <boost/asio/awaitable.hpp>

#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <fstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace {

constexpr int clients = 200;
constexpr double at_least = 0.85;

/// A script for wrk: clients that are known ask for the page, and every tenth request is a vote.
class Script {
 public:
  explicit Script(int port, bool votes) {
    char name[] = "/tmp/atom-wrk-XXXXXX";
    const int file = ::mkstemp(name);
    if (file < 0) throw std::runtime_error("there is no place for temporary files");
    ::close(file);
    path_ = name;
    std::ofstream out(path_);
    out << "local cookies = {";
    for (int i = 0; i < clients; ++i) {
      live_poll::Client client(port);
      client.vote(live_poll::options()[static_cast<std::size_t>(i) % 4].votes.key());
      out << '"' << client.cookie() << "\",";
    }
    out << "}\nlocal keys = {'pizza', 'noodles', 'salad', 'soup'}\nlocal n = 0\n"
        << "function request()\n  n = n + 1\n  local headers = {Cookie = cookies[n % " << clients << " + 1]}\n";
    if (votes) {
      out << "  headers.Accept = 'application/json'\n"
          << "  if n % 10 == 0 then return wrk.format('POST', '/vote/' .. keys[(n / 10) % 4 + 1], headers) end\n";
    }
    out << "  return wrk.format('GET', '/', headers)\nend\n";
  }
  Script(const Script&) = delete;
  Script& operator=(const Script&) = delete;
  ~Script() { ::unlink(path_.c_str()); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// Requests in a second.
double rate(int port, const Script& script, const std::string& seconds) {
  bench::Process wrk({"wrk", "-t1", "-c16", "-d" + seconds + "s", "-s", script.path(),
                      "http://127.0.0.1:" + std::to_string(port) + "/"});
  const std::string report = wrk.end();
  if (report.find("Non-2xx") != report.npos || report.find("Socket errors") != report.npos) {
    throw std::runtime_error("wrk says:\n" + report);
  }
  constexpr std::string_view before = "Requests/sec:";
  const std::size_t at = report.find(before);
  if (at == report.npos) throw std::runtime_error("wrk says:\n" + report);
  return std::stod(report.substr(at + before.size()));
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

}  // namespace

int main(int argc, char** argv) try {
  const std::string seconds = argc > 1 ? argv[1] : "3";
  const int rounds = argc > 2 ? std::stoi(argv[2]) : 7;
  atom::StateStore states;
  live_poll::Server ours(live_poll::handlers_of(states));
  bench::PlainPoll poll;
  live_poll::Server::Handlers handlers;
  handlers.answer = [&poll](live_poll::Request request) -> boost::asio::awaitable<live_poll::Response> {
    co_return poll.answer(request);
  };
  live_poll::Server plain(std::move(handlers));
  const int our_port = ours.bind(0), plain_port = plain.bind(0);
  ours.start();
  plain.start();

  bool is_met = true;
  for (const bool votes : {false, true}) {
    const Script our_script(our_port, votes), plain_script(plain_port, votes);
    std::vector<double> our_rates, plain_rates, ratios;
    for (int round = 0; round < rounds; ++round) {
      const bool first = round % 2 == 0;
      if (first) our_rates.push_back(rate(our_port, our_script, seconds));
      plain_rates.push_back(rate(plain_port, plain_script, seconds));
      if (!first) our_rates.push_back(rate(our_port, our_script, seconds));
      ratios.push_back(our_rates.back() / plain_rates.back());
    }
    const double ratio = median(ratios);
    is_met = is_met && ratio >= at_least;
    std::printf("%-38s %6.0f requests/s, by hand %6.0f: %.2fx (at least %.2fx)%s\n",
                votes ? "the page, and every tenth is a vote" : "the page", median(our_rates), median(plain_rates),
                ratio, at_least, ratio < at_least ? "  MISSED" : "");
  }
  states.close(std::chrono::seconds(1));
  return is_met && ours.stop() && plain.stop() ? 0 : 1;
} catch (const std::exception& e) {
  std::fprintf(stderr, "poll_load: %s\n", e.what());
  return 2;
}
