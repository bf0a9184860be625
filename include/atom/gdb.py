"""Shows atoms, stores, snapshots, values, states and scopes in gdb as what they are.

    (gdb) source /usr/include/atom/gdb.py     # or this line, without "(gdb)", in ~/.gdbinit
    (gdb) print user
    $1 = user = {name = "Ada", logged_in = true}

`print/r` shows an object as it lies in memory, and `disable pretty-printer global atom` all of them. Nothing of the
program is run, so a core will do. What cannot be read, since it was destroyed or is not there yet, is shown as
"<not readable>". Python 3, and nothing beside what gdb brings.

It reads the objects as their headers declare them; tests/gdb sees to it that both agree.
"""

import gdb
import gdb.printing


def atom_pretty_printers():
    """All of it, in a function: gdb runs what it sources in one namespace, where scripts would overwrite the names of
    each other."""
    import re

    NOT_READABLE = "<not readable>"
    # More than this is no text of ours, and no list, but memory that holds something else.
    LONGEST_KEY = 1 << 16
    LONGEST_TEXT = 1 << 40
    MOST_ITEMS = 1 << 24

    class Corrupt(Exception):
        """What lies there cannot be what it should be. (Else it is gdb or Python that throws while something is read;
        whatever it is, the user is to see the rest.)"""

    # ---------------------------------------------------------------------------------------------------------- memory

    def read(address, size):
        if size == 0:
            return b""
        return bytes(gdb.selected_inferior().read_memory(address, size))

    def read_integer(address, size, signed=False):
        is_big = "big endian" in gdb.execute("show endian", to_string=True)
        return int.from_bytes(read(address, size), "big" if is_big else "little", signed=signed)

    def pointer_size():
        return gdb.lookup_type("void").pointer().sizeof

    def read_pointer(address):
        return read_integer(address, pointer_size())

    def address_of(value):
        if value.address is None:
            raise Corrupt("it is not in memory")
        return int(value.address)

    def member(value, name):
        """The member, or what it refers to."""
        found = value[name]
        return found.referenced_value() if found.type.strip_typedefs().code in REFERENCES else found

    def peek(pointer, name):
        """A member of what is pointed to. (Of a dereferenced pointer gdb looks up the class that the object really has,
        and complains where it is one that is made of a lambda.)"""
        of = pointer.type.strip_typedefs().target().strip_typedefs()
        [field] = [field for field in of.fields() if field.name == name]
        found = at(int(pointer) + field.bitpos // 8, field.type)
        return found.referenced_value() if found.type.code in REFERENCES else found

    def atomic(value, signed=False):
        """A number in a std::atomic, of any standard library."""
        return read_integer(address_of(value), value.type.sizeof, signed)

    def at(address, of_type):
        return gdb.Value(address).cast(of_type.pointer()).dereference()

    REFERENCES = (gdb.TYPE_CODE_REF, gdb.TYPE_CODE_RVALUE_REF)
    CLASSES = (gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION)

    def plain_type(of):
        """Without typedefs, references, const and volatile."""
        of = of.strip_typedefs()
        if of.code in REFERENCES:
            of = of.target().strip_typedefs()
        return of.unqualified()

    # ------------------------------------------------------------------------------------------------------------ text

    def decode(data):
        return data.decode("utf-8", "backslashreplace")

    def one_line(text):
        """As a name in front of a value."""
        return "".join(c if c.isprintable() else "\\x%02x" % ord(c) for c in text)

    def quoted(text):
        escapes = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
        most = gdb.parameter("print elements") or len(text)
        shown = "".join(escapes.get(c) or one_line(c) for c in text[:most])
        return '"' + shown + '"' + ("..." if len(text) > most else "")

    def limited_text(address, size, is_key=True):
        if size > (LONGEST_KEY if is_key else LONGEST_TEXT):
            raise Corrupt("too long for a text")
        return decode(read(address, min(size, LONGEST_KEY)))  # of more, all is not shown anyway

    def view_text(view):
        """Of a std::string_view: libstdc++ and libc++ call its members otherwise."""
        fields = {field.name for field in view.type.strip_typedefs().fields()}
        data, size = ("_M_str", "_M_len") if "_M_str" in fields else ("__data_", "__size_")
        return limited_text(int(view[data]), int(view[size]))

    def string_text(string, is_key=True):
        """Of a std::string, as it lies in memory: a compiler may say nothing of its members."""
        place, word = address_of(string), pointer_size()
        if "std::__cxx11::" in name_of(string.type):
            return limited_text(read_pointer(place), read_integer(place + word, word), is_key)
        if "std::__" not in name_of(string.type):  # libstdc++ with _GLIBCXX_USE_CXX11_ABI=0
            text = read_pointer(place)
            return limited_text(text, read_integer(text - 3 * word, word), is_key)
        first = read(place, 1)[0]  # libc++: the lowest bit says that the text lies elsewhere
        if first & 1:
            return limited_text(read_pointer(place + 2 * word), read_integer(place + word, word), is_key)
        if first >> 1 >= 3 * word:
            raise Corrupt("too long for the place")
        return limited_text(place + 1, first >> 1)

    def is_string(of):
        return bool(re.match(r"^std::(__\w+::)?basic_string<char, std::(__\w+::)?char_traits<char>, "
                             r"std::(__\w+::)?allocator<char> ?>$", name_of(of)))

    def public_name(name):
        """Without the namespace of the version."""
        return re.sub(r"\batom::v\d+_\d+::", "atom::", name)

    # ----------------------------------------------------------------------------------------------------------- types

    def name_of(of):
        """As in the program. (str() would say it in the language of the frame.)"""
        return plain_type(of).name or ""

    def bases(of):
        return [field.type.strip_typedefs() for field in of.fields() if field.is_base_class]

    def find_base(of, pattern):
        """The type itself, or the base class of it, whose name matches."""
        if re.match(pattern, name_of(of)):
            return of
        for base in bases(of) if of.code in CLASSES else ():
            found = find_base(base, pattern)
            if found is not None:
                return found
        return None

    def lookup(name):
        try:
            return gdb.lookup_type(name).strip_typedefs()
        except Exception:
            return None

    def beside(of, name):
        """Another type of ours, in the same version of the library."""
        return gdb.lookup_type(re.match(r"^atom::v\d+_\d+::", name_of(of))[0] + name)

    def enumerators(name):
        return {field.name.rpartition("::")[2]: field.enumval for field in gdb.lookup_type(name).fields()}

    class TypeOps:
        """What the library knows of a type that it has forgotten: its name, and where it is found."""

        FUNCTIONS = ("copy", "relocate", "destroy", "equal", "write", "read", "convert")

        def __init__(self, ops):
            self.ops = ops
            self.size, self.align = int(ops["size"]), int(ops["align"])
            if self.align == 0 or self.align & (self.align - 1) or self.align > 1 << 16:
                raise Corrupt("no type is aligned so")
            self.name = public_name(one_line(view_text(ops["name"])))
            if not self.name:
                raise Corrupt("a type has a name")

        def find(self):
            """The type, or None where gdb does not know it."""
            # The surest way is from functions that were made for it: they belong to the class TypeOpsFor<T>. A linker
            # may have folded some of several types into one; but hardly all.
            places = [(name, int(self.ops[name])) for name in self.FUNCTIONS]
            found = [self.from_function(name, place) for name, place in places if place][:3]
            if len({of and name_of(of) for of in found}) == 1 and self.is_it(found[0]):
                return found[0]
            for name in (self.name, self.name.replace("{anonymous}", "(anonymous namespace)")):
                named = lookup(name)
                if self.is_it(named):
                    return named
            return None

        def is_it(self, found):
            return found is not None and (found.sizeof == self.size or is_string(found))

        def from_function(self, function, place):
            block = gdb.block_for_pc(place)
            while block is not None and (block.function is None or "TypeOpsFor<" not in block.function.name):
                block = block.superblock
            name = block.function.name if block is not None else self.symbol(place)
            found = re.match(r"^(?P<of>.*::TypeOpsFor<(?P<type>.*)>)::" + function + r"\b", name)
            if found is None:
                return None
            of = lookup(found["of"])
            try:
                if of is not None:
                    return of.template_argument(0).strip_typedefs()
            except Exception:
                pass  # only declared
            return lookup(found["type"].strip())

        @staticmethod
        def symbol(place):
            return gdb.execute("info symbol 0x%x" % place, to_string=True)

    # ------------------------------------------------------------------------------------------- a value, and its type

    class Shown:
        """What is shown of something: a text, or a text and children, which a function gives, or children."""

        def __init__(self, text=None, children=None, hint=None):
            self.text, self.children, self.hint = text, children, hint

    def held(address, of_type, type_name):
        """The value of a type at an address: a gdb.Value that can be read, or a text."""
        if address == 0:
            return "<no value>"
        if of_type is None:
            return "<%s, a type that gdb does not know>" % type_name
        value = at(address, of_type)
        try:
            if is_string(of_type) and gdb.default_visualizer(value) is None:
                return quoted(string_text(value, False))
            if of_type.code in CLASSES and not of_type.fields() and of_type.sizeof != 1:
                return "<%s, which is compiled without debug information>" % type_name
            value.fetch_lazy()
            return value
        except Exception:
            return NOT_READABLE

    def guarded(children):
        """Those of another printer, which may know no fear."""
        try:
            yield from children()
        except Exception:
            yield "", NOT_READABLE

    def fields_of(value):
        """As gdb shows them, base classes first."""
        for field in value.type.strip_typedefs().fields():
            if hasattr(field, "bitpos"):  # else it is static
                yield (public_name(name_of(field.type)) if field.is_base_class else field.name), value[field]

    def show(value):
        """The value with its members as children, where it has such; or all of it as one text."""
        if isinstance(value, str):
            return Shown(value)
        try:
            printer = gdb.default_visualizer(value)
            if printer is None:
                of = value.type.strip_typedefs()
                fields = of.fields() if of.code == gdb.TYPE_CODE_STRUCT else []
                if not fields or not all(field.name for field in fields):
                    return Shown(value.format_string())
                return Shown(None, lambda: guarded(lambda: fields_of(value)))
            if not hasattr(printer, "children"):
                return Shown(value.format_string())
            hint = printer.display_hint() if hasattr(printer, "display_hint") else None
            text = printer.to_string() if hasattr(printer, "to_string") else None
            text = text if text is None or isinstance(text, str) else value.format_string()
            return Shown(text, lambda: guarded(printer.children), hint)
        except Exception:
            return Shown(NOT_READABLE)

    class Printer:
        """Of one object. A subclass says in `read` what it is, and may throw."""

        def __init__(self, value):
            self.shown = None
            self.value = value

        def read(self):
            raise NotImplementedError

        def get(self):
            if self.shown is None:
                try:
                    self.shown = self.read()
                except Exception:
                    self.shown = Shown(NOT_READABLE)
            return self.shown

        def to_string(self):
            return self.get().text

        def children(self):
            children = self.get().children
            return children() if children else iter(())

        def display_hint(self):
            return self.get().hint

        @staticmethod
        def named(name, shown):
            """`name = value`"""
            text = name if shown.text is None else name + " = " + shown.text
            return Shown(text, shown.children, shown.hint)

    def counted(count, of):
        return "%d %s%s" % (count, of, "" if count == 1 else "s")

    def checked_count(count):
        if count > MOST_ITEMS:
            raise Corrupt("more than there can be")
        return count

    # ----------------------------------------------------------------------------------------------------------- atoms

    class Atom:
        """An atom of any type, read to the end."""

        BASE = r"^atom::v\d+_\d+::AtomBase$"

        def __init__(self, value):
            base = find_base(plain_type(value.type), self.BASE)
            atom = value.cast(base)
            definition = atom["definition_"]
            self.key = one_line(string_text(peek(definition, "key")))
            self.flags = int(atom["flags_"])
            self.next = atom["next_"]
            self.place = int(atom["value_"])
            self.ops = TypeOps(peek(definition, "type"))
            flags = enumerators(name_of(base) + "::Flag")
            self.marks = [mark for mark, flag in self.MARKS if self.flags & flags[flag]]
            if bool(peek(definition, "derived")):
                self.read_derived(atom)

        MARKS = (("template", "template_flag"), ("server-only", "secret"), ("dropped", "dropped"))

        def read_derived(self, atom):
            self.marks.insert(0, "derived")
            if "template" in self.marks:
                return
            derived = gdb.Value(address_of(atom)).cast(beside(atom.type, "detail::DerivedBase").pointer())
            state = str(peek(derived, "state_")).rpartition("::")[2]
            if self.place and state != "fresh":
                self.marks.append("out of date" if state in ("asked", "stale") else state)

        def value(self):
            return held(self.place, self.ops.find(), self.ops.name)

        def marked(self):
            return self.key + (" (%s)" % ", ".join(self.marks) if self.marks else "")

    class AtomPrinter(Printer):
        def read(self):
            atom = Atom(self.value)
            value = atom.value()
            if atom.place == 0 and "template" in atom.marks:
                return Shown(atom.marked())  # each clone builds its own
            return self.named(atom.marked(), show(value))

    class AtomPointerPrinter(Printer):
        """An address, and the atom there."""

        def read(self):
            place = int(self.value)
            address = "0x%x" % place
            if place == 0:
                return Shown(address)
            printer = AtomPrinter(self.value.dereference())
            shown = printer.get()
            return Shown(address + " " + shown.text, shown.children, shown.hint)

    class StorePrinter(Printer):
        def read(self):
            self.size = checked_count(int(self.value["size_"]))
            self.first = self.value["first_"]
            if (self.size == 0) != (int(self.first) == 0):
                raise Corrupt("a list and its length disagree")
            if self.size:
                Atom(self.first.dereference())
            return Shown("AtomStore of " + counted(self.size, "atom"), self.atoms if self.size else None)

        def atoms(self):
            try:
                node = self.first
                for _ in range(self.size):
                    atom = Atom(node.dereference())
                    yield atom.marked(), atom.value()
                    node = atom.next
                if int(node) != 0:
                    raise Corrupt("a list and its length disagree")
            except Exception:
                yield "...", NOT_READABLE

    # -------------------------------------------------------------------------------------------- values and snapshots

    class Value:
        def __init__(self, value):
            self.ops = None
            if int(value["type_"]) == 0:
                return
            self.ops = TypeOps(value["type_"].dereference())
            place = str(value["place_"]).rpartition("::")[2]
            if place not in ("inside", "heap", "elsewhere"):
                raise Corrupt("there is no such place")
            buffer = address_of(value["buffer_"])
            self.place = buffer if place == "inside" else read_pointer(buffer)

        def value(self):
            if self.ops is None:
                return "nothing"
            if self.ops.name == "undecoded text":
                return "<undecoded text>"
            return held(self.place, self.ops.find(), self.ops.name)

    class ValuePrinter(Printer):
        """`(int) 42`"""

        def read(self):
            value = Value(self.value)
            shown = show(value.value())
            if value.ops is None or (shown.text or "").startswith("<"):
                return shown
            kind = "(%s)" % value.ops.name
            return Shown(kind if shown.text is None else kind + " " + shown.text, shown.children, shown.hint)

    def entry(value):
        """The key of an entry of a snapshot, and its value."""
        key = one_line(view_text(value["key"]))
        return key + (" (server-only)" if bool(value["server_only_"]) else ""), Value(value["value"]).value()

    class EntryPrinter(Printer):
        def read(self):
            key, value = entry(self.value)
            return self.named(key, show(value))

    class SnapshotPrinter(Printer):
        def read(self):
            entries = self.value["entries_"]
            self.size, self.data = checked_count(int(entries["size_"])), entries["data_"]
            trust = str(self.value["trust_"]).rpartition("::")[2]
            if trust not in ("server", "client") or self.size > int(entries["capacity_"]):
                raise Corrupt("no snapshot is so")
            text = "Snapshot of " + counted(self.size, "value") + (" from a client" if trust == "client" else "")
            return Shown(text, self.entries if self.size else None)

        def entries(self):
            try:
                for i in range(self.size):
                    yield entry(self.data[i])
            except Exception:
                yield "...", NOT_READABLE

    # ---------------------------------------------------------------------------------------------------------- states

    def scope_text(scope):
        return string_text(scope["text_"])

    def state_id(scope, key):
        """As State::id: a scope and a key in one text."""
        plain = re.compile(r"[A-Za-z0-9_~.\-\u0080-\U0010ffff]")
        return scope + ":" + "".join(c if plain.match(c) else "%%%02X" % ord(c) for c in key)

    class State:
        """A state, from its node."""

        def __init__(self, node):
            self.ops = TypeOps(member(node, "type_"))
            flags = atomic(node["flags_"])
            flag = {name: flags & bit for name, bit in enumerators(name_of(node.type) + "::Flag").items()}
            payload = address_of(node) + node.type.sizeof
            word = gdb.lookup_type("unsigned long long").sizeof
            self.key = limited_text(payload + int(node["words_before_key_"]) * word, int(node["key_size_"]))
            if not self.key:
                raise Corrupt("a state has a key")
            entry_ = node["scope"]
            # Only a node whose store is gone has none.
            self.scope = scope_text(entry_.dereference()["scope"]) if int(entry_) else "<gone>"
            self.place = payload if flag["inside"] else read_pointer(payload)
            version = atomic(node["version_"], signed=True)
            self.marks = ["version %d" % version if version > 0 else "the default"]
            if flag["remote"]:
                self.marks.append("a copy")
            if flag["closed"]:
                self.marks.append("closed")
            if atomic(node["sequence_"]) & 1:
                self.marks.append("being written")

        def id(self):
            return state_id(self.scope, self.key)

        def value(self):
            return held(self.place, self.ops.find(), self.ops.name)

    class StateNodePrinter(Printer):
        """`"shop:stock" = 3 (version 7)`"""

        def node(self):
            return self.value

        def read(self):
            state = State(self.node())
            name, marks = quoted(state.id()), " (%s)" % ", ".join(state.marks)
            shown = show(state.value())
            if shown.children is not None:  # they come last
                return self.named(name + marks, shown)
            return Shown(name + " = " + shown.text + marks)

    class StatePrinter(StateNodePrinter):
        def node(self):
            node = self.value["node_"]["node_"]
            if int(node) == 0:
                raise Corrupt("it was moved from")
            return node.dereference()

    class AnyStatePrinter(Printer):
        def read(self):
            name = state_id(scope_text(self.value["scope_"]), string_text(self.value["key_"]))
            return Shown("%s (version %d)" % (quoted(name), int(self.value["version_"])))

    class ScopePrinter(Printer):
        def read(self):
            return Shown(quoted(scope_text(self.value)))

    class StateStorePrinter(Printer):
        def read(self):
            table = self.value["core_"]["table"]
            size = checked_count(atomic(table["size_"]))
            self.parts = table["parts_"]
            return Shown("StateStore of " + counted(size, "state"), self.states if size else None)

        @staticmethod
        def items(table, of_type):
            """What the slots of a PointerTable point to; the lowest bits of each belong to a hash."""
            slots = read_pointer(address_of(table["slots_"]))  # std::unique_ptr: a pointer
            size = pointer_size()
            for i in range(checked_count(int(table["places_"]))):
                place = read_pointer(slots + i * size)
                if place:
                    yield at(place & ~15, of_type)

        def states(self):
            try:
                scope_entry = beside(self.value.type, "detail::ScopeEntry")
                state_node = beside(self.value.type, "detail::StateNode")
                part = self.parts.type.strip_typedefs().template_argument(0)  # of a std::array
                place = address_of(self.parts)
                for i in range(self.parts.type.sizeof // part.sizeof):
                    for scope in self.items(at(place + i * part.sizeof, part)["scopes"], scope_entry):
                        for node in self.items(scope["states"], state_node):
                            state = State(node)
                            yield "%s (%s)" % (quoted(state.id()), ", ".join(state.marks)), state.value()
            except Exception:
                yield "...", NOT_READABLE

    # ---------------------------------------------------------------------------------------------------------- errors

    class ErrorPrinter(Printer):
        """`atom::StateError(refused): "..."`"""

        def read(self):
            error = self.value
            try:
                error = error.cast(error.dynamic_type)
            except Exception:
                pass  # as what it is declared
            what = gdb.Value(read_pointer(address_of(error) + pointer_size()))  # of std::runtime_error, after the vptr
            message = what.cast(gdb.lookup_type("char").pointer()).string("utf-8", "backslashreplace", length=-1)
            code = ""
            if re.match(r"^atom::v\d+_\d+::StateError$", name_of(error.type)):
                code = "(%s)" % str(error["code_"]).rpartition("::")[2]
            return Shown("%s%s: %s" % (public_name(name_of(error.type)), code, quoted(message)))

    # ---------------------------------------------------------------------------------------------------- registration

    class Printers(gdb.printing.PrettyPrinter):
        """By the name of the type; atoms and errors also by that of a base class."""

        PREFIX = r"^atom::v\d+_\d+::"
        NAMES = (
            ("AtomStore", StorePrinter),
            ("Value", ValuePrinter),
            ("Snapshot", SnapshotPrinter),
            ("Snapshot::Entry", EntryPrinter),
            ("State<.*>", StatePrinter),
            ("detail::StateNode", StateNodePrinter),
            ("AnyState", AnyStatePrinter),
            ("Scope", ScopePrinter),
            ("StateStore", StateStorePrinter),
        )
        ROOTS = (("AtomBase", AtomPrinter), ("Error", ErrorPrinter))

        def __init__(self):
            super().__init__("atom")
            self.names = [(re.compile(self.PREFIX + name + "$"), printer) for name, printer in self.NAMES]
            self.roots = [(self.PREFIX + name + "$", printer) for name, printer in self.ROOTS]

        def __call__(self, value):
            try:
                of = value.type.strip_typedefs()
                if of.code in REFERENCES:
                    value = value.referenced_value()
                of = plain_type(of)
                if of.code == gdb.TYPE_CODE_PTR:
                    target = plain_type(of.target())
                    is_atom = target.code == gdb.TYPE_CODE_STRUCT and find_base(target, Atom.BASE) is not None
                    return AtomPointerPrinter(value) if is_atom else None
                if of.code != gdb.TYPE_CODE_STRUCT:
                    return None
                name = of.name or ""
                if name.startswith("atom::"):
                    for pattern, printer in self.names:
                        if pattern.match(name):
                            return printer(value)
                for root, printer in self.roots:
                    if find_base(of, root) is not None:
                        return printer(value)
            except Exception:
                pass
            return None

    return Printers()


gdb.printing.register_pretty_printer(None, atom_pretty_printers(), replace=True)
