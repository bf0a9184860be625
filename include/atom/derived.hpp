// Derived<T>: a value that is computed from atoms, and from other derived ones. Declared like an atom, and read through
// a store, whose own clones it reads:
//
//   inline const atom::Derived<std::string> full_name{
//       "full_name", [](auto& get) { return get(first_name) + " " + get(last_name); }};
//   store.use(full_name).value();
//
// It is computed when it is read, and again only after something that it read has changed. Which atoms these are is
// found out anew by each computation. Between a write and the next read nothing is computed, only marked; so nobody
// ever sees a value of which one half is older than the other.
#pragma once

#include <atom/atom_base.hpp>
#include <atom/config.hpp>
#include <atom/detail/observable.hpp>
#include <atom/detail/text_path.hpp>
#include <atom/error.hpp>
#include <atom/fwd.hpp>
#include <atom/key.hpp>
#include <atom/signal.hpp>
#include <atom/store.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace atom::inline v0_1 {

struct DerivedOptions {
  /// Never part of text for a client. If nothing is said: like its inputs, so what was computed from a server-only
  /// value is server-only too.
  std::optional<bool> server_only = {};
};

namespace detail {
struct Input;
}

/// What the function of a derived atom reads with: `get(atom)` is the value that the store has of it, valid until the
/// function returns.
class Getter {
 public:
  Getter(const Getter&) = delete;
  Getter& operator=(const Getter&) = delete;

  template <std::derived_from<AtomBase> A>
  const typename A::value_type& operator()(const A& atom) const;
  /// Of a family: see family.hpp.
  template <class T>
  const T& operator()(const AtomMember<T>& member) const;
  template <class X>
    requires(!std::derived_from<X, AtomBase>)
  const X& operator()(const X&) const = delete;  // get reads an atom: get(atom)

 private:
  friend class detail::DerivedBase;
  Getter(detail::DerivedBase& reader, detail::Input*& first) noexcept : reader_(reader), next_(&first) {}
  detail::DerivedBase& reader_;
  mutable detail::Input** next_;  // what was read at this point the last time
  mutable bool read_secret_ = false;
};

namespace detail {

class DerivedDefinition : public Definition {
 public:
  /// Calls the function, and gives a clone the value that it makes.
  virtual void compute(DerivedBase& clone, const Getter& get) const = 0;
  const bool inherits_secrecy;

  // What only an atom's own value needs.
  void build(void*, std::pmr::memory_resource*) const final {}
  Value before_update(const void*, const void*) const final { return Value(); }
  void on_update(const void*, const void*, AtomBase&) const final {}

 protected:
  DerivedDefinition(const Key& k, const TypeOps& t, const DerivedOptions& options)
      : Definition(k, t), inherits_secrecy(!options.server_only) {
    server_only = options.server_only.value_or(false);
    derived = true;
  }
  ~DerivedDefinition() = default;
};

/// Something that a derived atom has read.
struct Input {
  Input* next;
  AtomBase* source;
  Subscription edge;  // ends with the source
  std::uint32_t version;
  bool is_derived;
};

/// What a derived atom has read, and whether its value is still what they make of it.
class DerivedBase : public AtomBase {
 protected:
  explicit DerivedBase(Definition& definition) : AtomBase(definition) {}
  explicit DerivedBase(CloneToken token) : AtomBase(*token.delivery_, *token.definition_) {}

  /// Afterwards the value is what the function makes of its inputs. Throws what the function throws, until an input
  /// changes; CycleError if it reads itself.
  void refresh() {
    if (state_ != State::fresh) [[unlikely]]
      refresh_slowly();
  }
  /// It made a value that differs, in the arena.
  void take(const void* next) noexcept {
    exchange_value(next, true, (flags_ & to_tell) && has_value() && is_listened_to());
    ++version_;
  }
  bool has_value() const noexcept { return value_; }
  /// Whether nobody needs the value before, so that it is assigned where it lies; then it counts as another one.
  bool may_assign() noexcept {
    constexpr std::uint32_t looked_at = shown | change_pending | to_tell;
    if ((flags_ & (own | looked_at)) != own) return false;
    ++version_;
    return true;
  }
  bool is_listened_to() const noexcept { return signal_.heard(on_change | on_watch) && !(flags_ & dropped); }

 private:
  friend class atom::Getter;
  const DerivedDefinition& definition() const noexcept { return static_cast<const DerivedDefinition&>(*definition_); }

  enum class State : std::uint8_t {
    fresh,      // the value is what the inputs make
    failed,     // the function threw, for these inputs
    computing,  // the function runs, and nothing that it is known to read has changed since it began
    asked,      // something that an input was computed from has changed; the input may not have
    stale,      // an input has changed
  };

  /// While one lives, the function may run: it can neither read nor drop the atom. Those that it reads are computed
  /// inside it, so a long chain needs much stack.
  class Computing : Editing {
   public:
    static constexpr std::uint32_t most = 1000;
    explicit Computing(DerivedBase& derived)
        : Editing(derived), depth_(derived.signal_.delivery()->computing), outer_depth_(depth_) {
      if (outer_depth_ == most) [[unlikely]]
        derived.too_long();
      depth_ = outer_depth_ + 1;
    }
    ~Computing() { depth_ = outer_depth_; }

   private:
    std::uint32_t& depth_;
    const std::uint32_t outer_depth_;
  };
  ATOM_NOINLINE void refresh_slowly() {
    if (flags_ & editing) [[unlikely]]
      from_itself();
    const Computing guard(*this);
    if (state_ == State::asked && !inputs_differ()) {
      state_ = error_ ? State::failed : State::fresh;
    } else if (state_ != State::failed) {
      return recompute();
    }
    if (state_ == State::failed) [[unlikely]]
      std::rethrow_exception(error_);
  }
  [[noreturn]] ATOM_COLD void from_itself() const {
    throw CycleError("derived atom \"" + std::string(key()) + "\" is computed from itself");
  }
  [[noreturn]] ATOM_COLD void too_long() const {
    throw Error("derived atom \"" + std::string(key()) +
                "\" is the last of 1000 that read each other: the chain is too long");
  }
  [[noreturn]] ATOM_COLD void always_another() const {
    throw CycleError("derived atom \"" + std::string(key()) +
                     "\" changes what it is computed from: stopped after 100 times");
  }
  AtomStore& store() const noexcept { return *signal_.delivery()->store; }

  /// In the order in which they were read: what was read only because of an earlier one is not asked if that differs.
  ATOM_NOINLINE bool inputs_differ() {
    settle(State::computing);
    for (Input* input = first_; input; input = input->next) {
      if (!input->edge.active()) return true;
      if (!input->is_derived) continue;
      auto& source = static_cast<DerivedBase&>(*input->source);
      try {
        source.refresh();
      } catch (...) {
        return true;
      }
      if (source.version_ != input->version) return true;
    }
    return state_ != State::computing;
  }
  ATOM_INLINE void recompute() {
    if (!run()) [[unlikely]]
      run_again();
  }
  /// Its own function has changed what it reads, maybe after it was read: a factory did, say, which runs once.
  ATOM_COLD void run_again() {
    constexpr int most = 100;
    for (int times = 1; times < most; ++times) {
      if (run()) return;
    }
    always_another();
  }
  /// Whether the value is what the inputs make: nothing was marked meanwhile.
  ATOM_INLINE bool run() {
    if (error_) {
      error_ = nullptr;
      ++version_;  // even with the same value, it is news to who got the exception
    }
    settle(State::computing);
    const Getter get(*this, first_);
    try {
      definition().compute(*this, get);
    } catch (...) {
      error_ = std::current_exception();
      ++version_;
      finish(get);
      reach(State::failed);
      throw;
    }
    finish(get);
    return reach(State::fresh);
  }
  /// The function has returned, or thrown.
  ATOM_INLINE void finish(const Getter& get) noexcept {
    if (*get.next_) [[unlikely]]
      forget_from(*get.next_);
    if (get.read_secret_ != is_server_only() && definition().inherits_secrecy) {
      flags_ ^= secret;
      ++version_;  // even with the same value, as it comes from a secret one now, or does not any more
    }
  }
  /// Unless something was marked meanwhile: then that counts, and this is false.
  bool reach(State state) noexcept {
    if (state_ != State::computing) [[unlikely]]
      return false;
    state_ = state;
    return true;
  }
  void settle(State state) noexcept {
    state_ = state;
    marked_loud_ = false;
  }

  /// The function reads `atom`. If it did so at this point the last time, as it mostly does: that input.
  static Input* read_again(const Getter& get, const AtomBase& atom) noexcept {
    Input* const expected = *get.next_;
    if (!expected || !expected->edge.active() || expected->source->definition_ != atom.definition_) return nullptr;
    get.next_ = &expected->next;
    return expected;
  }
  /// Else it is this one, of the store's clone.
  template <class A>
  ATOM_NOINLINE Input& read_another(const Getter& get, const A& atom) {
    return depend_on(get, store().use(atom));
  }
  ATOM_NOINLINE Input& depend_on(const Getter& get, AtomBase& source) {
    Input* const expected = *get.next_;
    for (Input* input = first_; input != expected; input = input->next) {
      if (input->source == &source && input->edge.active()) return *input;
    }
    const bool is_derived = source.definition_->derived;
    Piece<Input> piece(arena());
    auto edge = is_derived ? depend_on<State::asked>(source.signal_) : depend_on<State::stale>(source.signal_);
    Input* const input = ::new (piece.place()) Input{expected, &source, std::move(edge), 0, is_derived};
    piece.release();
    *get.next_ = input;
    get.next_ = &input->next;
    return *input;
  }
  template <State To>
  Subscription depend_on(Signal& signal) {
    return signal.subscribe(on_input, [this](const void* loud, const void*, AtomBase&) { mark(To, loud); });
  }
  /// While one lives, the function reads an input; then, also if that throws, it is known what it has read.
  template <bool IsDerived>
  class Reading {
   public:
    Reading(const Getter& get, Input& input) noexcept : get_(get), input_(input), source_(*input.source) {}
    Reading(const Reading&) = delete;
    Reading& operator=(const Reading&) = delete;
    ~Reading() {
      if constexpr (IsDerived) input_.version = derived().version_;
      get_.read_secret_ |= source_.is_server_only();
    }
    const void* value() const {
      if constexpr (IsDerived) derived().refresh();
      return source_.value_;
    }

   private:
    DerivedBase& derived() const noexcept { return static_cast<DerivedBase&>(source_); }
    const Getter& get_;
    Input& input_;
    AtomBase& source_;
  };
  ATOM_NOINLINE void forget_from(Input*& first) noexcept {
    while (Input* const input = first) {
      first = input->next;
      input->edge.unsubscribe();
      arena().end(*input);
    }
  }
  /// An input, or what it was computed from, has changed. Those that read it are marked inside it, so a chain of tens
  /// of thousands, which can be computed from its bottom, needs much stack.
  void mark(State state, bool is_loud) noexcept {
    const bool is_news = state_ <= State::computing || (is_loud && !marked_loud_);
    if (state_ < state) state_ = state;
    if (is_news) pass_on(is_loud);
  }
  ATOM_NOINLINE void pass_on(bool is_loud) noexcept {
    marked_loud_ = is_loud;
    if (is_loud && is_listened_to()) {
      flags_ |= to_tell;
      enqueue();
    }
    signal_.invalidate(*this, is_loud);
  }

  void bring_up_to_date() override { refresh(); }
  /// What it was computed from may be back, too; and who came to listen meanwhile needs a value to start from.
  void rolled_back() noexcept override {
    if (state_ != State::computing) settle(State::stale);  // its own function did it, and reads on
    if (!has_value() && is_listened_to()) enqueue();
  }
  const void* known_value() const noexcept override { return state_ == State::fresh ? value_ : nullptr; }
  std::vector<std::string> dependencies() const override {
    std::vector<std::string> keys;
    for (const Input* input = first_; input; input = input->next) {
      if (input->edge.active()) keys.emplace_back(input->source->key());
    }
    return keys;
  }
  void deliver(Hold& hold) override {
    if (!(flags_ & dropped) && ((flags_ & to_tell) || !has_value())) {
      try {
        refresh();
      } catch (...) {
        hold.caught();
        flags_ &= ~(queued | to_tell);  // a change that is pending is told together with the next one
        return;
      }
    }
    AtomBase::deliver(hold);
  }
  void clear(Hold& hold) noexcept override {
    forget_from(first_);
    AtomBase::clear(hold);
  }

  Input* first_ = nullptr;
  std::uint32_t version_ = 0;
  State state_ = State::stale;
  bool marked_loud_ = false;  // since it was computed: so are all that read it
  std::exception_ptr error_;
};

}  // namespace detail

template <class T>
class Derived final : public detail::DerivedBase, public detail::Observable<Derived<T>, T> {
  static_assert(std::is_object_v<T> && !std::is_array_v<T> && std::same_as<T, std::remove_cv_t<T>>,
                "atom::Derived<T>: T is a plain object type, without const, reference or array");
  static_assert(std::move_constructible<T>,
                "atom::Derived<T>: the function returns a T, which is moved into the store");

 public:
  using value_type = T;

  /// All stores on all threads share the function, so it is called as const. It reads through `get` alone.
  template <class F>
    requires std::convertible_to<std::invoke_result_t<const F&, const Getter&>, T>
  Derived(Key key, F compute, DerivedOptions options = {})
      : DerivedBase(*new By<F>(key, std::move(compute), options)) {}
  template <class F>
    requires(!std::invocable<const F&, const Getter&>)
  Derived(Key key, F compute, DerivedOptions options = {}) = delete;  // it is computed by [](auto& get) { ... }

  /// Called by a store.
  Derived(CloneToken token, const Derived&) : DerivedBase(token) {}

  /// The value, computed if that is needed. Valid until it is read after an input has changed. Throws what the function
  /// throws; CycleError if it is computed from itself, or its function changes what it has read, 100 times in a row;
  /// Error for a template, and if more than 1000 derived atoms have to be computed for it, each one for the next.
  const T& value() const {
    if (is_template()) [[unlikely]]
      no_value();
    const_cast<Derived*>(this)->refresh();
    return *static_cast<const T*>(value_);
  }

  // ---- It is read-only, and these are what a compiler then shows.

  template <class... Args>
  void update(Args&&...) const = delete;  // it is computed: write to the atoms that it reads
  template <class... Args>
  void mutate(Args&&...) const = delete;  // it is computed: write to the atoms that it reads
  template <class... Args>
  void change(Args&&...) const = delete;  // it is computed: write to the atoms that it reads
  template <class... Args>
  void merge(Args&&...) const = delete;  // it is computed: write to the atoms that it reads
  void reset() const = delete;           // it is computed: write to the atoms that it reads

 private:
  friend class detail::Observable<Derived, T>;

  /// It holds the function, which all its clones call as const.
  template <class F>
  class By final : public detail::DerivedDefinition {
   public:
    By(const Key& k, F&& f, const DerivedOptions& o)
        : DerivedDefinition(k, detail::type_ops<T>, o), fn_(std::move(f)) {}
    void compute(DerivedBase& clone, const Getter& get) const override {
      static_cast<Derived&>(clone).assign(fn_(get));
    }

   private:
    const F fn_;
  };

  template <class V>
  V find_at(const T& whole, std::string_view path, V fallback) const {
    return detail::value_at<V>(detail::follow_path(whole, path), std::move(fallback));
  }
  template <class Call>
  Subscription listen(detail::Events events, Call call) {
    refresh();
    return signal_.subscribe(events, std::move(call));
  }
  /// The function has returned `next`.
  void assign(T next) {
    if (has_value() && detail::same_value<T>(*static_cast<const T*>(value_), next)) return;
    if constexpr (std::is_nothrow_move_assignable_v<T>) {
      if (may_assign()) {
        *const_cast<T*>(static_cast<const T*>(value_)) = std::move(next);
        return;
      }
    }
    detail::Piece<T> piece(arena());
    const T* const value = detail::construct<T>(piece.place(), &arena(), std::move(next));
    piece.release();
    take(value);
  }
  [[noreturn]] ATOM_COLD void no_value() const {
    throw Error("derived atom \"" + std::string(key()) +
                "\" has a value in a store only: take a clone with store.use(atom)");
  }
};

template <class F>
Derived(Key, F) -> Derived<std::invoke_result_t<const F&, const Getter&>>;

template <std::derived_from<AtomBase> A>
ATOM_INLINE const typename A::value_type& Getter::operator()(const A& atom) const {
  detail::Input* input = detail::DerivedBase::read_again(*this, atom);
  if (!input) [[unlikely]]
    input = &reader_.read_another(*this, atom);
  const detail::DerivedBase::Reading<std::derived_from<A, detail::DerivedBase>> reading(*this, *input);
  return *static_cast<const typename A::value_type*>(reading.value());
}
template <class T>
const T& Getter::operator()(const AtomMember<T>& member) const {
  detail::Input& input = reader_.depend_on(*this, reader_.store().use(member));
  const detail::DerivedBase::Reading<false> reading(*this, input);
  return *static_cast<const T*>(reading.value());
}

}  // namespace atom::inline v0_1
