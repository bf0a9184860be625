// The names of the library, for headers that only mention them.
// Include this instead of forward-declaring: everything lives in a versioned inline namespace.
#pragma once

namespace atom::inline v0_1 {

class Error;
class KeyConflict;
class TypeMismatch;
class CycleError;
struct DecodeError;
class StateError;  // is in <atom/state/error.hpp>

class Reader;
template <class T>
struct codec;

class Value;
class Snapshot;
struct SnapshotDiff;
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
template <class T>
class AtomCollection;
template <class T>
class Derived;
template <class T>
class AtomMember;
template <class Id, class T>
class AtomFamily;
class AtomStore;
struct CloneInfo;
struct PersistOptions;  // is in <atom/persist.hpp>
class History;
struct HistoryOptions;
class Mailbox;
namespace detail {
class DerivedBase;
template <class Adapter>
class PersistHook;
class MailboxHook;
class SessionHook;
class LogText;
class Recorder;
}  // namespace detail

}  // namespace atom::inline v0_1
