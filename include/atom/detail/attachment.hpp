// What lives with a store and follows it: what persists, a history, a mailbox.
#pragma once

#include <atom/detail/chain.hpp>
#include <atom/fwd.hpp>

#include <cstdint>

namespace atom::inline v0_1::detail {

class Definition;

/// Takes part in the first use of each atom and in the store's end. A store has a list of them.
class Attachment {
 public:
  enum class Kind : std::uint8_t { persist, history, mailbox };

  Attachment(const Attachment&) = delete;
  Attachment& operator=(const Attachment&) = delete;

  /// The store is about to make a clone; it may be hydrated first.
  virtual void before_use(const Definition&) {}
  virtual void after_use(AtomBase&) {}
  /// `destroy` has ended all atoms of the store, which may be used again.
  virtual void atoms_gone() noexcept {}
  /// The store goes, and its atoms have; last of all its memory will.
  virtual void store_gone() noexcept = 0;

  Attachment* next = nullptr;  // in the store's list
  Attachment* previous = nullptr;

 protected:
  explicit Attachment(Kind kind) noexcept : kind_(kind) {}
  ~Attachment() = default;

 private:
  friend class AttachmentList;
  const Kind kind_;
};

/// In the order in which they were added.
class AttachmentList : public Chain<Attachment> {
 public:
  Attachment* find(Attachment::Kind kind) const noexcept {
    if (empty()) return nullptr;
    Attachment* attachment = &first();
    while (attachment && attachment->kind_ != kind) attachment = attachment->next;
    return attachment;
  }
};

}  // namespace atom::inline v0_1::detail
