// The operations on a state of type T, as they go through a database. Each has the result of the State's member of that
// name, once it is done.
#pragma once

#include <atom/config.hpp>
#include <atom/state/any_equation.hpp>
#include <atom/state/detail/operation.hpp>
#include <atom/state/error.hpp>
#include <atom/state/evaluate.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace atom::inline v0_1 {

/// A value, and the version that it had when it was read; 0: there is none, and this is the default.
template <class T>
struct Versioned {
  T value;
  std::int64_t version;
};

namespace detail {

/// Result: T, or Versioned<T>.
template <class T, class Result>
class ReadOperation final : public StateOperation {
 public:
  ReadOperation(NodeReference of, Deadline until) noexcept : StateOperation(std::move(of), Kind::read, until) {}
  std::optional<StateErrorCode> run(SharedValue& value) override {
    seen_ = std::static_pointer_cast<const T>(value);
    return std::nullopt;
  }
  StateResult<Result> result() const {
    if (verdict().error) return *verdict().error;
    if constexpr (std::is_same_v<Result, T>) {
      return T(*seen_);
    } else {
      return Result{*seen_, verdict().version};
    }
  }

 private:
  std::shared_ptr<const T> seen_;
};

template <class T>
class SetOperation : public StateOperation {
 public:
  SetOperation(NodeReference of, Deadline until, std::shared_ptr<const T> next) noexcept
      : StateOperation(std::move(of), Kind::set, until), next_(std::move(next)) {}
  std::optional<StateErrorCode> run(SharedValue& value) override {
    value = next_;
    return std::nullopt;
  }
  StateResult<std::int64_t> result() const {
    if (verdict().error) return *verdict().error;
    return verdict().version;
  }

 protected:
  SetOperation(NodeReference of, Deadline until, std::shared_ptr<const T> next, std::int64_t version) noexcept
      : StateOperation(std::move(of), until, version), next_(std::move(next)) {}

 private:
  const std::shared_ptr<const T> next_;
};

template <class T>
class SetIfOperation final : public SetOperation<T> {
 public:
  SetIfOperation(NodeReference of, Deadline until, std::shared_ptr<const T> next, std::int64_t version) noexcept
      : SetOperation<T>(std::move(of), until, std::move(next), version) {}
  StateResult<bool> result() const {
    const auto& error = this->verdict().error;
    if (error && (error->code() != StateErrorCode::conflict || error->effect() != Effect::none)) return *error;
    return !error;
  }
};

/// One that makes of the value the next one.
template <class T>
class ChangeOperation : public StateOperation {
 public:
  StateResult<T> result() const {
    if (verdict().error) return *verdict().error;
    return T(*result_);
  }

 protected:
  ChangeOperation(NodeReference of, Deadline until) noexcept : StateOperation(std::move(of), Kind::apply, until) {}
  void make(SharedValue& value, std::shared_ptr<const T> next) noexcept {
    result_ = std::move(next);
    value = result_;
  }

 private:
  std::shared_ptr<const T> result_;
};

template <class T>
class ApplyOperation final : public ChangeOperation<T> {
 public:
  template <equation_for<T> E>
  ApplyOperation(NodeReference of, Deadline until, E e)
      : ChangeOperation<T>(std::move(of), until), equation_(AnyEquation::of<T>(std::move(e))) {}
  std::optional<StateErrorCode> run(SharedValue& value) override {
    auto next = std::make_shared<T>(*static_cast<const T*>(value.get()));
    const std::optional<StateErrorCode> problem = equation_.apply_to(next.get());
    if (!problem) this->make(value, std::move(next));
    return problem;
  }
  const AnyEquation* equation() const noexcept override { return &equation_; }

 private:
  const AnyEquation equation_;
};

template <class T, class F>
class UpdateOperation final : public ChangeOperation<T> {
 public:
  UpdateOperation(NodeReference of, Deadline until, F updater)
      : ChangeOperation<T>(std::move(of), until), updater_(std::move(updater)) {}
  std::optional<StateErrorCode> run(SharedValue& value) override {
    this->make(value, std::make_shared<const T>(updater_(*static_cast<const T*>(value.get()))));
    return std::nullopt;
  }

 private:
  F updater_;
};

class EraseOperation final : public StateOperation {
 public:
  EraseOperation(NodeReference of, Deadline until) noexcept : StateOperation(std::move(of), Kind::erase, until) {}
  StateResult<bool> result() const {
    if (verdict().error) return *verdict().error;
    return verdict().version != 0;
  }
};

}  // namespace detail
}  // namespace atom::inline v0_1
