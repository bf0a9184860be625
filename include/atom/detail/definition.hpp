// What a template knows of itself, whatever its type. Never freed, so its address is the template's identity, and
// whoever refers to its key or its default need not care for its life.
#pragma once

#include <atom/config.hpp>
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
  const unsigned line;
  const std::string file;
  const TypeOps& type;
  bool server_only = false;
  bool client_writable = false;
  bool persist = false;
  bool derived = false;
  bool has_before_update = false;
  bool has_on_update = false;
  const void* default_value = nullptr;  // null: each clone builds its own
  const AtomBase* atom = nullptr;       // the template

  Definition(const Key& k, const TypeOps& t) : key(k.name), hash(k.hash), line(k.line), file(k.file), type(t) {}
  Definition(const Definition&) = delete;
  Definition& operator=(const Definition&) = delete;

  AtomInfo info() const noexcept { return {key, type.name, file, line}; }

  /// The same variable, seen from another shared object? Its path depends on how each object was compiled.
  bool same_variable(const Definition& other) const noexcept {
    return line == other.line && base_name(file) == base_name(other.file) && type.same_type(other.type);
  }
  /// An earlier one that claims this key, if there is one.
  const Definition* clash() const noexcept { return clash_.load(std::memory_order_acquire); }

  /// Builds a clone's first value in raw memory, where there is no default.
  virtual void build(void* place, std::pmr::memory_resource* memory) const = 0;
  /// What `before_update` makes of a value of this type.
  virtual Value before_update(const void* next, const void* current) const = 0;
  virtual void on_update(const void* now, const void* old, AtomBase& clone) const = 0;

 protected:
  ~Definition() = default;

 private:
  friend class Registry;
  static std::string_view base_name(std::string_view path) noexcept {
    return path.substr(path.find_last_of("/\\") + 1);
  }
  std::atomic<const Definition*> clash_{nullptr};
  std::atomic<Definition*> older_{nullptr};  // with the same key
  std::atomic<bool> alive_{true};
  Definition* retired_ = nullptr;
};

}  // namespace detail
}  // namespace atom::inline v0_1
