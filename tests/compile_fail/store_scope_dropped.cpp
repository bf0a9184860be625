// flags: -Werror=unused-result -Werror=unused-value
// It would end at once: a scope needs a name.
#include <atom/context.hpp>
#include <atom/store.hpp>

void misuse([[maybe_unused]] atom::AtomStore& store) {
  atom::StoreScope{store};  // error: nodiscard
}
