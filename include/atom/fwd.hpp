// The names of the library, for headers that only mention them.
// Include this instead of forward-declaring: everything lives in a versioned inline namespace.
#pragma once

namespace atom::inline v0_1 {

class Error;
class KeyConflict;
class TypeMismatch;
class CycleError;

class Value;
class Snapshot;
struct HydrateOptions;
struct HydrateReport;

class Subscription;
class ScopedSubscription;

struct Key;
class AtomBase;
template <class T>
struct AtomOptions;
template <class F>
struct Factory;
template <class T>
class Atom;
class AtomStore;

}  // namespace atom::inline v0_1
