// States in a Redis server, against redis-benchmark, and against hiredis, which sends the command plainly.
#include <atom/backend/redis.hpp>

#include <hiredis/hiredis.h>

#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "bench/bench.hpp"
#include "bench/process.hpp"
#include "bench/servers.hpp"
#include "support/chaos_proxy.hpp"
#include "support/redis_server.hpp"

namespace {

class Redis {
 public:
  static Redis& get() {
    static Redis one;
    return one;
  }

  std::string url() const { return server_.url(); }
  std::string socket() const { return server_.socket(); }
  bench::Numbers& numbers() noexcept { return numbers_; }

  /// Sends the command so often, one after the other.
  void add_plainly(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      const std::unique_ptr<void, void (*)(void*)> reply(
          redisCommand(plain_.get(), "HINCRBY bench:one %s 1", "000000000000"), freeReplyObject);
      if (!reply) throw std::runtime_error(plain_->errstr);
    }
  }
  /// Seconds that one of so many takes.
  double benchmark(const std::vector<std::string>& options, std::size_t count) const {
    std::vector<std::string> command{
        "redis-benchmark", "-h", "127.0.0.1",          "-p", std::to_string(server_.port()),
        "--csv",           "-n", std::to_string(count)};
    command.insert(command.end(), options.begin(), options.end());
    const std::string output = bench::output_of(command);
    const std::size_t line = output.rfind('\n', output.size() - 2) + 1;  // "the command","requests per second",...
    const std::size_t rate = output.find("\",\"", line);
    if (rate == output.npos) throw std::runtime_error("redis-benchmark prints something else");
    return 1 / std::stod(output.substr(rate + 3));
  }

 private:
  Redis() {
    if (!plain_ || plain_->err) throw std::runtime_error("there is no connection to Redis");
  }

  const support::RedisServer server_;
  bench::Numbers numbers_{std::make_shared<atom::Redis>(server_.url()), 100'000};
  const std::unique_ptr<redisContext, void (*)(redisContext*)> plain_{redisConnect("127.0.0.1", server_.port()),
                                                                      redisFree};
};

const bench::Registration all([] {
  bench::add_work<Redis>("redis/1/store", 2000, [](Redis& redis) { redis.numbers().add_one_by_one(2000); });
  bench::add_work<Redis>("redis/1/plain", 4000, [](Redis& redis) { redis.add_plainly(4000); });
  bench::add_work<Redis>("redis/64/store", 64 * 200, [](Redis& redis) { redis.numbers().add_in_threads(64, 200); });
  bench::add_work<Redis>("redis/256/store", 256 * 1000,
                         [](Redis& redis) { redis.numbers().add_in_coroutines(256, 1000); });
  bench::add_measured<Redis>("redis/64/benchmark", [](Redis& redis) {
    return redis.benchmark({"-c", "64", "-P", "1", "INCR", "bench:hot"}, 16'000);
  });
  bench::add_work<Redis>("redis/many/store", 4096 * 15, [](Redis& redis) { redis.numbers().add_anywhere(4096, 15); });
  for (const std::size_t coroutines : {1u, 4u, 16u, 64u, 256u, 1024u, 4096u}) {
    const std::size_t each = coroutines < 64 ? 500 : coroutines < 1024 ? 100 : 10;
    const std::string name = std::to_string(coroutines);
    bench::add_work<Redis>("redis/in flight/" + name + "/one", coroutines * each,
                           [=](Redis& redis) { redis.numbers().add_in_coroutines(coroutines, each); });
    bench::add_work<Redis>("redis/in flight/" + name + "/many", coroutines * each,
                           [=](Redis& redis) { redis.numbers().add_anywhere(coroutines, each); });
  }
  // As many connections as a store has, each of which is lent to whoever sends.
  bench::add_measured<Redis>("redis/many/benchmark", [](Redis& redis) {
    return redis.benchmark({"-c", std::to_string(atom::RedisOptions().connections), "-P", "16", "-r", "100000",
                            "HINCRBY", "bench:many", "__rand_int__", "1"},
                           100'000);
  });
  bench::add_round_trips<Redis>("redis/session", [](const support::ChaosProxy& proxy) {
    return std::make_shared<atom::Redis>("redis://127.0.0.1:" + std::to_string(proxy.port()));
  });
  bench::add_delays<Redis>("redis/feed/", [](Redis& redis) {
    return bench::delays_heard(std::make_shared<atom::Redis>(redis.url()), "redis", redis.url());
  });
  bench::add_child("redis", [](const std::string& url) { bench::listen(std::make_shared<atom::Redis>(url)); });
});

}  // namespace
