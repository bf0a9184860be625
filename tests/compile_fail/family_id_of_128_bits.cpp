// flags: -std=gnu++20
// Cut to 64 bits, two ids would have one key.
#include <atom/family.hpp>

__extension__ using Wide = unsigned __int128;
const atom::AtomFamily<Wide, int> accounts{"accounts"};  // error: an integer of at most 64 bits
