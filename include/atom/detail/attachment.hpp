// What lives with a store and follows it: what persists, a history, a mailbox.
#pragma once

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

 protected:
  explicit Attachment(Kind kind) noexcept : kind_(kind) {}
  ~Attachment() = default;

 private:
  friend class AttachmentList;
  Attachment* next_ = nullptr;
  const Kind kind_;
};

/// In the order in which they were added.
class AttachmentList {
 public:
  bool empty() const noexcept { return !first_; }
  Attachment* find(Attachment::Kind kind) const noexcept {
    Attachment* attachment = first_;
    while (attachment && attachment->kind_ != kind) attachment = attachment->next_;
    return attachment;
  }
  void add(Attachment& attachment) noexcept {
    Attachment** end = &first_;
    while (*end) end = &(*end)->next_;
    *end = &attachment;
  }
  void remove(Attachment& attachment) noexcept {
    Attachment** link = &first_;
    while (*link != &attachment) link = &(*link)->next_;
    *link = attachment.next_;
  }
  /// Calls `visit(attachment)` for each; the one that is visited may go.
  template <class Visit>
  void for_each(Visit visit) {
    for (Attachment* next = first_; next;) {
      Attachment& attachment = *next;
      next = attachment.next_;
      visit(attachment);
    }
  }

 private:
  Attachment* first_ = nullptr;
};

}  // namespace atom::inline v0_1::detail
