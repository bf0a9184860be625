// Where a table of DynamoDB is, and who may use it: what options, a URL and the environment say.
#pragma once

#include <atom/backend/detail/url.hpp>
#include <atom/config.hpp>
#include <atom/state/error.hpp>

#include <cstddef>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace atom::inline v0_1::detail {

/// What a request is sent to.
struct DynamoDbTarget {
  std::string region = {};
  std::string endpoint = {};  ///< https://host[:port], or http
  bool tls = true;
  bool plain_text = false;   ///< also to another machine
  std::string ca_file = {};  ///< empty: the system's
};

/// What a URL says.
struct DynamoDbUrl {
  std::string table = {};
  std::string region = {};
  std::string endpoint = {};
  bool transactions = true;
};

inline StateError dynamodb_refusal(const std::string& why) {
  return {StateErrorCode::refused, "DynamoDB: " + why};
}

/// What the name of a table is made of.
inline constexpr std::string_view dynamodb_table_letters =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";

/// dynamodb://TABLE[?region=...][&endpoint=http://127.0.0.1:8000][&transactions=off]. No error repeats it.
inline StateResult<DynamoDbUrl> parse_dynamodb_url(std::string_view url) {
  const auto wrong = [](const char* what) {
    return dynamodb_refusal(std::string(what) +
                            ": a URL is dynamodb://TABLE?region=eu-central-1, and perhaps "
                            "&endpoint=http://127.0.0.1:8000 and &transactions=off; the keys are never in it");
  };
  constexpr std::string_view scheme = "dynamodb://";
  if (!url.starts_with(scheme)) return wrong("the URL has another scheme");
  for (const char c : url) {
    if (static_cast<unsigned char>(c) <= ' ' || c == '\x7f') return wrong("the URL has a space or a control byte");
  }
  url.remove_prefix(scheme.size());
  const std::size_t query = url.find('?');
  DynamoDbUrl parsed;
  parsed.table = url.substr(0, query);
  if (parsed.table.empty()) return wrong("the URL names no table");
  if (parsed.table.find_first_not_of(dynamodb_table_letters) != std::string::npos) {
    return wrong("the table in the URL has another character than letters, digits, '-', '_' and '.'");
  }
  std::string_view rest = query == url.npos ? "" : url.substr(query + 1);
  while (!rest.empty()) {
    const std::string_view pair = rest.substr(0, rest.find('&'));
    rest.remove_prefix(pair.size() < rest.size() ? pair.size() + 1 : rest.size());
    const std::size_t sign = pair.find('=');
    const std::string_view name = pair.substr(0, sign);
    const std::string_view value = sign == pair.npos ? "" : pair.substr(sign + 1);
    if (value.empty()) return wrong("the URL has a name without a value");
    if (name == "region") {
      parsed.region = value;
    } else if (name == "endpoint") {
      const auto endpoint = unescape_url(value);
      if (!endpoint) return wrong("the URL has a % that does not begin %XX");
      parsed.endpoint = *endpoint;
    } else if (name == "transactions" && (value == "on" || value == "off")) {
      parsed.transactions = value == "on";
    } else {
      return wrong("the URL says something else than region, endpoint and transactions=on or off");
    }
  }
  return parsed;
}

inline std::string dynamodb_setting(const char* name) {
  const char* const value = std::getenv(name);
  return value ? value : "";
}
inline std::string first_of(std::string a, std::string b) {
  return a.empty() ? std::move(b) : std::move(a);
}

/// Throws what is wrong with it.
inline DynamoDbTarget dynamodb_target(std::string region, std::string endpoint) {
  DynamoDbTarget target;
  target.region = first_of(std::move(region), first_of(dynamodb_setting("AWS_REGION"),  //
                                                       dynamodb_setting("AWS_DEFAULT_REGION")));
  if (target.region.empty()) {
    throw dynamodb_refusal("its region is not known: DynamoDbOptions::region, or AWS_REGION in the environment");
  }
  constexpr std::string_view good = "abcdefghijklmnopqrstuvwxyz0123456789-";
  if (target.region.size() > 40 || target.region.find_first_not_of(good) != std::string::npos) {
    throw dynamodb_refusal("its region is small letters, digits and '-', as eu-central-1");
  }
  target.endpoint = first_of(std::move(endpoint), first_of(dynamodb_setting("AWS_ENDPOINT_URL_DYNAMODB"),
                                                           dynamodb_setting("AWS_ENDPOINT_URL")));
  if (target.endpoint.empty()) {
    const bool is_in_china = target.region.starts_with("cn-");
    target.endpoint = "https://dynamodb." + target.region + ".amazonaws.com" + (is_in_china ? ".cn" : "");
  }
  std::string& text = target.endpoint;
  while (text.ends_with('/')) text.pop_back();
  target.tls = text.starts_with("https://");
  const std::size_t scheme = text.find("://");
  const bool is_good = (target.tls || text.starts_with("http://")) && text.size() > scheme + 3 &&
                       text.find_first_of("/?#@\\", scheme + 3) == std::string::npos;
  bool is_plain = true;
  for (const char c : text) is_plain = is_plain && static_cast<unsigned char>(c) > ' ' && c != '\x7f';
  if (!is_good || !is_plain) throw dynamodb_refusal("its endpoint is https://HOST[:PORT], or http, and nothing more");
  return target;
}

}  // namespace atom::inline v0_1::detail
