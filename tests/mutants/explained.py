"""What no test can notice, and why."""

# Headers without a mutant in mutants.py.
WITHOUT_MUTANTS = {
    "config.hpp": "macros",
    "detail/store_frame.hpp": "a pointer; what it is for is broken in context.hpp",
    "fwd.hpp": "declarations",
    "inspect.hpp": "a struct; what fills it is broken in store.hpp",
    "state/backend.hpp": "what backends have in common: structs and pure virtual functions",
    "state/options.hpp": "structs, and names of events; what they mean is broken where they are used",
    "version.hpp": "a number",
}

# Of the mutants that are made by rule (operators.py), by header: a line, what becomes of it, and why that is the same.
EXPLAINED = {
    "backend/detail/redis_url.hpp": {
        (
            "if (rest.size() > 1) database = rest.substr(1);",
            "if (rest.size() >= 1) database = rest.substr(1);",
        ): "after a slash alone there is nothing, and nothing is what the database is before",
    },
    "detail/text_path.hpp": {
        ("return true;", "return false;"): "no other field has this name: it only takes longer to find none",
        ("break;", ";"): "the index is the greatest number by then, so that no other element is the one",
    },
    "key.hpp": {
        ("if (size == 8) return load(std::uint64_t{}, 0);", ";"): "two halves without a gap are the whole",
        (
            "if (size >= 4) return load(std::uint32_t{}, 0) | load(std::uint32_t{}, size - 4);",
            "if (size >= 5) return load(std::uint32_t{}, 0) | load(std::uint32_t{}, size - 4);",
        ): "two halves of four bytes without a gap are the whole",
    },
    "state/detail/any_json.hpp": {
        ("bool boolean = false;", "bool boolean = true;"): "it is read before it is used",
    },
    "state/detail/cache.hpp": {
        (
            "return pause_after(failures, std::clamp<std::chrono::microseconds>(deadline / 16, std::chrono::microseconds(1),",
            "return pause_after(failures, std::clamp<std::chrono::microseconds>(deadline / 17, std::chrono::microseconds(1),",
        ): "how long a pause is at most is a choice",
        (
            "return pause_after(failures, std::clamp<std::chrono::microseconds>(deadline / 16, std::chrono::microseconds(1),",
            "return pause_after(failures, std::clamp<std::chrono::microseconds>(deadline / 16, std::chrono::microseconds(2),",
        ): "how long a pause is at least is a choice",
    },
    "state/detail/job.hpp": {
        (
            "const bool is_short = row_->idle < row_->jobs.size();",
            "const bool is_short = row_->idle <= row_->jobs.size();",
        ): "threads begin before they are needed, though not more of them",
        ("return true;", "return false;"): "the thread that minds deadlines begins before it is needed",
        ("if (!row_->threads.empty()) return false;", ";"): "only where no thread can be had: the caller hears it at once",
    },
    "state/detail/outcomes.hpp": {
        ("if (shift > 63) good = false;", "if (shift > 64) good = false;"): "it goes up in steps of seven",
    },
    "state/detail/unit_lane.hpp": {
        (
            "for (unsigned failures = 1;; ++failures) {",
            "for (unsigned failures = 1;; --failures) {",
        ): "from the third attempt on it waits as long as it ever does, where it would wait longer each time",
    },
    "state/engine.hpp": {
        ("NumberedLane lane{0};", "NumberedLane lane{1};"): "a number of its own is all that a lane must have",
        ("std::array<Sleepers, 3> beds;", "std::array<Sleepers, 4> beds;"): "nobody sleeps in the fourth",
        ("if (operation->is_done()) return;", ";"): "it is done after the lock is taken, too",
        (
            "if (operation->asleep_ > 0) row_->has_ended[operation->bed_] = true;",
            "if (operation->asleep_ >= 0) row_->has_ended[operation->bed_] = true;",
        ): "somebody is woken for nothing",
        (
            "if (row_->is_being_read || row_->reads.empty()) return false;",
            "if (row_->is_being_read && row_->reads.empty()) return false;",
        ): "somebody is woken for nothing",
        ("++operation->asleep_;", "--operation->asleep_;"): "it is asleep all the same, and looks itself when it is not",
        ("--operation->asleep_;", ";"): "who is awake looks itself whose turn it is",
        (
            "if (staleness.count() > 0 && is_fresh(*node, staleness, asks)) return std::nullopt;",
            "if (staleness.count() >= 0 && is_fresh(*node, staleness, asks)) return std::nullopt;",
        ): "nothing is younger than zero",
        ("for (unsigned failures = 1;; ++failures) {", "for (unsigned failures = 1;; --failures) {"): (
            "from the third attempt on it waits as long as it ever does, where it would wait longer each time"
        ),
        ("if (failing.failures == 0) return;", "if (failing.failures == 1) return;"): (
            "the second attempt comes without a pause, and a first one has no time to wait for"
        ),
        ("after.dropped.push_back(std::move(operation));", ";"): (
            "only where its caller sees that it is done, and goes, before this thread lets go of the lock"
        ),
        ("row_->free.wait_until(lock, deadline);", ";"): "it looks again and again until then",
        (
            "after.events.was_lost = after.events.was_lost || share.is_left;",
            ";",
        ): "the outcomes say as much, unless the database has forgotten them",
    },
}
