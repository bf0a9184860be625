// What can only be moved is moved, so that it is seen who has it.
#include <atom/mailbox.hpp>
#include <memory>

void misuse(const atom::Mailbox& mailbox) {
  auto function = [number = std::make_unique<int>(1)] {};
  mailbox.post(function);  // error: and can be moved
}
