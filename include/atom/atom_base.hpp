// All of an atom that does not depend on its type: whose value it is, what listeners have yet to be told, and its end.
// One class is both the template that a program declares and the clone that a store makes of it.
#pragma once

#include <atom/config.hpp>
#include <atom/detail/delivery.hpp>
#include <atom/detail/store_frame.hpp>
#include <atom/detail/thread_check.hpp>
#include <atom/error.hpp>
#include <atom/fwd.hpp>
#include <atom/misuse.hpp>
#include <atom/registry.hpp>
#include <atom/signal.hpp>
#include <atom/value.hpp>

#include <atomic>
#include <cstdint>
#include <exception>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace atom::inline v0_1 {

template <class A>
class AtomList;
namespace detail {
template <class Item>
class Table;
}

/// Only a store can make one: the key to the constructor that clones. A class derived from Atom<T> passes it on
/// (`using Atom::Atom;` does).
class CloneToken {
  friend class AtomBase;
  friend class AtomStore;
  friend class detail::DerivedBase;
  CloneToken(detail::Delivery& delivery, const detail::Definition& definition, const void* hydrated) noexcept
      : delivery_(&delivery), definition_(&definition), hydrated_(hydrated) {}
  detail::Delivery* delivery_;
  const detail::Definition* definition_;
  const void* hydrated_;  // null: start from the default
};

/// An atom of any type. Not copyable and not movable: `use` returns a reference.
class ATOM_API AtomBase : private detail::Deliverable {
 public:
  AtomBase(const AtomBase&) = delete;  // hold a clone by reference: `auto& x = store.use(atom);`
  AtomBase& operator=(const AtomBase&) = delete;

  /// The key it was declared with; a clone has its template's.
  std::string_view key() const noexcept { return definition_->key; }

  /// "user.clone.7"; numbered and built when it is first asked for. A template's is its key.
  std::string clone_key() const {
    if (is_template()) return definition_->key;
    static std::atomic<std::uint32_t> last{0};
    if (clone_number_ == 0) clone_number_ = ++last;
    return definition_->key + ".clone." + std::to_string(clone_number_);
  }

  /// The name of the value's type, as the compiler spells it.
  std::string_view type_name() const noexcept { return definition_->type.name; }

  bool is_template() const noexcept { return flags_ & template_flag; }

  /// Whether the value was written in this store: it is neither the default nor what was hydrated.
  bool is_modified() const noexcept { return flags_ & modified; }

  bool is_server_only() const noexcept { return flags_ & secret; }
  bool is_client_writable() const noexcept { return definition_->client_writable; }

 private:
  friend class AtomStore;
  friend class Snapshot;
  template <class>
  friend class Atom;
  template <class>
  friend class AtomCollection;
  template <class>
  friend class Derived;
  template <class>
  friend class detail::Table;
  template <class>
  friend class AtomList;
  template <class>
  friend class detail::PersistHook;
  friend class detail::LogText;
  friend class detail::DerivedBase;
  friend class detail::Recorder;
  friend class detail::SessionHook;
  friend class detail::Transaction;

  /// A template. It lives as long as its definition is registered.
  explicit AtomBase(detail::Definition& definition)
      : signal_(nullptr),
        definition_(&definition),
        hash_(definition.hash),
        flags_(template_flag | (definition.server_only ? secret : 0u)),
        value_(definition.default_value) {
    definition.atom = this;
    detail::Registry::instance().add(definition);
  }
  /// A clone.
  ATOM_INLINE explicit AtomBase(CloneToken token)
      : signal_(token.delivery_),
        definition_(token.definition_),
        hash_(definition_->hash),
        value_(token.hydrated_ ? token.hydrated_ : definition_->default_value) {
    if (!value_) build();
    if (definition_->server_only) flags_ |= secret;
    if (definition_->has_before_update) flags_ |= before_update_flag;
    if (definition_->has_on_update) listen_on_update();
  }
  /// A clone whose value comes later.
  AtomBase(detail::Delivery& delivery, const detail::Definition& definition)
      : signal_(&delivery),
        definition_(&definition),
        hash_(definition.hash),
        flags_(definition.server_only ? secret : 0u),
        value_(nullptr) {}
  /// A clone ends in `free`; here is something left to do only if the constructor of a derived class threw.
  virtual ~AtomBase() {
    if (is_template()) {
      detail::Registry::instance().remove(const_cast<detail::Definition&>(*definition_));
      return;
    }
    if (flags_ & queued) [[unlikely]]
      signal_.delivery()->forget(*this);
    if (!signal_.empty()) {
      detail::Hold hold(*signal_.delivery());
      signal_.clear(hold);
    }
    free_values();
  }

  const detail::Definition& definition() const noexcept { return *definition_; }
  detail::Arena& arena() const noexcept { return signal_.delivery()->arena; }

  // ---- Writing. A write first builds the next value, in a piece of the arena of its own; then it takes effect; then
  // listeners are told. What fails before it takes effect leaves everything as it was.

  bool owns_value() const noexcept { return flags_ & own; }
  /// Whether a change will be told.
  bool is_heard() const noexcept {
    return signal_.heard(detail::on_change | detail::on_watch | detail::on_input) && !(flags_ & dropped);
  }
  /// Whether the value may be changed where it lies: it is the atom's own, nobody is looking at it, and the value
  /// before is kept already or nobody will ask for it. (In a batch somebody may still subscribe who does.)
  bool may_change_in_place() const noexcept {
    if (!owns_value() || (flags_ & (shown | before_update_flag))) return false;
    if ((flags_ & change_pending) || !is_heard()) return true;
    if (signal_.heard(detail::wants_old)) return false;
    return !signal_.delivery()->held() || !definition_->type.copy;
  }

  bool equals(const void* other) const noexcept {
    try {
      return definition_->type.equal && definition_->type.equal(value_, other);
    } catch (...) {
      return false;
    }
  }
  /// Makes `next` the value; the arena's, or somebody's who outlives the store.
  void set_value(const void* next, bool owned, bool tell) noexcept {
    exchange_value(next, owned, tell);
    invalidate(tell);
  }
  void exchange_value(const void* next, bool owned, bool tell) noexcept {
    const void* const before = std::exchange(value_, next);
    const bool owned_before = flags_ & own;
    const bool shown_before = flags_ & shown;
    flags_ = (flags_ & ~(own | shown)) | (owned ? own : 0u);
    if (flags_ & change_pending) {
      flags_ |= coalesced;
    } else if (tell) {
      flags_ |= change_pending | (owned_before ? own_old : 0u);
      old_ = before;
      return;
    }
    if (owned_before && !shown_before) free_value(before);
  }
  /// The value was changed where it lies; `always`: that counts as a change whatever `==` says.
  void value_changed(bool tell, bool always) noexcept {
    if (flags_ & change_pending) flags_ |= coalesced;
    if (tell) flags_ |= change_pending | (always ? mutated : 0u);
    flags_ |= modified;
    invalidate(tell);
  }
  /// Of what is computed from it. Its own listeners are told before those, in a batch as outside of one.
  void invalidate(bool tell) noexcept {
    if (!signal_.heard(detail::on_input)) [[likely]]
      return;
    if (tell && signal_.delivery()->held()) enqueue();
    signal_.invalidate(*this, tell);
  }
  /// Makes a value of the arena the next one, and tells whoever listens: now, or when the outermost update is through.
  /// What they throw comes out here.
  void publish(const void* next) {
    detail::Delivery& delivery = *signal_.delivery();
    if (delivery.held()) {
      set_value(next, true, true);
      flags_ |= modified;
      return enqueue();
    }
    const bool owned_before = owns_value();
    show(std::exchange(value_, next), owned_before);
  }
  /// Tells whoever listens that the value came after `old`. Nothing is pending, and no hold is on the stack.
  ATOM_INLINE void show(const void* old, bool owns_old) {
    flags_ |= own | modified | shown;
    signal_.invalidate(*this, true);
    const detail::Shown values{*this, value_, old, true, owns_old};
    detail::Hold hold(*signal_.delivery(), detail::Hold::Outermost());
    const detail::ThreadCheck check(*signal_.delivery(), definition_, &hold);
    tell(values, true, false, hold);
    hold.finish();
  }
  /// The same where both need no clean-up when the store goes, so the hold need not know of them: the atom's own value,
  /// written before, and an `old` that the caller keeps.
  ATOM_NOINLINE void show_plainly(const void* old) {
    flags_ |= shown;
    signal_.invalidate(*this, true);
    detail::Hold hold(*signal_.delivery(), detail::Hold::Outermost());
    const detail::ThreadCheck check(*signal_.delivery(), definition_, &hold);
    const void* const now = value_;
    if (call_listeners(now, old, true, false, hold)) release(now, old, true, false);
    hold.finish();
  }
  /// Tells what is pending, in the same way.
  void announce() {
    detail::Delivery& delivery = *signal_.delivery();
    if (delivery.held()) return enqueue();
    detail::Hold hold(delivery, detail::Hold::Outermost());
    const detail::ThreadCheck check(delivery, definition_, &hold);
    deliver(hold);
    hold.finish();
  }
  void announce_reset() {
    if (signal_.heard(detail::on_reset)) flags_ |= reset_pending;
    if (flags_ & (change_pending | reset_pending)) announce();
  }
  /// For a listener that wants the value before: is there one?
  void require_old() const {
    if ((flags_ & change_pending) && !old_) [[unlikely]]
      cannot_copy();
  }

  /// While one lives, the atom refuses to be written: somebody holds a reference to its value.
  class Editing {
   public:
    explicit Editing(AtomBase& atom) noexcept : atom_(atom) { atom.flags_ |= editing; }
    Editing(const Editing&) = delete;
    Editing& operator=(const Editing&) = delete;
    ~Editing() { atom_.flags_ &= ~editing; }

   private:
    AtomBase& atom_;
  };
  /// For writes and for new listeners.
  void require_free() const {
    check_write();
    if (flags_ & (template_flag | editing)) [[unlikely]]
      refuse();
  }

  /// A piece of the arena for one value, given back unless `release` is called.
  class Room {
   public:
    explicit Room(AtomBase& atom)
        : atom_(atom), place_(atom.arena().acquire(atom.definition_->type.size, atom.definition_->type.align)) {}
    Room(const Room&) = delete;
    Room& operator=(const Room&) = delete;
    ~Room() {
      if (place_) atom_.arena().recycle(place_, atom_.definition_->type.size, atom_.definition_->type.align);
    }
    void* place() const noexcept { return place_; }
    void* release() noexcept { return std::exchange(place_, nullptr); }

   private:
    AtomBase& atom_;
    void* place_;
  };
  void* copy_value(const void* value) {
    if (!definition_->type.copy) cannot_copy();
    Room room(*this);
    definition_->type.copy(room.place(), value, &arena());
    return room.release();
  }
  void* build_value() {
    Room room(*this);
    definition_->build(room.place(), &arena());
    return room.release();
  }
  void free_value(const void* value) noexcept { definition_->type.end(const_cast<void*>(value), arena()); }
  [[noreturn]] ATOM_COLD void cannot_copy() const {
    throw Error("atom \"" + definition_->key + "\": " + std::string(type_name()) +
                " cannot be copied, and here a copy is needed (a listener wants the value before, or there is a "
                "before_update, or the value is the default: give the atom a Factory)");
  }
  [[noreturn]] ATOM_COLD void no_value() const {
    throw Error("atom \"" + definition_->key +
                "\" has a Factory and no default: only a clone has a value, take one with store.use(atom)");
  }

  /// Of a misuse; see misuse.hpp.
  void check_read() const {
#if ATOM_CHECKS
    if (flags_ & freed) [[unlikely]]
      used_after_end();
    if (!is_template()) [[likely]]
      return;
    const detail::StoreFrame* const scope = detail::innermost_frame();
    if (scope && scope->store) {
      detail::report_misuse("atom \"" + definition_->key +
                            "\" is read as a template while a store is current: take its clone, store.use(atom)");
    }
#endif
  }
  void check_write() const {
#if ATOM_CHECKS
    if (flags_ & freed) [[unlikely]]
      used_after_end();
    if (!is_template()) [[likely]]
      detail::check_thread(*signal_.delivery(), definition_);
#endif
  }
  [[noreturn]] ATOM_COLD void used_after_end() const {
    const std::string message = "atom \"" + definition_->key + "\" is used after its store has dropped or destroyed it";
    detail::report_misuse(message);
    throw Error(message);
  }

  enum Flag : std::uint32_t {
    own = 1u << 0,                 // value_ lies in the arena and is ours
    own_old = 1u << 1,             // so is old_
    modified = 1u << 2,            // written in this store
    plain = 1u << 3,               // exactly an Atom<T>: no destructor to run
    light = 1u << 4,               // own values need no clean-up when the whole arena goes
    template_flag = 1u << 5,       // a template, not a clone
    before_update_flag = 1u << 6,  // has that option
    editing = 1u << 7,             // inside its own mutate, updater or hook
    shown = 1u << 8,               // listeners are looking at value_
    change_pending = 1u << 9,      // to be told: a change from old_ to value_
    coalesced = 1u << 10,          // of more than one write, so the two may be equal
    mutated = 1u << 11,            // but counts as a change even then
    reset_pending = 1u << 12,      // to be told: a reset
    queued = 1u << 13,
    ending = 1u << 14,   // on_destroy was told
    dropped = 1u << 15,  // no longer in its store
    secret = 1u << 16,   // server-only, or derived from what is
    to_tell = 1u << 17,  // derived: listeners are to be told what the next computation changes
    freed = 1u << 18,    // its memory has been given back
  };
  static constexpr std::uint32_t all_pending = change_pending | coalesced | mutated | reset_pending | to_tell;
  static constexpr std::uint32_t not_idle =
      template_flag | before_update_flag | editing | shown | change_pending | dropped;

  /// Computes the value anew, if it is derived and its inputs have changed.
  virtual void bring_up_to_date() {}
  /// The value is the one of before a transaction again.
  virtual void rolled_back() noexcept {}
  /// The value, if it is there without computing anything, else null.
  virtual const void* known_value() const noexcept { return value_; }
  /// The keys of what it is computed from.
  virtual std::vector<std::string> dependencies() const { return {}; }

  // ---- Telling

  std::uint32_t hash() const noexcept { return hash_; }
  ATOM_NOINLINE void build() {
    value_ = build_value();
    flags_ |= own;
  }
  /// The option is the first listener.
  ATOM_NOINLINE void listen_on_update() {
    try {
      signal_.subscribe(detail::on_change | detail::wants_old, [](const void* now, const void* old, AtomBase& atom) {
        atom.definition_->on_update(now, old, atom);
      });
    } catch (...) {
      free_values();
      throw;
    }
  }
  void enqueue() noexcept {
    if (flags_ & (queued | dropped)) return;  // one that was dropped is in the graveyard, by the same link
    flags_ |= queued;
    signal_.delivery()->enqueue(*this);
  }

  void deliver(detail::Hold& hold) override {
    flags_ &= ~queued;
    if (flags_ & dropped) return hold_back();
    const std::uint32_t pending = flags_;
    const bool owns = pending & own;
    const detail::Shown values{*this, value_, std::exchange(old_, nullptr), owns, (pending & own_old) != 0};
    flags_ = (pending & ~(all_pending | own_old)) | (owns ? shown : 0u);
    tell(values, (pending & change_pending) && differs(values, pending, hold), pending & reset_pending, hold);
  }
  ATOM_INLINE void tell(const detail::Shown& values, bool change, bool reset, detail::Hold& hold) noexcept {
    const void* const now = values.now;
    const void* const old = values.old;
    const bool owns_now = values.owns_now;  // a compiler sees through these, and not through what a hold refers to
    const bool owns_old = values.owns_old;
    hold.show(&values);
    if (!call_listeners(now, old, change, reset, hold)) return;
    hold.show(nullptr);
    release(now, old, owns_now, owns_old);
  }
  /// Whether the store is still there.
  ATOM_INLINE bool call_listeners(const void* now, const void* old, bool change, bool reset,
                                  detail::Hold& hold) noexcept {
    const detail::Listener* const last = signal_.begin();
    if (change) {
      if (!signal_.tell(last, detail::on_change, now, old, *this, hold)) return false;
      if (!signal_.tell(last, detail::on_watch, now, old, *this, hold)) return false;
    }
    if (reset && !signal_.tell(last, detail::on_reset, now, now, *this, hold)) return false;
    return signal_.end(hold);
  }
  void release(const detail::Shown& values) noexcept override {
    release(values.now, values.old, values.owns_now, values.owns_old);
  }
  ATOM_INLINE void release(const void* now, const void* old, bool owns_now, bool owns_old) noexcept {
    if (owns_old) free_value(old);
    if (!owns_now) return;
    if (value_ == now) [[likely]] {
      flags_ &= ~shown;
    } else if (old_ != now) {
      free_value(now);  // it was replaced silently meanwhile
    }
  }
  /// Several writes may end where they began: then there is nothing to tell.
  bool differs(const detail::Shown& values, std::uint32_t pending, detail::Hold& hold) const {
    if ((pending & (coalesced | mutated)) != coalesced || !values.old || !definition_->type.equal) return true;
    try {
      return !definition_->type.equal(values.now, values.old);
    } catch (...) {
      hold.caught();
      return true;
    }
  }
  void tell_destroyed(detail::Hold& hold) {
    if (flags_ & ending) return;
    flags_ |= ending;
    const bool nested = signal_.telling();  // one of its own listeners drops it
    const detail::Listener* const last = signal_.begin();
    if (signal_.tell(last, detail::on_destroy, value_, value_, *this, hold) && !nested) signal_.end(hold);
  }

  void abandon() noexcept override {
    flags_ &= ~queued;
    if (flags_ & dropped) return hold_back();
    if (flags_ & own_old) free_value(old_);
    old_ = nullptr;
    flags_ &= ~(all_pending | own_old);
  }
  /// Out of the store; the rest when no callback is on the stack any more.
  void retire() noexcept {
    flags_ |= dropped;
    signal_.disconnect_all();
    if (!(flags_ & queued)) hold_back();
  }
  void hold_back() noexcept { signal_.delivery()->bury(*this); }
  void clear(detail::Hold& hold) noexcept override {
    signal_.clear(hold);
    if (!hold.alive()) return;
    free_values();
  }
  void free_values() noexcept {
    if (flags_ & own_old) free_value(old_);
    if (flags_ & own) free_value(value_);
    flags_ &= ~(own | own_old);
  }
  void free() noexcept override {
    detail::Arena& memory = arena();
    const std::size_t size = size_;
    const detail::Definition& definition = *definition_;
    [[maybe_unused]] std::uint32_t& flags = flags_;
    if (!(flags_ & plain)) this->~AtomBase();
#if ATOM_CHECKS
    if (!definition.family) flags |= freed;  // may be seen until somebody else has the memory
#endif
    memory.recycle(this, size, alignof(std::max_align_t));
    if (definition.family) definition.free(memory);
  }

  [[noreturn]] ATOM_COLD void refuse() const {
    if (is_template()) {
      throw Error("atom \"" + definition_->key + "\" is a template and read-only: take a clone with store.use(atom)");
    }
    throw Error(
        "atom \"" + definition_->key +
        "\" is inside its own mutate, updater or before_update: there it can be neither written nor listened to");
  }

  detail::Signal signal_;
  const detail::Definition* definition_;
  std::uint32_t hash_;
  std::uint32_t flags_ = 0;
  const void* value_;          // the default, a hydrated value, or our own
  const void* old_ = nullptr;  // what listeners were last told, while a change is pending
  AtomBase* next_ = nullptr;   // in the order of first use
  AtomBase* previous_ = nullptr;
  std::uint32_t size_ = 0;  // of the object
  mutable std::uint32_t clone_number_ = 0;
};

}  // namespace atom::inline v0_1
