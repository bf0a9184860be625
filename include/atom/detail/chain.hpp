// A list through nodes that lie elsewhere.
#pragma once

#include <cstddef>

namespace atom::inline v0_1::detail {

/// Of nodes that have a `next` and a `previous`; they stay where they are, and are in one such list at most.
template <class Node>
class Chain {
 public:
  bool empty() const noexcept { return !first_; }
  std::size_t size() const noexcept { return size_; }
  Node& first() const noexcept { return *first_; }
  Node& last() const noexcept { return *last_; }

  void push(Node& node) noexcept {
    node.next = nullptr;
    node.previous = last_;
    (last_ ? last_->next : first_) = &node;
    last_ = &node;
    ++size_;
  }
  Node& remove(Node& node) noexcept {
    (node.previous ? node.previous->next : first_) = node.next;
    (node.next ? node.next->previous : last_) = node.previous;
    --size_;
    return node;
  }
  /// Calls `visit(node)` for each; the one that is visited may go.
  template <class Visit>
  void for_each(Visit visit) {
    for (Node* next = first_; next;) {
      Node& node = *next;
      next = node.next;
      visit(node);
    }
  }

 private:
  Node* first_ = nullptr;
  Node* last_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace atom::inline v0_1::detail
