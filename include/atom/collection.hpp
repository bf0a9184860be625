// AtomCollection<T>: an atom whose value is a vector, with the verbs of a list. In all else it is the
// Atom<std::vector<T>> that it is derived from. The one rule: an item, an index or an iterator is good until the next
// write to the collection.
#pragma once

#include <atom/atom.hpp>
#include <atom/equal.hpp>
#include <atom/fwd.hpp>

#include <concepts>
#include <cstddef>
#include <iterator>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

namespace atom::inline v0_1 {

template <class T>
class AtomCollection : public Atom<std::vector<T>> {
 public:
  using Atom<std::vector<T>>::Atom;

  // ---- Reading, as const: of a template, too. What else a vector has is behind `->`. Items are compared as atom
  // values are, by `==` or what `atom::equal<T>` makes of it.

  auto begin() const { return this->value().begin(); }
  auto end() const { return this->value().end(); }
  std::size_t size() const { return this->value().size(); }
  bool empty() const { return this->value().empty(); }
  typename std::vector<T>::const_reference operator[](std::size_t index) const { return this->value()[index]; }
  typename std::vector<T>::const_reference front() const { return this->value().front(); }
  typename std::vector<T>::const_reference back() const { return this->value().back(); }

  /// Calls `fn(const T&)` for each item, in order. It must not write to the collection.
  template <class F>
  void for_each(F&& fn) const {
    for (auto&& item : this->value()) fn(item);
  }
  /// The first item for which `matches(const T&)` is true, or null.
  template <class P>
  const T* find(P&& matches) const {
    static_assert(!std::same_as<T, bool>, "a vector of bool has no item that could be pointed to: use index_of");
    const std::size_t index = position(matches);
    return index < size() ? this->value().data() + index : nullptr;
  }
  /// The index of the first item that is equal to `item`, if there is one.
  std::optional<std::size_t> index_of(const T& item) const {
    const std::size_t index = position(equal_to(item));
    return index < size() ? std::optional(index) : std::nullopt;
  }

  // ---- Writing. Each takes effect and tells as `update` does, and returns whether the collection changed: where there
  // is nothing to do, nobody is told. Items are changed where they lie, unless somebody needs the value before (a
  // listener takes it, or there is a `before_update`): then all are copied. What is given is built first; what throws
  // after that (memory, a move, `==`) leaves the value and tells as in `mutate`.

  /// Puts items at the end, in this order. Constant time each, on average.
  template <std::convertible_to<T>... Rest>
  bool push(T first, Rest&&... rest) {
    T added[] = {std::move(first), static_cast<T>(std::forward<Rest>(rest))...};
    return edit([&](std::vector<T>& items) {
      items.insert(items.end(), std::move_iterator(std::begin(added)), std::move_iterator(std::end(added)));
    });
  }
  /// Puts items at the beginning, in this order.
  template <std::convertible_to<T>... Rest>
  bool unshift(T first, Rest&&... rest) {
    T added[] = {std::move(first), static_cast<T>(std::forward<Rest>(rest))...};
    return edit([&](std::vector<T>& items) {
      items.insert(items.begin(), std::move_iterator(std::begin(added)), std::move_iterator(std::end(added)));
    });
  }

  /// Takes out the last item; nothing if there is none. (What a listener throws comes out in place of the item.)
  std::optional<T> pop() { return take(size() - 1); }  // of an empty one: no index
  /// Takes out the first item; nothing if there is none.
  std::optional<T> shift() { return take(0); }

  /// Removes the item at `index`, if there is one.
  bool remove(std::size_t index) {
    this->require_free();
    if (index >= size()) return false;
    return edit([index](std::vector<T>& items) { items.erase(nth(items, index)); });
  }
  /// Removes the first item for which `matches(const T&)` is true, and no other.
  template <class P>
  bool remove_if(P&& matches) {
    this->require_free();
    return remove([&] {
      const AtomBase::Editing guard(*this);
      return position(matches);
    }());
  }
  /// Removes the first item that is equal to `item`.
  bool remove_item(const T& item) { return remove(position(equal_to(item))); }
  /// Removes every item that is equal to `item`.
  bool remove_all(const T& item) {
    this->require_free();
    const std::size_t index = position(equal_to(item));
    if (index >= size()) return false;
    return edit([index](std::vector<T>& items) {
      auto kept = nth(items, index);
      const T gone = std::move(*kept);  // stands for `item`, which may be one of those that move
      for (auto next = kept + 1; next != items.end(); ++next) {
        if (!detail::same_value<T>(*next, gone)) *kept++ = std::move(*next);
      }
      items.erase(kept, items.end());
    });
  }

  /// Puts `item` in place of the one at `index`, if there is one, and it is not equal.
  bool replace(std::size_t index, T item) {
    this->require_free();
    if (index >= size() || detail::same_value<T>((*this)[index], item)) return false;
    return edit([&](std::vector<T>& items) { items[index] = std::move(item); });
  }
  /// Puts `fn(const T&)` in place of each item. If `fn` throws, nothing has changed.
  template <class F>
  bool map(F&& fn) {
    static_assert(std::is_invocable_r_v<T, F&, const T&>, "map takes a function from an item, const T&, to the next T");
    return this->update([&](const std::vector<T>& now) {
      std::vector<T> next;
      next.reserve(now.size());
      for (auto&& item : now) next.push_back(fn(item));
      return next;
    });
  }

  // ---- A template is const, and these are what a compiler then shows.

  template <std::convertible_to<T>... Rest>
  void push(T, Rest&&...) const = delete;  // it is read-only; take a clone: store.use(atom)
  template <std::convertible_to<T>... Rest>
  void unshift(T, Rest&&...) const = delete;  // it is read-only; take a clone: store.use(atom)
  void pop() const = delete;                  // it is read-only; take a clone: store.use(atom)
  void shift() const = delete;                // it is read-only; take a clone: store.use(atom)
  void remove(std::size_t) const = delete;    // it is read-only; take a clone: store.use(atom)
  template <class P>
  void remove_if(P&&) const = delete;           // it is read-only; take a clone: store.use(atom)
  void remove_item(const T&) const = delete;    // it is read-only; take a clone: store.use(atom)
  void remove_all(const T&) const = delete;     // it is read-only; take a clone: store.use(atom)
  void replace(std::size_t, T) const = delete;  // it is read-only; take a clone: store.use(atom)
  template <class F>
  void map(F&&) const = delete;  // it is read-only; take a clone: store.use(atom)

 private:
  static auto nth(std::vector<T>& items, std::size_t index) {
    return items.begin() + static_cast<std::ptrdiff_t>(index);
  }
  static auto equal_to(const T& item) {
    static_assert(compare<T>,
                  "the items have no `==` (atom::compare<T>): look for them by a predicate, with find or remove_if");
    return [&item](const T& other) { return detail::same_value<T>(other, item); };
  }
  /// Of the first item for which `matches` is true; the size if there is none.
  template <class P>
  std::size_t position(P&& matches) const {
    static_assert(std::predicate<P&, const T&>, "a predicate takes an item, const T&, and returns a bool");
    std::size_t index = 0;
    for (auto&& item : this->value()) {
      if (matches(item)) break;
      ++index;
    }
    return index;
  }

  /// Returns whether what `change(items)` did is a change: `before_update` may undo it.
  template <class F>
  bool edit(F change) {
    static_assert(std::movable<T>,
                  "the items of this collection cannot be moved, so only `update` and `map` change it");
    return this->change_value(change, true, false);
  }
  std::optional<T> take(std::size_t index) {
    this->require_free();
    std::optional<T> taken;
    if (index >= size()) return taken;
    const bool changed = edit([&](std::vector<T>& items) {
      const auto place = nth(items, index);
      taken.emplace(std::move(*place));
      items.erase(place);
    });
    if (!changed) taken.reset();  // before_update has put it back
    return taken;
  }
};

}  // namespace atom::inline v0_1
