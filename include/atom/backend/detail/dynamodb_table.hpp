// The table itself: whether it is ours, and how it is made.
#pragma once

#include <atom/backend/detail/dynamodb_client.hpp>
#include <atom/backend/detail/dynamodb_connection.hpp>
#include <atom/backend/detail/dynamodb_item.hpp>
#include <atom/backend/detail/dynamodb_target.hpp>
#include <atom/config.hpp>
#include <atom/detail/json_writer.hpp>
#include <atom/state/backend.hpp>
#include <atom/state/error.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace atom::inline v0_1::detail {

/// One request that is about the table as a whole; `fill(body)` says what more is in it than its name.
template <class Fill>
DynamoDbCall call_dynamodb_table(DynamoDbClient& client, std::string_view operation, Deadline deadline, Fill fill) {
  JsonWriter body;
  body.begin_object();
  body.key("TableName");
  body.text(client.table());
  fill(body);
  body.end_object();
  std::vector<DynamoDbCall> calls(1);
  calls[0].operation = operation;
  calls[0].body = body.text();
  client.send(calls, deadline);
  return std::move(calls[0]);
}
inline void create_dynamodb_table(DynamoDbClient& client, Deadline deadline) {
  const DynamoDbCall call = call_dynamodb_table(client, "CreateTable", deadline, [](JsonWriter& body) {
    body.key("BillingMode");
    body.text("PAY_PER_REQUEST");
    const auto list = [&](const char* name, const char* what, const char* of_p, const char* of_k) {
      body.key(name);
      body.begin_array();
      for (const auto& [attribute, is] : {std::pair("p", of_p), std::pair("k", of_k)}) {
        body.begin_object();
        body.key("AttributeName");
        body.text(attribute);
        body.key(what);
        body.text(is);
        body.end_object();
      }
      body.end_array();
    };
    list("AttributeDefinitions", "AttributeType", "S", "S");
    list("KeySchema", "KeyType", "HASH", "RANGE");
  });
  // Somebody else may make it just now; then it is waited for.
  if (call.error && call.type != "ResourceInUseException") throw StateError(*call.error);
}
/// Has the server remove what has ended, if it can.
inline void expire_in_dynamodb_table(DynamoDbClient& client, Deadline deadline) {
  const DynamoDbCall call = call_dynamodb_table(client, "UpdateTimeToLive", deadline, [](JsonWriter& body) {
    body.key("TimeToLiveSpecification");
    body.begin_object();
    body.key("AttributeName");
    body.text("e");
    body.key("Enabled");
    body.boolean(true);
    body.end_object();
  });
  // (It may be so already, which is an error.)
  if (call.error && call.type != "UnknownOperationException" && call.type != "ValidationException") {
    throw StateError(*call.error);
  }
}

/// Throws if the table is not there, or is none of ours.
inline void prepare_dynamodb_table(DynamoDbClient& client, bool create, Deadline deadline) {
  const std::string& table = client.table();
  if (table.size() < 3 || table.size() > 255 || table.find_first_not_of(dynamodb_table_letters) != std::string::npos) {
    throw dynamodb_refusal("the name of its table is 3 to 255 letters, digits, '-', '_' and '.'");
  }
  bool is_made = false;
  for (int attempt = 1;; ++attempt) {
    const std::optional<std::string> found = client.describe(deadline);
    if (!found && !create) {
      throw client.no_table();
    }
    if (!found && !is_made) {
      create_dynamodb_table(client, deadline);
      is_made = true;
      continue;
    }
    if (found) {
      const DynamoDbJson json(*found);
      const auto described = json ? member_of(json.root(), "Table") : std::nullopt;
      if (!described) throw strange_dynamodb_answer();
      std::string keys;
      simdjson::dom::array schema, attributes;
      const auto all = member_of(*described, "KeySchema"), types = member_of(*described, "AttributeDefinitions");
      if (!all || all->get(schema) != simdjson::SUCCESS || !types || types->get(attributes) != simdjson::SUCCESS) {
        throw strange_dynamodb_answer();
      }
      for (const simdjson::dom::element key : schema) {
        keys.append(text_of(key, "AttributeName")).append(" ").append(text_of(key, "KeyType")).append(" ");
        for (const simdjson::dom::element attribute : attributes) {
          if (text_of(attribute, "AttributeName") == text_of(key, "AttributeName")) {
            keys.append(text_of(attribute, "AttributeType")).append(" ");
          }
        }
      }
      if (keys != "p HASH S k RANGE S ") {
        throw client.failure("it is another application's (ours has the keys p and k, both text): name another one");
      }
      const std::string_view status = text_of(*described, "TableStatus");
      if (status == "ACTIVE" || status == "UPDATING") break;
    }
    const Deadline next = DynamoDbClient::Clock::now() + DynamoDbClient::pause_after(attempt);
    if (next >= deadline) {
      throw StateError(StateErrorCode::timed_out, "DynamoDB: the table is not ready before the deadline", Effect::none,
                       true);
    }
    std::this_thread::sleep_until(next);
  }

  const std::vector<std::pair<std::string, std::string>> mark{{"meta", "layout"}};
  std::optional<std::string> layout;
  client.get(mark, "", deadline, [&](simdjson::dom::element attributes) { layout = dynamodb_text(attributes, "v"); });
  if (layout && *layout == dynamodb_layout) return;
  if (layout) {
    throw client.failure("another version of this program keeps its states there (layout " + layout->substr(0, 20) +
                         "): use that one, or another table");
  }
  if (!create) {
    throw client.failure("no states of ours are there: `prepare` makes an empty table ours if it is told to create");
  }
  if (!is_made) {
    JsonWriter body;
    body.begin_object();
    body.key("TableName");
    body.text(table);
    body.key("Limit");
    body.integer(1);
    body.key("ConsistentRead");
    body.boolean(true);
    body.end_object();
    const std::string answer = client.ask("Scan", body.text(), deadline);
    const DynamoDbJson json(answer);
    const auto items = json ? member_of(json.root(), "Items") : std::nullopt;
    simdjson::dom::array all;
    if (!items || items->get(all) != simdjson::SUCCESS) throw strange_dynamodb_answer();
    // Another process may have made it ours just now.
    if (all.size() > 0 && dynamodb_text(all.at(0), "p") != "meta" && dynamodb_text(all.at(0), "p") != "scopes" &&
        !dynamodb_text(all.at(0), "p").starts_with("s:")) {
      throw client.failure("it is another application's: it is not empty, and has no mark of ours. Name another one");
    }
  }
  expire_in_dynamodb_table(client, deadline);
  DynamoDbRequest request(table, "meta", "layout");
  request.set("v = :v").text(":v", std::string(dynamodb_layout));
  client.ask("UpdateItem", request.body(""), deadline);
}

}  // namespace atom::inline v0_1::detail
