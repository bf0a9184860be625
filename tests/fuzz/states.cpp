// Random commands, carried out on stores in memory and on each of the databases: values, versions, errors and lists
// must be the same. (The versions of some follow the clock, others count; so it is compared which are the same, and
// which are greater.) Each database is used by two stores, as by two processes. What stands in for DynamoDB is slow, so
// that one carries out the first quarter of the commands.
//
//   fuzz_states [--commands N] [--seed S]     defaults: 4000 commands, seed 1
//   fuzz_states --planted                     sees that mistakes of a database are found, one by one
//
// A failure prints the seed and the number of the command; with fewer commands and the same seed the same ones come.

#include <atom/backend/memory.hpp>
#include <atom/state/backend.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "contract/kind.hpp"
#include "kinds.hpp"
#include "planted.hpp"
#include "state_commands.hpp"
#include "state_subject.hpp"

namespace fuzz {
namespace {

using Subjects = std::vector<std::unique_ptr<Subject>>;
constexpr long slow_part = 4;  // one of so many

/// What the subjects answer, or why one of the answers is wrong.
struct Answers {
  std::vector<std::string> all;
  bool good = true;
};
Answers ask(const Command& command, const Subjects& subjects) {
  Answers answers;
  for (const auto& subject : subjects) {
    try {
      answers.all.push_back(command.answer_of(*subject));
    } catch (const Wrong& wrong) {
      answers.all.push_back(std::string("wrong: ") + wrong.what());
      answers.good = false;
    }
    answers.good = answers.good && answers.all.back() == answers.all.front();
  }
  return answers;
}

/// From the line on in which they differ, where they have many.
void report(const Subjects& subjects, const Answers& answers) {
  const std::string& first = answers.all.front();
  std::size_t same = first.size();
  for (const std::string& answer : answers.all) {
    const auto end = std::mismatch(first.begin(), first.end(), answer.begin(), answer.end()).first;
    same = std::min(same, static_cast<std::size_t>(end - first.begin()));
  }
  const std::size_t line = same == 0 ? std::string::npos : first.rfind('\n', same - 1);
  for (std::size_t i = 0; i < subjects.size(); ++i) {
    const std::string answer = answers.all[i].substr(line == std::string::npos ? 0 : line + 1, 2000);
    std::printf("%s: %s\n", subjects[i]->name().c_str(), answer.c_str());
  }
}

struct Run {
  long commands = 0;
  long errors = 0;
  bool good = true;
};
/// Carries out so many commands, or those before an answer that is another one. A subject leaves when it has had its
/// part of them; the first one has all.
Run compare(Subjects& subjects, std::uint64_t seed, long count, bool tells) {
  constexpr long until_contents = 250;
  constexpr std::size_t shown = 20;
  RandomCommands random(seed, *subjects.front());
  std::deque<std::string> last;
  Run run;
  while (run.good && run.commands < count) {
    ++run.commands;
    std::vector<Command> commands{random.next()};
    const auto is_at_end = [&](const auto& subject) { return run.commands == subject->part_of(count); };
    if (run.commands % until_contents == 0 || std::any_of(subjects.begin(), subjects.end(), is_at_end)) {
      commands.push_back({"all is compared", contents});
    }
    for (const Command& command : commands) {
      const Answers answers = ask(command, subjects);
      run.errors += answers.all.front().starts_with("error");
      run.good = answers.good;
      if (run.good) {
        last.push_back(command.text);
        if (last.size() > shown) last.pop_front();
        continue;
      }
      if (!tells) break;
      for (const std::string& text : last) std::printf("       %s\n", text.c_str());
      std::printf("seed %llu differs at command %ld: %s\n", static_cast<unsigned long long>(seed), run.commands,
                  command.text.c_str());
      report(subjects, answers);
      break;
    }
    if (run.commands < count) std::erase_if(subjects, is_at_end);
  }
  return run;
}

int compare_all(std::uint64_t seed, long count) {
  Subjects subjects;
  std::string names;
  for (NamedKind& each : all_kinds()) {
    subjects.push_back(std::make_unique<Subject>(each.name, std::move(each.kind), each.is_slow ? slow_part : 1));
    const long part = subjects.back()->part_of(count);
    names += (names.empty() ? "" : ", ") + each.name;
    if (part < count) names += " (the first " + std::to_string(part) + ")";
  }
  const Run run = compare(subjects, seed, count, true);
  if (run.good) {
    std::printf("fuzz_states: seed %llu, %ld commands, %ld of them errors, on %s: no difference\n",
                static_cast<unsigned long long>(seed), run.commands, run.errors, names.c_str());
  }
  return run.good ? 0 : 1;
}

// ---- That it finds something

class PlantedKind final : public contract::Kind {
 public:
  explicit PlantedKind(Mistake mistake) : mistake_(mistake) {}
  void renew() override { database_ = std::make_shared<Planted>(std::make_shared<atom::Memory>(), mistake_); }
  std::shared_ptr<atom::Backend> backend() override { return database_; }

 private:
  const Mistake mistake_;
  std::shared_ptr<Planted> database_;
};

int find_planted() {
  bool good = true;
  for (std::size_t i = 0; i < mistakes.size(); ++i) {
    Subjects subjects;
    for (const Mistake mistake : {Mistake::none, static_cast<Mistake>(i)}) {
      auto kind = std::make_unique<PlantedKind>(mistake);
      kind->renew();
      subjects.push_back(std::make_unique<Subject>("memory", std::move(kind)));
    }
    const Run run = compare(subjects, 1, 3000, false);
    const bool as_it_should = run.good == (i == 0);
    good = good && as_it_should;
    std::printf("%s: %s after %ld commands%s\n", std::string(mistakes[i]).c_str(), run.good ? "nothing" : "found",
                run.commands, as_it_should ? "" : ", WRONG");
  }
  return good ? 0 : 1;
}

int run(int argc, char** argv) {
  std::uint64_t seed = 1;
  long count = 4000;
  if (argc == 2 && std::string(argv[1]) == "--planted") return find_planted();
  for (int i = 1; i < argc; i += 2) {
    const std::string option = argv[i];
    if (i + 1 < argc && option == "--commands") {
      count = std::strtol(argv[i + 1], nullptr, 10);
    } else if (i + 1 < argc && option == "--seed") {
      seed = std::strtoull(argv[i + 1], nullptr, 10);
    } else {
      std::printf("usage: fuzz_states [--commands N] [--seed S] | --planted\n");
      return option == "--help" ? 0 : 2;
    }
  }
  return compare_all(seed, count);
}

}  // namespace
}  // namespace fuzz

int main(int argc, char** argv) {
  try {
    return fuzz::run(argc, argv);
  } catch (const std::exception& error) {
    std::printf("%s\n", error.what());
    return 1;
  }
}
