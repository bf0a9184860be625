// What the database behind a store owes it: each batch takes effect once, whenever and however often it arrives.
#include "contract/contract.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "support/backend_client.hpp"

namespace contract_batches {
namespace {

using atom::BatchResult;
using atom::BatchStatus;
using atom::Outcome;
using support::Batch;

const atom::Scope scope = atom::Scope::global();

/// The kind's database, and what is sent to it as one lane.
class Sender {
 public:
  Sender() {
    if (!database_) return;
    REQUIRE_FALSE(database_->prepare(true, support::soon()));
    client_.emplace(*database_);
  }
  /// Sends a batch that writes `text`.
  BatchResult write(std::uint64_t sequence, const std::string& text, bool after_loss = false) {
    client_->lane.after_loss = after_loss;
    return send(sequence, Batch().write(scope, "n", text));
  }
  BatchResult erase(std::uint64_t sequence) {
    client_->lane.after_loss = false;
    return send(sequence, Batch().erase(scope, "n"));
  }
  /// Of the last batch that was sent.
  const Outcome& outcome() const { return client_->outcomes[0]; }
  /// What is there now.
  Outcome now() { return client_->read(scope, "n"); }
  /// Whether the kind has a database.
  explicit operator bool() const { return database_ != nullptr; }

 private:
  BatchResult send(std::uint64_t sequence, const Batch& batch) {
    client_->lane.sequence = sequence;
    return client_->send(batch);
  }

  const std::shared_ptr<atom::Backend> database_ = contract::open_backend();
  std::optional<support::Client> client_;
};

TEST_CASE("a batch that arrives again is answered with what came of it", "[case83]") {
  Sender sender;
  if (!sender) return;
  REQUIRE(sender.write(1, "1").status == BatchStatus::done);
  REQUIRE(sender.write(2, "2").status == BatchStatus::done);
  const std::int64_t version = sender.outcome().version;
  CHECK(sender.now().version == version);
  CHECK(sender.write(2, "2").status == BatchStatus::done);
  CHECK(sender.outcome().version == version);
  CHECK(sender.now().version == version);
}

TEST_CASE("a batch that arrives after a newer one of its lane is refused, and does nothing", "[case83]") {
  Sender sender;
  if (!sender) return;
  REQUIRE(sender.write(1, "1").status == BatchStatus::done);
  REQUIRE(sender.erase(2).status == BatchStatus::done);
  REQUIRE(sender.write(3, "3").status == BatchStatus::done);
  const std::int64_t version = sender.outcome().version;
  for (const bool after_loss : {false, true}) {
    const BatchResult late = sender.write(1, "1", after_loss);
    CHECK(late.status == BatchStatus::not_applied);
    REQUIRE(late.error);
    CHECK(late.error->effect() == atom::Effect::none);
    CHECK_FALSE(late.error->retryable());
  }
  CHECK(sender.erase(2).status == BatchStatus::not_applied);
  CHECK(sender.now().version == version);
  REQUIRE(sender.now().value);
  CHECK(sender.now().value->text == "3");

  // The lane goes on as if nothing had been.
  CHECK(sender.write(3, "3").status == BatchStatus::done);
  CHECK(sender.outcome().version == version);
  CHECK(sender.write(4, "4").status == BatchStatus::done);
  CHECK(sender.now().value->text == "4");
}

TEST_CASE("a batch before which others are missing does nothing, unless they are known to be lost", "[case83]") {
  Sender sender;
  if (!sender) return;
  REQUIRE(sender.write(1, "1").status == BatchStatus::done);
  const BatchResult early = sender.write(3, "3");
  CHECK(early.status == BatchStatus::gap);
  CHECK(early.last_known == 1u);
  CHECK(sender.now().value->text == "1");
  CHECK(sender.write(3, "3", true).status == BatchStatus::done);
  CHECK(sender.now().value->text == "3");
  CHECK(sender.write(2, "2").status == BatchStatus::not_applied);
  CHECK(sender.now().value->text == "3");
}

}  // namespace
}  // namespace contract_batches
