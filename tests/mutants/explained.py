"""What no test can notice, and why."""

# Headers without a mutant in mutants.py.
WITHOUT_MUTANTS = {
    "config.hpp": "macros",
    "detail/store_frame.hpp": "a pointer; what it is for is broken in context.hpp",
    "fwd.hpp": "declarations",
    "inspect.hpp": "a struct; what fills it is broken in store.hpp",
    "state/backend.hpp": "what backends have in common: structs and pure virtual functions",
    "state/options.hpp": "structs; what they mean is broken where they are used",
    "version.hpp": "a number",
}

# Mutants that are made by rule (operators.py), by header: a line, and what becomes of it.
EXPLAINED = {
}
