// States in what stands in for DynamoDB.
#include <atom/backend/dynamodb.hpp>

#include <memory>
#include <string>

#include "contract/kind.hpp"
#include "support/dynamo_server.hpp"

namespace contract {
namespace {

/// One server, and a table for each test.
class InDynamoDb final : public Kind {
 public:
  void renew() override { ++tables_; }
  std::shared_ptr<atom::Backend> backend() override {
    return std::make_shared<atom::DynamoDb>(atom::DynamoDbOptions{
        .table = "test" + std::to_string(tables_), .region = "eu-central-1", .endpoint = server_.endpoint()});
  }
  bool is_server() const override { return true; }

 private:
  support::DynamoServer server_;
  int tables_ = 0;
};
const Registered<InDynamoDb> dynamodb{"dynamodb"};

}  // namespace
}  // namespace contract
