// In text null would mean either.
#include <atom/store.hpp>

#include <optional>

using Twice = std::optional<std::optional<int>>;
inline const atom::Atom<Twice> misuse{"misuse"};  // error: optional of an optional has no codec
