// What each translation unit of this program brings: the same inline atoms, and functions that use them from there.
#pragma once

#include <atom/atom.hpp>
#include <atom/snapshot.hpp>

#include <array>
#include <cstddef>
#include <string>

namespace odr {

struct Visitor {
  std::string name = "nobody";
  int visits = 0;
  bool operator==(const Visitor&) const = default;
  static constexpr auto atom_fields() {
    return atom::describe(atom::field("name", &Visitor::name), atom::field("visits", &Visitor::visits));
  }
};
class Counter : public atom::Atom<int> {
 public:
  using Atom::Atom;
  void add(int n) {
    update([n](const int& now) { return now + n; });
  }
};

inline const atom::Atom<Visitor> visitor{"odr.visitor", Visitor{"default", 7}};
inline const Counter counter{"odr.counter", 40};

/// What one translation unit sees and does.
struct Side {
  const atom::Atom<Visitor>* visitor_template;
  const Counter* counter_template;
  std::array<std::size_t, 7> sizes;
  void (*rename)(atom::Atom<Visitor>& clone, const char* name);
  std::string (*name_in)(const atom::Snapshot& snapshot);
  /// Whether a value of a described type that is made here can be written as text.
  bool (*has_codec)();
};

/// The same in each translation unit, and compiled in each.
inline Side make_side() {
  return {&visitor,
          &counter,
          {sizeof(atom::Atom<Visitor>), sizeof(Counter), sizeof(atom::Snapshot), sizeof(atom::Snapshot::Entry),
           sizeof(atom::SnapshotDiff), sizeof(atom::Value), sizeof(atom::AtomOptions<Visitor>)},
          [](atom::Atom<Visitor>& clone, const char* name) { clone.change(&Visitor::name, name); },
          [](const atom::Snapshot& snapshot) { return snapshot.get(visitor).name; },
          [] { return atom::Value(Visitor{}).has_codec(); }};
}

Side forward_side();
Side backward_side();
/// Of a translation unit that includes only what stands above.
Side few_side();

/// Compiled with assertions, and without.
std::size_t forward_store_size();
std::size_t backward_store_size();
/// Makes a store, uses both atoms, and returns what is in it.
atom::Snapshot forward_request();
atom::Snapshot backward_request();
/// Values of types that forward.cpp keeps for itself; backward.cpp has others of the same names.
atom::Snapshot forward_secrets();
void backward_reads_none_of(const atom::Snapshot& secrets);

}  // namespace odr
