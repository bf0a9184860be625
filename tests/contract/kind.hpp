// A kind of store: what lies behind it. It is one more file in this folder, with a class that is registered.
#pragma once

#include <atom/state/backend.hpp>

#include <memory>

namespace contract {

class Kind {
 public:
  virtual ~Kind() = default;
  /// From now on `backend` is about a database of its own, in which nothing is: no other test sees it.
  virtual void renew() = 0;
  /// What another store has behind it, as another process has it; null: nothing, each store keeps its own. Only after
  /// `renew`.
  virtual std::shared_ptr<atom::Backend> backend() = 0;
  /// Whether each operation takes a round trip.
  virtual bool is_server() const { return false; }
};

void add_kind(const char* name, std::unique_ptr<Kind> (*make)());
/// Makes a kind known under its name; at namespace scope.
template <class OneKind>
struct Registered {
  explicit Registered(const char* name) {
    add_kind(name, []() -> std::unique_ptr<Kind> { return std::make_unique<OneKind>(); });
  }
};

/// All stores have one backend, which keeps what is written in the memory of this program.
template <class B>
class DatabaseInMemory final : public Kind {
 public:
  void renew() override { database_ = std::make_shared<B>(); }
  std::shared_ptr<atom::Backend> backend() override { return database_; }

 private:
  std::shared_ptr<B> database_;
};

}  // namespace contract
