// Undo and redo for the atoms of one store. An object beside the store writes down what each outermost update or batch
// has changed, and puts it back when asked. The one rule: what nobody is told (silent updates) is not written down.
//
//   atom::AtomStore store;
//   atom::History history(store, {.steps = 50});
//   store.use(title_atom).update("Draft");
//   history.undo();
#pragma once

#include <atom/atom_base.hpp>
#include <atom/config.hpp>
#include <atom/detail/arena.hpp>
#include <atom/detail/attachment.hpp>
#include <atom/detail/chain.hpp>
#include <atom/detail/definition.hpp>
#include <atom/detail/delivery.hpp>
#include <atom/error.hpp>
#include <atom/fwd.hpp>
#include <atom/signal.hpp>
#include <atom/store.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>

namespace atom::inline v0_1 {

struct HistoryOptions {
  /// How many can be undone; then the oldest goes for each new one.
  std::size_t steps = 100;
};

namespace detail {

/// What a History has written down. A step keeps, of each atom that it changed, the value which that atom has not: to
/// undo or to redo lets the two change places, and nothing is copied. It all lies in the store's memory, and goes when
/// no callback is on the stack any more, for listeners may be looking at a value of a step.
class Recorder final : public Attachment, private Disposable {
 public:
  /// Sets `handle`, until `stop` or until the store has gone.
  static void start(AtomStore& store, std::size_t most_steps, Recorder*& handle) {
    if (store.attachments_.find(Kind::history)) throw Error("the store has a history already");
    for (const AtomBase& clone : store.list()) clone.require_free();
    Piece<Recorder> piece(store.delivery_.arena);
    Recorder& recorder = *::new (piece.place()) Recorder(store, most_steps, handle);
    piece.release();
    store.attachments_.push(recorder);
    handle = &recorder;
    try {
      for (AtomBase& clone : store.list()) recorder.follow(clone);
    } catch (...) {
      recorder.stop();
      throw;
    }
  }
  void stop() noexcept {
    Hold hold(delivery_);
    store_.attachments_.remove(*this);
    store_gone();
    hold.finish_quietly();
  }

  std::size_t undo_size() const noexcept { return undo_.size(); }
  std::size_t redo_size() const noexcept { return redo_.size(); }
  bool undo() { return replay(undo_, redo_); }
  bool redo() { return replay(redo_, undo_); }
  void forget_all() noexcept {
    lost_ = delivery_.held();
    Hold hold(delivery_);
    forget_steps();
    settle_later();
    hold.finish_quietly();
  }

  void after_use(AtomBase& clone) override { follow(clone); }
  void atoms_gone() noexcept override {
    forget_steps();
    tracks_.for_each([&](Track& track) { forget(track); });
  }
  void store_gone() noexcept override {
    atoms_gone();
    *std::exchange(handle_, nullptr) = nullptr;
    settle_later();
  }

 private:
  /// An atom whose changes are written down, while it is in the store.
  struct Track {
    Recorder& recorder;
    AtomBase& atom;
    Subscription subscription = {};
    std::uint64_t written_in = 0;  // the number of the step which has it already
    Track* next = nullptr;
    Track* previous = nullptr;
  };
  /// One atom of a step.
  struct Entry {
    Track* track;
    const Definition& definition;  // what is declared: of an atom of a family, the family's, which does not go with it
    const void* value;             // the definition's default, or ours
    const void* taken = nullptr;   // what comes in its place
    Entry* next = nullptr;
    Entry* previous = nullptr;
  };
  struct Step {
    Chain<Entry> entries = {};
    Step* next = nullptr;
    Step* previous = nullptr;
  };
  using Steps = Chain<Step>;

  Recorder(AtomStore& store, std::size_t most_steps, Recorder*& handle) noexcept
      : Attachment(Kind::history),
        store_(store),
        delivery_(store.delivery_),
        most_steps_(most_steps),
        handle_(&handle) {}

  // ---- Writing down

  void follow(AtomBase& clone) {
    if (clone.definition_->derived || !clone.definition_->type.copy || (clone.flags_ & AtomBase::ending)) return;
    Track& track = make<Track>(*this, clone);
    try {
      track.subscription = clone.signal_.subscribe(
          on_change | on_destroy | wants_old,
          [&track](const void*, const void* old, AtomBase&) { track.recorder.told(track, old); });
    } catch (...) {
      recycle(track);
      throw;
    }
    tracks_.push(track);
  }
  void told(Track& track, const void* old) {
    if (track.atom.flags_ & AtomBase::ending) return dropped(track);
    if (track.written_in == number_ || lost_) return;  // the first old value is the one that counts
    settle_later();
    try {
      if (!open_) open_ = &make<Step>();
      add(*open_, track, old);
    } catch (...) {
      lost_ = true;  // better no step than a wrong one
      throw;
    }
  }
  void add(Step& step, Track& track, const void* old) {
    const Definition& definition = track.atom.definition_->declared();
    Piece<Entry> piece(delivery_.arena);
    const void* const value = old == definition.default_value ? old : track.atom.copy_value(old);
    step.entries.push(*::new (piece.place()) Entry{&track, definition, value});
    piece.release();
    track.written_in = number_;
  }
  /// Out of all steps with it: its next life is another one.
  void dropped(Track& track) noexcept {
    if (store_.ending_) return;  // so do all others: `atoms_gone` comes
    const auto leave = [&](Step& step) {
      step.entries.for_each([&](Entry& entry) {
        if (entry.track == &track) discard(step, entry);
      });
    };
    if (open_) leave(*open_);
    for (Steps* steps : {&undo_, &redo_}) {
      steps->for_each([&](Step& step) {
        leave(step);
        if (step.entries.empty()) recycle(steps->remove(step));
      });
    }
    forget(track);
  }
  void forget(Track& track) noexcept {
    track.subscription.unsubscribe();
    recycle(tracks_.remove(track));
  }

  /// The outermost update or batch is through: what it changed is a step.
  void close() noexcept {
    ++number_;
    Step* const step = std::exchange(open_, nullptr);
    Steps* const replayed_to = std::exchange(replayed_to_, nullptr);
    if (std::exchange(lost_, false)) {
      if (step) discard(*step);
      return forget_steps();
    }
    if (!step) return;
    step->entries.for_each([&](Entry& entry) {
      if (entry.track->atom.equals(entry.value)) discard(*step, entry);
    });
    if (step->entries.empty()) return recycle(*step);
    if (replayed_to) return replayed_to->push(*step);
    forget_steps(redo_);
    undo_.push(*step);
    if (undo_.size() > most_steps_) discard(undo_.remove(undo_.first()));
  }

  // ---- Putting back

  /// The newest step of `from` becomes one of `to`, together with what listeners write.
  bool replay(Steps& from, Steps& to) {
    if (from.empty()) return false;
    if (delivery_.held()) {
      throw Error("a history can neither undo nor redo inside a batch, a transaction or a listener");
    }
    Step& step = from.last();
    take_values(step);
    Hold hold(delivery_);
    settle_later();
    open_ = &from.remove(step);
    replayed_to_ = &to;
    step.entries.for_each([&](Entry& entry) { exchange(entry); });
    hold.finish();
    return true;
  }
  /// Finds what the atoms have; a hydrated value is not theirs to give, so it is copied.
  void take_values(Step& step) {
    step.entries.for_each([](Entry& entry) { entry.track->atom.require_free(); });
    try {
      step.entries.for_each([](Entry& entry) {
        AtomBase& atom = entry.track->atom;
        const bool may_be_taken = atom.owns_value() || atom.value_ == entry.definition.default_value;
        entry.taken = may_be_taken ? atom.value_ : atom.copy_value(atom.value_);
      });
    } catch (...) {
      step.entries.for_each([](Entry& entry) {
        AtomBase& atom = entry.track->atom;
        const void* const taken = std::exchange(entry.taken, nullptr);
        if (taken && taken != atom.value_) atom.free_value(taken);
      });
      throw;
    }
  }
  void exchange(Entry& entry) noexcept {
    AtomBase& atom = entry.track->atom;
    const bool tell = !atom.equals(entry.value);
    atom.flags_ &= ~AtomBase::own;  // it is the step's now
    atom.set_value(entry.value, entry.value != entry.definition.default_value, tell);
    atom.flags_ |= AtomBase::modified;
    if (tell) atom.enqueue();
    entry.value = std::exchange(entry.taken, nullptr);
    entry.track->written_in = number_;
  }

  // ---- Forgetting

  void forget_steps() noexcept {
    if (open_) discard(*std::exchange(open_, nullptr));
    replayed_to_ = nullptr;
    ++number_;
    forget_steps(undo_);
    forget_steps(redo_);
  }
  void forget_steps(Steps& steps) noexcept {
    steps.for_each([&](Step& step) { discard(steps.remove(step)); });
  }
  void discard(Step& step) noexcept {
    step.entries.for_each([&](Entry& entry) { discard(step, entry); });
    recycle(step);
  }
  void discard(Step& step, Entry& entry) noexcept {
    trash_.push(step.entries.remove(entry));
    settle_later();
  }

  // ---- When no callback is on the stack any more

  void settle_later() noexcept {
    if (!std::exchange(waits_, true)) delivery_.bury(*this);
  }
  void clear(Hold&) noexcept override {
    close();
    empty_trash();
  }
  void free() noexcept override {
    waits_ = false;
    if (!handle_) recycle(*this);
  }
  void empty_trash() noexcept {
    while (!trash_.empty()) {
      Entry& entry = trash_.remove(trash_.first());
      const Definition& definition = entry.definition;
      void* const value = const_cast<void*>(entry.value);
      recycle(entry);
      if (value != definition.default_value) definition.type.end(value, delivery_.arena);
    }
  }

  template <class Node, class... Args>
  Node& make(Args&&... args) {
    Piece<Node> piece(delivery_.arena);
    Node& node = *::new (piece.place()) Node{std::forward<Args>(args)...};
    piece.release();
    return node;
  }
  template <class Node>
  void recycle(Node& node) noexcept {
    delivery_.arena.end(node);
  }

  AtomStore& store_;
  Delivery& delivery_;
  const std::size_t most_steps_;
  Recorder** handle_;  // null: its History has gone
  Chain<Track> tracks_;
  Steps undo_;
  Steps redo_;
  Step* open_ = nullptr;          // what is being changed now
  std::uint64_t number_ = 1;      // of that step
  Steps* replayed_to_ = nullptr;  // where that step goes; null: it is a new one
  bool lost_ = false;             // it cannot be written down, or is not to be
  bool waits_ = false;            // in the graveyard
  Chain<Entry> trash_;
};

}  // namespace detail

/// Undo and redo for one store. A step is all that one outermost update, batch or transaction changed, together with
/// what its listeners wrote; an atom that ends where it began is not part of it, and a step of nothing is none. So a
/// transaction that throws leaves no step, and a hydrate is one if it tells listeners.
///
/// Not in any step: silent updates (an undo of what came before them puts back the value before that), derived atoms,
/// which follow by themselves, and values of types that cannot be copied. Each change copies the value before (not a
/// default), as for a listener that takes it; undo and redo copy nothing but what was hydrated. If a value cannot be
/// copied then, what its copy throws comes out as from a listener, and all steps are forgotten.
///
/// Either may end first, the store or the History. `destroy` of the store ends all steps; without a store there are
/// none. An atom that is dropped leaves all steps.
class History {
 public:
  /// Follows the atoms that the store has, and those that it is going to use. A store has one history: a second one is
  /// an Error, and so is one that is made inside a `mutate`.
  explicit History(AtomStore& store, HistoryOptions options = {}) {
    detail::Recorder::start(store, options.steps, recorder_);
  }
  History(const AtomStore&&, HistoryOptions = {}) = delete;  // the store is a temporary: name it
  History(const AtomStore&, std::integral auto) = delete;    // say what the number is: {.steps = 50}
  History(const History&) = delete;                          // a store has one history: refer to it
  History& operator=(const History&) = delete;
  ~History() {
    if (recorder_) recorder_->stop();
  }

  /// Puts back what the last step changed, as one batch: listeners are told once, with the value before the undo; what
  /// they write belongs to the undo. Atoms count as modified then; `before_update` is not asked. Returns whether there
  /// was a step. Throws Error inside a batch, a transaction, a listener, or a `mutate` of one of the atoms, and what
  /// the copy of a hydrated value throws: then nothing has changed. What listeners throw comes out when all is done.
  bool undo() { return recorder_ && recorder_->undo(); }
  /// Does again what was undone last, in the same way. A new change drops what could be redone.
  bool redo() { return recorder_ && recorder_->redo(); }

  bool can_undo() const noexcept { return undo_size() > 0; }
  bool can_redo() const noexcept { return redo_size() > 0; }
  /// How many steps there are.
  std::size_t undo_size() const noexcept { return recorder_ ? recorder_->undo_size() : 0; }
  std::size_t redo_size() const noexcept { return recorder_ ? recorder_->redo_size() : 0; }

  /// Forgets all steps; inside a batch or a listener also the one that is under way.
  void clear() noexcept {
    if (recorder_) recorder_->forget_all();
  }

 private:
  detail::Recorder* recorder_ = nullptr;  // null: the store has gone
};

}  // namespace atom::inline v0_1
