// Random operations, also inside listeners, inside `mutate` and in batches that throw, on the library's store and on a
// naive one: everything that can be seen must be the same. With AddressSanitizer the store's free memory is poisoned,
// so a stale reference is found where it is made.
//
//   fuzz [--operations N] [--seed S]      defaults: 300000 operations, seed 1
//
// A failure prints its seed; `fuzz --operations 1 --seed S` runs that script alone.

#include "compare.hpp"
#include "naive_store.hpp"

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

constexpr std::size_t atom_count = 5;
constexpr int operations_per_run = 300;

struct Boom {};

std::vector<Doc> defaults() {
  std::vector<Doc> all;
  for (std::size_t i = 0; i < atom_count; ++i) {
    all.push_back({std::string(i % 2 ? 40 : 1, static_cast<char>('A' + i)), static_cast<int>(i % 3)});
  }
  return all;
}

/// The templates, for the whole process.
const atom::Atom<Doc>& declared(std::size_t i) {
  static const std::vector<std::unique_ptr<const atom::Atom<Doc>>> atoms = [] {
    std::vector<std::unique_ptr<const atom::Atom<Doc>>> made;
    for (const Doc& doc : defaults()) {
      made.push_back(std::make_unique<const atom::Atom<Doc>>("fuzz." + std::to_string(made.size()), doc));
    }
    return made;
  }();
  return *atoms[i];
}

/// The library's store, with the interface of the naive one.
class RealStore {
 public:
  using Handle = atom::Subscription;

  bool has(std::size_t i) const { return store_->has(declared(i)); }
  Doc value(std::size_t i) { return use(i).value(); }
  bool update(std::size_t i, const Doc& next, bool loud) {
    if (loud) return use(i).update(next);
    const bool differs = !(use(i).value() == next);
    use(i).silent_update(next);
    return differs;
  }
  template <class Edit>
  void mutate(std::size_t i, const Edit& edit) {
    use(i).mutate(edit);
  }
  bool reset(std::size_t i, bool loud) {
    if (loud) return use(i).reset();
    const bool differs = !(use(i).value() == declared(i).value());
    use(i).silent_reset();
    return differs;
  }
  Handle listen(std::size_t i, Listens to, Callback call) {
    auto& atom = use(i);
    switch (to) {
      case Listens::change:
        return atom.on_change([call](const Doc& now, const Doc& old) {
          const Callback mine = call;  // this object may go while it runs
          mine(show(now), show(old));
        });
      case Listens::now_only:
        return atom.on_change([call](const Doc& now) {
          const Callback mine = call;
          mine(show(now), "");
        });
      case Listens::text:
        return atom.watch(&Doc::text, [call](const std::string& now, const std::string& old) {
          const Callback mine = call;
          mine(std::string(now), std::string(old));
        });
      case Listens::number:
        return atom.watch(&Doc::number, [call](int now, int old) {
          const Callback mine = call;
          mine(std::to_string(now), std::to_string(old));
        });
      case Listens::reset:
        return atom.on_reset([call] {
          const Callback mine = call;
          mine("", "");
        });
      case Listens::destroy:
        return atom.on_destroy([call] {
          const Callback mine = call;
          mine("", "");
        });
    }
    std::abort();
  }
  static void unsubscribe(Handle& handle) { handle.unsubscribe(); }
  static bool active(const Handle& handle) { return handle.active(); }
  template <class Body>
  void batch(const Body& body) {
    store_->batch(body);
  }
  void drop(std::size_t i) { store_->drop(declared(i)); }
  void destroy() { store_->destroy(); }
  void go() {
    delete store_.get();  // its destroy listeners still find it, so the pointer is forgotten afterwards
    static_cast<void>(store_.release());
  }
  void hydrate(const std::vector<std::pair<std::size_t, Doc>>& values, bool notify) {
    atom::Snapshot snapshot;
    for (const auto& [i, value] : values) snapshot.set(declared(i), value);
    if (values.size() % 2) {
      store_->hydrate(std::make_shared<const atom::Snapshot>(std::move(snapshot)), {.notify = notify});
    } else {
      store_->hydrate(std::move(snapshot), {.notify = notify});
    }
  }
  std::string snapshot() const {
    std::string all;
    for (const auto& [key, value] : store_->snapshot()) {
      all += std::string(key.substr(5)) + "=" + show(value.get<Doc>()) + ";";
    }
    return all;
  }

 private:
  atom::Atom<Doc>& use(std::size_t i) { return store_->use(declared(i)); }
  std::unique_ptr<atom::AtomStore> store_ = std::make_unique<atom::AtomStore>();
};

/// One random script on one store. Two stores that behave alike draw the same random numbers, and leave the same trace.
template <class Store>
class Script {
 public:
  template <class... Args>
  explicit Script(std::uint64_t seed, Args&&... args) : random_(seed), store_(std::forward<Args>(args)...) {
    throwing_ = seed % 3 == 0;
    deleting_ = seed % 5 == 0;
  }

  const std::vector<std::string>& run() {
    while (left_ > 0 && !gone_) {
      try {
        operate();
      } catch (const Boom&) {
        log("out: boom");
      }
      if (!gone_) look();
    }
    if (!gone_) go();
    for (auto& handle : handles_) log(Store::active(handle) ? "active" : "inactive");
    return trace_;
  }
  long callbacks() const { return callbacks_; }
  long operations() const { return operations_per_run - left_; }

 private:
  std::size_t draw(std::size_t below) { return static_cast<std::size_t>(random_() % below); }
  Doc draw_doc() {
    static const std::string texts[] = {"a", "b", std::string(50, 'x'), ""};
    return {texts[draw(4)], static_cast<int>(draw(3))};
  }
  void log(std::string line) { trace_.push_back(std::move(line)); }

  /// One operation; what the store refuses is part of the trace.
  void operate() {
    --left_;
    try {
      choose();
    } catch (const atom::CycleError&) {
      throw;
    } catch (const atom::Error&) {
      log("refused");
    } catch (const Refused&) {
      log("refused");
    }
  }
  void choose() {
    const std::size_t i = draw(atom_count);
    switch (draw(20)) {
      case 0:
      case 1:
      case 2:
      case 3:
        return log(store_.update(i, draw_doc(), true) ? "updated" : "same");
      case 4:
        return log(store_.update(i, draw_doc(), false) ? "silently" : "same");
      case 5:
      case 6:
        return mutate(i);
      case 7:
        return log(store_.reset(i, true) ? "reset" : "was default");
      case 8:
        return log(store_.reset(i, false) ? "silent reset" : "was default");
      case 9:
      case 10:
      case 11:
        return listen(i);
      case 12:
      case 13:
        if (handles_.empty()) return;
        log("unsubscribe");
        return Store::unsubscribe(handles_[draw(handles_.size())]);
      case 14:
        return forget();
      case 15:
      case 16:
        return batch();
      case 17:
        log("drop");
        return draw(4) ? look() : store_.drop(i);
      case 18:
        return draw(3) ? hydrate() : snapshot();
      case 19:
        if (draw(25)) return look();
        if (deleting_ && !editing_ && !going_ && depth_ > 0) return go();
        log("destroy");
        return store_.destroy();
    }
  }
  void mutate(std::size_t i) {
    const Doc next = draw_doc();
    const bool nested = draw(3) == 0;
    log("mutate");
    store_.mutate(i, [&, i](Doc& doc) {
      struct Editing {
        int& count;
        std::size_t& now;
        std::size_t before;
        ~Editing() {
          --count;
          now = before;
        }
      } guard{editing_, edited_, std::exchange(edited_, edited_ | std::size_t{1} << i)};
      ++editing_;
      doc.number = next.number;
      if (nested) some_operations();
      if (throwing_ && draw(10) == 0) throw Boom{};
      doc.text = next.text;
    });
  }
  void listen(std::size_t i) {
    if (handles_.size() >= 30) return;
    const int id = ++listeners_;
    const auto to = static_cast<Listens>(draw(6));
    Script* const self = this;
    log("listen");
    handles_.push_back(store_.listen(
        i, to, [self, id](const std::string& now, const std::string& old) { self->called(id, now, old); }));
  }
  void forget() {
    if (handles_.empty()) return;
    std::swap(handles_[draw(handles_.size())], handles_.back());
    handles_.pop_back();
  }
  void batch() {
    log("batch");
    store_.batch([&] {
      some_operations();
      if (throwing_ && draw(10) == 0) throw Boom{};
    });
  }
  void hydrate() {
    std::vector<std::pair<std::size_t, Doc>> values;
    for (std::size_t i = draw(2); i < atom_count; i += 1 + draw(3)) values.emplace_back(i, draw_doc());
    log("hydrate");
    store_.hydrate(values, draw(2) == 0);
  }
  void snapshot() {
    if (!editing_) log(store_.snapshot());
  }
  void go() {
    log("gone");
    going_ = true;
    store_.go();
    gone_ = true;
  }
  /// The values of all atoms but those that are being changed.
  void look() {
    std::string all;
    for (std::size_t i = 0; i < atom_count; ++i) {
      all += edited_ >> i & 1 ? "?" : store_.has(i) ? show(store_.value(i)) : "-";
      all += " ";
    }
    log(std::move(all));
  }
  void some_operations() {
    if (depth_ >= 5) return;
    ++depth_;
    struct Back {
      int& depth;
      ~Back() { --depth; }
    } back{depth_};
    for (std::size_t n = draw(4); n > 0 && left_ > 0 && !gone_; --n) operate();
  }
  /// A listener.
  void called(int id, const std::string& now, const std::string& old) {
    ++callbacks_;
    log(std::to_string(id) + ": " + now + " <- " + old);
    if (draw(3) == 0) some_operations();
    if (throwing_ && draw(15) == 0) throw Boom{};
  }

  std::mt19937_64 random_;
  Store store_;
  std::vector<typename Store::Handle> handles_;
  std::vector<std::string> trace_;
  int left_ = operations_per_run;
  int depth_ = 0;
  int editing_ = 0;
  std::size_t edited_ = 0;  // a bit an atom
  int listeners_ = 0;
  long callbacks_ = 0;
  bool throwing_ = false;
  bool deleting_ = false;
  bool going_ = false;
  bool gone_ = false;
};

Runs run(std::uint64_t seed) {
  Script<RealStore> real(seed);
  Script<NaiveStore> naive(seed, defaults());
  const Trace& seen = real.run();
  return {seen, naive.run(), real.operations(), real.callbacks()};
}

}  // namespace
}  // namespace fuzz

int main(int argc, char** argv) {
  return fuzz::compare("fuzz", 300'000, argc, argv, fuzz::run);
}
