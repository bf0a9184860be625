// Derived atoms and transactions, as simply as they can be written: a derived value is computed anew whenever it is
// read, and a transaction keeps a copy of everything. What is remembered of a derived atom is only what listeners can
// see: the value that it had when it was last computed, and what that computation has read.
#pragma once

#include <algorithm>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

namespace fuzz {

/// Nodes 0 to 3 are atoms, the others are derived.
inline constexpr std::size_t atom_count = 4;
inline constexpr std::size_t node_count = 12;

struct Bad : std::runtime_error {
  using std::runtime_error::runtime_error;
};
struct Refused : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// What a derived node is, whoever reads: `get(i)` is the value of node i.
template <class Get>
int compute(std::size_t node, const Get& get) {
  switch (node) {
    case 4:
      return get(0) + get(1);
    case 5:  // stops many changes
      return get(4) % 2;
    case 6:  // a diamond
      return 10 * get(4) + get(5);
    case 7:  // reads one or the other
      return get(2) % 2 ? get(6) : get(3);
    case 8:  // fails
      if (get(1) == 3) throw Bad("one is three");
      return get(1) + get(0) / 2;
    case 9:  // fails with it, before or after it has read something else
      return get(2) ? get(8) + get(7) : get(7) + get(8);
    case 10:  // lives with a failure
      try {
        return get(9) + get(5);
      } catch (const Bad&) {
        return -1;
      }
    default: {  // reads more or fewer, in another order each time
      int sum = 0;
      for (int i = get(3); i >= 0; --i) {
        sum = 3 * sum + get(static_cast<std::size_t>(get(2) + i) % 4 + static_cast<std::size_t>(get(2)) % 2 * 4);
      }
      return sum % 100;
    }
  }
}

enum class Listens { change, now_only, reset };
/// Called with what a listener sees.
using Callback = std::function<void(int now, std::optional<int> old)>;

class NaiveStore {
  struct Listener {
    Listens to;
    Callback call;
    bool connected = true;
  };

 public:
  NaiveStore() = default;
  NaiveStore(const NaiveStore&) = delete;
  NaiveStore& operator=(const NaiveStore&) = delete;
  ~NaiveStore() { destroy(); }  // nodes refer to each other

  using Handle = std::shared_ptr<Listener>;

  bool has(std::size_t i) const { return nodes_[i] != nullptr; }
  int value(std::size_t i) { return read(*use(i)); }
  void update(std::size_t i, int next, bool loud) {
    const auto node = use(i);
    if (node->state.value != next) write(node, next, loud);
    settle_and_throw();
  }
  void mutate(std::size_t i, int next) {
    const auto node = use(i);
    write(node, next, true);
    if (node->state.before) node->state.mutated = true;
    settle_and_throw();
  }
  void reset(std::size_t i, bool loud) {
    const auto node = use(i);
    if (node->state.value != initial(i, false)) write(node, initial(i, false), loud);
    if (hears(*node, Listens::reset)) {
      node->state.reset = true;
      queue(node);
    }
    settle_and_throw();
  }
  Handle listen(std::size_t i, Listens to, Callback call) {
    const auto node = use(i);
    if (i >= atom_count) read(*node);
    node->listeners.push_back(std::make_shared<Listener>(Listener{to, std::move(call)}));
    return node->listeners.back();
  }
  static void unsubscribe(const Handle& handle) { handle->connected = false; }
  static bool active(const Handle& handle) { return handle->connected; }

  template <class Body>
  void batch(const Body& body) {
    ++depth_;
    std::exception_ptr thrown;
    try {
      body();
    } catch (...) {
      thrown = std::current_exception();
    }
    --depth_;
    const auto told = settle();
    if (thrown) std::rethrow_exception(thrown);
    if (told) std::rethrow_exception(told);
  }
  template <class Body>
  void transaction(const Body& body) {
    batch([&] {
      std::vector<State> before;
      for (const auto& node : nodes_) before.push_back(node ? node->state : State{});
      const auto was_there = nodes_;
      const auto hydrated = hydrated_;
      ++transactions_;
      try {
        body();
      } catch (...) {
        --transactions_;
        hydrated_ = hydrated;
        for (const NodePtr& node : in_order_of_use()) {
          const std::size_t i = node->index;
          node->state = before[i];
          if (!was_there[i] && i < atom_count) node->state.value = initial(i, true);
          if (!node->state.value && hears_change(*node)) queue(node);
        }
        throw;
      }
      --transactions_;
    });
  }
  void hydrate(const std::vector<std::pair<std::size_t, int>>& values, bool notify) {
    ++depth_;
    for (const auto& [i, value] : values) {
      hydrated_[i] = value;
      if (nodes_[i]) write(nodes_[i], value, notify && nodes_[i]->state.value != value);
    }
    --depth_;
    settle_and_throw();
  }
  void drop(std::size_t i) {
    if (!nodes_[i]) return;
    if (transactions_) throw Refused("drop");
    hydrated_.erase(i);
    retire(i);
    settle_and_throw();
  }
  void destroy() {
    if (transactions_) throw Refused("destroy");
    for (std::size_t i = 0; i < node_count; ++i) {
      if (nodes_[i]) retire(i);
    }
    hydrated_.clear();
    settle_and_throw();
  }

 private:
  /// What a transaction puts back.
  struct State {
    std::optional<int> value;   // a derived node's: when it was last computed
    std::optional<int> before;  // while a change is to be told
    bool several = false;       // changes, so it may be none after all
    bool mutated = false;       // which counts even then
    bool reset = false;         // to be told
    bool to_compute = false;    // derived: before listeners are told
  };
  struct Node {
    std::size_t index;
    int used;  // how many were used before it
    State state;
    std::vector<Handle> listeners;
    std::vector<std::shared_ptr<Node>> inputs;   // what its last computation read, in that order
    std::vector<std::shared_ptr<Node>> readers;  // those whose last computation read it
    bool queued = false;
    bool dropped = false;
  };
  using NodePtr = std::shared_ptr<Node>;

  int initial(std::size_t i, bool hydrated) const {
    const auto found = hydrated_.find(i);
    return hydrated && found != hydrated_.end() ? found->second : static_cast<int>(i);
  }
  NodePtr use(std::size_t i) {
    if (!nodes_[i]) {
      nodes_[i] = std::make_shared<Node>(Node{i, used_++, {}, {}, {}, {}});
      if (i < atom_count) nodes_[i]->state.value = initial(i, true);
    }
    return nodes_[i];
  }
  std::vector<NodePtr> in_order_of_use() const {
    std::vector<NodePtr> nodes;
    std::copy_if(nodes_.begin(), nodes_.end(), std::back_inserter(nodes), [](const NodePtr& node) { return !!node; });
    std::sort(nodes.begin(), nodes.end(), [](const NodePtr& a, const NodePtr& b) { return a->used < b->used; });
    return nodes;
  }
  static bool hears(const Node& node, Listens to) {
    return std::any_of(node.listeners.begin(), node.listeners.end(),
                       [&](const Handle& listener) { return listener->connected && listener->to == to; });
  }
  static bool hears_change(const Node& node) { return hears(node, Listens::change) || hears(node, Listens::now_only); }

  static void set(Node& node, int next, bool loud) {
    if (node.state.before) {
      node.state.several = true;
    } else if (loud) {
      node.state.before = node.state.value;
    }
    node.state.value = next;
  }
  void write(const NodePtr& node, int next, bool loud) {
    const bool tell = loud && (hears_change(*node) || !node->readers.empty());
    set(*node, next, tell);
    if (!tell) return;
    queue(node);  // its own listeners come before those of what is derived from it
    mark_readers(*node);
  }
  /// The listeners of all that was computed from it are to be told, in this order.
  void mark_readers(const Node& node) {
    std::vector<const Node*> seen;
    const std::function<void(const Node&)> mark = [&](const Node& source) {
      for (const NodePtr& reader : source.readers) {
        if (std::find(seen.begin(), seen.end(), reader.get()) != seen.end()) continue;
        seen.push_back(reader.get());
        if (!reader->dropped && hears_change(*reader)) {
          reader->state.to_compute = true;
          queue(reader);
        }
        mark(*reader);
      }
    };
    mark(node);
  }
  int read(Node& node) {
    if (node.index < atom_count) return *node.state.value;
    const NodePtr self = nodes_[node.index];
    const auto last_inputs = std::exchange(node.inputs, {});
    auto expected = last_inputs.begin();
    const auto get = [&](std::size_t i) {
      const NodePtr input = use(i);
      if (expected != last_inputs.end() && *expected == input) {
        ++expected;
        node.inputs.push_back(input);
      } else if (!holds(node.inputs, input)) {  // from now on it is told after the others that read this input
        node.inputs.push_back(input);
        std::erase(input->readers, self);
        input->readers.push_back(self);
      }
      return read(*input);
    };
    const auto forget_others = [&] {
      for (const NodePtr& input : last_inputs) {
        if (!holds(node.inputs, input)) std::erase(input->readers, self);
      }
    };
    try {
      const int next = compute(node.index, get);
      forget_others();
      if (node.state.value != next) set(node, next, node.state.to_compute && node.state.value && hears_change(node));
      return next;
    } catch (...) {
      forget_others();
      throw;
    }
  }
  static bool holds(const std::vector<NodePtr>& nodes, const NodePtr& node) {
    return std::find(nodes.begin(), nodes.end(), node) != nodes.end();
  }
  void queue(const NodePtr& node) {
    if (!std::exchange(node->queued, true)) queue_.push_back(node);
  }
  void retire(std::size_t i) {
    nodes_[i]->dropped = true;
    for (const Handle& listener : nodes_[i]->listeners) listener->connected = false;
    nodes_[i]->inputs.clear();
    nodes_[i]->readers.clear();
    nodes_[i] = nullptr;
  }
  void settle_and_throw() {
    if (const auto told = settle()) std::rethrow_exception(told);
  }
  /// Delivers, if nobody further out will.
  std::exception_ptr settle() {
    std::exception_ptr thrown;
    if (depth_ > 0) return thrown;
    ++depth_;
    while (!queue_.empty()) {
      const NodePtr node = queue_.front();
      queue_.pop_front();
      deliver(*node, thrown);
    }
    --depth_;
    for (const auto& node : nodes_) {
      if (node) std::erase_if(node->readers, [](const NodePtr& reader) { return reader->dropped; });
    }
    return thrown;
  }
  void deliver(Node& node, std::exception_ptr& thrown) {
    node.queued = false;
    if (node.dropped) return;
    if (node.index >= atom_count && (node.state.to_compute || !node.state.value)) {
      try {
        read(node);
      } catch (...) {
        node.state.to_compute = false;
        if (!thrown) thrown = std::current_exception();
        return;
      }
    }
    const State state = node.state;
    node.state = {.value = state.value, .before = {}};
    const auto listeners = node.listeners;  // those who are there when it begins
    if (state.before && !(state.several && !state.mutated && state.before == state.value)) {
      for (const Handle& listener : listeners) {
        if (listener->to == Listens::change) call(*listener, *state.value, state.before, thrown);
        if (listener->to == Listens::now_only) call(*listener, *state.value, {}, thrown);
      }
    }
    if (!state.reset) return;
    for (const Handle& listener : listeners) {
      if (listener->to == Listens::reset) call(*listener, 0, {}, thrown);
    }
  }
  static void call(const Listener& listener, int now, std::optional<int> old, std::exception_ptr& thrown) {
    if (!listener.connected) return;
    try {
      listener.call(now, old);
    } catch (...) {
      if (!thrown) thrown = std::current_exception();
    }
  }

  std::vector<NodePtr> nodes_ = std::vector<NodePtr>(node_count);
  std::map<std::size_t, int> hydrated_;
  std::deque<NodePtr> queue_;
  int depth_ = 0;  // batches and deliveries on the stack
  int transactions_ = 0;
  int used_ = 0;
};

}  // namespace fuzz
