// How one reads and follows a value of a store: what atoms and derived atoms have in common. An atom has these as its
// own members.
#pragma once

#include <atom/atom_base.hpp>
#include <atom/detail/callables.hpp>
#include <atom/detail/members.hpp>
#include <atom/equal.hpp>
#include <atom/signal.hpp>

#include <concepts>
#include <cstddef>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace atom::inline v0_1::detail {

/// Base of a Self that holds a T, and has `value`, `listen` and `find_at`.
template <class Self, class T>
class Observable {
 public:
  // ---- Reading

  const T& operator*() const { return self().value(); }
  const T* operator->() const { return &self().value(); }

  /// The size of a container or a text.
  std::size_t length() const
    requires requires(const T& t) {
      { t.size() } -> std::convertible_to<std::size_t>;
    }
  {
    return self().value().size();
  }

  /// What lies at a text path, as a V: a described member ("address.city"), an element of a sequence ("items.2.name"),
  /// an entry of a map, or what the `get` option of an atom finds. `fallback` where there is nothing, or an empty
  /// optional. Throws TypeMismatch if there is something else than a V.
  template <class V>
  V get(std::string_view path, V fallback = V()) const {
    return self().template find_at<V>(self().value(), path, std::move(fallback));
  }

  // ---- Observable. The store owns the listener; the handle may be dropped. A listener takes (now, old, atom), (now,
  // old), (now) or (); what it returns is ignored. `now` and `old` stay as they are while it runs, whatever it writes;
  // what it writes is told after all listeners of this change ran. One that subscribes meanwhile starts with the next
  // change.

  /// Called after each change, in the order of subscription, before the watchers.
  template <listener<T, Self> F>
  Subscription on_change(F&& listener) {
    using L = std::decay_t<F>;
    return self().listen(
        detail::on_change | (takes_old<L, T, Self> ? wants_old : Events{}),
        [call = L(std::forward<F>(listener))](const void* now, const void* old, AtomBase& atom) mutable {
          tell<T>(call, *static_cast<const T*>(now), static_cast<const T*>(old), static_cast<Self&>(atom));
        });
  }

  template <class F>
    requires(!listener<F, T, Self>)
  Subscription on_change(F&&) = delete;  // a listener takes (now, old, atom), (now, old), (now) or (), as const

  /// Called when one member changed by `==`: `watch(&User::name, fn)`, or deeper: `watch(&User::address,
  /// &Address::city, fn)`. Where an optional lies on the way, the listener takes `const M*`: null while the optional is
  /// empty.
  template <class M, class C, class... Rest>
    requires(std::is_object_v<M> && leads_on<T, C> && sizeof...(Rest) > 0)
  Subscription watch(M C::* member, Rest&&... members_and_listener) {
    return watch_leaf<M, through_optional<T, C>>([member](const T& value) { return follow(&value, member); },
                                                 std::forward<Rest>(members_and_listener)...);
  }

  /// The same with a text path: called when `get<V>(path, fallback)` changed by `==`. Throws TypeMismatch if there is
  /// something else than a V now; a listener that finds something else later throws it out of the update.
  template <class V, listener<V, Self> F>
  Subscription watch(std::string_view path, F&& listener, V fallback = V()) {
    get<V>(path, fallback);
    using L = std::decay_t<F>;
    return self().listen(detail::on_watch | wants_old,
                         [path = std::string(path), fallback = std::move(fallback),
                          call = L(std::forward<F>(listener))](const void* n, const void* o, AtomBase& base) mutable {
                           Self& atom = static_cast<Self&>(base);
                           const V now = atom.template find_at<V>(*static_cast<const T*>(n), path, V(fallback));
                           const V old = atom.template find_at<V>(*static_cast<const T*>(o), path, V(fallback));
                           if (same_value<V>(now, old)) return;
                           tell<V>(call, now, &old, atom);
                         });
  }

  /// Called when the store drops the atom or is destroyed; takes (atom) or (). The values of all atoms are still there.
  template <event_listener<Self> F>
  Subscription on_destroy(F&& listener) {
    return listen_event(detail::on_destroy, std::forward<F>(listener));
  }

  template <class F>
    requires(!event_listener<F, Self>)
  Subscription on_destroy(F&&) = delete;  // a listener of this takes (atom) or ()

  // ---- A template is const, and these are what a compiler then shows.

  template <listener<T, Self> F>
  void on_change(F&&) const = delete;  // it never changes; listen to a clone: store.use(atom)
  template <class M, class C, class... Rest>
    requires(std::is_object_v<M> && leads_on<T, C> && sizeof...(Rest) > 0)
  void watch(M C::*, Rest&&...) const = delete;  // it never changes; listen to a clone: store.use(atom)
  template <class V, class F>
  void watch(std::string_view, F&&, V = V()) const = delete;  // it never changes; listen to a clone: store.use(atom)
  template <event_listener<Self> F>
  void on_destroy(F&&) const = delete;  // it never changes; listen to a clone: store.use(atom)

 private:
  friend Self;
  Observable() = default;
  Observable(const Observable&) = default;
  ~Observable() = default;
  Self& self() noexcept { return static_cast<Self&>(*this); }
  const Self& self() const noexcept { return static_cast<const Self&>(*this); }

  template <class F>
  Subscription listen_event(Events event, F&& listener) {
    return self().listen(
        event, [call = std::decay_t<F>(std::forward<F>(listener))](const void*, const void*, AtomBase& atom) mutable {
          if constexpr (std::invocable<std::decay_t<F>&, Self&>) {
            call(static_cast<Self&>(atom));
          } else {
            call();
          }
        });
  }
  /// One more member on the way...
  template <class X, bool ThroughOptional, class Get, class M, class C, class... Rest>
    requires(std::is_object_v<M> && leads_on<X, C> && sizeof...(Rest) > 0)
  Subscription watch_leaf(Get get, M C::* member, Rest&&... rest) {
    constexpr bool through = ThroughOptional || through_optional<X, C>;
    return watch_leaf<M, through>([get, member](const T& value) { return follow(get(value), member); },
                                  std::forward<Rest>(rest)...);
  }
  /// ... or the listener.
  template <class M, bool ThroughOptional, class Get, class F>
    requires(ThroughOptional ? listener<F, const M*, Self> : listener<F, M, Self>)
  Subscription watch_leaf(Get get, F&& listener) {
    using L = std::decay_t<F>;
    return self().listen(detail::on_watch | wants_old, [get, call = L(std::forward<F>(listener))](
                                                           const void* n, const void* o, AtomBase& atom) mutable {
      const M* const now = get(*static_cast<const T*>(n));
      const M* const old = get(*static_cast<const T*>(o));
      if (now && old ? same_value<M>(*now, *old) : now == old) return;
      if constexpr (ThroughOptional) {
        tell<const M*>(call, now, &old, static_cast<Self&>(atom));
      } else {
        tell<M>(call, *now, old, static_cast<Self&>(atom));
      }
    });
  }
  template <class M, bool ThroughOptional, class Get, class F>
    requires(!std::is_member_pointer_v<std::remove_cvref_t<F>> &&
             !(ThroughOptional ? listener<F, const M*, Self> : listener<F, M, Self>))
  Subscription watch_leaf(Get, F&&) = delete;  // it takes (now, old, atom), (now, old), (now) or (): const M&, or
                                               // through an optional const M*
};

}  // namespace atom::inline v0_1::detail
