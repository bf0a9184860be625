// The store again, as simply as it can be written: everything is copied, nothing is shared, nothing is fast. What it
// does is what the library promises; the fuzz program runs both on the same random script and compares all that can be
// seen.
#pragma once

#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace fuzz {

struct Doc {
  std::string text;
  int number = 0;
  bool operator==(const Doc&) const = default;
};

enum class Listens { change, now_only, text, number, reset, destroy };

/// Called with what a listener sees: now and old (empty for reset and destroy, old empty for now_only).
using Callback = std::function<void(const std::string& now, const std::string& old)>;

struct Refused : std::runtime_error {
  using std::runtime_error::runtime_error;
};

inline std::string show(const Doc& doc) {
  return doc.text + "/" + std::to_string(doc.number);
}

class NaiveStore {
 public:
  explicit NaiveStore(std::vector<Doc> defaults) : defaults_(std::move(defaults)) {}

  struct Listener {
    Listens to;
    Callback call;
    bool connected = true;
  };
  using Handle = std::shared_ptr<Listener>;

  bool has(std::size_t i) const { return find(i) != nullptr; }
  bool editing(std::size_t i) const { return find(i) && find(i)->editing; }
  Doc value(std::size_t i) { return use(i)->value; }

  bool update(std::size_t i, const Doc& next, bool loud) {
    const auto atom = use(i);
    require_free(*atom);
    if (atom->value == next) return false;
    change(*atom, next, loud, false);
    finish(atom);
    return true;
  }
  void mutate(std::size_t i, const std::function<void(Doc&)>& edit) {
    const auto atom = use(i);
    require_free(*atom);
    Doc copy = atom->value;
    std::exception_ptr thrown;
    atom->editing = true;
    try {
      edit(copy);
    } catch (...) {
      thrown = std::current_exception();
    }
    if (gone_) std::rethrow_exception(thrown);
    atom->editing = false;
    change(*atom, copy, true, true);
    if (!thrown) return finish(atom);
    try {
      finish(atom);
    } catch (...) {
    }
    std::rethrow_exception(thrown);
  }
  bool reset(std::size_t i, bool loud) {
    const auto atom = use(i);
    require_free(*atom);
    const bool differs = atom->value != defaults_[i];
    if (differs) change(*atom, defaults_[i], loud, false);
    if (hears(*atom, {Listens::reset})) atom->reset_pending = true;
    finish(atom);
    return differs;
  }
  Handle listen(std::size_t i, Listens to, Callback call) {
    const auto atom = use(i);
    require_free(*atom);
    atom->listeners.push_back(std::make_shared<Listener>(Listener{to, std::move(call)}));
    return atom->listeners.back();
  }
  static void unsubscribe(const Handle& handle) { handle->connected = false; }
  static bool active(const Handle& handle) { return handle->connected; }

  void batch(const std::function<void()>& body) {
    ++depth_;
    std::exception_ptr thrown;
    try {
      body();
    } catch (...) {
      thrown = std::current_exception();
    }
    --depth_;
    std::exception_ptr told = settle();
    if (thrown) std::rethrow_exception(thrown);
    if (told) std::rethrow_exception(told);
  }
  void drop(std::size_t i) {
    const auto atom = find(i);
    if (!atom) return;
    if (atom->editing) throw Refused("drop");
    if (atom->ending) return;
    ++depth_;
    std::exception_ptr thrown;
    queued_.erase(i);
    tell_destroyed(*atom, thrown);
    if (!gone_ && !atom->dropped) {
      retire(*atom);
      std::erase(live_, atom);
    }
    --depth_;
    end(thrown);
  }
  void destroy() {
    if (ending_) return;
    for (const auto& atom : live_) {
      if (atom->editing) throw Refused("destroy");
    }
    ++depth_;
    std::exception_ptr thrown;
    end_all(thrown);
    --depth_;
    end(thrown);
  }
  /// The destructor, which may run inside a callback.
  void go() {
    std::exception_ptr lost;
    ++depth_;
    end_all(lost);
    --depth_;
    gone_ = true;
    pending_.clear();
  }
  void hydrate(const std::vector<std::pair<std::size_t, Doc>>& values, bool notify) {
    ++depth_;
    for (const auto& [i, value] : values) {
      const auto atom = find(i);
      if (atom && atom->editing) continue;
      queued_[i] = value;
      if (!atom) continue;
      change(*atom, value, notify && atom->value != value, false);
      queue(atom);
    }
    --depth_;
    end(nullptr);
  }
  std::string snapshot() const {
    std::string all;
    for (const auto& atom : live_) all += std::to_string(atom->index) + "=" + show(atom->value) + ";";
    return all;
  }

 private:
  struct Atom {
    std::size_t index;
    Doc value;
    std::vector<Handle> listeners;
    std::optional<Doc> before;  // while a change is to be told
    bool several = false;       // changes, so it may be none after all
    bool mutated = false;       // which counts even then
    bool reset_pending = false;
    bool queued = false;
    bool editing = false;
    bool ending = false;
    bool dropped = false;
  };
  using AtomPtr = std::shared_ptr<Atom>;

  AtomPtr find(std::size_t i) const {
    for (const auto& atom : live_) {
      if (atom->index == i) return atom;
    }
    return nullptr;
  }
  AtomPtr use(std::size_t i) {
    if (const auto atom = find(i)) return atom;
    if (ending_) throw Refused("use");
    const auto waiting = queued_.find(i);
    live_.push_back(std::make_shared<Atom>(Atom{i, waiting == queued_.end() ? defaults_[i] : waiting->second, {}, {}}));
    return live_.back();
  }
  static void require_free(const Atom& atom) {
    if (atom.editing) throw Refused("write");
  }
  static bool hears(const Atom& atom, std::initializer_list<Listens> kinds) {
    for (const auto& listener : atom.listeners) {
      for (const Listens kind : kinds) {
        if (listener->connected && listener->to == kind) return true;
      }
    }
    return false;
  }
  static void change(Atom& atom, const Doc& next, bool loud, bool mutated) {
    loud = loud && !atom.dropped && hears(atom, {Listens::change, Listens::now_only, Listens::text, Listens::number});
    if (atom.before) {
      atom.several = true;
    } else if (loud) {
      atom.before = atom.value;
    }
    if (loud && mutated) atom.mutated = true;
    atom.value = next;
  }
  void queue(const AtomPtr& atom) {
    if ((!atom->before && !atom->reset_pending) || atom->queued || atom->dropped) return;
    atom->queued = true;
    pending_.push_back(atom);
  }
  void finish(const AtomPtr& atom) {
    queue(atom);
    end(nullptr);
  }
  void end(std::exception_ptr thrown) {
    std::exception_ptr told = settle();
    if (thrown) std::rethrow_exception(thrown);
    if (told) std::rethrow_exception(told);
  }
  /// Delivers, if nobody further out will.
  std::exception_ptr settle() {
    std::exception_ptr thrown;
    if (depth_ > 0 || gone_) return thrown;
    ++depth_;
    while (!pending_.empty() && !gone_) {
      const auto atom = pending_.front();
      pending_.pop_front();
      deliver(*atom, thrown);
    }
    --depth_;
    return thrown;
  }
  void deliver(Atom& atom, std::exception_ptr& thrown) {
    atom.queued = false;
    if (atom.dropped) return;
    const auto before = std::exchange(atom.before, std::nullopt);
    const bool several = std::exchange(atom.several, false);
    const bool mutated = std::exchange(atom.mutated, false);
    const bool reset = std::exchange(atom.reset_pending, false);
    const Doc now = atom.value;
    const auto listeners = atom.listeners;  // those who are there when it begins
    if (before && !(several && !mutated && *before == now)) {
      for (const auto& listener : listeners) {
        if (listener->to == Listens::change) call(*listener, show(now), show(*before), thrown);
        if (listener->to == Listens::now_only) call(*listener, show(now), "", thrown);
      }
      for (const auto& listener : listeners) {
        if (listener->to == Listens::text && now.text != before->text) {
          call(*listener, now.text, before->text, thrown);
        }
        if (listener->to == Listens::number && now.number != before->number) {
          call(*listener, std::to_string(now.number), std::to_string(before->number), thrown);
        }
      }
    }
    if (!reset) return;
    for (const auto& listener : listeners) {
      if (listener->to == Listens::reset) call(*listener, "", "", thrown);
    }
  }
  void call(const Listener& listener, const std::string& now, const std::string& old, std::exception_ptr& thrown) {
    if (!listener.connected || gone_) return;
    try {
      listener.call(now, old);
    } catch (...) {
      if (!thrown) thrown = std::current_exception();
    }
  }
  void tell_destroyed(Atom& atom, std::exception_ptr& thrown) {
    if (std::exchange(atom.ending, true)) return;
    for (const auto& listener : std::vector(atom.listeners)) {
      if (listener->to == Listens::destroy) call(*listener, "", "", thrown);
    }
  }
  static void retire(Atom& atom) {
    atom.dropped = true;
    for (const auto& listener : atom.listeners) listener->connected = false;
  }
  void end_all(std::exception_ptr& thrown) {
    ending_ = true;
    for (const auto& atom : std::vector(live_)) {
      if (hears(*atom, {Listens::destroy})) tell_destroyed(*atom, thrown);
      if (gone_) return;
    }
    ending_ = false;
    for (const auto& atom : live_) retire(*atom);
    live_.clear();
    queued_.clear();
  }

  std::vector<Doc> defaults_;
  std::vector<AtomPtr> live_;  // in the order of first use
  std::map<std::size_t, Doc> queued_;
  std::deque<AtomPtr> pending_;
  int depth_ = 0;  // updates, batches and deliveries on the stack
  bool ending_ = false;
  bool gone_ = false;
};

}  // namespace fuzz
