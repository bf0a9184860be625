// States in a Redis server.
#include <atom/backend/redis.hpp>

#include <memory>
#include <string>
#include <utility>

#include "contract/contract.hpp"
#include "support/redis_server.hpp"

namespace contract {
namespace {

/// One server, and a name for each store.
class InRedis final : public Kind {
 public:
  std::unique_ptr<atom::StateStore> open(atom::StoreOptions options) override {
    ++stores_;
    return reopen(std::move(options));
  }
  std::unique_ptr<atom::StateStore> reopen(atom::StoreOptions options) override {
    return std::make_unique<atom::StateStore>(backend(), std::move(options));
  }
  std::shared_ptr<atom::Backend> backend() override {
    return std::make_shared<atom::Redis>(
        atom::RedisOptions{.url = server_.url(), .name = "test" + std::to_string(stores_)});
  }

 private:
  support::RedisServer server_;
  int stores_ = 0;
};
const Registered<InRedis> redis{"redis"};

}  // namespace
}  // namespace contract
