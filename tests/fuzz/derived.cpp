// As fuzz.cpp, for derived atoms and transactions: random operations, also inside listeners, on the library's store and
// on a naive one; every value that is read, every call of a listener and every exception must be the same.
//
//   fuzz_derived [--operations N] [--seed S]      defaults: 100000 operations, seed 1
//
// A failure prints its seed; `fuzz_derived --operations 1 --seed S` runs that script alone.

#include "compare.hpp"
#include "naive_derived.hpp"

#include <atom/derived.hpp>
#include <atom/store.hpp>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace fuzz {
namespace {

constexpr int operations_per_run = 250;

struct Boom {};

/// The library's nodes are texts that need memory of their own, so that a sanitizer sees where one goes.
std::string text_of(int number) {
  return std::to_string(number) + " and so much that it is on the heap";
}
int number_in(const std::string& text) {
  return std::stoi(text);
}

/// The templates, for the whole process.
const atom::Atom<std::string>& declared(std::size_t i) {
  static const auto atoms = [] {
    std::vector<std::unique_ptr<const atom::Atom<std::string>>> made;
    for (std::size_t n = 0; n < atom_count; ++n) {
      made.push_back(
          std::make_unique<const atom::Atom<std::string>>("fuzz." + std::to_string(n), text_of(static_cast<int>(n))));
    }
    return made;
  }();
  return *atoms[i];
}
const atom::Derived<std::string>& derived(std::size_t i) {
  static const auto atoms = [] {
    std::vector<std::unique_ptr<const atom::Derived<std::string>>> made;
    for (std::size_t n = atom_count; n < node_count; ++n) {
      made.push_back(std::make_unique<const atom::Derived<std::string>>("fuzz." + std::to_string(n), [n](auto& get) {
        return text_of(compute(n, [&](std::size_t node) {
          return number_in(node < atom_count ? get(declared(node)) : get(derived(node)));
        }));
      }));
    }
    return made;
  }();
  return *atoms[i - atom_count];
}

/// The library's store, with the interface of the naive one.
class RealStore {
 public:
  using Handle = atom::Subscription;

  bool has(std::size_t i) const { return i < atom_count ? store_.has(declared(i)) : store_.has(derived(i)); }
  int value(std::size_t i) {
    return number_in(i < atom_count ? store_.use(declared(i)).value() : store_.use(derived(i)).value());
  }
  void update(std::size_t i, int next, bool loud) {
    if (loud) {
      store_.use(declared(i)).update(text_of(next));
    } else {
      store_.use(declared(i)).silent_update(text_of(next));
    }
  }
  void mutate(std::size_t i, int next) {
    store_.use(declared(i)).mutate([&](std::string& text) { text = text_of(next); });
  }
  void reset(std::size_t i, bool loud) {
    if (loud) {
      store_.use(declared(i)).reset();
    } else {
      store_.use(declared(i)).silent_reset();
    }
  }
  Handle listen(std::size_t i, Listens to, Callback call) {
    if (i >= atom_count) return listen_to_change(store_.use(derived(i)), to, std::move(call));
    auto& atom = store_.use(declared(i));
    if (to != Listens::reset) return listen_to_change(atom, to, std::move(call));
    return atom.on_reset([call] { call(0, {}); });
  }
  static void unsubscribe(Handle& handle) { handle.unsubscribe(); }
  static bool active(const Handle& handle) { return handle.active(); }
  template <class Body>
  void batch(const Body& body) {
    store_.batch(body);
  }
  template <class Body>
  void transaction(const Body& body) {
    store_.transaction(body);
  }
  void hydrate(const std::vector<std::pair<std::size_t, int>>& values, bool notify) {
    atom::Snapshot snapshot;
    for (const auto& [i, value] : values) snapshot.set(declared(i), text_of(value));
    store_.hydrate(std::move(snapshot), {.notify = notify});
  }
  void drop(std::size_t i) { i < atom_count ? store_.drop(declared(i)) : store_.drop(derived(i)); }
  void destroy() { store_.destroy(); }

 private:
  template <class A>
  static Handle listen_to_change(A& atom, Listens to, Callback call) {
    if (to == Listens::now_only) return atom.on_change([call](const std::string& now) { call(number_in(now), {}); });
    return atom.on_change(
        [call](const std::string& now, const std::string& old) { call(number_in(now), number_in(old)); });
  }
  atom::AtomStore store_;
};

/// One random script on one store. Two stores that behave alike draw the same random numbers, and leave the same trace.
template <class Store>
class Script {
 public:
  explicit Script(std::uint64_t seed) : random_(seed), throwing_(seed % 3 == 0) {}

  const std::vector<std::string>& run() {
    while (left_ > 0) operate();
    for (std::size_t i = 0; i < node_count; ++i) {
      attempt([&] { read(i); });
    }
    for (auto& handle : handles_) log(Store::active(handle) ? "active" : "inactive");
    return trace_;
  }
  long operations() const { return operations_per_run - left_; }
  long callbacks() const { return callbacks_; }

 private:
  std::size_t draw(std::size_t below) { return static_cast<std::size_t>(random_() % below); }
  int draw_number() { return static_cast<int>(draw(4)); }
  void log(std::string line) { trace_.push_back(std::move(line)); }
  static std::string name(std::size_t i) { return std::to_string(i); }

  /// What comes out is part of the trace.
  template <class F>
  void attempt(F f) {
    try {
      f();
    } catch (const Bad&) {
      log("bad");
    } catch (const Boom&) {
      log("boom");
    } catch (const atom::CycleError&) {
      log("cycle");
    } catch (const atom::Error&) {
      log("refused");
    } catch (const Refused&) {
      log("refused");
    }
  }
  void operate() {
    --left_;
    attempt([&] { choose(); });
  }
  void choose() {
    const std::size_t i = draw(atom_count);
    switch (draw(24)) {
      case 0:
      case 1:
      case 2:
      case 3:
      case 4:
        return update(i, true);
      case 5:
      case 6:
        return update(i, false);
      case 7: {
        const int next = draw_number();
        log("mutate " + name(i) + " to " + std::to_string(next));
        return store_.mutate(i, next);
      }
      case 8: {
        const bool loud = draw(2) == 0;
        log("reset " + name(i) + (loud ? "" : " silently"));
        return store_.reset(i, loud);
      }
      case 9:
      case 10:
      case 11:
      case 12:
        return read(draw(node_count));
      case 13:
      case 14:
        return listen();
      case 15:
      case 16:
        if (handles_.empty()) return;
        log("unsubscribe");
        return Store::unsubscribe(handles_[draw(handles_.size())]);
      case 17:
      case 18:
        log("batch");
        return store_.batch([&] { body(); });
      case 19:
      case 20:
      case 21:
        log("transaction");
        return store_.transaction([&] {
          body();
          if (draw(2) == 0) throw Boom();
        });
      case 22:
        return hydrate();
      default:
        if (draw(30) == 0) {
          log("destroy");
          return store_.destroy();
        }
        if (draw(3) == 0) {
          const std::size_t node = draw(node_count);
          log("drop " + name(node));
          return store_.drop(node);
        }
    }
  }
  void update(std::size_t i, bool loud) {
    const int next = draw_number();
    log("update " + name(i) + " to " + std::to_string(next) + (loud ? "" : " silently"));
    store_.update(i, next, loud);
  }
  void read(std::size_t i) {
    log("read " + name(i));
    log(std::to_string(store_.value(i)));
  }
  void listen() {
    if (handles_.size() >= 30) return;
    const std::size_t i = draw(node_count);
    const auto to = static_cast<Listens>(draw(i < atom_count ? 3 : 2));
    const int id = ++listeners_;
    log("listen " + name(i) + ", as " + std::to_string(id));
    handles_.push_back(store_.listen(i, to, [this, id](int now, std::optional<int> old) { called(id, now, old); }));
  }
  void hydrate() {
    std::vector<std::pair<std::size_t, int>> values;
    for (std::size_t i = draw(2); i < atom_count; i += 1 + draw(3)) values.emplace_back(i, draw_number());
    const bool notify = draw(2) == 0;
    log(notify ? "hydrate loudly" : "hydrate");
    store_.hydrate(values, notify);
  }
  void body() {
    some_operations();
    if (throwing_ && draw(10) == 0) throw Boom();
  }
  void some_operations() {
    if (depth_ >= 5) return;
    ++depth_;
    for (std::size_t n = draw(5); n > 0 && left_ > 0; --n) operate();
    --depth_;
  }
  /// A listener.
  void called(int id, int now, std::optional<int> old) {
    ++callbacks_;
    log(std::to_string(id) + ": " + std::to_string(now) + " <- " + (old ? std::to_string(*old) : ""));
    if (draw(3) == 0) some_operations();
    if (throwing_ && draw(15) == 0) throw Boom();
  }

  std::mt19937_64 random_;
  Store store_;
  std::vector<typename Store::Handle> handles_;
  std::vector<std::string> trace_;
  int left_ = operations_per_run;
  int depth_ = 0;
  int listeners_ = 0;
  long callbacks_ = 0;
  bool throwing_;
};

Runs run(std::uint64_t seed) {
  Script<RealStore> real(seed);
  Script<NaiveStore> naive(seed);
  const Trace& seen = real.run();
  return {seen, naive.run(), real.operations(), real.callbacks()};
}

}  // namespace
}  // namespace fuzz

int main(int argc, char** argv) {
  return fuzz::compare("fuzz_derived", 100'000, argc, argv, fuzz::run);
}
