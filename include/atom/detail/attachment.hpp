// What lives with a store and follows it: what persists, a history, a mailbox, a session.
#pragma once

#include <atom/detail/chain.hpp>
#include <atom/fwd.hpp>

#include <cstdint>

namespace atom::inline v0_1::detail {

class Definition;

/// Takes part in the first use of each atom and in the store's end. A store has a list of them.
class Attachment {
 public:
  enum class Kind : std::uint8_t { persist, history, mailbox, session };

  Attachment(const Attachment&) = delete;
  Attachment& operator=(const Attachment&) = delete;

  /// The store is about to make a clone; it may be hydrated first.
  virtual void before_use(const Definition&) {}
  virtual void after_use(AtomBase&) {}
  /// `destroy` has ended all atoms of the store, which may be used again.
  virtual void atoms_gone() noexcept {}
  /// The store is about to go, its atoms are still there, and their destroy listeners were told.
  virtual void store_ends() noexcept {}
  /// The store goes, and its atoms have; last of all its memory will. It is out of the store's list.
  virtual void store_gone() noexcept = 0;

  Attachment* next = nullptr;  // in the store's list
  Attachment* previous = nullptr;

 protected:
  explicit Attachment(Kind kind) noexcept : kind_(kind) {}
  ~Attachment() = default;

 private:
  friend class AttachmentList;
  const Kind kind_;
  std::uint32_t number_ = 0;  // ascending in the list
};

/// In the order in which they were added.
class AttachmentList : public Chain<Attachment> {
 public:
  void push(Attachment& attachment) noexcept {
    attachment.number_ = empty() ? 1 : last().number_ + 1;
    Chain::push(attachment);
  }
  /// Calls `visit(attachment)` for each. That may run code of the user's, and be the end of any of them.
  template <class Visit>
  void for_each(Visit visit) {
    for (Attachment* next = after(0); next;) {
      const std::uint32_t number = next->number_;
      visit(*next);
      next = after(number);
    }
  }
  Attachment* find(Attachment::Kind kind) const noexcept {
    if (empty()) return nullptr;
    Attachment* attachment = &first();
    while (attachment && attachment->kind_ != kind) attachment = attachment->next;
    return attachment;
  }

 private:
  Attachment* after(std::uint32_t number) const noexcept {
    if (empty()) return nullptr;
    Attachment* attachment = &first();
    while (attachment && attachment->number_ <= number) attachment = attachment->next;
    return attachment;
  }
};

}  // namespace atom::inline v0_1::detail
