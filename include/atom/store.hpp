// AtomStore: the atoms of one request. Each store has clones of its own, made when they are first used; templates are
// never written, and no two stores share anything that can be changed. The one rule: `auto& x = store.use(atom)`.
#pragma once

#include <atom/atom.hpp>
#include <atom/atom_base.hpp>
#include <atom/config.hpp>
#include <atom/detail/attachment.hpp>
#include <atom/detail/delivery.hpp>
#include <atom/detail/layers.hpp>
#include <atom/detail/table.hpp>
#include <atom/detail/transaction.hpp>
#include <atom/error.hpp>
#include <atom/fwd.hpp>
#include <atom/hydrate.hpp>
#include <atom/inspect.hpp>
#include <atom/registry.hpp>
#include <atom/signal.hpp>
#include <atom/snapshot.hpp>
#include <atom/value.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <iterator>
#include <memory_resource>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace atom::inline v0_1 {

struct SnapshotOptions {
  /// Also the values that were hydrated and whose atoms were not used yet, after the others.
  bool queued = false;
  /// Also the derived atoms, computed where that is needed: what they throw comes out of `snapshot`.
  bool derived = false;
};

/// A forward range over the clones of a store.
template <class A>
class AtomList {
 public:
  class iterator {
   public:
    using value_type = A;
    using difference_type = std::ptrdiff_t;
    iterator() noexcept = default;
    A& operator*() const noexcept { return *atom_; }
    A* operator->() const noexcept { return atom_; }
    iterator& operator++() noexcept {
      atom_ = atom_->next_;
      return *this;
    }
    iterator operator++(int) noexcept {
      iterator before = *this;
      ++*this;
      return before;
    }
    bool operator==(const iterator&) const noexcept = default;

   private:
    friend class AtomList;
    explicit iterator(A* atom) noexcept : atom_(atom) {}
    A* atom_ = nullptr;
  };

  iterator begin() const noexcept { return iterator(first_); }
  iterator end() const noexcept { return iterator(); }
  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }

 private:
  friend class AtomStore;
  AtomList(A* begins, std::size_t size) noexcept : first_(begins), size_(size) {}
  A* first_;
  std::size_t size_;
};

/// The atoms of one request: a few kilobytes, best a local variable. One thread uses it at a time; different stores
/// need no synchronisation. Not copyable and not movable: atoms refer to it.
///
/// It may be destroyed by one of its own listeners. Then nothing more is told, and what that listener still does must
/// not touch the store, nor what its callable captured.
class AtomStore {
 public:
  /// Memory beyond the store's own comes from `upstream`; null: the default resource.
  explicit AtomStore(std::pmr::memory_resource* upstream = nullptr) noexcept
      : delivery_(upstream, this), layers_(delivery_.arena) {}
  AtomStore(const AtomStore&) = delete;
  AtomStore& operator=(const AtomStore&) = delete;
  /// As `destroy`, but what listeners throw is lost.
  ~AtomStore() {
    if (!attachments_.empty()) [[unlikely]]
      tell_attachments();
    if (first_ || !layers_.empty() || delivery_.held()) end();
    if (!attachments_.empty()) [[unlikely]]
      end_attachments();  // a listener may have been the first to ask for one
    atoms_.free(delivery_.arena);
  }

  // ---- Atoms

  /// This store's clone of `atom`, made if there is none: from the hydrated value, else the default, else the factory.
  /// The reference is valid until `drop` or `destroy`. Throws KeyConflict if another atom has the key, TypeMismatch if
  /// `atom` is really of a class derived from A, CycleError if the clone is being made already (its factory uses it),
  /// Error while the store is being destroyed or if the Atom is not the first base of A, and what the factory throws.
  template <std::derived_from<AtomBase> A>
  A& use(const A& atom) {
    const detail::ThreadCheck check(delivery_, atom.definition_);
    if (AtomBase* const clone = atoms_.find(atom.definition_, atom.hash_)) [[likely]]
      return static_cast<A&>(*clone);
    return use_slowly(atom);
  }
  template <std::derived_from<AtomBase> A>
  A& use(const A&& atom) = delete;  // an atom is declared once, at namespace scope; this one is a temporary
  template <std::derived_from<AtomBase> A>
    requires(!std::is_const_v<A>)
  A& use(A& atom) = delete;  // declare the atom const: inline const atom::Atom<T> x{"x"};

  /// The clone of `atom`, or null if `use` was not called for it. Creates nothing.
  template <std::derived_from<AtomBase> A>
  A* get(const A& atom) noexcept {
    return static_cast<A*>(find(atom));
  }
  template <std::derived_from<AtomBase> A>
  const A* get(const A& atom) const noexcept {
    return static_cast<const A*>(find(atom));
  }
  /// The clone with this key, or null.
  AtomBase* get(std::string_view key) noexcept { return find(key); }
  const AtomBase* get(std::string_view key) const noexcept { return find(key); }
  /// The clone with this key, or null if there is none or its value is not a T.
  template <class T>
  Atom<T>* get(std::string_view key) noexcept {
    return static_cast<Atom<T>*>(find(key, detail::type_ops<T>));
  }
  template <class T>
  const Atom<T>* get(std::string_view key) const noexcept {
    return static_cast<const Atom<T>*>(find(key, detail::type_ops<T>));
  }
  bool has(std::string_view key) const noexcept { return find(key); }
  template <std::derived_from<AtomBase> A>
  bool has(const A& atom) const noexcept {
    return find(atom);
  }

  /// What `use(atom).value()` would be, without making a clone: the clone's value, else the hydrated one, else the
  /// default. Throws Error if there is none of these (the atom has a Factory). Valid until the atom's next write.
  template <class T>
  const T& value(const Atom<T>& atom) const {
    if (const AtomBase* const clone = find(atom)) return static_cast<const Atom<T>*>(clone)->value();
    if (const void* const hydrated = waiting(*atom.definition_)) return *static_cast<const T*>(hydrated);
    return atom.default_value();
  }

  // The same for an atom of a family: see family.hpp.
  template <class T>
  Atom<T>& use(const AtomMember<T>& member);
  template <class T>
  Atom<T>* get(const AtomMember<T>& member) noexcept;
  template <class T>
  const Atom<T>* get(const AtomMember<T>& member) const noexcept;
  template <class T>
  bool has(const AtomMember<T>& member) const noexcept;
  template <class T>
  const T& value(const AtomMember<T>& member) const;

  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }

  /// The clones, in the order of their first use: `for (atom::AtomBase& a : store.list())`. Inside a batch a loop may
  /// drop the atom that it stands on; elsewhere that is gone at once.
  AtomList<AtomBase> list() noexcept { return {first_, size_}; }
  AtomList<const AtomBase> list() const noexcept { return {first_, size_}; }

  /// Ends one atom: tells its destroy listeners; then no listener of it is called. The next `use` starts from the
  /// default. The reference is gone, inside a callback as soon as the outermost update is through. A template stands
  /// for its clone; nothing happens if there is none. Throws Error if `atom` is another store's, or inside its own
  /// `mutate`.
  void drop(const AtomBase& atom);
  template <class T>
  void drop(const AtomMember<T>& member);

  /// What there is to know of the clones, in the order of their first use; for people see format.hpp.
  std::vector<CloneInfo> inspect() const;

  // ---- Values in and out

  /// Takes values for atoms: those that the store has are set at once, silently unless the options say otherwise; the
  /// others wait for the first use, the last one wins. What is wrong with a key is in the report; only lack of memory
  /// throws, and with `notify` what listeners throw. A moved or shared snapshot is not copied.
  HydrateReport hydrate(const Snapshot& snapshot, HydrateOptions options = {}) {
    return take(Snapshot(snapshot), options);
  }
  HydrateReport hydrate(Snapshot&& snapshot, HydrateOptions options = {}) { return take(std::move(snapshot), options); }
  template <snapshot_pointer P>
  HydrateReport hydrate(P shared, HydrateOptions options = {}) {
    return take(std::move(shared), options);
  }

  /// Values that turned out to be wrong at the first use of their atom, whose template was not registered when they
  /// came.
  const std::vector<Rejection>& rejected() const noexcept { return layers_.rejected(); }

  /// The values of all atoms used so far, in the order of first use. Those of types that cannot be copied, or whose
  /// copies would share something that can be changed, are left out. Defaults are referred to, not copied.
  Snapshot snapshot(SnapshotOptions options = {}) const;

  /// From now on `adapter` (get, set, remove) keeps the values of atoms that are marked `persist`: they are restored
  /// when an atom is first used, and saved when they change. See persist.hpp, which must be included.
  template <class Adapter, class Options = PersistOptions>
  const auto& persist_with(Adapter& adapter, const Options& options = {}) {
    return start_persisting(*this, adapter, options);  // needs #include <atom/persist.hpp>
  }

  // ---- Other threads

  /// The store's mailbox, to which other threads post functions: a handle to copy, which outlives the store. With
  /// `wake`, that is called in their thread when something waits. See mailbox.hpp, which must be included.
  template <class Store = AtomStore>
  auto mailbox() {
    return open_mailbox(static_cast<Store&>(*this));  // needs #include <atom/mailbox.hpp>
  }
  template <class Wake>
  auto mailbox(Wake wake) {
    return open_mailbox(*this, std::move(wake));  // needs #include <atom/mailbox.hpp>
  }
  /// Runs what was posted up to now, in order, and returns how many functions ran. Throws the first exception when all
  /// have run, and Error inside a transaction.
  template <class Store = AtomStore>
  std::size_t drain() {
    return drain_mailbox(static_cast<Store&>(*this));  // needs #include <atom/mailbox.hpp>
  }

  // ---- Together, and the end

  /// Runs `fn` and returns what it returns; each listener is told once, afterwards, with the value before the batch. If
  /// `fn` throws, values stay, listeners are told, and the exception goes on.
  template <std::invocable F>
  std::invoke_result_t<F> batch(F&& fn);

  /// A batch that takes effect as a whole: if `fn` throws, every value is what it was before, nobody is told, and the
  /// exception goes on. Atoms that were first used inside are there, with the value that they start from; so are
  /// listeners. (A factory that then has to build one, and throws, ends the program.) Inside, `drop`, `destroy` and
  /// `drain` throw Error, and so does `mutate` of a value that cannot be copied.
  template <std::invocable F>
  std::invoke_result_t<F> transaction(F&& fn);

  /// Tells all destroy listeners, then ends all atoms and drops hydrated values. The store is empty, and may be used
  /// again. Throws the first exception of a listener when all is done, and Error inside a `mutate`.
  void destroy();

  /// The store's own memory, for values that are built on it. It goes with the store, or with `destroy`.
  std::pmr::memory_resource* resource() noexcept { return &delivery_.arena; }

 private:
  template <class>
  friend class detail::PersistHook;
  friend class detail::Recorder;
  friend class detail::MailboxHook;
  friend class detail::SessionHook;

  // use
  template <class A>
  ATOM_NOINLINE A& use_slowly(const A& atom);
  ATOM_INLINE AtomBase* admit(const AtomBase& atom, bool same_class);
  template <class A>
  ATOM_INLINE A& make_clone(const A& atom, const detail::Definition& definition);
  template <class A>
  ATOM_COLD A& make_carefully(const A& atom, const detail::Definition& definition);
  template <class A>
  ATOM_INLINE A& place_clone(const A& atom, const detail::Definition& definition);
  ATOM_INLINE void introduce(AtomBase& clone);
  AtomBase* admit_again(const detail::Definition& definition, AtomBase& clone);
  [[noreturn]] static void not_first(const AtomBase& atom);
  [[noreturn]] void refuse(const detail::Definition* definition) const;
  [[noreturn]] static void refuse(const detail::Definition& first, const detail::Definition& second);
  AtomBase* find(const AtomBase& atom) const noexcept {
    AtomBase* const clone = atoms_.find(atom.definition_, atom.hash_, atom.key());
    if (!clone || clone->definition_ == atom.definition_) return clone;
    return clone->definition_->same_variable(*atom.definition_) ? clone : nullptr;
  }
  template <class T>
  AtomBase* find(const AtomMember<T>& member) const noexcept;
  AtomBase* find(std::string_view key) const noexcept { return atoms_.find(detail::hash_key(key), key); }
  AtomBase* find(std::string_view key, const detail::TypeOps& type) const noexcept {
    AtomBase* const clone = find(key);
    const bool is_one = clone && !clone->definition_->derived && clone->definition_->type.same_type(type);
    return is_one ? clone : nullptr;
  }
  void link(AtomBase& clone) noexcept;
  void unlink(AtomBase& clone) noexcept;

  // hydrate
  /// The value that waits for an atom, or null. What it finds out about a value is remembered, so it is not quite
  /// const.
  const void* waiting(const detail::Definition& definition) const {
    return layers_.empty() ? nullptr : const_cast<detail::Layers&>(layers_).find(definition);
  }
  template <class Owner>
  HydrateReport take(Owner owner, HydrateOptions options);
  const detail::Definition* definition_of(const Snapshot::Entry& entry) const noexcept;
  bool fits(const Snapshot::Entry& entry) const noexcept;
  const Snapshot* sift(const Snapshot& snapshot, Trust from, HydrateReport& report);
  void apply(const Snapshot& snapshot, bool notify, HydrateReport& report);
  /// Sweeps the layers when no callback is on the stack: listeners may be looking at a value in one.
  class Sweeper final : public detail::Disposable {
   public:
    explicit Sweeper(AtomStore& store) noexcept : store_(store) {}
    void clear(detail::Hold&) noexcept override { store_.sweep_layers(); }
    void free() noexcept override { waits = false; }
    bool waits = false;

   private:
    AtomStore& store_;
  };
  void sweep_layers() noexcept;

  // the end
  bool tell_destroyed(detail::Hold& hold);
  void end() noexcept;
  void tell_attachments() noexcept;
  void end_attachments() noexcept;

  detail::Delivery delivery_;
  detail::Table<AtomBase> atoms_;
  std::size_t size_ = 0;
  AtomBase* first_ = nullptr;  // in the order of first use
  AtomBase* last_ = nullptr;
  detail::Layers layers_;
  Sweeper sweeper_{*this};
  detail::AttachmentList attachments_;
  detail::Underway* made_ = nullptr;
  bool ending_ = false;
};

// ----------------------------------------------------------------------------------------------------------------- use

template <class A>
A& AtomStore::use_slowly(const A& atom) {
  static_assert(!std::same_as<A, AtomBase>, "a store clones an atom as what it is, an atom::Atom<T>, not an AtomBase");
  static_assert(std::constructible_from<A, CloneToken, const A&>,
                "a class derived from atom::Atom<T> needs `using Atom::Atom;`, so that a store can clone it");
  static_assert(alignof(A) <= alignof(std::max_align_t),
                "an over-aligned member belongs into the value, not the class");
#if defined(__cpp_rtti)
  const bool same_class = !atom.definition_ || typeid(static_cast<const AtomBase&>(atom)) == typeid(A);
#else
  const bool same_class = true;  // cannot be told
#endif
  // What frees a clone knows its AtomBase, and that is where the memory begins.
  if (static_cast<const void*>(static_cast<const AtomBase*>(&atom)) != &atom) [[unlikely]]
    not_first(atom);
  if (AtomBase* const clone = admit(atom, same_class)) return static_cast<A&>(*clone);
  A& clone = make_clone(atom, *atom.definition_);
  introduce(clone);
  return clone;
}

template <class A>
A& AtomStore::make_clone(const A& atom, const detail::Definition& definition) {
  if (!attachments_.empty() || !definition.default_value) [[unlikely]]
    return make_carefully(atom, definition);
  return place_clone(atom, definition);
}

/// The same where code of the program's may run: that must not come back for the same atom.
template <class A>
A& AtomStore::make_carefully(const A& atom, const detail::Definition& definition) {
  const detail::Underway made(made_, definition);
  attachments_.for_each([&](detail::Attachment& attachment) { attachment.before_use(definition); });
  return place_clone(atom, definition);
}

template <class A>
A& AtomStore::place_clone(const A& atom, const detail::Definition& definition) {
  detail::Piece<A, alignof(std::max_align_t)> piece(delivery_.arena);
  A& clone = *::new (piece.place()) A(CloneToken(delivery_, definition, waiting(definition)), atom);
  try {
    atoms_.reserve_one(delivery_.arena);  // now: a factory may have used other atoms
  } catch (...) {
    clone.~A();
    throw;
  }
  piece.release();

  AtomBase& base = clone;
  base.size_ = sizeof(A);
  if constexpr (std::same_as<A, Atom<typename A::value_type>>) {
    if (!definition.family) base.flags_ |= AtomBase::plain;
  }
  using T = typename A::value_type;
  if constexpr (std::is_trivially_destructible_v<T> && detail::Arena::pooled(sizeof(T), alignof(T))) {
    base.flags_ |= AtomBase::light;
  }
  link(base);
  return clone;
}

/// Tells those who need to know of each new clone.
inline void AtomStore::introduce(AtomBase& clone) {
  if (delivery_.transaction) [[unlikely]]
    delivery_.transaction->add_new(clone);
  if (!attachments_.empty()) [[unlikely]]
    attachments_.for_each([&](detail::Attachment& attachment) { attachment.after_use(clone); });
}

/// The clone that stands for `atom`, or null, and then one may be added.
inline AtomBase* AtomStore::admit(const AtomBase& atom, bool same_class) {
  const detail::Definition* const definition = atom.definition_;
  if (!definition) [[unlikely]]
    refuse(definition);
  if (AtomBase* const clone = atoms_.find(definition, atom.hash_, definition->key)) [[unlikely]]
    return admit_again(*definition, *clone);
  if (ending_ || !same_class || definition->clash()) [[unlikely]]
    refuse(definition);
  return nullptr;
}

/// The store has a clone with this key.
inline AtomBase* AtomStore::admit_again(const detail::Definition& definition, AtomBase& clone) {
  if (clone.definition_ == &definition) return &clone;
  if (!clone.definition_->same_variable(definition)) refuse(*clone.definition_, definition);
  atoms_.reserve_one(delivery_.arena);  // the same variable, seen from another shared object
  atoms_.insert(&definition, clone);
  return &clone;
}

[[noreturn]] ATOM_COLD inline void AtomStore::not_first(const AtomBase& atom) {
  throw Error("atom " + (atom.definition_ ? "\"" + atom.definition_->key + "\" " : std::string()) +
              "is of a class that has another base, with virtual functions, before atom::Atom<T>: put the Atom first");
}

/// What keeps the atom of this definition from being used for the first time.
inline void AtomStore::refuse(const detail::Definition* definition) const {
  if (!definition) {
    throw Error("an atom was used before it was initialised: by the initialiser of a variable in another file");
  }
  if (ending_) {
    throw Error("atom \"" + definition->key + "\" is used for the first time while its store is being destroyed");
  }
  if (const detail::Definition* const first = definition->clash()) refuse(*first, *definition);
  throw TypeMismatch("atom \"" + definition->key +
                     "\" is used through a base class: pass it as what it is, so that the clone keeps its verbs");
}

inline void AtomStore::refuse(const detail::Definition& first, const detail::Definition& second) {
  const auto place = [](const AtomInfo& info) {
    return std::string(info.file) + ":" + std::to_string(info.line) + " (" + std::string(info.type_name) + ")";
  };
  throw KeyConflict("atom key \"" + first.key + "\" is defined twice: " + place(first.info()) + " and " +
                    place(second.info()) + "; rename one of them");
}

inline void AtomStore::link(AtomBase& clone) noexcept {
  atoms_.insert(clone.definition_, clone);
  clone.previous_ = last_;
  (last_ ? last_->next_ : first_) = &clone;
  last_ = &clone;
  ++size_;
}

inline void AtomStore::unlink(AtomBase& clone) noexcept {
  atoms_.erase(clone);
  (clone.previous_ ? clone.previous_->next_ : first_) = clone.next_;
  (clone.next_ ? clone.next_->previous_ : last_) = clone.previous_;
  --size_;  // clone.next_ stays: in a batch a walk over the list may stand here
}

// ------------------------------------------------------------------------------------------------------------- hydrate

template <class Owner>
HydrateReport AtomStore::take(Owner owner, HydrateOptions options) {
  const Snapshot* snapshot;
  if constexpr (std::same_as<Owner, Snapshot>) {
    snapshot = &owner;
  } else {
    snapshot = &*owner;
  }
  detail::check_thread(delivery_, nullptr);
  const Trust from = options.trust.value_or(snapshot->trust());
  bool as_it_is = from == Trust::server;
  for (const Snapshot::Entry& entry : *snapshot) as_it_is = as_it_is && fits(entry);

  HydrateReport report;
  snapshot = as_it_is ? &layers_.push(std::move(owner), Trust::server) : sift(*snapshot, from, report);
  apply(*snapshot, options.notify, report);
  return report;
}

/// Of the atom that has this key here, else of the template or family that is registered, else null.
inline const detail::Definition* AtomStore::definition_of(const Snapshot::Entry& entry) const noexcept {
  if (const AtomBase* const clone = atoms_.find(entry.hash_, entry.key)) return clone->definition_;
  return detail::Registry::instance().find_declared(entry.key, entry.hash_);
}

/// Whether a value from a server needs no further thought.
inline bool AtomStore::fits(const Snapshot::Entry& entry) const noexcept {
  const detail::Definition* const definition = definition_of(entry);
  if (!definition) return true;
  if (definition->derived || !definition->type.shareable || !entry.value.is(definition->type)) return false;
  const AtomBase* const clone = atoms_.find(entry.hash_, entry.key);
  return !clone || !(clone->flags_ & AtomBase::editing);
}

/// Judges each value, and puts on top of the layers: those that no template wants yet, and the good ones.
inline const Snapshot* AtomStore::sift(const Snapshot& snapshot, Trust from, HydrateReport& report) {
  Snapshot good;
  Snapshot unknown;
  for (const Snapshot::Entry& entry : snapshot) {
    const detail::Definition* const definition = definition_of(entry);
    if (!definition) {
      report.unknown.emplace_back(entry.key);
      unknown.append(entry);
      continue;
    }
    AtomBase* const clone = atoms_.find(entry.hash_, entry.key);
    if (clone && (clone->flags_ & AtomBase::editing)) {
      report.rejected.push_back({std::string(entry.key), Rejection::Cause::busy, "the atom is inside its own mutate"});
      continue;
    }
    const void* const before = clone ? clone->value_ : definition->default_value;
    std::optional<AtomBase::Editing> judged;  // code of the program's looks at its value
    if (clone) judged.emplace(*clone);
    const detail::Judgement judgement(entry.key, *definition, before, entry.value, from);
    if (judgement.rejection()) {
      report.rejected.push_back(*judgement.rejection());
    } else {
      Snapshot::Entry& taken = definition->is_family ? good.append(entry.key, entry.hash_, judgement.accepted())
                                                     : good.append(*definition, judgement.accepted());
      taken.mark(entry.server_only_);
    }
  }
  if (!unknown.empty()) layers_.push(std::move(unknown), from);
  return &layers_.push(std::move(good), Trust::server);
}

/// Sets the atoms that the store has to values in the topmost layer; then tells their listeners, if that is wanted.
inline void AtomStore::apply(const Snapshot& snapshot, bool notify, HydrateReport& report) {
  detail::Hold hold(delivery_);
  if (layers_.many() && !std::exchange(sweeper_.waits, true)) delivery_.bury(sweeper_);
  for (const Snapshot::Entry& entry : snapshot) {
    AtomBase* const clone = atoms_.find(entry.hash_, entry.key);
    if (clone) {
      const bool tell = notify && clone->is_heard() && !clone->equals(entry.value.data());
      clone->set_value(entry.value.data(), false, tell);
      clone->flags_ &= ~AtomBase::modified;
      if (tell) clone->announce();
      report.applied.emplace_back(entry.key, *clone->definition_);
    } else if (const auto* const definition = detail::Registry::instance().find_declared(entry.key, entry.hash_)) {
      report.queued.emplace_back(entry.key, *definition);
    } else {
      report.unknown.emplace_back(entry.key);
    }
  }
  hold.finish();
}

/// A value counts while an atom has it, or may still ask for it.
inline void AtomStore::sweep_layers() noexcept {
  layers_.sweep([&](const Snapshot::Entry& entry, bool newest) {
    const AtomBase* const clone = atoms_.find(entry.hash_, entry.key);
    return clone ? clone->value_ == entry.value.data() : newest;
  });
}

// ------------------------------------------------------------------------------------------------------------ snapshot

inline Snapshot AtomStore::snapshot(SnapshotOptions options) const {
  Snapshot all;
  all.entries_.reserve(size_);
  for (const AtomBase& clone : list()) {
    const detail::Definition& definition = *clone.definition_;
    const detail::TypeOps& type = definition.type;
    if (!type.shareable || (definition.derived && !options.derived)) [[unlikely]]
      continue;
    if (definition.derived) [[unlikely]]
      const_cast<AtomBase&>(clone).bring_up_to_date();
    Snapshot::Entry& entry = all.append(definition);
    if (definition.derived) [[unlikely]]
      entry.server_only_ = clone.is_server_only();
    Value& value = entry.value;
    const bool tiny = type.trivial && type.size <= 2 * sizeof(void*);
    if (clone.value_ == definition.default_value && !tiny) {
      value.refer_to(type, clone.value_);
    } else {
      value.copy_from(type, clone.value_);
    }
  }
  if (options.queued) {
    layers_.for_each([&](const Snapshot::Entry& entry, Trust trust) {
      if (all.contains(entry.key)) return;
      all.append(entry).mark_declared();  // its template may have come, or gone, meanwhile
      if (trust == Trust::client) all.trust_ = Trust::client;
    });
  }
  return all;
}

inline std::vector<CloneInfo> AtomStore::inspect() const {
  std::vector<CloneInfo> all;
  all.reserve(size_);
  for (const AtomBase& clone : list()) {
    all.push_back({.key = clone.definition_->key,
                   .type_name = clone.type_name(),
                   .modified = clone.is_modified(),
                   .server_only = clone.is_server_only(),
                   .client_writable = clone.is_client_writable(),
                   .derived = clone.definition_->derived,
                   .listeners = clone.signal_.count(),
                   .dependencies = clone.dependencies()});
  }
  return all;
}

// --------------------------------------------------------------------------------------------------- batch and the end

template <std::invocable F>
std::invoke_result_t<F> AtomStore::batch(F&& fn) {
  detail::Hold hold(delivery_);
  const detail::ThreadCheck check(delivery_, nullptr, &hold);
  struct Settle {
    detail::Hold& hold;
    bool thrown = true;
    ~Settle() {
      if (thrown) hold.finish_quietly();
    }
  } settle{hold};
  using Result = std::invoke_result_t<F>;
  if constexpr (std::is_void_v<Result>) {
    std::forward<F>(fn)();
    settle.thrown = false;
    hold.finish();
  } else {
    Result result = std::forward<F>(fn)();
    settle.thrown = false;
    hold.finish();
    return static_cast<Result&&>(result);
  }
}

template <std::invocable F>
std::invoke_result_t<F> AtomStore::transaction(F&& fn) {
  detail::Transaction transaction(delivery_);
  for (AtomBase& clone : list()) transaction.add(clone);
  const detail::Layer* const newest = layers_.newest();
  const auto roll_back = [&] {
    transaction.roll_back([&] { layers_.forget_above(newest); },
                          [&](const AtomBase& atom) {
                            try {
                              if (const void* const hydrated = waiting(*atom.definition_)) return hydrated;
                            } catch (...) {  // there is no memory to judge it, and nobody to be told
                            }
                            return atom.definition_->default_value;
                          });
  };
  using Result = std::invoke_result_t<F>;
  return batch([&]() -> Result {
    try {
      if constexpr (std::is_void_v<Result>) {
        std::forward<F>(fn)();
        transaction.commit();
      } else {
        Result result = std::forward<F>(fn)();
        transaction.commit();
        return static_cast<Result&&>(result);
      }
    } catch (...) {
      roll_back();
      throw;
    }
  });
}

inline void AtomStore::drop(const AtomBase& atom) {
  if (!atom.is_template() && atom.signal_.delivery() != &delivery_) {
    throw Error("atom \"" + atom.definition_->key + "\" is another store's");
  }
  if (atom.flags_ & AtomBase::dropped) return;  // its successor stays
  AtomBase* const clone = find(atom);
  if (!clone) return;
  if (delivery_.transaction) {
    throw Error("atom \"" + clone->definition_->key +
                "\" is dropped inside a transaction, which could not put it back");
  }
  if (clone->flags_ & AtomBase::editing) {
    throw Error("atom \"" + clone->definition_->key + "\" is dropped inside its own mutate");
  }
  if (clone->flags_ & AtomBase::ending) return;  // by one of its own destroy listeners
  detail::Hold hold(delivery_);
  const detail::ThreadCheck check(delivery_, clone->definition_, &hold);
  layers_.hide(*clone->definition_);
  clone->tell_destroyed(hold);
  if (hold.alive() && !(clone->flags_ & AtomBase::dropped)) {
    clone->signal_.invalidate(*clone, false);
    unlink(*clone);
    clone->retire();
  }
  hold.finish();
}

inline void AtomStore::destroy() {
  if (ending_) return;  // by a destroy listener
  if (delivery_.transaction) throw Error("the store is destroyed inside a transaction, which could not put it back");
  for (const AtomBase& clone : list()) {
    if (clone.flags_ & AtomBase::editing) {
      throw Error("the store is destroyed inside a mutate of its atom \"" + clone.definition_->key + "\"");
    }
  }
  detail::Hold hold(delivery_);
  if (tell_destroyed(hold)) {
    ending_ = false;
    while (first_) {
      AtomBase& clone = *first_;
      unlink(clone);
      clone.retire();
    }
    layers_.retire(delivery_);
    atoms_.clear(delivery_.arena);
    attachments_.for_each([](detail::Attachment& attachment) { attachment.atoms_gone(); });
  }
  hold.finish();
}

/// Tells everybody before anything goes. Whether the store is still there.
inline bool AtomStore::tell_destroyed(detail::Hold& hold) {
  ending_ = true;
  for (AtomBase* clone = first_; clone; clone = clone->next_) {
    if (!clone->signal_.heard(detail::on_destroy)) continue;
    clone->tell_destroyed(hold);
    if (!hold.alive()) return false;
  }
  return true;
}

/// The destructor's way: nothing needs to be recycled.
inline void AtomStore::end() noexcept {
  while (delivery_.transaction) delivery_.transaction->commit();
  detail::Hold hold(delivery_);
  tell_destroyed(hold);
  delivery_.cut_off(hold);
  bool more = false;
  for (AtomBase* clone = first_; clone; clone = clone->next_) more |= !clone->signal_.let_go();
  while (more) {  // the end of a callable may bring new listeners, or drop atoms
    more = false;
    for (AtomBase* clone = first_; clone; clone = clone->next_) {
      if (clone->signal_.empty()) continue;
      clone->signal_.clear(hold);
      more = true;
    }
    if (more) delivery_.dispose(hold);
  }
  for (AtomBase* clone = first_; clone;) {
    AtomBase& gone = *std::exchange(clone, clone->next_);
    if (!(gone.flags_ & AtomBase::light)) gone.free_values();
    if (!(gone.flags_ & AtomBase::plain)) gone.free();
  }
  layers_.free_all();
}

/// What waits in a mailbox goes while the atoms are there, after their destroy listeners were told.
ATOM_COLD inline void AtomStore::tell_attachments() noexcept {
  while (delivery_.transaction) delivery_.transaction->commit();
  detail::Hold hold(delivery_);
  tell_destroyed(hold);
  attachments_.for_each([](detail::Attachment& attachment) { attachment.store_ends(); });
}

/// The atoms have gone, and what goes now may still look for them. It may also be the end of another attachment.
ATOM_COLD inline void AtomStore::end_attachments() noexcept {
  first_ = last_ = nullptr;
  size_ = 0;
  atoms_.clear(delivery_.arena);
  detail::Hold hold(delivery_);
  while (!attachments_.empty()) {
    attachments_.remove(attachments_.first()).store_gone();
    delivery_.dispose(hold);
  }
}

}  // namespace atom::inline v0_1
