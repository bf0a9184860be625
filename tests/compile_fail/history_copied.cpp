// Two histories of one store would each undo what the other did.
#include <atom/history.hpp>

void misuse(atom::History& history) {
  atom::History copy = history;  // error: a store has one history: refer to it
}
