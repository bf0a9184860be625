// What `AtomStore::transaction` can put back. At its start it takes over the values of all atoms: they lose the right
// to change or free them, so whatever is written goes beside them, and nothing more is needed while the transaction
// runs.
#pragma once

#include <atom/atom_base.hpp>
#include <atom/detail/delivery.hpp>
#include <atom/detail/inline_vector.hpp>

#include <cstdint>

namespace atom::inline v0_1::detail {

class Transaction {
 public:
  explicit Transaction(Delivery& delivery) noexcept : delivery_(&delivery), outer_(delivery.transaction) {
    delivery.transaction = this;
  }
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  /// What was written stays; an outer transaction may still put it back.
  ~Transaction() { commit(); }

  /// Takes over the value of a clone, before it is written.
  void add(AtomBase& clone) { keep(clone, clone.value_, false); }
  /// The same for a clone that was just used for the first time: the outer transactions do not know it either. Only a
  /// value of its own is kept; what else it started from may have been hydrated in a transaction that fails.
  void add_new(AtomBase& clone) { keep_new(clone, clone.owns_value() ? clone.value_ : nullptr); }

  void commit() noexcept {
    if (!end()) return;
    for (const Kept& kept : kept_) {
      AtomBase& atom = *kept.atom;
      if (!(kept.flags & AtomBase::own)) continue;
      if (atom.value_ == kept.value) {
        atom.flags_ |= AtomBase::own;
      } else if (atom.old_ == kept.value) {
        atom.flags_ |= AtomBase::own_old;  // listeners will be told that it was before
      } else if (!(kept.flags & AtomBase::shown)) {
        atom.free_value(kept.value);
      }
    }
  }
  /// Everything as it was, and nobody is told. `forget()` takes back what was hydrated meanwhile; then `initial(atom)`
  /// is the value that an atom starts from which was new; null: it builds one.
  template <class Forget, class Initial>
  void roll_back(Forget forget, Initial initial) noexcept {
    if (!end()) return;
    for (const Kept& kept : kept_) {
      AtomBase& atom = *kept.atom;
      const bool changed = atom.value_ != kept.value;
      if (changed && (atom.flags_ & AtomBase::own)) atom.free_value(atom.value_);
      if (atom.old_ != kept.old && (atom.flags_ & AtomBase::own_old)) atom.free_value(atom.old_);
      constexpr std::uint32_t stays = AtomBase::queued;  // it may be in the queue, with nothing to tell
      atom.flags_ = (kept.flags & ~stays) | (atom.flags_ & stays);
      atom.old_ = kept.old;
      atom.value_ = kept.value;
      atom.rolled_back();
      if (changed) atom.signal_.invalidate(atom, false);
    }
    forget();
    for (const Kept& kept : kept_) {
      AtomBase& atom = *kept.atom;
      if (!kept.is_new || kept.value || atom.definition_->derived) continue;
      atom.value_ = initial(atom);
      if (!atom.value_) atom.build();
    }
  }

 private:
  struct Kept {
    AtomBase* atom;
    const void* value;
    const void* old;
    std::uint32_t flags;
    bool is_new;
  };
  void keep_new(AtomBase& clone, const void* value) {
    if (outer_) outer_->keep_new(clone, value);  // first: the outermost has it to free
    keep(clone, value, true);
  }
  void keep(AtomBase& clone, const void* value, bool is_new) {
    kept_.emplace_back(Kept{&clone, value, clone.old_, clone.flags_, is_new});
    clone.flags_ &= ~AtomBase::own;
  }
  /// False if it has ended already, or its store has.
  bool end() noexcept {
    if (!delivery_) return false;
    delivery_->transaction = outer_;
    delivery_ = nullptr;
    return true;
  }

  Delivery* delivery_;
  Transaction* const outer_;
  InlineVector<Kept, 16> kept_;
};

}  // namespace atom::inline v0_1::detail
