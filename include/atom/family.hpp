// AtomFamily<Id, T>: an atom for each id, such as the lines of a cart by product. Declared once, like an atom; its
// atoms are made by a store when they are first used, and nothing else knows of them:
//
//   inline const atom::AtomFamily<int, Line> lines{"cart.line"};
//   store.use(lines(42)).change(&Line::quantity, 2);  // its key is "cart.line/42"
//   store.drop(lines(42));
#pragma once

#include <atom/atom.hpp>
#include <atom/codec.hpp>
#include <atom/detail/arena.hpp>
#include <atom/detail/definition.hpp>
#include <atom/detail/hook.hpp>
#include <atom/detail/json_writer.hpp>
#include <atom/error.hpp>
#include <atom/fwd.hpp>
#include <atom/key.hpp>
#include <atom/options.hpp>
#include <atom/store.hpp>

#include <charconv>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory_resource>
#include <new>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace atom::inline v0_1 {

namespace detail {

/// What an id may be: it has to become part of a key. Integers are written with 64 bits.
template <class Id>
concept family_id =
    ((std::integral<Id> || std::is_enum_v<Id>) && sizeof(Id) <= sizeof(std::uint64_t)) || text_like<Id> ||
    (writable<Id> && !std::floating_point<Id> && !std::integral<Id> && !std::is_enum_v<Id>);

/// The key of an atom of a family: "cart.line/42". Two ids never have the same (if their type's codec writes all that
/// they differ in), nor have two families: what follows the last slash is the id, so one in an id is escaped, and is no
/// more the last.
class MemberKey {
 public:
  template <family_id Id>
  MemberKey(std::string_view family, const Id& id) {
    add(family);
    add("/");
    if constexpr (std::is_enum_v<Id>) {
      add_number(static_cast<std::underlying_type_t<Id>>(id));
    } else if constexpr (std::integral<Id>) {
      add_number(id);
    } else if constexpr (text_like<Id>) {
      add_escaped(id);
    } else {
      JsonWriter writer;
      codec<Id>::write(writer, id);
      if (!writer.is_whole()) {
        throw Error("an id of the atom family \"" + std::string(family) +
                    "\" holds text that is not UTF-8, or a number that JSON does not have: others would have its key");
      }
      add_escaped(writer.text());
    }
  }
  std::string_view text() const noexcept { return long_.empty() ? std::string_view(short_, size_) : long_; }

 private:
  void add(std::string_view text) {
    if (long_.empty() && size_ + text.size() <= sizeof(short_)) {
      std::memcpy(short_ + size_, text.data(), text.size());
      size_ += text.size();
      return;
    }
    if (long_.empty()) long_.assign(short_, size_);
    long_ += text;
  }
  template <class Number>
  void add_number(Number number) {
    char digits[24];
    if constexpr (std::same_as<Number, bool>) {
      add(number ? "1" : "0");
    } else {
      const auto wide = static_cast<std::conditional_t<std::is_signed_v<Number>, std::int64_t, std::uint64_t>>(number);
      add({digits, std::to_chars(digits, digits + sizeof(digits), wide).ptr});
    }
  }
  void add_escaped(std::string_view id) {
    for (;;) {
      const std::size_t special = id.find_first_of("/%");
      add(id.substr(0, special));
      if (special == id.npos) return;
      add(id[special] == '/' ? "%2F" : "%25");
      id.remove_prefix(special + 1);
    }
  }

  char short_[80];
  std::size_t size_ = 0;
  std::string long_;  // empty: it is the short one
};

/// Of one atom in one store. All but the key is the family's.
class MemberDefinition final : public Definition {
 public:
  MemberDefinition(const Definition& f, std::string_view k, std::uint32_t h) : Definition(f, k, h) {}
  void build(void* place, std::pmr::memory_resource* memory) const override { family->build(place, memory); }
  Value before_update(const void* next, const void* before) const override {
    return family->before_update(next, before);
  }
  void on_update(const void* now, const void* old, AtomBase& clone) const override {
    family->on_update(now, old, clone);
  }
  void free(Arena& arena) const noexcept override { arena.end(const_cast<MemberDefinition&>(*this)); }
};

}  // namespace detail

/// One atom of a family, by its id: for `store.use`, `get`, `has`, `value` and `drop`, and for `get` of a derived atom.
/// It refers to the family.
template <class T>
class AtomMember {
 public:
  using value_type = T;

  std::string_view key() const noexcept { return key_.text(); }

  // It is what a template is to an atom.
  template <class... Args>
  void update(Args&&...) const = delete;  // it is read-only; take an atom: store.use(family(id))
  template <class... Args>
  void mutate(Args&&...) const = delete;  // it is read-only; take an atom: store.use(family(id))
  template <class... Args>
  void value(Args&&...) const = delete;  // it has none; take an atom: store.use(family(id))

 private:
  friend class AtomStore;
  template <class, class>
  friend class AtomFamily;
  template <class Id>
  AtomMember(const Atom<T>& family, const Id& id)
      : family_(&family), key_(family.key(), id), hash_(detail::hash_key(key_.text())) {}

  const Atom<T>* family_;
  detail::MemberKey key_;
  std::uint32_t hash_;
};

/// Declared `const`, at namespace scope, like an atom; what it is given is what an Atom<T> is given. An Id is an
/// integer, an enum, a text, or any type with a codec but a floating-point number.
template <class Id, class T>
class AtomFamily {
  static_assert(
      detail::family_id<Id>,
      "atom::AtomFamily<Id, T>: an Id becomes part of a key, so it is an integer of at most 64 bits, an enum, a "
      "text, or a type with a codec (describe it with atom_fields())");
  using Definition = detail::AtomDefinition<T>;

 public:
  using id_type = Id;
  using value_type = T;

  explicit AtomFamily(Key key)
    requires std::default_initializable<T>
      : common_(Atom<T>::define(key).for_family()) {
    Atom<T>::require_isolated();
  }
  AtomFamily(Key key, T initial, AtomOptions<T> options = {})
    requires std::move_constructible<T>
      : common_((new Definition(key, std::move(options), std::in_place, std::move(initial)))->for_family()) {
    Atom<T>::require_isolated();
  }
  template <class F>
    requires std::same_as<std::invoke_result_t<const F&>, T>
  AtomFamily(Key key, Factory<F> factory, AtomOptions<T> options = {})
      : common_((new Definition(key, std::move(options), detail::Hook<T()>(std::move(factory.make))))->for_family()) {}

  std::string_view key() const noexcept { return common_.key(); }

  /// The atom with this id. Throws Error if it is described by a codec and has text in it that is not UTF-8, or a
  /// number that is none in JSON.
  AtomMember<T> operator()(std::conditional_t<detail::text_like<Id>, std::string_view, const Id&> id) const {
    return AtomMember<T>(common_, id);
  }

 private:
  const Atom<T> common_;
};

// ------------------------------------------------------------------------------------------------------- in a store

/// Null: there is none, or another atom has the key.
template <class T>
AtomBase* AtomStore::find(const AtomMember<T>& member) const noexcept {
  AtomBase* const clone = atoms_.find(member.hash_, member.key());
  return clone && clone->definition_->same_variable(*member.family_->definition_) ? clone : nullptr;
}

template <class T>
Atom<T>& AtomStore::use(const AtomMember<T>& member) {
  const detail::Definition& family = *member.family_->definition_;
  const detail::ThreadCheck check(delivery_, &family);
  if (AtomBase* const clone = atoms_.find(member.hash_, member.key())) [[likely]] {
    if (!clone->definition_->same_variable(family)) refuse(*clone->definition_, family);
    return static_cast<Atom<T>&>(*clone);
  }
  if (ending_ || family.clash()) refuse(&family);

  detail::Piece<detail::MemberDefinition> piece(delivery_.arena);
  struct Unused {  // until there is a clone that has it
    detail::Arena& arena;
    const detail::Definition* definition;
    ~Unused() {
      if (definition) definition->free(arena);
    }
  } unused{delivery_.arena, ::new (piece.place()) detail::MemberDefinition(family, member.key(), member.hash_)};
  piece.release();
  Atom<T>& clone = make_clone(*member.family_, *unused.definition);
  unused.definition = nullptr;
  introduce(clone);
  return clone;
}

template <class T>
Atom<T>* AtomStore::get(const AtomMember<T>& member) noexcept {
  return static_cast<Atom<T>*>(find(member));
}
template <class T>
const Atom<T>* AtomStore::get(const AtomMember<T>& member) const noexcept {
  return static_cast<const Atom<T>*>(find(member));
}
template <class T>
bool AtomStore::has(const AtomMember<T>& member) const noexcept {
  return find(member);
}
template <class T>
const T& AtomStore::value(const AtomMember<T>& member) const {
  if (const AtomBase* const clone = find(member)) return static_cast<const Atom<T>*>(clone)->value();
  if (!layers_.empty()) {
    const detail::MemberDefinition definition(*member.family_->definition_, member.key(), member.hash_);
    if (const void* const hydrated = waiting(definition)) return *static_cast<const T*>(hydrated);
  }
  return member.family_->default_value();
}
template <class T>
void AtomStore::drop(const AtomMember<T>& member) {
  if (const AtomBase* const clone = find(member)) drop(*clone);
}

}  // namespace atom::inline v0_1
