// Many states of a table at once: lists, and the end of all that are in one.
#pragma once

#include <atom/backend/detail/database.hpp>
#include <atom/backend/detail/dynamodb_client.hpp>
#include <atom/backend/detail/dynamodb_connection.hpp>
#include <atom/backend/detail/dynamodb_item.hpp>
#include <atom/config.hpp>
#include <atom/state/backend.hpp>
#include <atom/state/error.hpp>
#include <atom/state/scope.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace atom::inline v0_1::detail {

/// Adds states of one scope, in the order of their keys, from the answer to a query, and to those that follow.
inline void add_dynamodb_states(DynamoDbClient& client, const atom::Scope& scope, std::string_view after,
                                DynamoDbCall call, std::size_t limit, std::vector<FoundState>& found,
                                Deadline deadline) {
  const std::string partition = dynamodb_partition(scope);
  for (;;) {
    const std::int64_t now = dynamodb_now();
    const std::optional<std::string> last = DynamoDbClient::read_query(call, [&](simdjson::dom::element attributes) {
      const std::string_view key = dynamodb_text(attributes, "k");
      DynamoDbItem item = dynamodb_item(attributes, "", 0, now);
      if (found.size() >= limit || key <= after || item.version == 0 || !item.is_alive(now)) return;
      found.push_back({scope, std::string(key), item.version, *std::move(item.value)});
    });
    if (!last || found.size() >= limit) return;
    std::vector<DynamoDbCall> next{client.query(partition, *last, "", true, limit - found.size())};
    client.ask(next, deadline);
    call = std::move(next[0]);
  }
}
/// Those of scopes whose texts lie between two, both included.
template <class Use>
void each_dynamodb_scope(DynamoDbClient& client, std::string_view after, const std::string& last, Deadline deadline,
                         Use use) {
  for (std::optional<std::string> from(after); from;) {
    std::vector<DynamoDbCall> calls{client.query("scopes", *from, last, false, 100)};
    client.ask(calls, deadline);
    std::vector<atom::Scope> some;
    from = DynamoDbClient::read_query(calls[0], [&](simdjson::dom::element attributes) {
      const std::string_view text = dynamodb_text(attributes, "k");
      if (text <= *from) return;  // as a range includes its ends
      if (StateResult<atom::Scope> scope = atom::Scope::from_database(text)) some.push_back(*std::move(scope));
    });
    for (std::size_t begin = 0; begin < some.size(); begin += DynamoDbClient::most_at_once) {
      const std::size_t count = std::min(DynamoDbClient::most_at_once, some.size() - begin);
      if (!use(std::span<const atom::Scope>(some.data() + begin, count))) return;
    }
  }
}
inline void list_dynamodb_states(DynamoDbClient& client, const std::string& first, const std::string& last,
                                 const Backend::Range& range, std::vector<FoundState>& found, Deadline deadline) {
  const auto read_some = [&](std::span<const atom::Scope> some) {
    std::vector<DynamoDbCall> calls;
    const auto after = [&](const atom::Scope& scope) {
      return scope.text() == range.after_scope ? range.after_key : std::string_view();
    };
    const std::size_t left = range.limit - found.size();
    for (const atom::Scope& scope : some) {
      calls.push_back(client.query(dynamodb_partition(scope), after(scope), "", true, left));
    }
    client.ask(calls, deadline);
    for (std::size_t i = 0; i < some.size() && found.size() < range.limit; ++i) {
      add_dynamodb_states(client, some[i], after(some[i]), std::move(calls[i]), range.limit, found, deadline);
    }
    return found.size() < range.limit;
  };
  if (found.size() >= range.limit || range.after_scope > last) return;
  if (first == last) {
    if (range.after_scope > first) return;
    const StateResult<atom::Scope> scope = atom::Scope::from_database(first);
    read_some({&scope.value(), 1});
    return;
  }
  // The scope itself that a range begins with is in it, and one that it begins after may have more.
  if (range.after_scope >= first) {
    if (const StateResult<atom::Scope> scope = atom::Scope::from_database(range.after_scope)) {
      if (!read_some({&scope.value(), 1})) return;
    }
    each_dynamodb_scope(client, range.after_scope, last, deadline, read_some);
    return;
  }
  each_dynamodb_scope(client, first, last, deadline, read_some);
}
/// In passing, scopes in which nothing has been for a long time are forgotten.
inline void list_dynamodb_scopes(DynamoDbClient& client, std::string_view after, std::size_t limit,
                                 std::vector<atom::Scope>& found, Deadline deadline) {
  if (limit == 0) return;
  each_dynamodb_scope(client, after, "", deadline, [&](std::span<const atom::Scope> some) {
    std::vector<DynamoDbCall> calls;
    for (const atom::Scope& scope : some) calls.push_back(client.query(dynamodb_partition(scope), "", "", true, 10));
    client.ask(calls, deadline);
    std::vector<DynamoDbCall> forgetting;
    for (std::size_t i = 0; i < some.size() && found.size() < limit; ++i) {
      bool has_items = false;
      {
        const DynamoDbJson json(calls[i].answer);
        const auto scanned = json ? member_of(json.root(), "ScannedCount") : std::nullopt;
        std::int64_t count = 1;
        has_items = !scanned || scanned->get(count) != simdjson::SUCCESS || count > 0;
      }
      if (!has_items) {
        forgetting.push_back(client.forgetting("scopes", some[i].text()));
        continue;
      }
      std::vector<FoundState> one;
      add_dynamodb_states(client, some[i], "", std::move(calls[i]), 1, one, deadline);
      if (!one.empty()) found.push_back(some[i]);
    }
    client.send_in_passing(forgetting, deadline);
    return found.size() < limit;
  });
}

/// Ends states, if they are there, and have the label unless it is empty; what they were is added.
inline void end_dynamodb_states(DynamoDbClient& client, std::span<const FoundState> states, const std::string& label,
                                std::vector<FoundState>& ended, Deadline deadline) {
  const std::int64_t now = dynamodb_now();
  const std::string ours = random_text(16);
  std::vector<DynamoDbCall> calls;
  for (const FoundState& state : states) {
    const std::string partition = dynamodb_partition(state.scope);
    DynamoDbRequest request(client.table(), partition, state.key);
    end_dynamodb_state(request, now);
    request.set("d = :d").text(":d", ours);
    require_alive_in_dynamodb(request, now);
    if (!label.empty()) request.require("contains(b, :label)").text(":label", label);
    calls.push_back({.operation = "UpdateItem", .body = request.body("ALL_OLD")});
  }
  client.send(calls, deadline);
  for (std::size_t i = 0; i < calls.size(); ++i) {
    const DynamoDbJson json(calls[i].answer);
    if (calls[i].status == DynamoDbCall::Status::condition && calls[i].is_doubtful) {
      // It was sent twice, perhaps, and has met what it did itself.
      const auto there = json ? member_of(json.root(), "Item") : std::nullopt;
      if (!there || member_of(*there, "v") || dynamodb_text(*there, "d") != ours) continue;
      ended.push_back({states[i].scope, states[i].key, dynamodb_item(*there, "", 0, now).version, states[i].value});
    }
    if (calls[i].status != DynamoDbCall::Status::good) continue;
    const auto attributes = json ? member_of(json.root(), "Attributes") : std::nullopt;
    if (!attributes) throw strange_dynamodb_answer();
    DynamoDbItem item = dynamodb_item(*attributes, "", 0, now);
    if (item.value) ended.push_back({states[i].scope, states[i].key, item.version, *std::move(item.value)});
  }
  for (const DynamoDbCall& call : calls) {
    if (call.error) throw StateError(*call.error);
  }
}
inline void purge_dynamodb_label(DynamoDbClient& client, std::string_view label, std::vector<FoundState>& erased,
                                 Deadline deadline) {
  const std::string partition = dynamodb_label(label);
  for (std::optional<std::string> after(""); after;) {
    std::vector<DynamoDbCall> calls{client.query(partition, *after, "", false, 100)};
    client.ask(calls, deadline);
    std::vector<FoundState> found;
    std::vector<DynamoDbCall> forgetting;
    after = DynamoDbClient::read_query(calls[0], [&](simdjson::dom::element attributes) {
      const std::string_view name = dynamodb_text(attributes, "k");
      const std::size_t space = name.find(' ');
      StateResult<atom::Scope> scope = atom::Scope::from_database(name.substr(0, space));
      if (scope && space < name.size() - 1) {
        found.push_back({*std::move(scope), std::string(name.substr(space + 1)), 0, {}});
      }
      if (dynamodb_number<std::int64_t>(attributes, "t").value_or(0) < DynamoDbClient::forgotten()) {
        forgetting.push_back(client.forgetting(partition, name));
      }
    });
    end_dynamodb_states(client, found, partition, erased, deadline);
    client.send_in_passing(forgetting, deadline);
  }
}

}  // namespace atom::inline v0_1::detail
