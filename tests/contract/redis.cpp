// States in a Redis server.
#include <atom/backend/redis.hpp>

#include <memory>
#include <string>

#include "contract/kind.hpp"
#include "support/redis_server.hpp"

namespace contract {
namespace {

/// One server, and a name for each test.
class InRedis final : public Kind {
 public:
  void renew() override { ++names_; }
  std::shared_ptr<atom::Backend> backend() override {
    return std::make_shared<atom::Redis>(
        atom::RedisOptions{.url = server_.url(), .name = "test" + std::to_string(names_)});
  }
  bool is_server() const override { return true; }

 private:
  support::RedisServer server_;
  int names_ = 0;
};
const Registered<InRedis> redis{"redis"};

}  // namespace
}  // namespace contract
