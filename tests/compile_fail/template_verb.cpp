// A verb of a class derived from Atom<T> is not const, so a template cannot call it.
#include <atom/store.hpp>

struct Counter : atom::Atom<int> {
  using Atom::Atom;
  void increment() {
    update([](const int& now) { return now + 1; });
  }
};
const Counter counter{"counter"};

void misuse() {
  counter.increment();  // error: discards qualifiers | not marked const
}
