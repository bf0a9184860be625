// What a template is declared with besides its key: a default or a factory, and options.
#pragma once

#include <atom/detail/definition.hpp>
#include <atom/detail/hook.hpp>
#include <atom/detail/traits.hpp>
#include <atom/detail/type_ops.hpp>
#include <atom/fwd.hpp>
#include <atom/value.hpp>

#include <concepts>
#include <cstddef>
#include <memory_resource>
#include <new>
#include <optional>
#include <string_view>
#include <utility>

namespace atom::inline v0_1 {

/// What a template may be given besides its default. All stores on all threads share it, so callables are called as
/// const, and may run on several threads at once.
template <class T>
struct AtomOptions {
  /// Returns what is stored in place of `next`; throws to refuse it. Runs for each write but `reset`, and for values
  /// that come from a client; not for a trusted snapshot.
  detail::Hook<T(T&& next, const T& current)> before_update = {};
  /// The first listener of every clone.
  detail::Hook<void(const T& now, const T& old, Atom<T>& atom)> on_update = {};
  /// Replaces the lookup by text path of `Atom::get`; nothing means that there is nothing at that path.
  detail::Hook<std::optional<Value>(std::string_view path, const T& value)> get = {};
  /// Never part of text for a client.
  bool server_only = false;
  /// May be changed by values that come from a client.
  bool client_writable = false;
  /// Restored and saved by the adapter that a store was given with `persist_with` (persist.hpp).
  bool persist = false;
};

/// In place of a default: each clone builds its own value when it is first used.
/// `const atom::Atom<std::unique_ptr<Db>> db{"db", atom::Factory{[] { return connect(); }}};`
template <class F>
struct Factory {
  F make;
};
template <class F>
Factory(F) -> Factory<F>;

namespace detail {

/// What a template knows of itself, with its T.
template <class T>
class AtomDefinition final : public Definition {
 public:
  /// With a default.
  template <class... Args>
  AtomDefinition(const Key& k, AtomOptions<T> o, std::in_place_t, Args&&... args)
      : Definition(k, type_ops<T>), options(std::move(o)) {
    default_value = ::new (default_) T(std::forward<Args>(args)...);
    mark();
  }
  /// Without one.
  AtomDefinition(const Key& k, AtomOptions<T> o, Hook<T()> f)
      : Definition(k, type_ops<T>), options(std::move(o)), factory(std::move(f)) {
    mark();
  }

  /// It is for all atoms of a family. To be said before it is registered.
  AtomDefinition& for_family() noexcept {
    is_family = true;
    return *this;
  }

  void build(void* place, std::pmr::memory_resource* memory) const override {
    if (!factory) {
      if constexpr (std::default_initializable<T>) construct<T>(place, memory);
    } else if constexpr (takes_memory<T>) {
      construct<T>(place, memory, factory());
    } else {
      ::new (place) T(factory());  // built in place, so T need not be movable
    }
  }
  Value before_update(const void* next, const void* before) const override {
    if constexpr (copyable<T>) {
      return Value(options.before_update(T(*static_cast<const T*>(next)), *static_cast<const T*>(before)));
    } else {
      return Value();
    }
  }
  void on_update(const void* now, const void* old, AtomBase& clone) const override {
    options.on_update(*static_cast<const T*>(now), *static_cast<const T*>(old), static_cast<Atom<T>&>(clone));
  }

  const AtomOptions<T> options;
  const Hook<T()> factory;

 private:
  void mark() noexcept {
    server_only = options.server_only;
    client_writable = options.client_writable;
    persist = options.persist;
    has_before_update = static_cast<bool>(options.before_update);
    has_on_update = static_cast<bool>(options.on_update);
  }
  alignas(T) std::byte default_[sizeof(T)];
};

}  // namespace detail
}  // namespace atom::inline v0_1
