// What the library asks of the compiler, and the few macros its headers share.
// Nothing here depends on NDEBUG: a debug and a release object may be linked together.
#pragma once

#include <atom/version.hpp>

#if !defined(_MSVC_LANG) && __cplusplus < 202002L
#error "atom needs C++20: compile with -std=c++20 or later"
#endif
#if !defined(__cpp_exceptions)
#error "atom needs exceptions: compile without -fno-exceptions"
#endif

/// Default visibility: what must be one per process (the registry, exception types) also with -fvisibility=hidden.
#if defined(_WIN32)
#define ATOM_API
#else
#define ATOM_API __attribute__((visibility("default")))
#endif

/// Keeps what is rarely run out of the code that is run all the time, and what is run all the time in one piece.
#if defined(__GNUC__)
#define ATOM_COLD __attribute__((noinline, cold))
#define ATOM_NOINLINE __attribute__((noinline))
#define ATOM_INLINE inline __attribute__((always_inline))
#else
#define ATOM_COLD
#define ATOM_NOINLINE
#define ATOM_INLINE inline
#endif
