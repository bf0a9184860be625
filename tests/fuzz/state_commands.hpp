// Random commands for stores of states.
#pragma once

#include <atom/state/equation.hpp>
#include <atom/state/error.hpp>
#include <atom/state/options.hpp>
#include <atom/state/promote.hpp>
#include <atom/state/scope.hpp>
#include <atom/state/session.hpp>
#include <atom/state/state.hpp>
#include <atom/state/state_store.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "state_subject.hpp"
#include "state_values.hpp"

namespace fuzz {

/// The same ones for the same seed. They do not depend on when they are carried out, nor on what no store promises:
/// - what a store has seen and another one has written since, it reads from the database (`Where::is_old`);
/// - labels, times to live and defaults are what a state was made with. Where it has a value already, a store in memory
///   knows of those, and one on a database does not, unless it made the state itself. So they are drawn only where
///   there is no value, for keys of which no session, nor any other store, makes states;
/// - a state of no value stays until the last that holds it lets go, which may be a thread of the store's;
/// - of a commit that fails for two reasons it is told one.
class RandomCommands {
 public:
  /// `reference` has carried out all commands before the next one is drawn.
  RandomCommands(std::uint64_t seed, Subject& reference) : random_(seed), equations_(seed), reference_(reference) {}

  Command next() {
    struct Weighted {
      std::size_t weight;
      Command (RandomCommands::*draw)();
    };
    static constexpr std::array<Weighted, 21> all{{
        {12, &RandomCommands::read},     {5, &RandomCommands::has},          {6, &RandomCommands::hold},
        {4, &RandomCommands::let_go},    {8, &RandomCommands::create},       {12, &RandomCommands::set},
        {12, &RandomCommands::set_if},   {8, &RandomCommands::update},       {24, &RandomCommands::apply},
        {7, &RandomCommands::erase},     {1, &RandomCommands::delete_scope}, {3, &RandomCommands::list},
        {2, &RandomCommands::scopes},    {2, &RandomCommands::purge},        {3, &RandomCommands::wrong_type},
        {1, &RandomCommands::too_long},  {2, &RandomCommands::bad_key},      {3, &RandomCommands::of_request},
        {12, &RandomCommands::sessions}, {3, &RandomCommands::transact},     {3, &RandomCommands::promote},
    }};
    static constexpr std::size_t sum = [] {
      std::size_t weights = 1;
      for (const Weighted& each : all) weights += each.weight;
      return weights;
    }();
    std::size_t number = random_.below(sum);
    for (const Weighted& each : all) {
      if (number < each.weight) return (this->*each.draw)();
      number -= each.weight;
    }
    return end_soon();
  }

 private:
  using Scope = atom::Scope;
  using Session = atom::Session;

  template <class List>
  const auto& one_of(const List& list) {
    return list[random_.below(list.size())];
  }
  std::size_t below(std::size_t count) { return random_.below(count); }
  bool one_in(std::size_t count) { return below(count) == 0; }

  // ---- Names

  const Key& shared_key() {
    for (;;) {
      const Key& key = one_of(keys);
      if (key.is_shared) return key;
    }
  }
  Where at(const Scope& scope, const Key& key, bool by_other) {
    Where where{&scope, &key, by_other};
    if (by_other) {
      where.is_old = true;
      by_others_.insert(where.id());
    } else {
      // Each command reads it in the end; now and then from the database, whatever the store knows.
      where.is_old = by_others_.erase(where.id()) > 0 || one_in(3);
    }
    return where;
  }
  Where anywhere() {
    const Key& key = one_of(keys);
    const Scope& scope = one_of(fuzz::scopes());
    return at(scope, key, key.is_shared && one_in(8));
  }
  /// A command of a state of type T, `make(T, where)`.
  template <class Make>
  Command for_state(Make make) {
    const Where where = anywhere();
    return with_type(where.key->type, [&]<class T>() { return named(where, make.template operator()<T>(where)); });
  }
  static Command named(const Where& where, Command command) {
    command.text = where.id() + (where.by_other ? ", by another store" : "") + ": " + command.text;
    return command;
  }

  /// Whether it is to be done without blocking. The thread that does it may hold the state for a moment longer.
  bool waits_elsewhere(const Where& where) { return where.key->is_shared && one_in(4); }

  /// What a state that has no value is made with: nothing special where others make it, too.
  template <class T>
  std::pair<T, atom::StateOptions> made_with(const Where& where) {
    T initial = usual_default<T>();
    atom::StateOptions options = where.options();
    if (where.key->is_shared || where.scope->kind() == atom::ScopeKind::client ||
        reference_.store().has_state(options)) {
      return {std::move(initial), std::move(options)};
    }
    if (one_in(2)) initial = random_value<T>(random_);
    for (const char* label : {"one", "two", "%", "'"}) {
      if (one_in(4)) options.labels.push_back(label);
    }
    options.ttl = time_to_live();
    options.sliding = one_in(2);
    return {std::move(initial), std::move(options)};
  }
  /// So long that it does not end meanwhile.
  std::chrono::milliseconds time_to_live() {
    using std::chrono::hours, std::chrono::milliseconds;
    static const std::array<milliseconds, 4> all{milliseconds(0), hours(10), hours(1'000'000), milliseconds::max()};
    return one_of(all);
  }
  static std::string text_of_options(const atom::StateOptions& options) {
    std::string text = options.ttl.count() > 0 ? ", for " + std::to_string(options.ttl.count()) + " ms" : "";
    if (options.sliding) text += ", sliding";
    for (const std::string& label : options.labels) text += ", label " + label;
    return text;
  }

  // ---- One state

  Command read() {
    return for_state([&]<class T>(const Where& where) {
      static constexpr std::array<const char*, 9> ways{"load",  "try_load", "load_versioned", "load_async", "get",
                                                       "share", "try_get",  "get_async",      "has_value"};
      const std::size_t way = waits_elsewhere(where) ? 7 : where.is_old ? below(3) : one_in(6) ? 8 : below(6);
      return Command{ways[way], [=](Subject& subject) {
                       const auto state = subject.state<T>(where);
                       std::string answer;
                       switch (way) {
                         case 0:
                           answer = show(state.load());
                           break;
                         case 1:
                           answer = show(state.try_load().value());
                           break;
                         case 2:
                           answer = show(state.load_versioned().value);
                           break;
                         case 3:
                           answer = show(state.get());
                           break;
                         case 4:
                           answer = show(*state.share());
                           break;
                         case 5:
                           answer = show(state.try_get().value());
                           break;
                         case 6:
                           answer = show(state.get_async().wait());
                           break;
                         case 7:
                           answer = show(state.load_async().wait());
                           break;
                         default:
                           answer = state.has_value() ? "a value" : "none";
                       }
                       return answer + "; " + subject.now(where, state);
                     }};
    });
  }
  Command has() {
    return for_state([&]<class T>(const Where& where) {
      const bool without_blocking = waits_elsewhere(where);
      return Command{without_blocking ? "has_state_async" : "has_state", [=](Subject& subject) {
                       atom::StateStore& store = subject.store(where.by_other);
                       const bool has = without_blocking ? store.has_state_async(where.options()).wait()
                                                         : store.has_state(where.options());
                       return std::string(has ? "yes" : "no") + "; " + subject.now(where, subject.state<T>(where));
                     }};
    });
  }
  Command hold() {
    const Key& key = one_of(keys);
    const Where where = at(one_of(fuzz::scopes()), key, false);
    held_.insert_or_assign(where.id(), where);
    return with_type(key.type, [&]<class T>() {
      const auto made = made_with<T>(where);
      return named(
          where,
          {"a handle is kept, default " + show(made.first) + text_of_options(made.second), [=](Subject& subject) {
             auto state = subject.store().get_state<T>(made.first, made.second);
             subject.hold(where.id(), state);
             const bool is_same = state == subject.store().get_state<T>(usual_default<T>(), made.second);
             return (is_same ? "" : "another one; ") + subject.now(where, state);
           }});
    });
  }
  Command let_go() {
    if (held_.empty()) return hold();
    const auto held = std::next(held_.begin(), static_cast<std::ptrdiff_t>(below(held_.size())));
    const Where where = held->second;
    held_.erase(held);
    return named(where, {"the handle is let go", [id = where.id()](Subject& subject) {
                           subject.let_go(id);
                           return std::string();
                         }});
  }
  Command create() {
    return for_state([&]<class T>(const Where& where) {
      const auto made = made_with<T>(where);
      const bool without_blocking = waits_elsewhere(where);
      return Command{"create with " + show(made.first) + text_of_options(made.second), [=](Subject& subject) {
                       atom::StateStore& store = subject.store(where.by_other);
                       auto state = without_blocking ? store.create_state_async(made.first, made.second).wait()
                                                     : store.create_state(made.first, made.second);
                       return subject.now(where, state);
                     }};
    });
  }
  Command set() {
    return for_state([&]<class T>(const Where& where) {
      const T value = random_value<T>(random_);
      const std::size_t way = waits_elsewhere(where) ? 2 : below(2);
      return Command{"set " + show(value), [=](Subject& subject) {
                       auto state = subject.state<T>(where);
                       const std::int64_t version = way == 0   ? state.set(value)
                                                    : way == 1 ? state.try_set(value).value()
                                                               : state.set_async(value).wait();
                       return subject.written(where, version, state);
                     }};
    });
  }
  Command set_if() {
    return for_state([&]<class T>(const Where& where) {
      static constexpr std::array<const char*, 6> ways{
          "the version of now", "a version that it had", "another state's version", "the next version",
          "no version",         "a negative version"};
      const std::size_t way = one_in(2) ? 0 : below(ways.size());
      const T value = random_value<T>(random_);
      const std::size_t any = below(1000);
      const std::string others = Where{&one_of(fuzz::scopes()), &one_of(keys)}.id();
      const bool without_blocking = waits_elsewhere(where);
      return Command{"set " + show(value) + " if it has " + ways[way] + (way == 2 ? ", " + others : ""),
                     [=](Subject& subject) {
                       auto state = subject.state<T>(where);
                       const std::int64_t now = state.load_versioned().version;
                       std::int64_t expected = 0;
                       if (way == 0) expected = now;
                       if (way == 1) expected = subject.seen_version(where.id(), any);
                       // Where the two happen to be one, it is another one all the same.
                       if (way == 2) expected = subject.seen_version(others, any);
                       if (way == 2 && (expected == now || expected == 0)) expected = now + 2;
                       if (way == 3) expected = now + 1;
                       if (way == 5) expected = -now - 1;
                       const bool written = without_blocking ? state.set_if_async(value, expected).wait()
                                                             : state.try_set_if(value, expected).value();
                       return written ? subject.written(where, state.version(), state)
                                      : "not written; " + subject.now(where, state);
                     }};
    });
  }
  Command update() {
    return for_state([&]<class T>(const Where& where) {
      const bool throws = one_in(6);
      const bool without_blocking = !throws && waits_elsewhere(where);
      return Command{throws ? "update with a function that throws" : "update", [=](Subject& subject) {
                       auto state = subject.state<T>(where);
                       std::string answer;
                       try {
                         const auto updater = [=](const T& now) { return throws ? throw Thrown() : changed<T>(now); };
                         answer = show(without_blocking ? state.update_async(updater).wait() : state.update(updater));
                       } catch (const Thrown&) {
                         answer = "it has thrown";
                       }
                       return answer + "; " + subject.now(where, state);
                     }};
    });
  }
  Command apply() {
    return for_state([&]<class T>(const Where& where) {
      if constexpr (has_equations<T>) {
        const Equation<T> equation = equations_.next<T>();
        const std::optional<T> before = one_in(2) ? std::optional<T>(random_value<T>(random_)) : std::nullopt;
        const bool without_blocking = waits_elsewhere(where);
        return Command{(before ? "set " + show(*before) + ", then " : "") + "apply " + equation.text,
                       [=](Subject& subject) {
                         auto state = subject.state<T>(where);
                         if (before) state.set(*before);
                         const auto result = equation.apply(state, without_blocking);
                         return (result ? show(*result) : text_of(result.error())) + "; " + subject.now(where, state);
                       }};
      } else {
        const T value = random_value<T>(random_);
        return Command{"set " + show(value) + " twice", [=](Subject& subject) {
                         auto state = subject.state<T>(where);
                         const std::string first = subject.written(where, state.set(value), state);
                         return first + "; " + subject.written(where, state.set(value), state);
                       }};
      }
    });
  }
  Command erase() {
    return for_state([&]<class T>(const Where& where) {
      const std::size_t way = waits_elsewhere(where) ? 2 + below(2) : below(2);
      return Command{way % 2 == 0 ? "erase" : "delete", [=](Subject& subject) {
                       atom::StateStore& store = subject.store(where.by_other);
                       const bool erased = way == 0   ? subject.state<T>(where).erase()
                                           : way == 1 ? store.delete_state(where.options())
                                           : way == 2 ? subject.state<T>(where).erase_async().wait()
                                                      : store.delete_state_async(where.options()).wait();
                       return std::string(erased ? "there was one" : "there was none") + "; " +
                              subject.now(where, subject.state<T>(where));
                     }};
    });
  }
  /// A time to live that is over before anything else is done.
  Command end_soon() {
    const Scope& scope = one_of(fuzz::scopes());
    const std::int64_t value = random_.next<std::int64_t>();
    const atom::StateOptions options{
        .key = "brief", .scope = scope, .labels = {"one"}, .ttl = std::chrono::milliseconds(1), .sliding = one_in(2)};
    return {scope.text() + ": a state that ends soon is set " + show(value), [=](Subject& subject) {
              auto state = subject.store().get_state<std::int64_t>(7, options);
              const std::string id = state.id();
              std::string answer = subject.new_version(id, state.set(value)) + "; ";
              const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(1);
              while (subject.store().has_state(options)) {
                if (std::chrono::steady_clock::now() > end) throw Wrong("it does not end");
                std::this_thread::sleep_for(std::chrono::milliseconds(1));
              }
              const auto seen = state.load_versioned();
              return answer + show(seen.value) + ", " + subject.version(id, seen.version) + "; " +
                     (state.erase() ? "there was one" : "there was none");
            }};
  }

  // ---- Many

  Command delete_scope() {
    const Scope& scope = one_of(fuzz::scopes());
    return {"delete the scope " + scope.text(),
            [=](Subject& subject) { return std::to_string(subject.store().delete_scope(scope)); }};
  }
  Command purge() {
    std::vector<std::string> labels;
    for (const char* label : {"one", "two", "%", "'", "on", ""}) {
      if (one_in(3)) labels.push_back(label);
    }
    std::string text = "purge";
    for (const std::string& label : labels) text += " \"" + label + "\"";
    return {std::move(text), [=](Subject& subject) { return std::to_string(subject.store().purge(labels)); }};
  }
  atom::ListOptions part() {
    static const std::array<std::string, 8> hostile{"", ":", "%", "a", "a:%zz", "a.b:a b", "$user", "\xff\xff:"};
    atom::ListOptions options;
    options.below = one_in(2);
    if (one_in(2)) options.after = one_in(2) ? one_of(hostile) : Where{&one_of(fuzz::scopes()), &one_of(keys)}.id();
    if (!one_in(4)) options.limit = below(9);
    return options;
  }
  static std::string text_of_part(const atom::ListOptions& options) {
    return (options.below ? ", and below it," : "") + (" after \"" + options.after + "\"") + " in parts of " +
           std::to_string(options.limit);
  }
  Command list() {
    const std::optional<Scope> scope = one_in(3) ? std::nullopt : std::optional<Scope>(one_of(fuzz::scopes()));
    return {"list " + (scope ? scope->text() : "all"),
            [=, options = part()](Subject& subject) { return listed(subject, scope, options); }};
  }
  static std::string listed(Subject& subject, const std::optional<Scope>& scope, atom::ListOptions options) {
    std::string answer;
    do {
      const atom::Listed<atom::AnyState> part =
          scope ? subject.store().list(*scope, options) : subject.store().list(options);
      for (const atom::AnyState& state : part) {
        answer += state.id() + ", " + subject.version(state.id(), state.version()) + "; ";
      }
      options.after = part.next;
      answer += "next: " + part.next + "\n";
    } while (!options.after.empty());
    return answer;
  }
  Command scopes() {
    return {"scopes", [options = part()](Subject& subject) { return scopes_of(subject, options); }};
  }
  static std::string scopes_of(Subject& subject, atom::ListOptions options) {
    std::string answer;
    do {
      const atom::Listed<Scope> part = subject.store().scopes(options);
      for (const Scope& scope : part) answer += scope.text() + " ";
      options.after = part.next;
      answer += "next: " + part.next + "\n";
    } while (!options.after.empty());
    return answer;
  }

  // ---- What is refused

  Command wrong_type() {
    if (held_.empty()) return hold();
    const Where where = std::next(held_.begin(), static_cast<std::ptrdiff_t>(below(held_.size())))->second;
    const std::size_t type = (where.key->type + 1 + below(type_count - 1)) % type_count;
    const bool creates = one_in(2);
    return with_type(type, [&]<class T>() {
      return named(where, {"asked for as another type, " + std::to_string(type), [=](Subject& subject) {
                             const auto state = creates ? subject.store().try_create_state<T>(T(), where.options())
                                                        : subject.store().try_get_state<T>(T(), where.options());
                             return state ? "it is there" : text_of(state.error());
                           }});
    });
  }
  Command too_long() {
    const Scope& scope = one_of(fuzz::scopes());
    const Where where = at(scope, keys[5], one_in(4));
    const bool fits = one_in(2);
    const std::string value(262'144 - 2 + (fits ? 0 : 1), 'x');
    return named(where, {fits ? "set what is just not too long" : "set what is too long", [=](Subject& subject) {
                           auto state = subject.state<std::string>(where);
                           if (fits || subject.has_database()) {
                             const auto result = state.try_set(value);
                             if (!result) return text_of(result.error()) + "; " + subject.now(where, state);
                             const std::string written = subject.now(where, state);
                             const bool erased = state.erase();
                             return written + (erased ? "; erased; " : "; not there; ") + subject.now(where, state);
                           }
                           // In memory nothing is.
                           return text_of(atom::StateError(atom::StateErrorCode::too_large, "")) + "; " +
                                  subject.now(where, state);
                         }});
  }
  Command bad_key() {
    const atom::StateOptions options{.key = one_of(bad_keys()), .scope = one_of(fuzz::scopes())};
    const std::size_t way = below(4);
    return {"a bad key, way " + std::to_string(way), [=](Subject& subject) {
              atom::StateStore& store = subject.store();
              if (way == 0) store.get_state<std::int64_t>(1, options);
              if (way == 1) store.create_state<std::int64_t>(1, options);
              if (way == 2) store.has_state(options);
              if (way == 3) store.delete_state(options);
              return std::string("it is taken");
            }};
  }
  /// Scopes that are placeholders.
  Command of_request() {
    atom::RequestContext context;
    if (one_in(2)) context.client_id = client_id;
    if (one_in(2)) context.user_id = "alice";
    if (one_in(2)) context.component = "menu";
    static constexpr std::array<atom::ScopePlaceholder, 4> placeholders{Scope::client(), Scope::user(),
                                                                        Scope::component(), Scope::user_or_client()};
    const atom::ScopePlaceholder placeholder = one_of(placeholders);
    const std::size_t way = below(4);
    const atom::StateOptions options{.key = std::string(keys[0].text), .scope = placeholder};
    return {"a placeholder, " + std::to_string(static_cast<int>(placeholder)) + ", way " + std::to_string(way) + ", " +
                context.client_id + "/" + context.user_id + "/" + context.component,
            [=](Subject& subject) {
              const atom::StatesOfRequest request = subject.store().in(context);
              const std::int64_t initial = usual_default<std::int64_t>();
              if (way == 0) return show(request.get_state(initial, options).load());
              if (way == 1) return show(request.create_state(initial, options).load());
              if (way == 2) return std::string(request.has_state(options) ? "yes" : "no");
              return std::string(request.delete_state(options) ? "there was one" : "there was none");
            }};
  }

  // ---- Sessions

  /// What a session does with one atom.
  struct Step {
    Where where;
    std::string text;
    std::function<void(Session&)> run;
    std::function<std::string(Session&)> value;
  };
  template <class T>
  Step step(const Where& where, bool may_fail) {
    const Key& key = *where.key;
    const atom::AnyScope scope = *where.scope;
    const auto use = [&key, scope](Session& session) -> atom::Atom<T>& { return session.use(atom_of<T>(key), scope); };
    Step made{where, where.id(), {}, [use](Session& session) { return show(use(session).value()); }};
    const std::size_t way = below(6);
    if (way == 0) {
      made.text += " is read";
      made.run = [use](Session& session) { use(session).value(); };
    } else if (way == 1) {
      made.text += " is reset";
      made.run = [use](Session& session) { use(session).reset(); };
    } else if (way == 2) {
      made.text += " is changed";
      made.run = [use](Session& session) { use(session).update(changed<T>(use(session).value())); };
    } else if (way == 3 || !has_equations<T>) {
      const T value = random_value<T>(random_);
      made.text += " becomes " + show(value);
      made.run = [use, value](Session& session) { use(session).update(value); };
    } else if constexpr (has_equations<T>) {
      const Equation<T> equation = may_fail ? equations_.next<T>() : equations_.harmless<T>();
      const bool is_used = one_in(2);
      made.text += std::string(is_used ? " is used, and" : "") + " is applied " + equation.text;
      made.run = [use, equation, is_used, &key, scope](Session& session) {
        if (is_used) use(session);
        equation.apply_in(session, atom_of<T>(key), scope);
      };
    }
    return made;
  }
  /// Of different atoms. One may fail at the commit, and then it is the only one.
  std::vector<Step> steps(const Scope& scope, bool by_other, bool may_fail) {
    std::vector<Step> all;
    std::set<const Key*> used;
    for (std::size_t i = 1 + below(4); i > 0; --i) {
      const Key& key = shared_key();
      if (!used.insert(&key).second) continue;
      const Where where = in_session(one_in(4) ? one_of(fuzz::scopes()) : scope, key, by_other);
      all.push_back(with_type(key.type, [&]<class T>() { return step<T>(where, may_fail && all.empty()); }));
    }
    return all;
  }
  /// By the first store: its caches follow what it commits, and stay behind others' writes.
  Where in_session(const Scope& scope, const Key& key, bool by_other) {
    const Where where{&scope, &key, by_other, true};
    if (by_other) by_others_.insert(where.id());
    return where;
  }
  static std::string text_of_steps(const std::vector<Step>& steps) {
    std::string text;
    for (const Step& step : steps) text += (text.empty() ? "" : ", ") + step.text;
    return text;
  }
  static std::string committed(Session& session, const std::vector<Step>& steps) {
    const bool had_changes = session.has_changes();
    const std::optional<atom::StateError> error = session.try_commit();
    std::string answer = std::string(had_changes ? "changes, " : "no changes, ") + (error ? text_of(*error) : "done");
    answer += session.has_changes() ? ", and still changes" : "";
    for (const Step& step : steps) answer += "; " + step.value(session);
    return answer + "\n";
  }

  /// One session; or two of which the first one commits first, or something else is done in between, so that the other
  /// one has a conflict, perhaps, and does it again.
  Command sessions() {
    const Scope& scope = one_of(fuzz::scopes());
    const bool by_other = one_in(4);
    const std::size_t between = below(3);  // nothing, one state, another session
    const std::vector<Step> all = steps(scope, by_other, between == 0);
    atom::SessionOptions options{.ttl = time_to_live()};
    const bool loads = between == 0 && one_in(2);  // what is read early may be old by then
    if (loads) options.route = "/" + std::to_string(below(3));
    std::string text =
        "a session of " + scope.text() + (by_other ? " by another store" : "") + ": " + text_of_steps(all);
    std::function<std::string(Subject&)> meanwhile = [](Subject&) { return std::string(); };
    if (between == 1) {
      const Where& meant = one_of(all).where;
      const Where where = at(*meant.scope, *meant.key, one_in(2));
      if (by_other) by_others_.insert(where.id());  // the session is the last to write it
      const Command command = with_type(where.key->type, [&]<class T>() { return named(where, write<T>(where)); });
      text += "\n  meanwhile " + command.text;
      meanwhile = command.run;
    } else if (between == 2) {
      const bool second_by_other = one_in(2);
      const std::vector<Step> seconds = steps(scope, second_by_other, false);
      text += "\n  meanwhile another session" + std::string(second_by_other ? " by another store" : "") + ": " +
              text_of_steps(seconds);
      meanwhile = [=](Subject& subject) {
        Session session{subject.store(second_by_other), scope};
        for (const Step& step : seconds) step.run(session);
        return committed(session, seconds);
      };
    }
    return {std::move(text), [=](Subject& subject) {
              Session session{subject.store(by_other), scope, options};
              for (const Step& step : all) step.run(session);
              std::string answer = meanwhile(subject) + "\n";
              answer += committed(session, all);
              if (between != 0) {
                for (const Step& step : all) step.run(session);
                answer += committed(session, all);
              }
              session.discard();
              return answer + now_of(subject, all);
            }};
  }
  /// As it is in the database.
  static std::string now_of(Subject& subject, const std::vector<Step>& steps) {
    std::string answer;
    for (const Step& step : steps) {
      Where where = step.where;
      where.by_other = true;
      answer +=
          with_type(where.key->type, [&]<class T>() { return subject.now(where, subject.state<T>(where)); }) + "; ";
    }
    return answer;
  }
  template <class T>
  Command write(const Where& where) {
    if (one_in(3)) {
      return {"erase", [=](Subject& subject) {
                const bool erased = subject.state<T>(where).erase();
                return std::string(erased ? "there was one" : "there was none");
              }};
    }
    return {"update", [=](Subject& subject) { return show(subject.state<T>(where).update(changed<T>)); }};
  }
  /// With somebody who writes at its first attempt.
  Command transact() {
    const Scope& scope = one_of(fuzz::scopes());
    static constexpr const Key& number = keys[0];
    static constexpr const Key& list = keys[7];
    const Where where = in_session(scope, number, false);
    const Where written = at(scope, number, one_in(2));
    by_others_.insert(where.id());  // whichever store is last
    const bool has_conflict = one_in(2);
    const bool throws = one_in(6);
    return {"transact in " + scope.text() + (has_conflict ? ", with a conflict" : "") +
                (written.by_other ? " by another store" : "") + (throws ? ", that throws" : ""),
            [=](Subject& subject) {
              int runs = 0;
              const std::int64_t result = subject.store().transact(scope, [&](Session& session) {
                auto& atom = session.use(atom_of<std::int64_t>(number));
                if (has_conflict && ++runs == 1) {
                  subject.state<std::int64_t>(written).update(changed<std::int64_t>);
                }
                atom.update(atom.value() / 2 + 1);
                session.apply(atom_of<std::vector<int>>(list), atom::append(runs));
                if (throws) throw Thrown();
                return atom.value();
              });
              return show(result) + " in " + std::to_string(runs) + "; " +
                     subject.now(Where{where.scope, where.key, true, true}, subject.state<std::int64_t>(where));
            }};
  }
  Command promote() {
    static constexpr std::array<std::size_t, 3> clients{6, 7, 8};
    static constexpr std::array<std::size_t, 2> users{9, 10};
    const Scope& client = fuzz::scopes()[one_of(clients)];
    const Scope& user = one_in(10) ? client : fuzz::scopes()[one_of(users)];
    const std::size_t way = below(3);
    const atom::PromoteOptions options{.ttl = time_to_live()};
    return {"promote " + client.text() + " to " + user.text() + ", way " + std::to_string(way), [=](Subject& subject) {
              atom::Merge merge;
              if (way > 0) {
                merge.with(atom_of<std::int64_t>(keys[0]),
                           [=](std::int64_t a, std::int64_t b) { return way == 1 ? a ^ b : throw Thrown(); });
                merge.with<std::vector<int>>("list", [](std::vector<int> a, const std::vector<int>& b) {
                  a.insert(a.end(), b.begin(), b.end());
                  a.resize(std::min<std::size_t>(a.size(), 10));
                  return a;
                });
                merge.with<std::string>("$global", std::plus());
              }
              std::string answer;
              try {
                answer = std::to_string(subject.store().promote(client, user, merge, options)) + "\n";
              } catch (const Thrown&) {
                answer = "the merge has thrown\n";
              }
              for (const Scope& scope : {client, user}) answer += listed(subject, scope, {.below = true});
              return answer;
            }};
  }

  EdgeNumbers random_;
  AnyEquations equations_;
  Subject& reference_;
  std::set<std::string> by_others_;    // what the first store may have an old copy of
  std::map<std::string, Where> held_;  // of which it has a handle
};

/// All that there is, as both stores of a subject see it.
inline std::string contents(Subject& subject) {
  std::string all;
  for (const bool other : {false, true}) {
    atom::StateStore& store = subject.store(other);
    atom::ListOptions some{.limit = 7};
    do {
      const atom::Listed<atom::Scope> part = store.scopes(some);
      for (const atom::Scope& scope : part) all += scope.text() + '\n';
      some.after = part.next;
    } while (!some.after.empty());
    do {
      const atom::Listed<atom::AnyState> part = store.list(some);
      for (const atom::AnyState& state : part) {
        const auto key = std::find_if(keys.begin(), keys.end(), [&](const Key& k) { return k.text == state.key(); });
        if (key == keys.end()) throw Wrong("a state is listed whose time is over: " + state.id());
        all += state.id() + ": " + subject.version(state.id(), state.version()) + ", ";
        with_type(key->type, [&]<class T>() {
          const auto seen = state.as<T>(usual_default<T>()).load_versioned();
          all += show(seen.value) + ", " + subject.version(state.id(), seen.version) + '\n';
        });
      }
      some.after = part.next;
    } while (!some.after.empty());
  }
  return all;
}

}  // namespace fuzz
