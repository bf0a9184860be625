// Atom<T>: declared once, `const`, at namespace scope, it is a template: a key and a default. A store's clone of it has
// a value, and tells its listeners when that changes. The one rule: write through `store.use(atom)`, never the
// template.
#pragma once

#include <atom/atom_base.hpp>
#include <atom/config.hpp>
#include <atom/detail/callables.hpp>
#include <atom/detail/members.hpp>
#include <atom/detail/observable.hpp>
#include <atom/detail/text_path.hpp>
#include <atom/detail/traits.hpp>
#include <atom/equal.hpp>
#include <atom/error.hpp>
#include <atom/fwd.hpp>
#include <atom/options.hpp>
#include <atom/registry.hpp>
#include <atom/signal.hpp>
#include <atom/value.hpp>

#include <concepts>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

namespace atom::inline v0_1 {

template <class T>
class Atom : public AtomBase, public detail::Observable<Atom<T>, T> {
  static_assert(std::is_object_v<T> && !std::is_array_v<T> && std::same_as<T, std::remove_cv_t<T>>,
                "atom::Atom<T>: T is a plain object type, without const, reference or array");
  using Definition = detail::AtomDefinition<T>;

 public:
  using value_type = T;

  // ---- Templates. The definition is never freed: snapshots refer to its default, and its address is its identity.

  /// The default is T(). A T that cannot be copied is built anew for each clone.
  explicit Atom(Key key)
    requires std::default_initializable<T>
      : AtomBase(define(key)) {
    require_isolated();
  }
  Atom(Key key, T initial)
    requires std::move_constructible<T>
      : Atom(key, std::move(initial), AtomOptions<T>{}) {}
  Atom(Key key, T initial, AtomOptions<T> options)
    requires std::move_constructible<T>
      : AtomBase(*new Definition(key, std::move(options), std::in_place, std::move(initial))) {
    require_isolated();
  }
  template <class F>
    requires std::same_as<std::invoke_result_t<const F&>, T>
  Atom(Key key, Factory<F> factory, AtomOptions<T> options = {})
      : AtomBase(*new Definition(key, std::move(options), detail::Hook<T()>(std::move(factory.make)))) {}

  // ---- Clones

  /// Called by a store.
  Atom(CloneToken token, const Atom&) : AtomBase(token) {}

  // ---- Reading

  /// The value, valid until the next write to this atom. A template's is its default (throws Error if it has a
  /// Factory).
  const T& value() const {
    this->check_read();
    if (!value_) [[unlikely]]
      no_value();
    return *static_cast<const T*>(value_);
  }

  /// What the template was declared with; throws Error if it has a Factory.
  const T& default_value() const {
    if (!this->definition().default_value) [[unlikely]]
      no_value();
    return *static_cast<const T*>(this->definition().default_value);
  }

  // ---- Writing. Each takes effect at once, then tells the listeners, or leaves that to the batch or the update that
  // is under way; each but `mutate` and `silent_*` returns whether the value changed. What listeners throw comes out
  // here, after all of them ran: the first exception, and the value stays. Inside the atom's own `mutate`, updater or
  // `before_update` they throw Error.

  /// Makes `next` the value, unless it is equal. If this throws, the value is as before.
  bool update(T&& next)
    requires std::move_constructible<T>
  {
    return write(std::move(next), true);
  }
  bool update(const T& next)
    requires detail::copyable<T>
  {
    return write_copy(next, true);
  }
  /// The same with what `updater(current)` returns.
  template <class F>
    requires detail::updater<F, T>
  bool update(F&& updater) {
    return write(next_from(updater), true);
  }
  template <class F>
    requires detail::not_an_updater<F, T>
  bool update(F&&) = delete;  // an updater takes the current value and returns the next: [](const T& current) { ... }

  /// Has `edit(T&)` change the value, where it lies when nobody needs the value before, else on a copy. Counts as a
  /// change. If `edit` throws, the value stays as it left it, listeners are told, and the exception goes on.
  template <std::invocable<T&> F>
  void mutate(F&& edit) {
    change_value(edit, true, true);
  }

  /// Sets one member: `change(&User::name, "Bob")`.
  template <class M, class C>
    requires detail::IsChange<M C::*, M, T>::value
  bool change(M C::* member, std::type_identity_t<M> value) {
    return apply(true, detail::MemberChange<M, C>{member, std::move(value)});
  }
  /// Sets several: `merge(&User::name, "Bob", &User::age, 36)`.
  template <class... Pairs>
    requires(sizeof...(Pairs) > 0 && detail::AreChanges<T, Pairs...>::value)
  bool merge(Pairs&&... members_and_values) {
    auto pairs = std::forward_as_tuple(std::forward<Pairs>(members_and_values)...);
    return [&]<std::size_t... I>(std::index_sequence<I...>) {
      return apply(true, pair_up(std::get<2 * I>(pairs), std::get<2 * I + 1>(std::move(pairs)))...);
    }(std::make_index_sequence<sizeof...(Pairs) / 2>{});
  }

  /// Back to the default, or what the factory builds, without `before_update`. Tells change listeners if the value
  /// changed, then reset listeners.
  bool reset() { return write_default(true); }

  /// As `update`, `change` and `reset`, but change listeners and watchers are not told (reset listeners are).
  void silent_update(T&& next)
    requires std::move_constructible<T>
  {
    write(std::move(next), false);
  }
  void silent_update(const T& next)
    requires detail::copyable<T>
  {
    write_copy(next, false);
  }
  template <class F>
    requires detail::updater<F, T>
  void silent_update(F&& updater) {
    write(next_from(updater), false);
  }
  template <class F>
    requires detail::not_an_updater<F, T>
  void silent_update(F&&) = delete;  // an updater takes the current value and returns the next
  template <class M, class C>
    requires detail::IsChange<M C::*, M, T>::value
  void silent_change(M C::* member, std::type_identity_t<M> value) {
    apply(false, detail::MemberChange<M, C>{member, std::move(value)});
  }
  void silent_reset() { write_default(false); }

  /// Called after each `reset` and `silent_reset`; takes (atom) or (). For other listeners see detail/observable.hpp.
  template <detail::event_listener<Atom> F>
  Subscription on_reset(F&& listener) {
    return this->listen_event(detail::on_reset, std::forward<F>(listener));
  }
  template <class F>
    requires(!detail::event_listener<F, Atom>)
  Subscription on_reset(F&&) = delete;  // a listener of this takes (atom) or ()

  // ---- A template is const, and these are what a compiler then shows.

  void update(const T&) const = delete;  // it is read-only; take a clone: store.use(atom)
  template <class F>
    requires detail::updater<F, T>
  void update(F&&) const = delete;              // it is read-only; take a clone: store.use(atom)
  void silent_update(const T&) const = delete;  // it is read-only; take a clone: store.use(atom)
  template <class F>
    requires detail::updater<F, T>
  void silent_update(F&&) const = delete;  // it is read-only; take a clone: store.use(atom)
  template <std::invocable<T&> F>
  void mutate(F&&) const = delete;  // it is read-only; take a clone: store.use(atom)
  template <class M, class C>
    requires detail::IsChange<M C::*, M, T>::value
  void change(M C::*, std::type_identity_t<M>) const = delete;  // it is read-only; take a clone: store.use(atom)
  template <class M, class C>
    requires detail::IsChange<M C::*, M, T>::value
  void silent_change(M C::*, std::type_identity_t<M>) const = delete;  // it is read-only; take a clone: store.use(atom)
  template <class... Pairs>
    requires detail::AreChanges<T, Pairs...>::value
  void merge(Pairs&&...) const = delete;  // it is read-only; take a clone: store.use(atom)
  void reset() const = delete;            // it is read-only; take a clone: store.use(atom)
  void silent_reset() const = delete;     // it is read-only; take a clone: store.use(atom)
  template <detail::event_listener<Atom> F>
  void on_reset(F&&) const = delete;  // it never changes; listen to a clone: store.use(atom)

 private:
  template <class>
  friend class AtomCollection;
  template <class, class>
  friend class AtomFamily;
  friend class detail::Observable<Atom, T>;

  /// Of a family.
  explicit Atom(Definition& definition) : AtomBase(definition) {}

  static Definition& define(const Key& key) {
    if constexpr (detail::copyable<T>) {
      return *new Definition(key, AtomOptions<T>{}, std::in_place);
    } else {
      return *new Definition(key, AtomOptions<T>{}, detail::Hook<T()>{});
    }
  }
  static constexpr void require_isolated() {
    static_assert(detail::isolated<T>,
                  "atom::Atom<T>: T points to something that can be changed, which all stores would share; "
                  "give the atom a Factory, so that each clone builds its own: Atom<T>{key, Factory{[] { ... }}}");
  }
  const Definition& typed_definition() const noexcept {
    return static_cast<const Definition&>(this->definition().declared());
  }
  /// A clone's value: it always has one.
  const T& current() const noexcept { return *static_cast<const T*>(value_); }
  T& own_value() noexcept { return *const_cast<T*>(static_cast<const T*>(value_)); }

  template <class V>
  V find_at(const T& whole, std::string_view path, V fallback) const {
    const auto& lookup = typed_definition().options.get;
    if (!lookup) return detail::value_at<V>(detail::follow_path(whole, path), std::move(fallback));
    const std::optional<Value> found = lookup(path, whole);
    return found ? detail::value_as<V>(*found, std::move(fallback)) : fallback;
  }

  /// A value in the arena that is not the atom's yet.
  class Node {
   public:
    template <class... Args>
    explicit Node(Atom& atom, Args&&... args)
        : arena_(atom.arena()), value_(make(arena_, std::forward<Args>(args)...)) {}
    /// What a clone starts from where there is no default.
    Node(Atom& atom, std::nullptr_t) : arena_(atom.arena()), value_(static_cast<T*>(atom.build_value())) {}
    Node(const Node&) = delete;
    Node& operator=(const Node&) = delete;
    ~Node() { discard(); }
    T& operator*() const noexcept { return *value_; }
    /// Before anybody is told: a listener may destroy the store, and then this must not be there any more.
    void discard() noexcept {
      if (value_) arena_.end(*std::exchange(value_, nullptr));
    }
    const void* release() noexcept { return std::exchange(value_, nullptr); }

   private:
    template <class... Args>
    static T* make(detail::Arena& arena, Args&&... args) {
      detail::Piece<T> piece(arena);
      T* const value = detail::construct<T>(piece.place(), &arena, std::forward<Args>(args)...);
      piece.release();
      return value;
    }
    detail::Arena& arena_;
    T* value_;
  };

  /// Whether a value is copied aside in no time, and needs no clean-up when the store goes.
  static constexpr bool cheap_to_keep =
      std::is_trivially_copyable_v<T> && sizeof(T) <= 64 && detail::Arena::pooled(sizeof(T), alignof(T));

  template <class F>
  T next_from(F& updater) {
    require_free();
    const AtomBase::Editing guard(*this);
    return updater(value());
  }

  bool write_copy(const T& next, bool loud) {
    if constexpr (detail::takes_memory<T>) {
      // Copied once, straight into the arena.
      require_free();
      if (!(flags_ & before_update_flag)) {
        return !detail::same_value<T>(current(), next) && (put(Node(*this, next), loud && is_heard()), true);
      }
    }
    return write(T(next), loud);
  }
  bool write(detail::Sink<T> next, bool loud) {
    this->check_write();
    if constexpr (std::is_nothrow_move_assignable_v<T>) {
      // An own value that was written before, and nothing waits or runs: it may simply be assigned.
      if ((flags_ & (own | modified | not_idle)) == (own | modified)) [[likely]] {
        if (!signal_.heard(detail::on_change | detail::on_watch | detail::on_input)) [[likely]] {
          if (detail::same_value<T>(current(), next)) [[unlikely]]
            return false;
          own_value() = std::move(next);
          return true;
        }
        if constexpr (cheap_to_keep) {
          if (loud && !signal_.delivery()->held()) return write_and_tell(std::move(next));
        }
      }
    }
    if (flags_ & (template_flag | editing | before_update_flag)) [[unlikely]]
      return write_with_care(std::move(next), loud);
    return replace(std::move(next), loud);
  }
  ATOM_NOINLINE bool write_with_care(detail::Sink<T> next, bool loud) {
    require_free();
    return replace(checked(std::move(next)), loud);
  }
  ATOM_NOINLINE bool replace(detail::Sink<T> next, bool loud) {
    if (detail::same_value<T>(current(), next)) [[unlikely]]
      return false;
    put(std::move(next), loud && is_heard());
    return true;
  }
  /// Assigns it, and keeps the value before on the stack while listeners are told.
  ATOM_NOINLINE bool write_and_tell(detail::Sink<T> next) {
    if (detail::same_value<T>(current(), next)) [[unlikely]]
      return false;
    const T old = std::exchange(own_value(), std::move(next));
    this->show_plainly(&old);
    return true;
  }
  ATOM_NOINLINE void put(T&& next, bool tell) { put(Node(*this, std::move(next)), tell); }
  void put(Node&& node, bool tell) {
    if (tell) return publish(node.release());
    set_value(node.release(), true, false);
    flags_ |= modified;
  }

  /// `edit` changes the value where it lies, or a copy that becomes the value. Returns whether it changed.
  template <class F>
  bool change_value(F& edit, bool loud, bool always) {
    require_free();
    if (may_change_in_place()) {
      return run([&] { edit(own_value()); }, [&] { return changed_in_place(loud, always); });
    }
    if constexpr (detail::copyable<T>) {
      Node copy(*this, current());
      return run([&] { edit(*copy); }, [&] { return changed_on_copy(copy, loud, always); });
    } else {
      cannot_copy();
    }
  }
  /// Runs `edit`, then `commit`, also if `edit` throws.
  template <class Edit, class Commit>
  bool run(Edit edit, Commit commit) {
    try {
      const AtomBase::Editing guard(*this);
      edit();
    } catch (...) {
      try {
        commit();
      } catch (...) {  // the exception that counts is on its way
      }
      throw;
    }
    return commit();
  }
  bool changed_in_place(bool loud, bool always) {
    const bool tell = loud && is_heard();
    value_changed(tell, always);
    if (tell) announce();
    return true;
  }
  bool changed_on_copy(Node& copy, bool loud, bool always) {
    if (flags_ & before_update_flag) [[unlikely]] {
      T next = checked(std::move(*copy));
      copy.discard();
      if (!always) return replace(std::move(next), loud);
      Node instead(*this, std::move(next));
      return changed_to(instead, loud, always);
    }
    return changed_to(copy, loud, always);
  }
  bool changed_to(Node& next, bool loud, bool always) {
    const bool tell = loud && is_heard();
    set_value(next.release(), true, tell);
    flags_ |= modified | (tell && always ? mutated : 0u);
    if (tell) announce();
    return true;
  }
  /// What `before_update` makes of it.
  T checked(T&& next) {
    const AtomBase::Editing guard(*this);
    return typed_definition().options.before_update(std::move(next), current());
  }

  template <class M, class C, class V>
  static detail::MemberChange<M, C> pair_up(M C::* member, V&& value) {
    return {member, static_cast<M>(std::forward<V>(value))};
  }
  template <class... Changes>
  bool apply(bool loud, Changes... changes) {
    if (!(changes.differs(value()) || ...)) {
      require_free();
      return false;
    }
    const auto edit = [&](T& value) { (changes.apply(value), ...); };
    return change_value(edit, loud, false);
  }

  bool write_default(bool loud) {
    require_free();
    bool changed = false;
    if (const void* const default_value = this->definition().default_value) {
      if (value_ != default_value) {
        changed = !detail::same_value<T>(value(), *static_cast<const T*>(default_value));
        set_value(default_value, false, changed && loud && is_heard());
      }
    } else {
      Node fresh(*this, nullptr);
      changed = !detail::same_value<T>(current(), *fresh);
      set_value(fresh.release(), true, changed && loud && is_heard());
    }
    flags_ &= ~modified;
    announce_reset();
    return changed;
  }

  template <class Call>
  Subscription listen(detail::Events events, Call call) {
    require_free();
    if (events & detail::wants_old) require_old();
    return signal_.subscribe(events, std::move(call));
  }
};

Atom(Key, const char*) -> Atom<std::string>;
Atom(Key, const char*, AtomOptions<std::string>) -> Atom<std::string>;
template <class F>
Atom(Key, Factory<F>) -> Atom<std::invoke_result_t<const F&>>;

/// The live template with this key, if it is an Atom<T>, else null. See the other `find`.
template <class T>
const Atom<T>* find(std::string_view key) noexcept {
  const detail::Definition* definition = detail::Registry::instance().find(key, detail::hash_key(key));
  if (!definition || !definition->type.same_type(detail::type_ops<T>)) return nullptr;
  return static_cast<const Atom<T>*>(definition->atom);
}

}  // namespace atom::inline v0_1
