// What static_init.cpp and static_init_other.cpp share: atoms as a program's header declares them.
#pragma once

#include <atom/atom.hpp>

#include <string>

namespace static_init {

inline const atom::Atom<int> count{"static_init.count", 3};
inline const atom::Atom<std::string> text{"static_init.text", "default"};
inline const atom::Atom<int> late{"static_init.late", count.value() + 2};

// In the other file.
int other_count();
const std::string& other_text();
const atom::Atom<std::string>* other_template();

}  // namespace static_init
