#include <atom/detail/delivery.hpp>

#include "support/catch.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace delivery_test {
namespace {

using atom::detail::Deliverable;
using atom::detail::Delivery;
using atom::detail::Disposable;
using atom::detail::Hold;
using atom::detail::Shown;

using Log = std::vector<std::string>;

class Source final : public Deliverable {
 public:
  Source(Log& log, std::string name) : log_(log), name_(std::move(name)) {}
  void deliver(Hold& hold) override {
    log_.push_back("deliver " + name_);
    try {
      if (on_deliver) on_deliver();
    } catch (...) {
      hold.caught();
    }
  }
  void abandon() noexcept override { log_.push_back("abandon " + name_); }
  void release(const Shown&) noexcept override { log_.push_back("release " + name_); }
  void clear(Hold&) noexcept override {
    log_.push_back("clear " + name_);
    if (on_clear) on_clear();
  }
  void free() noexcept override { log_.push_back("free " + name_); }

  std::function<void()> on_deliver;
  std::function<void()> on_clear;

 private:
  Log& log_;
  std::string name_;
};

struct Fixture {
  Log log;
  Source a{log, "a"};
  Source b{log, "b"};
  Source c{log, "c"};
  Delivery delivery{nullptr};
};

TEST_CASE_METHOD(Fixture, "a delivery is held while a hold is on the stack") {
  CHECK_FALSE(delivery.held());
  {
    const Hold outer(delivery);
    CHECK(delivery.held());
    {
      const Hold inner(delivery);
    }
    CHECK(delivery.held());
  }
  CHECK_FALSE(delivery.held());
}

TEST_CASE_METHOD(Fixture, "the outermost hold delivers, in the order of the queue") {
  Hold outer(delivery);
  delivery.enqueue(b);
  {
    Hold inner(delivery);
    delivery.enqueue(a);
    inner.finish();
    CHECK(log.empty());
  }
  delivery.enqueue(c);
  outer.finish();
  CHECK(log == Log{"deliver b", "deliver a", "deliver c"});
}

TEST_CASE_METHOD(Fixture, "finishing twice delivers once") {
  Hold hold(delivery);
  delivery.enqueue(a);
  hold.finish();
  hold.finish();
  CHECK(log == Log{"deliver a"});
}

TEST_CASE_METHOD(Fixture, "what is queued during a delivery comes after what was queued before") {
  Hold hold(delivery);
  bool again = true;
  a.on_deliver = [&] {
    if (std::exchange(again, false)) delivery.enqueue(a);
  };
  delivery.enqueue(a);
  delivery.enqueue(b);
  hold.finish();
  CHECK(log == Log{"deliver a", "deliver b", "deliver a"});
}

TEST_CASE_METHOD(Fixture, "what is buried goes when everything is delivered, first in, first out") {
  Hold hold(delivery);
  delivery.bury(c);
  delivery.enqueue(a);
  delivery.bury(b);
  hold.finish();
  CHECK(log == Log{"deliver a", "clear c", "free c", "clear b", "free b"});
}

TEST_CASE_METHOD(Fixture, "what a burial queues is delivered before the next burial") {
  Hold hold(delivery);
  b.on_clear = [&] { delivery.enqueue(a); };
  delivery.bury(b);
  delivery.bury(c);
  hold.finish();
  CHECK(log == Log{"clear b", "free b", "deliver a", "clear c", "free c"});
}

TEST_CASE_METHOD(Fixture, "the first exception comes out of finish when everybody was told") {
  Hold hold(delivery);
  a.on_deliver = [] { throw std::runtime_error("first"); };
  b.on_deliver = [] { throw std::runtime_error("second"); };
  delivery.enqueue(a);
  delivery.enqueue(b);
  delivery.enqueue(c);
  CHECK_THROWS_WITH(hold.finish(), "first");
  CHECK(log == Log{"deliver a", "deliver b", "deliver c"});
  CHECK_NOTHROW(hold.finish());
}

TEST_CASE_METHOD(Fixture, "a quiet finish delivers too, and loses the exceptions") {
  Hold hold(delivery);
  a.on_deliver = [] { throw std::runtime_error("lost"); };
  delivery.enqueue(a);
  delivery.enqueue(b);
  hold.finish_quietly();
  CHECK(log == Log{"deliver a", "deliver b"});
  CHECK_NOTHROW(hold.finish());
}

TEST_CASE_METHOD(Fixture, "an inner hold keeps its exception to itself") {
  Hold outer(delivery);
  {
    Hold inner(delivery);
    try {
      throw std::runtime_error("inner");
    } catch (...) {
      inner.caught();
    }
    CHECK_THROWS_WITH(inner.finish(), "inner");
  }
  CHECK_NOTHROW(outer.finish());
}

TEST_CASE_METHOD(Fixture, "endless deliveries end in a CycleError, and what was queued is abandoned") {
  int count = 0;
  a.on_deliver = [&] {
    ++count;
    log.clear();
    delivery.enqueue(a);
  };
  {
    Hold hold(delivery);
    delivery.enqueue(a);
    delivery.enqueue(b);
    CHECK_THROWS_AS(hold.finish(), atom::CycleError);
  }
  CHECK(count > 1000);
  CHECK(log.back() == "abandon a");
  a.on_deliver = nullptr;
  log.clear();
  Hold hold(delivery);
  delivery.enqueue(a);
  CHECK_NOTHROW(hold.finish());
  CHECK(log == Log{"deliver a"});
}

TEST_CASE_METHOD(Fixture, "as many rounds as are allowed are no cycle, one more is") {
  const bool one_more = GENERATE(false, true);
  std::uint32_t rounds = 0;  // after the first
  a.on_deliver = [&] {
    log.clear();
    if (rounds == Delivery::most_rounds + (one_more ? 1 : 0)) return;
    ++rounds;
    delivery.enqueue(a);
  };
  Hold hold(delivery);
  delivery.enqueue(a);
  if (one_more) {
    CHECK_THROWS_AS(hold.finish(), atom::CycleError);
  } else {
    CHECK_NOTHROW(hold.finish());
  }
  CHECK(rounds == Delivery::most_rounds + (one_more ? 1 : 0));
}

TEST_CASE_METHOD(Fixture, "however many are told in one round, that is no cycle") {
  std::vector<std::unique_ptr<Source>> sources;
  std::size_t told = 0;
  Hold hold(delivery);
  for (std::uint32_t i = 0; i < Delivery::most_rounds + 10; ++i) {
    sources.push_back(std::make_unique<Source>(log, "many"));
    sources.back()->on_deliver = [&] { ++told; };
    delivery.enqueue(*sources.back());
  }
  CHECK_NOTHROW(hold.finish());
  CHECK(told == sources.size());
}

/// What the end of a store does.
void end(Delivery& delivery) {
  Hold last(delivery);
  delivery.cut_off(last);
}

TEST_CASE_METHOD(Fixture, "cutting off tells every hold further out, abandons the queue and empties the graveyard") {
  Hold outer(delivery);
  Hold inner(delivery);
  delivery.enqueue(a);
  delivery.bury(b);
  CHECK(inner.alive());
  Hold last(delivery);
  delivery.cut_off(last);
  CHECK_FALSE(inner.alive());
  CHECK_FALSE(outer.alive());
  CHECK(last.alive());
  CHECK(log == Log{"abandon a", "clear b", "free b"});
  CHECK_NOTHROW(inner.finish());
  CHECK_NOTHROW(outer.finish());
  CHECK(log.size() == 3);
}

TEST_CASE_METHOD(Fixture, "a delivery that cuts off ends the round at once") {
  Hold hold(delivery);
  a.on_deliver = [&] { end(delivery); };
  delivery.enqueue(a);
  delivery.enqueue(b);
  hold.finish();
  CHECK(log == Log{"deliver a", "abandon b"});
}

TEST_CASE_METHOD(Fixture, "a burial that cuts off is finished by the one who cut off, and by nobody else") {
  Hold hold(delivery);
  b.on_clear = [&] {
    b.on_clear = nullptr;
    end(delivery);
  };
  delivery.bury(b);
  delivery.bury(c);
  hold.finish();
  CHECK(log == Log{"clear b", "clear b", "free b", "clear c", "free c"});
}

TEST_CASE_METHOD(Fixture, "an exception that was caught before the end still comes out") {
  Hold hold(delivery);
  try {
    throw std::runtime_error("kept");
  } catch (...) {
    hold.caught();
  }
  end(delivery);
  CHECK_THROWS_WITH(hold.finish(), "kept");
}

TEST_CASE_METHOD(Fixture, "what is shown is released when the delivery is cut off") {
  const Shown values{a, nullptr, nullptr, false, false};
  Hold hold(delivery);
  hold.show(&values);
  end(delivery);
  CHECK(log == Log{"release a"});
}

TEST_CASE_METHOD(Fixture, "what is not shown any more is not released by cutting off") {
  const Shown values{a, nullptr, nullptr, false, false};
  Hold hold(delivery);
  hold.show(&values);
  hold.show(nullptr);
  end(delivery);
  CHECK(log.empty());
}

}  // namespace
}  // namespace delivery_test
