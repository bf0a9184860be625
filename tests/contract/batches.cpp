// What the database behind a store owes it: each batch takes effect once, whenever and however often it arrives.
#include "contract/contract.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace contract_batches {
namespace {

using namespace std::chrono_literals;
using atom::BatchResult;
using atom::BatchStatus;
using atom::Outcome;

/// The kind's database, and what is sent to it as one lane.
class Sender {
 public:
  Sender() {
    if (database_) REQUIRE_FALSE(database_->prepare(true, soon()));
  }
  /// Sends a batch that writes `text`.
  BatchResult write(std::uint64_t sequence, const std::string& text, bool after_loss = false) {
    const atom::StoredValue value{.text = text};
    const atom::Command command{.kind = atom::Command::Kind::write, .name = {scope_, "n"}, .value = &value};
    return execute(sequence, command, after_loss);
  }
  BatchResult erase(std::uint64_t sequence) {
    return execute(sequence, {.kind = atom::Command::Kind::erase, .name = {scope_, "n"}}, false);
  }
  /// Of the last batch that was sent.
  const Outcome& outcome() const { return outcome_; }
  /// What is there now.
  Outcome now() {
    const atom::StateName name{scope_, "n"};
    Outcome found;
    REQUIRE_FALSE(database_->read({&name, 1}, {&found, 1}, soon()));
    return found;
  }
  /// Whether the kind has a database.
  explicit operator bool() const { return database_ != nullptr; }

 private:
  static atom::Deadline soon() { return std::chrono::steady_clock::now() + 60s; }
  BatchResult execute(std::uint64_t sequence, const atom::Command& command, bool after_loss) {
    const atom::Lane lane{.session = {std::byte{7}}, .number = 3, .sequence = sequence, .after_loss = after_loss};
    outcome_ = {};
    return database_->execute(lane, atom::BatchMode::independent, {&command, 1}, {&outcome_, 1}, soon());
  }

  const std::shared_ptr<atom::Backend> database_ = contract::open_backend();
  const atom::Scope scope_ = atom::Scope::global();
  Outcome outcome_;
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
