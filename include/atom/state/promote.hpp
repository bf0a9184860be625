// What a client has gathered becomes a user's: all its states in one step, or none.
//
//   states.promote(atom::Scope::client(id), atom::Scope::user("alice"),
//                  atom::Merge().with(cart_atom, [](const Cart& users, const Cart& clients) { return users + clients;
//                  }));
//
// A state that the user does not have is moved. Where both have one, what is said for its key is done; where nothing is
// said, the user's stays, and the client's goes.
#pragma once

#include <atom/atom.hpp>
#include <atom/config.hpp>
#include <atom/error.hpp>
#include <atom/state/backend.hpp>
#include <atom/state/detail/ask.hpp>
#include <atom/state/detail/cache.hpp>
#include <atom/state/detail/core.hpp>
#include <atom/state/detail/unit.hpp>
#include <atom/state/engine.hpp>
#include <atom/state/error.hpp>
#include <atom/state/scope.hpp>
#include <atom/state/state_store.hpp>
#include <atom/state/type.hpp>

#include <algorithm>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace atom::inline v0_1 {

namespace detail {
class Promotion;
}

/// What becomes of the states that both a user and a client have, by key. Once it is made, any number of threads may
/// use it, if its functions allow that.
class Merge {
 public:
  /// `merge(users, clients)` returns what the user has then. It may be called more than once; what it throws comes out
  /// of `promote`, and nothing has changed.
  template <state_value T, class F>
    requires std::is_invocable_r_v<T, const F&, const T&, const T&>
  Merge& with(const Atom<T>& atom, F merge) & {
    return with<T>(std::string(atom.key()), std::move(merge));
  }
  template <state_value T, class F>
    requires std::is_invocable_r_v<T, const F&, const T&, const T&>
  Merge&& with(const Atom<T>& atom, F merge) && {
    return std::move(with(atom, std::move(merge)));
  }
  /// The same for a state that no atom defines: `.with<int>("visits", std::plus())`.
  template <state_value T, class F>
    requires std::is_invocable_r_v<T, const F&, const T&, const T&>
  Merge& with(std::string key, F merge) & {
    const auto typed = [merge = std::move(merge)](const void* users, const void* clients) -> detail::SharedValue {
      return std::make_shared<const T>(
          std::invoke(merge, *static_cast<const T*>(users), *static_cast<const T*>(clients)));
    };
    by_key_.insert_or_assign(std::move(key), OfType{&detail::type_ops<T>, typed});
    return *this;
  }
  template <state_value T, class F>
    requires std::is_invocable_r_v<T, const F&, const T&, const T&>
  Merge&& with(std::string key, F merge) && {
    return std::move(with<T>(std::move(key), std::move(merge)));
  }

 private:
  friend class detail::Promotion;
  struct OfType {
    const detail::TypeOps* type;
    std::function<detail::SharedValue(const void* users, const void* clients)> merge;
  };
  std::map<std::string, OfType, std::less<>> by_key_;
};

struct PromoteOptions {
  /// Time to live of what the user gets; 0: for ever. Labels and times that the client's states had end with them.
  std::chrono::milliseconds ttl = {};
};

namespace detail {

class Promotion {
 public:
  Promotion(StateCore& core, const atom::Scope& client, const atom::Scope& user, const Merge& merge,
            const PromoteOptions& options, Deadline deadline)
      : core_(core), client_(client), user_(user), merge_(merge), options_(options), deadline_(deadline) {
    if (client.contains(user) || user.contains(client)) {
      throw StateError(StateErrorCode::invalid_name, "of the two scopes of a promotion one contains the other");
    }
  }

  /// This one of the client's states stays.
  void leave(std::string key) { left_ = std::move(key); }

  /// The steps that it takes, as things are now. Throws StateError.
  std::vector<UnitStep> steps() {
    std::vector<Pair> pairs = core_.engine ? pairs_in_database() : pairs_in_memory();
    std::vector<UnitStep> steps;
    for (Pair& pair : pairs) add(steps, std::move(pair));
    count_ = pairs.size();
    return steps;
  }

  /// Again and again on what is there now, until the deadline.
  std::size_t run() {
    for (unsigned failures = 1;; ++failures) {
      std::vector<UnitStep> all = steps();
      if (all.empty()) return 0;
      const auto failure = Unit(core_, all, deadline_).commit();
      if (!failure) return count_;
      if (!failure->conflict || !pause_before(core_, failures, deadline_)) throw failure->error;
    }
  }

 private:
  /// A state of the client's, and the one of the user's that has its name.
  struct Pair {
    atom::Scope from, to;
    std::string key;
    std::int64_t version;            // of the client's
    std::int64_t users_version = 0;  // 0: the user has none
    // In memory:
    const TypeOps* type = nullptr;
    SharedValue value = {}, users_value = {}, initial = {};
    // In a database:
    StoredValue stored = {};
    std::optional<StoredValue> users_stored = {};
  };

  atom::Scope moved(const atom::Scope& scope) const {
    return atom::Scope::from_database(user_.text() + scope.text().substr(client_.text().size())).value();
  }
  bool is_left(const atom::Scope& scope, std::string_view key) const { return key == left_ && scope == client_; }

  std::vector<Pair> pairs_in_memory() {
    std::vector<Pair> pairs;
    for (const atom::Scope& scope :
         core_.table.scopes([&](const atom::Scope& other) { return client_.contains(other); })) {
      for (const NodeReference& node : core_.table.nodes(scope)) {
        SeenValue seen = core_.look(*node);
        if (seen.version <= 0 || is_left(scope, node->key())) continue;
        Pair pair{scope, moved(scope), std::string(node->key()), seen.version};
        pair.type = &node->type();
        pair.value = std::move(seen.value);
        pair.initial = node->initial();
        SeenState users = look_at(core_, pair.to, pair.key, *pair.type).value();
        pair.users_version = users.version;
        pair.users_value = std::move(users.value);
        pairs.push_back(std::move(pair));
      }
    }
    return pairs;
  }
  std::vector<Pair> pairs_in_database() {
    const std::size_t most = core_.engine->traits().most_commands / 2;  // two for each
    const Backend::Range range{.scope = &client_, .below = true, .limit = most + 2};
    std::vector<Pair> pairs;
    for (FoundState& found : ask(core_, deadline_, &Backend::list, range).value()) {
      if (is_left(found.scope, found.key)) continue;
      if (pairs.size() == most) {
        throw StateError(StateErrorCode::too_large, "the client has more than the " + std::to_string(most) +
                                                        " states that can become a user's in one step");
      }
      Pair pair{found.scope, moved(found.scope), std::move(found.key), found.version};
      pair.stored = std::move(found.value);
      pairs.push_back(std::move(pair));
    }
    std::vector<StateName> names;
    names.reserve(pairs.size());
    for (const Pair& pair : pairs) names.push_back({pair.to, pair.key});
    std::vector<Outcome> outcomes(pairs.size());
    if (auto error = read_states(core_, names, outcomes, deadline_)) throw *std::move(error);
    for (std::size_t i = 0; i < pairs.size(); ++i) {
      pairs[i].users_version = outcomes[i].version;
      pairs[i].users_stored = std::move(outcomes[i].value);
    }
    return pairs;
  }

  void add(std::vector<UnitStep>& steps, Pair pair) {
    UnitStep users{.kind = UnitStep::Kind::write, .scope = pair.to, .key = pair.key};
    users.type = pair.type;
    users.expected = pair.users_version;
    users.initial = pair.initial;
    users.ttl = options_.ttl;
    const auto both = merge_.by_key_.find(pair.key);
    if (pair.users_version == 0) {
      users.value = pair.value;
      if (core_.engine) users.stored = std::move(pair.stored);
    } else if (both == merge_.by_key_.end()) {
      users.kind = UnitStep::Kind::check;
    } else {
      const Merge::OfType& how = both->second;
      users.type = how.type;
      users.value = core_.engine ? how.merge(read(pair.to, pair.key, *how.type, *pair.users_stored).get(),
                                             read(pair.from, pair.key, *how.type, pair.stored).get())
                                 : merge_in_memory(pair, how);
    }
    UnitStep clients{.kind = UnitStep::Kind::erase, .scope = std::move(pair.from), .key = std::move(pair.key)};
    clients.expected = pair.version;
    steps.push_back(std::move(users));
    steps.push_back(std::move(clients));
  }
  static SharedValue merge_in_memory(const Pair& pair, const Merge::OfType& how) {
    if (!pair.type->same_type(*how.type)) throw type_mismatch(pair.from, pair.key, *pair.type, *how.type);
    return how.merge(pair.users_value.get(), pair.value.get());
  }
  SharedValue read(const atom::Scope& scope, std::string_view key, const TypeOps& type, const StoredValue& stored) {
    return read_outcome(core_, scope, key, type, {.version = 1, .value = stored}).value().value;
  }

  StateCore& core_;
  const atom::Scope& client_;
  const atom::Scope& user_;
  const Merge& merge_;
  const PromoteOptions& options_;
  const Deadline deadline_;
  std::string left_;
  std::size_t count_ = 0;
};

/// `StateStore::promote`: makes the states of `client`, and of the scopes below it, those of `user`. How many there
/// were. Any thread may call it. Where somebody writes one of them meanwhile it begins anew on the fresh values, until
/// the deadline; a state that the client gets only afterwards stays the client's. Throws StateError: conflict if others
/// wrote each time; too_large if a database cannot take so many in one batch; undecodable or type_mismatch if a value
/// that is to be merged is another than `merge` says; invalid_name if one of the scopes contains the other. Nothing has
/// changed then, but where the effect is unknown.
inline std::size_t promote_states(StateCore& core, const atom::Scope& client, const atom::Scope& user,
                                  const Merge& merge, const PromoteOptions& options) {
  return Promotion(core, client, user, merge, options, core.deadline()).run();
}

}  // namespace detail
}  // namespace atom::inline v0_1
