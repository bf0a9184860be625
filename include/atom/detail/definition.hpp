// What a template knows of itself, whatever its type. Never freed, so its address is the template's identity, and
// whoever refers to its key or its default need not care for its life. (An atom of a family has one of its own, which
// goes with it.)
#pragma once

#include <atom/config.hpp>
#include <atom/detail/arena.hpp>
#include <atom/detail/type_ops.hpp>
#include <atom/fwd.hpp>
#include <atom/key.hpp>
#include <atom/value.hpp>

#include <atomic>
#include <cstdint>
#include <memory_resource>
#include <string>
#include <string_view>

namespace atom::inline v0_1 {

/// What the registry tells of a template. The texts live as long as the process.
struct AtomInfo {
  std::string_view key;
  std::string_view type_name;
  std::string_view file;
  unsigned line;
};

namespace detail {

/// Immutable once it is registered, but for what the registry keeps in it; shared by all clones.
class Definition {
 public:
  const std::string key;
  const std::uint32_t hash;
  const TypeOps& type;
  /// Of a family, whose atoms have keys that begin with this one; or that family's, and this is one of its atoms.
  bool is_family = false;
  const Definition* family = nullptr;
  bool server_only = false;
  bool client_writable = false;
  bool persist = false;
  bool derived = false;
  bool has_before_update = false;
  bool has_on_update = false;
  const void* default_value = nullptr;  // null: each clone builds its own
  const AtomBase* atom = nullptr;       // the template

  Definition(const Key& k, const TypeOps& t) : key(k.name), hash(k.hash), type(t), line_(k.line), file_(k.file) {}
  Definition(const Definition&) = delete;
  Definition& operator=(const Definition&) = delete;

  /// What the program declares: the family, for an atom of one.
  const Definition& declared() const noexcept { return family ? *family : *this; }
  AtomInfo info() const noexcept { return {key, type.name, declared().file_, declared().line_}; }

  /// The same variable, seen from another shared object? Its path depends on how each object was compiled, so two files
  /// of one name are told apart by what they declare: none is the other whose marks or functions it does not have.
  bool same_variable(const Definition& other) const noexcept {
    const Definition &a = declared(), &b = other.declared();
    return a.line_ == b.line_ && base_name(a.file_) == base_name(b.file_) && a.type.same_type(b.type) &&
           a.is_family == b.is_family && a.server_only == b.server_only && a.client_writable == b.client_writable &&
           a.persist == b.persist && a.derived == b.derived && a.has_before_update == b.has_before_update &&
           a.has_on_update == b.has_on_update;
  }
  /// An earlier one that claims this key, if there is one.
  const Definition* clash() const noexcept { return clash_.load(std::memory_order_acquire); }

  /// Builds a clone's first value in raw memory, where there is no default.
  virtual void build(void* place, std::pmr::memory_resource* memory) const = 0;
  /// What `before_update` makes of a value of this type.
  virtual Value before_update(const void* next, const void* before) const = 0;
  virtual void on_update(const void* now, const void* old, AtomBase& clone) const = 0;
  /// The end of an atom of a family: nobody else needs its definition.
  virtual void free(Arena&) const noexcept {}

 protected:
  /// An atom of a family.
  Definition(const Definition& f, std::string_view k, std::uint32_t h)
      : key(k),
        hash(h),
        type(f.type),
        family(&f),
        server_only(f.server_only),
        client_writable(f.client_writable),
        persist(f.persist),
        has_before_update(f.has_before_update),
        has_on_update(f.has_on_update),
        default_value(f.default_value),
        line_(0) {}
  ~Definition() = default;

 private:
  friend class Registry;
  static std::string_view base_name(std::string_view path) noexcept {
    return path.substr(path.find_last_of("/\\") + 1);
  }
  const unsigned line_;
  const std::string file_;
  std::atomic<const Definition*> clash_{nullptr};
  std::atomic<Definition*> older_{nullptr};  // with the same key
  std::atomic<bool> alive_{true};
  Definition* retired_ = nullptr;
};

}  // namespace detail
}  // namespace atom::inline v0_1
