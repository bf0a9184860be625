"""The mutants: one small change each, that breaks one thing which the library promises.

Each has a name, which says what goes wrong; a header of include/atom; a piece of text that stands there exactly once;
what takes its place; and the files of tests/ that must notice, the first of which usually does. `memory=True`: what
goes wrong is a memory error, so the tests run under AddressSanitizer.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    name: str
    header: str
    before: str
    after: str
    tests: list
    memory: bool = False


MUTANTS = [
    # ---- atom_base.hpp: what listeners have yet to be told, and whose a value is
    Mutant(
        "a batch that ends where it began tells all the same",
        "atom_base.hpp",
        "if (flags_ & change_pending) {\n      flags_ |= coalesced;\n    } else",
        "if (flags_ & change_pending) {\n    } else",
        ["atom.cpp"],
    ),
    Mutant(
        "a mutate in a batch is told only if the value is another one",
        "atom_base.hpp",
        "(pending & (coalesced | mutated)) != coalesced",
        "!(pending & coalesced)",
        ["atom.cpp"],
    ),
    Mutant(
        "a value is freed while listeners look at it",
        "atom_base.hpp",
        "if (owned_before && !shown_before) free_value(before);",
        "if (owned_before) free_value(before);",
        ["hydrate.cpp"],
        memory=True,
    ),
    Mutant(
        "mutate changes a value where it lies while listeners look at it",
        "atom_base.hpp",
        "(flags_ & (shown | before_update_flag))",
        "(flags_ & before_update_flag)",
        ["atom.cpp"],
    ),
    Mutant(
        "mutate changes a value where it lies although a listener wants the one before",
        "atom_base.hpp",
        "if (signal_.heard(detail::wants_old)) return false;",
        "",
        ["atom.cpp"],
    ),
    Mutant(
        "a listener that comes in the middle of a batch gets no value before",
        "atom_base.hpp",
        "return !signal_.delivery()->held() || !definition_->type.copy;",
        "return true;",
        ["atom.cpp"],
    ),
    Mutant(
        "an atom that was dropped with a change pending is freed twice",
        "atom_base.hpp",
        "if (!(flags_ & queued)) hold_back();",
        "hold_back();",
        ["store.cpp"],
        memory=True,
    ),
    Mutant(
        "an atom that was dropped with a change pending is never destroyed",
        "atom_base.hpp",
        "override {\n    flags_ &= ~queued;\n    if (flags_ & dropped) return hold_back();\n    const",
        "override {\n    flags_ &= ~queued;\n    if (flags_ & dropped) return;\n    const",
        ["store.cpp"],
    ),
    Mutant(
        "watchers are told before change listeners",
        "atom_base.hpp",
        "if (!signal_.tell(last, detail::on_change, now, old, *this, hold)) return;\n"
        "      if (!signal_.tell(last, detail::on_watch, now, old, *this, hold)) return;",
        "if (!signal_.tell(last, detail::on_watch, now, old, *this, hold)) return;\n"
        "      if (!signal_.tell(last, detail::on_change, now, old, *this, hold)) return;",
        ["atom.cpp"],
    ),
    # ---- atom.hpp: writing and watching
    Mutant(
        "an update to an equal value is told",
        "atom.hpp",
        "bool replace(T&& next, bool loud) {\n    if (detail::same_value<T>(current(), next)) [[unlikely]]\n      return false;",
        "bool replace(T&& next, bool loud) {",
        ["atom.cpp"],
    ),
    Mutant(
        "a number changes under the listeners that look at it",
        "atom.hpp",
        "if (tell && owns_value() && !signal_.delivery()->held()) [[likely]] {",
        "if (tell && owns_value()) [[likely]] {",
        ["atom.cpp"],
    ),
    Mutant(
        "a clone with a value of its own is not modified by an update",
        "atom.hpp",
        "(flags_ & (own | modified | not_idle)) == (own | modified)",
        "(flags_ & (own | not_idle)) == own",
        ["atom.cpp"],
    ),
    Mutant(
        "an assignment that throws leaves half a value",
        "atom.hpp",
        "if constexpr (std::is_nothrow_move_assignable_v<T>) {",
        "if constexpr (std::is_move_assignable_v<T>) {",
        ["types.cpp"],
    ),
    Mutant(
        "a silent update goes past before_update",
        "atom.hpp",
        "if (flags_ & (template_flag | editing | before_update_flag)) [[unlikely]]",
        "if ((flags_ & (template_flag | editing)) || (loud && (flags_ & before_update_flag)))",
        ["atom.cpp"],
    ),
    Mutant(
        "a reset is told before the change that it made",
        "atom.hpp",
        "set_value(default_value, false, changed && loud && is_heard());",
        "announce_reset();\n        set_value(default_value, false, changed && loud && is_heard());",
        ["atom.cpp"],
    ),
    Mutant(
        "a watcher is told of every change of its atom",
        "atom.hpp",
        "if (now && old ? detail::same_value<M>(*now, *old) : now == old) return;",
        "",
        ["atom.cpp"],
    ),
    # ---- signal.hpp: who is told
    Mutant(
        "a listener that was disconnected during a delivery is called all the same",
        "signal.hpp",
        "listener.events = 0;",
        "if (!telling_) listener.events = 0;",
        ["signal.cpp"],
    ),
    Mutant(
        "a listener that subscribes during a delivery takes part in it",
        "signal.hpp",
        "hold.alive()) [[unlikely]]\n          return false;\n      }\n      if (listener == last) return true;",
        "hold.alive()) [[unlikely]]\n          return false;\n      }\n      if (listener == listeners_.last) return true;",
        ["signal.cpp"],
    ),
    Mutant(
        "a callable is destroyed while it runs",
        "signal.hpp",
        "if (telling_) return recount();",
        "",
        ["signal.cpp"],
        memory=True,
    ),
    Mutant(
        "a handle that outlives its listener still points to it",
        "signal.hpp",
        "if (listener->handle) std::exchange(listener->handle, nullptr)->listener_ = nullptr;",
        "",
        ["signal.cpp"],
        memory=True,
    ),
    Mutant(
        "after one listener went, the others are not heard",
        "signal.hpp",
        "events_ |= listener.events;",
        "",
        ["signal.cpp"],
    ),
    # ---- detail/delivery.hpp: when they are told
    Mutant(
        "the last atom to change is told first",
        "detail/delivery.hpp",
        "element.next_ = nullptr;\n    (first_ ? last_->next_ : first_) = &element;\n    last_ = &element;",
        "element.next_ = first_;\n    first_ = &element;\n    last_ = &element;",
        ["detail/delivery.cpp"],
    ),
    Mutant(
        "the bound on rounds of delivery is off by one",
        "detail/delivery.hpp",
        "if (++rounds > most_rounds)",
        "if (++rounds >= most_rounds)",
        ["detail/delivery.cpp"],
    ),
    Mutant(
        "a delivery goes on when its store is gone",
        "detail/delivery.hpp",
        "deliver(hold);\n      if (!hold.alive()) return;",
        "deliver(hold);",
        ["store.cpp"],
        memory=True,
    ),
    Mutant(
        "the last exception of a listener comes out instead of the first",
        "detail/delivery.hpp",
        "if (!error_) error_ = std::current_exception();",
        "error_ = std::current_exception();",
        ["detail/delivery.cpp"],
    ),
    Mutant(
        "the outermost hold does not dispose of what was dropped",
        "detail/delivery.hpp",
        "!(delivery_->queue_.empty() && delivery_->graveyard_.empty())",
        "!delivery_->queue_.empty()",
        ["detail/delivery.cpp"],
    ),
    # ---- store.hpp
    Mutant(
        "after a drop the next use starts from the hydrated value again",
        "store.hpp",
        "layers_.hide(*clone->definition_);",
        "",
        ["hydrate.cpp"],
    ),
    Mutant(
        "an atom after a dropped one keeps a way back to it",
        "store.hpp",
        "(clone.next_ ? clone.next_->previous_ : last_) = clone.previous_;",
        "if (!clone.next_) last_ = clone.previous_;",
        ["store.cpp"],
        memory=True,
    ),
    Mutant(
        "two templates with one key share a clone",
        "store.hpp",
        "if (!clone.definition_->same_variable(definition)) refuse(*clone.definition_, definition);",
        "",
        ["store.cpp"],
    ),
    Mutant(
        "a template that another with its key came before may be used",
        "store.hpp",
        "if (ending_ || !same_class || definition->clash())",
        "if (ending_ || !same_class)",
        ["store.cpp"],
    ),
    Mutant(
        "an atom may be used for the first time while its store is being destroyed",
        "store.hpp",
        "if (ending_ || !same_class || definition->clash())",
        "if (!same_class || definition->clash())",
        ["store.cpp"],
    ),
    # ---- detail/layers.hpp: what was hydrated
    Mutant(
        "a client may change any atom",
        "detail/layers.hpp",
        "if (from == Trust::client && !definition.client_writable) {",
        "if (false) {",
        ["detail/layers.cpp"],
    ),
    Mutant(
        "what was hidden is found in the layers below",
        "detail/layers.hpp",
        "if (layer->hidden->key != definition.key) continue;\n        break;",
        "continue;",
        ["detail/layers.cpp"],
    ),
    Mutant(
        "a sweep frees a value that an atom still has",
        "store.hpp",
        "clone ? clone->value_ == entry.value.data() : newest",
        "clone ? false : newest",
        ["hydrate.cpp"],
        memory=True,
    ),
    # ---- the rest, from the ground
    Mutant(
        "an item whose home is the gap is lost when another is erased",
        "detail/table.hpp",
        "((i - home) & mask()) < ((i - gap) & mask())",
        "((i - home) & mask()) <= ((i - gap) & mask())",
        ["detail/table.cpp"],
    ),
    Mutant(
        "a piece of 16 bytes counts as one of 32",
        "detail/arena.hpp",
        "(size - 1) / grain",
        "size / grain",
        ["detail/arena.cpp"],
    ),
    Mutant(
        "a piece is handed out twice",
        "detail/arena.hpp",
        "pieces_[index] = piece->next;",
        "",
        ["detail/arena.cpp"],
    ),
    Mutant(
        "in a large snapshot another key's value is found",
        "snapshot.hpp",
        "put_in_index(entries_[i].hash_, i + 1);",
        "put_in_index(entries_[i].hash_, i);",
        ["snapshot.cpp"],
    ),
    Mutant(
        "a template is found in the registry after its end",
        "registry.hpp",
        "definition.alive_.store(false, std::memory_order_release);",
        "",
        ["registry.cpp"],
    ),
    Mutant(
        "a conflict outlives one of its two templates",
        "registry.hpp",
        "d->clash_.store(clash_of(*d), std::memory_order_release);",
        "",
        ["registry.cpp"],
    ),
    Mutant(
        "an integer that does not fit is cut off",
        "detail/type_ops.hpp",
        "if (!std::in_range<T>(number)) return false;",
        "",
        ["value.cpp"],
    ),
    # ---- Text
    Mutant(
        "text for a client holds what is server-only",
        "json.hpp",
        "entry.server_only() && options.audience == Audience::client",
        "false",
        ["json.cpp"],
    ),
    Mutant(
        "a quote goes into an attribute as it is",
        "detail/json_writer.hpp",
        "c != '&' && c != '\\''",
        "c != '&'",
        ["json.cpp"],
    ),
    Mutant(
        "a surrogate passes for UTF-8",
        "detail/json_writer.hpp",
        "first != 0xed || second <= 0x9f",
        "true",
        ["json.cpp"],
    ),
    Mutant(
        "a number that is none leaves its key behind",
        "detail/json_writer.hpp",
        "at_ = quote;",
        "null();",
        ["json.cpp"],
    ),
    Mutant(
        "a key may come twice in a text",
        "json_reader.hpp",
        "    if (twice) {",
        "    if (false) {",
        ["json_reader.cpp"],
    ),
    Mutant(
        "arrays in a text may be as deep as they like",
        "json_reader.hpp",
        "bool check_array(simdjson::dom::array array, std::size_t depth) {\n    if (depth > limits_.max_depth) return too_deep();",
        "bool check_array(simdjson::dom::array array, std::size_t depth) {",
        ["json_reader.cpp"],
    ),
    Mutant(
        "a text is trusted",
        "json_reader.hpp",
        "snapshot.set_trust(Trust::client);",
        "",
        ["json_reader.cpp"],
    ),
    Mutant(
        "a number in a text that is too large for its type is cut off",
        "json_reader.hpp",
        "value >= least && value <= most",
        "value >= least",
        ["json_reader.cpp"],
    ),
    Mutant(
        "a late restore overwrites a newer write",
        "persist.hpp",
        "if (!clone.is_modified() && !is_hydrated) restore",
        "if (!is_hydrated) restore",
        ["persist.cpp"],
    ),
    Mutant(
        "a late restore overwrites a hydrated value",
        "persist.hpp",
        "if (!clone.is_modified() && !is_hydrated) restore",
        "if (!clone.is_modified()) restore",
        ["persist.cpp"],
    ),
    Mutant(
        "what is written after a reset, in the same batch, is not kept",
        "persist.hpp",
        "if (atom.is_modified()) return save(",
        "if (false) return save(",
        ["persist.cpp"],
    ),
    Mutant(
        "a server-only value is given to a client's adapter",
        "persist.hpp",
        "definition.server_only && options_.trust == Trust::client",
        "false",
        ["persist.cpp"],
    ),
    # ---- looking inside
    Mutant(
        "a diff leaves out what has the same key and another value",
        "snapshot.hpp",
        "old->server_only_ == now.server_only_ && old->value == now.value;",
        "old->server_only_ == now.server_only_;",
        ["snapshot.cpp"],
    ),
    Mutant(
        "a diff does not see that a value became server-only",
        "snapshot.hpp",
        "old && old->server_only_ == now.server_only_ && old->value",
        "old && old->value",
        ["snapshot.cpp"],
    ),
    Mutant(
        "applying a diff takes nothing out",
        "snapshot.hpp",
        "if (!diff.removed.find(entry.key, entry.hash_)) next.append(entry);",
        "next.append(entry);",
        ["snapshot.cpp"],
    ),
    Mutant(
        "the text of a diff names the server-only keys that are gone",
        "json.hpp",
        "if (detail::is_included(entry, options)) removed.text(entry.key);",
        "removed.text(entry.key);",
        ["json.cpp"],
    ),
    Mutant(
        "a format shows the server-only values of a snapshot",
        "format.hpp",
        'return entry.server_only() ? "<server-only>" : of(entry.value);',
        "return of(entry.value);",
        ["format.cpp"],
    ),
    Mutant(
        "a format lets the control characters of C1 through",
        "format.hpp",
        "(code >= 0x7f && code < 0xa0)",
        "code == 0x7f",
        ["format.cpp"],
    ),
    Mutant(
        "a format cuts a character in two",
        "format.hpp",
        "to += text.substr(0, length);",
        "to += text[0];\n      return 1;",
        ["format.cpp"],
    ),
    Mutant(
        "a format takes any key for a plain one",
        "format.hpp",
        "if (!name.empty() && std::all_of(name.begin(), name.end(), is_plain)) return",
        "if (is_plain('a')) return",
        ["format.cpp"],
    ),
    Mutant(
        "a format aligns the columns of a table by bytes",
        "format.hpp",
        "return (static_cast<unsigned char>(c) & 0xc0) != 0x80;",
        "return c != 0;",
        ["format.cpp"],
    ),
    Mutant(
        "inspect counts listeners that are disconnected",
        "signal.hpp",
        "if (listener->events) ++count;",
        "++count;",
        ["inspect.cpp"],
    ),
]
