// flags: -Werror=unused-result -Werror=unused-value
// It would end at once: a scoped subscription needs a name.
#include <atom/store.hpp>

const atom::Atom<int> count{"count", 0};

void misuse(atom::AtomStore& store) {
  atom::ScopedSubscription{store.use(count).on_change([] {})};  // error: nodiscard
}
