#include <atom/backend/detail/dynamodb_target.hpp>

#include "support/catch.hpp"

#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace dynamodb_target_test {
namespace {

using atom::StateError;
using atom::StateErrorCode;
using atom::detail::dynamodb_target;
using atom::detail::DynamoDbTarget;
using atom::detail::DynamoDbUrl;
using atom::detail::parse_dynamodb_url;
using support::ContainsSubstring;

/// The environment has these variables alone, of those that are asked for, until this ends.
class Environment {
 public:
  explicit Environment(const std::vector<std::pair<std::string, std::string>>& set) {
    for (const char* name : {"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB"}) {
      const char* const value = std::getenv(name);
      before_.emplace_back(name, value ? std::optional<std::string>(value) : std::nullopt);
      ::unsetenv(name);
    }
    for (const auto& [name, value] : set) ::setenv(name.c_str(), value.c_str(), 1);
  }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;
  ~Environment() {
    for (const auto& [name, value] : before_) {
      value ? ::setenv(name.c_str(), value->c_str(), 1) : ::unsetenv(name.c_str());
    }
  }

 private:
  std::vector<std::pair<std::string, std::optional<std::string>>> before_;
};

std::string parsed(std::string_view text) {
  const DynamoDbUrl url = parse_dynamodb_url(text).value();
  return url.table + '|' + url.region + '|' + url.endpoint + '|' + (url.transactions ? "on" : "off");
}
std::string target(const std::string& region, const std::string& endpoint) {
  const DynamoDbTarget all = dynamodb_target(region, endpoint);
  return (all.tls ? "tls " : "") + all.region + ' ' + all.endpoint;
}

TEST_CASE("dynamodb target: a URL says which table it is, and perhaps where") {
  CHECK(parsed("dynamodb://states") == "states|||on");
  CHECK(parsed("dynamodb://my.states-2_x?region=eu-central-1") == "my.states-2_x|eu-central-1||on");
  CHECK(parsed("dynamodb://s?transactions=off&endpoint=http://127.0.0.1:8000&region=r") ==
        "s|r|http://127.0.0.1:8000|off");
  CHECK(parsed("dynamodb://s?endpoint=http%3a%2F%2flocalhost%3A8000&transactions=on") == "s||http://localhost:8000|on");
  for (const char* bad : {"",
                          "dynamodb:",
                          "dynamodb:s",
                          "dynamodb://",
                          "dynamodb://?region=r",
                          "redis://s",
                          "dynamodb://s?&region=r",
                          "dynamodb://s?region",
                          "dynamodb://s?region=",
                          "dynamodb://s?transactions=maybe",
                          "dynamodb://s?key=secret",
                          "dynamodb://s s",
                          "dynamodb://s\x7f",
                          "dynamodb://s?region=a b",
                          "dynamodb://s?region=a\x7f",
                          "dynamodb://s?endpoint=%",
                          "dynamodb://s?endpoint=%4g",
                          "dynamodb://key:secret@s?region=r",
                          "dynamodb://secret@s",
                          "dynamodb://\"secret\""}) {
    INFO(bad);
    const auto url = parse_dynamodb_url(bad);
    REQUIRE_FALSE(url);
    CHECK(url.error().code() == StateErrorCode::refused);
    CHECK_THAT(url.error().what(), !ContainsSubstring("secret"));
  }
}

TEST_CASE("dynamodb target: what is not said is what the environment says, the more special first") {
  {
    const Environment none({});
    CHECK(target("eu-central-1", "") == "tls eu-central-1 https://dynamodb.eu-central-1.amazonaws.com");
    CHECK(target("cn-north-1", "") == "tls cn-north-1 https://dynamodb.cn-north-1.amazonaws.com.cn");
    CHECK(target("r", "http://localhost:8000/") == "r http://localhost:8000");
    CHECK(target("r", "https://[::1]:8000") == "tls r https://[::1]:8000");
    CHECK_THROWS_AS(target("", ""), StateError);
  }
  {
    const Environment some({{"AWS_DEFAULT_REGION", "d"}, {"AWS_ENDPOINT_URL", "http://127.0.0.1:1"}});
    CHECK(target("", "") == "d http://127.0.0.1:1");
  }
  const Environment all({{"AWS_DEFAULT_REGION", "d"},
                         {"AWS_REGION", "r"},
                         {"AWS_ENDPOINT_URL", "http://127.0.0.1:1"},
                         {"AWS_ENDPOINT_URL_DYNAMODB", "https://here"}});
  CHECK(target("", "") == "tls r https://here");
  CHECK(target("own", "http://there") == "own http://there");
}

}  // namespace
}  // namespace dynamodb_target_test
