// One of several stores that carry out the same commands: its answers, as text that is the same for all of them.
#pragma once

#include <atom/error.hpp>
#include <atom/state/backend.hpp>
#include <atom/state/error.hpp>
#include <atom/state/options.hpp>
#include <atom/state/promote.hpp>
#include <atom/state/scope.hpp>
#include <atom/state/session.hpp>
#include <atom/state/state_store.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "contract/kind.hpp"
#include "state_values.hpp"

namespace fuzz {

/// What a store does that it must not do, whatever the others do.
struct Wrong : std::logic_error {
  using std::logic_error::logic_error;
};

/// Which state, by which of a subject's two stores.
struct Where {
  const atom::Scope* scope;
  const Key* key;
  bool by_other = false;  ///< not by the first one
  bool is_old = false;    ///< others may have written since that store read it, so it must ask the database

  std::string id() const { return atom::detail::state_id(*scope, key->text); }
  atom::StateOptions options() const { return {.key = std::string(key->text), .scope = *scope}; }
};

inline std::string text_of(const atom::StateError& error) {
  std::string text = "error: " + std::string(to_string(error.code()));
  if (error.effect() != atom::Effect::none) text += ", " + std::string(to_string(error.effect()));
  return text + (error.retryable() ? ", may be tried again" : "");
}

class Subject {
 public:
  /// It carries out one of so many commands, those that come first.
  Subject(std::string name, std::unique_ptr<contract::Kind> kind, long one_of = 1)
      : name_(std::move(name)), kind_(std::move(kind)), one_of_(one_of) {
    const auto open = [&] {
      // Nothing here is late, and nothing is read again because it may be old: where it is, the command says so.
      atom::StoreOptions options{.deadline = std::chrono::minutes(5), .staleness = std::chrono::hours(10)};
      std::shared_ptr<atom::Backend> backend = kind_->backend();
      if (!backend) return std::make_unique<atom::StateStore>(std::move(options));
      has_database_ = true;
      return std::make_unique<atom::StateStore>(std::move(backend), std::move(options));
    };
    store_ = open();
    if (has_database_) other_ = open();
  }

  const std::string& name() const noexcept { return name_; }
  bool has_database() const noexcept { return has_database_; }
  long part_of(long commands) const noexcept { return (commands + one_of_ - 1) / one_of_; }
  /// The other one is as another process has it; in memory there is one alone.
  atom::StateStore& store(bool other = false) const noexcept { return other && other_ ? *other_ : *store_; }
  template <class T>
  atom::State<T> state(const Where& where) const {
    return store(where.by_other).template get_state<T>(usual_default<T>(), where.options());
  }

  // ---- Versions. Those of databases follow a clock, others count; so they are called by their order.

  std::string version(const std::string& id, std::int64_t version) {
    Versions& known = versions_[id];
    if (version == 0) {
      known.ended = known.seen.size();
      return "no version";
    }
    if (version < 0) throw Wrong("a version is negative");
    if (known.seen.empty() || version > known.seen.back()) known.seen.push_back(version);
    const auto found = std::lower_bound(known.seen.begin(), known.seen.end(), version);
    const auto number = static_cast<std::size_t>(found - known.seen.begin());
    if (*found != version) throw Wrong("a version lies between others that were there before");
    if (number < known.ended) throw Wrong("the version of a value that has ended comes again");
    if (number + 1 < known.seen.size()) throw Wrong("a version is lower than one that was there before");
    return "version " + std::to_string(number + 1);
  }
  /// Of a value that was written just now.
  std::string new_version(const std::string& id, std::int64_t now) {
    const auto known = versions_.find(id);
    const bool is_new = known == versions_.end() || known->second.seen.empty() || now > known->second.seen.back();
    if (now <= 0 || !is_new) throw Wrong("what was written has no new version");
    return version(id, now);
  }
  /// One that was seen, or 0 if none was.
  std::int64_t seen_version(const std::string& id, std::size_t any) {
    const std::vector<std::int64_t>& seen = versions_[id].seen;
    return seen.empty() ? 0 : seen[any % seen.size()];
  }

  /// What the state is.
  template <class T>
  std::string now(const Where& where, const atom::State<T>& state) {
    if (where.is_old) {
      const atom::Versioned<T> seen = state.load_versioned();
      return show(seen.value) + ", " + version(where.id(), seen.version);
    }
    const std::string text = show(state.get());
    return text + ", " + version(where.id(), state.version());
  }

  /// The same, after it was written just now.
  template <class T>
  std::string written(const Where& where, std::int64_t version, const atom::State<T>& state) {
    const std::string text = new_version(where.id(), version);
    return text + "; " + now(where, state);
  }

  // ---- Handles that are kept

  template <class T>
  void hold(const std::string& id, atom::State<T> state) {
    held_.insert_or_assign(id, std::move(state));
  }
  void let_go(const std::string& id) { held_.erase(id); }

 private:
  struct Versions {
    std::vector<std::int64_t> seen;  // ascending
    std::size_t ended = 0;           // so many of them were of values that have ended
  };
  template <class Tuple>
  struct Handles;
  template <class... T>
  struct Handles<std::tuple<T...>> {
    using Any = std::variant<atom::State<T>...>;
  };

  std::string name_;
  std::unique_ptr<contract::Kind> kind_;
  const long one_of_;
  bool has_database_ = false;
  std::unique_ptr<atom::StateStore> store_;
  std::unique_ptr<atom::StateStore> other_;
  std::map<std::string, Versions> versions_;
  std::map<std::string, Handles<Types>::Any> held_;
};

/// What the functions of commands throw.
struct Thrown {};

/// Something that each subject does, and answers.
struct Command {
  std::string text;
  std::function<std::string(Subject&)> run;

  std::string answer_of(Subject& subject) const {
    try {
      return run(subject);
    } catch (const atom::StateError& error) {
      return text_of(error);
    } catch (const atom::Error& error) {
      return std::string("error: ") + error.what();
    } catch (const Thrown&) {
      return "what a function threw";
    }
  }
};

}  // namespace fuzz
