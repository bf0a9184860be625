// What is a client's is named by its id, never by a text.
#include <atom/state/scope.hpp>

void misuse() {
  (void)atom::Scope{"$client.42"};  // error: what begins with $ is made by Scope::client
}
