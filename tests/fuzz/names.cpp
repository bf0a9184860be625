// Any bytes as a name from outside: a Cookie header, a scope, a key, a Last-Event-ID, the URL of a backend. What is
// taken for one is what it says, no two names are one, and no message has what it takes to be somebody. As json.cpp.
#include "bytes.hpp"

#include <atom/backend/detail/redis_url.hpp>
#include <atom/backend/memory.hpp>
#include <atom/backend/open.hpp>
#include <atom/json_reader.hpp>
#include <atom/state/event_stream.hpp>
#include <atom/state/scope.hpp>
#include <atom/state/session_id.hpp>
#include <atom/state/state_store.hpp>
#if defined(ATOM_HAS_SQLITE)
#include <atom/backend/sqlite.hpp>
#endif
#if defined(ATOM_HAS_REDIS)
#include <atom/backend/redis.hpp>
#endif
#if defined(ATOM_HAS_POSTGRES)
#include <atom/backend/postgres.hpp>
#endif
#if defined(ATOM_HAS_DYNAMODB)
#include <atom/backend/dynamodb.hpp>
#endif

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace fuzz {
namespace {

using atom::Scope;
using atom::ScopeKind;
using atom::SessionId;
using atom::StateError;
using atom::StateErrorCode;
using atom::StateResult;

// --------------------------------------------------------------------------------------------------------------
// cookies

std::string_view trimmed(std::string_view text) {
  while (text.starts_with(' ') || text.starts_with('\t')) text.remove_prefix(1);
  while (text.ends_with(' ') || text.ends_with('\t')) text.remove_suffix(1);
  return text;
}
/// The values that cookies of this name have, as simply as it can be written.
std::set<std::string> values_of(const std::string& header, const std::string& name) {
  std::set<std::string> values;
  std::string cookie;
  for (const char c : header + ';') {
    if (c != ';') {
      cookie += c;
      continue;
    }
    const std::string whole(trimmed(cookie));
    if (whole.starts_with(name + '=')) values.insert(whole.substr(name.size() + 1));
    cookie.clear();
  }
  return values;
}
bool is_id(const std::string& text) {
  return text.size() == 32 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}
void check_header(const std::string& header, const std::string& name) {
  const std::optional<SessionId> found = atom::session_id_from(header, name);
  const std::set<std::string> values = values_of(header, name);
  const bool is_one = values.size() == 1 && is_id(*values.begin());
  require(found.has_value() == is_one, "an id is found where there is none, or not where there is one");
  if (!found) return;
  require(found->text() == *values.begin(), "the id that is found has another text");
  require(SessionId::parse(found->text()) == found, "an id is not read back");
  require(found->scope().segments() == std::vector{found->text()}, "the scope of an id is another");
}
void cookies(Bytes bytes) {
  static const std::string names[] = {"session", "__Host-id", "s", "a.b"};
  const std::string& name = names[bytes.below(std::size(names))];
  std::string digits;
  for (const char c : bytes.take(16)) {
    const auto byte = static_cast<unsigned char>(c);
    digits += {"0123456789abcdef"[byte >> 4], "0123456789abcdef"[byte & 15]};
  }
  digits.resize(32, '0');
  const std::optional<SessionId> id = SessionId::parse(digits);
  require(id && id->text() == digits, "32 digits are no id");
  const bool is_secure = bytes.flag();
  const std::string given =
      atom::session_cookie(*id, {.name = name, .max_age = std::chrono::seconds(bytes.byte()), .secure = is_secure});
  require(given.find_first_of("\r\n") == given.npos, "a header has the end of a line");
  require(is_secure == (given.find("; Secure") != given.npos), "a cookie is not as secure as it was to be");
  const std::string pair = given.substr(0, given.find(';'));
  check_header(pair, name);
  require(atom::session_id_from(pair, name) == id, "what was given out is not found again");

  const std::string left(bytes.text()), right(bytes.rest());
  for (const std::string& header : {left + ';' + pair + "; " + right, left + pair + right, left, right}) {
    check_header(header, name);
  }
  if (values_of(left, name).empty() && values_of(right, name).empty()) {
    require(atom::session_id_from(left + "; " + pair + ';' + right, name) == id, "its neighbours hide a cookie");
  }
  require(!atom::session_id_from(atom::expired_session_cookie({.name = name}), name), "an expired cookie is one");
}

// ---------------------------------------------------------------------------------------------------------------
// scopes

/// Messages are the same whatever was given.
void check_refusal(const StateError& error, bool is_empty) {
  static const std::string bad_text = Scope::parse(".").error().message();
  static const std::string too_long = Scope::parse(std::string(513, 'a')).error().message();
  static const std::string empty = Scope::try_client("").error().message();
  const std::string& expected = error.code() == StateErrorCode::too_large ? too_long : is_empty ? empty : bad_text;
  require(error.message() == expected, "a message says what it was given");
  require(!error.retryable() && error.effect() == atom::Effect::none, "a wrong name is said to pass");
}
/// As simply as it can be written.
bool is_scope(std::string_view text) {
  if (text.empty() || text.size() > 512) return false;
  for (const std::string_view prefix : {"$client.", "$user.", "$component."}) {
    if (!text.starts_with(prefix)) continue;
    text.remove_prefix(prefix.size());
    break;
  }
  const std::string whole = std::string(text) + '.';
  for (std::size_t begin = 0; begin < whole.size();) {
    const std::size_t dot = whole.find('.', begin);
    const std::string segment = whole.substr(begin, dot - begin);
    std::string again;
    atom::detail::escape(again, atom::detail::unescape(segment));
    if (segment.empty() || again != segment) return false;
    begin = dot + 1;
  }
  return true;
}
std::optional<Scope> scope_of(std::string_view text) {
  const StateResult<Scope> read = Scope::from_database(text);
  const StateResult<Scope> parsed = Scope::parse(text);
  require(read.has_value() == is_scope(text), "a text is taken for a scope that is none, or the other way round");
  require(parsed.has_value() == (read && read->kind() == ScopeKind::shared), "a request may name somebody's own scope");
  if (!parsed) check_refusal(parsed.error(), false);
  if (!read) {
    check_refusal(read.error(), false);
    return std::nullopt;
  }
  require(read->text() == text, "a scope has another text than it was read from");
  require(text.starts_with('$') == (read->kind() != ScopeKind::shared), "a scope is of another kind than it says");
  return *read;
}
Scope again_of(ScopeKind kind, const std::vector<std::string>& segments) {
  const auto first = [&] {
    if (kind == ScopeKind::client) return Scope::client(segments[0]);
    if (kind == ScopeKind::user) return Scope::user(segments[0]);
    if (kind == ScopeKind::component) return Scope::component(segments[0]);
    std::string text;
    atom::detail::escape(text, segments[0]);
    return Scope::parse(text).value();
  };
  Scope scope = first();
  for (std::size_t i = 1; i < segments.size(); ++i) scope = scope / segments[i];
  return scope;
}
void check_segment(const Scope& scope, std::string_view segment) {
  const StateResult<Scope> below = scope.try_nested(segment);
  if (!below) {
    const bool is_long = below.error().code() == StateErrorCode::too_large;
    require(is_long ? scope.text().size() + 1 + 3 * segment.size() > 512 : segment.empty(), "a segment is refused");
    return check_refusal(below.error(), segment.empty());
  }
  require(below->text().size() <= 512 && scope_of(below->text()) == *below, "what is made is no scope");
  std::vector<std::string> expected = scope.segments();
  expected.emplace_back(segment);
  require(below->segments() == expected && below->kind() == scope.kind(), "a segment becomes another one, or several");
  require(scope.contains(*below) && !below->contains(scope) && *below != scope, "what is below is not");
}
void scopes(Bytes bytes) {
  const std::string_view first = bytes.text(), second = bytes.text(), rest = bytes.rest();
  for (const auto make : {&Scope::try_client, &Scope::try_user, &Scope::try_component}) {
    const StateResult<Scope> one = make(first), other = make(second);
    if (one)
      require(one->segments() == std::vector{std::string(first)} && scope_of(one->text()), "an id becomes another");
    if (one && other) require((*one == *other) == (first == second), "two ids have one scope");
    if (!one) check_refusal(one.error(), first.empty());
    if (one) check_segment(*one, second);
  }
  const std::optional<Scope> a = scope_of(first), b = scope_of(second);
  scope_of(rest);
  for (const std::optional<Scope>& scope : {a, b}) {
    if (!scope) continue;
    require(again_of(scope->kind(), scope->segments()) == *scope, "the segments of a scope are of another one");
    check_segment(*scope, rest);
    check_segment(*scope, first);
    require(scope->contains(*scope), "a scope does not contain itself");
    require(!Scope::global().contains(*scope) || scope->segments()[0] == "global", "all is below global");
  }
  if (!a || !b) return;
  require((*a == *b) == (first == second) && (*a < *b) == (first < second), "scopes are compared by more than text");
  require(*a != *b || a->hash() == b->hash(), "the same scope has two hashes");
  const std::vector<std::string> above = a->segments(), below = b->segments();
  const bool is_prefix =
      above.size() <= below.size() && std::equal(above.begin(), above.end(), below.begin()) && a->kind() == b->kind();
  require(a->contains(*b) == is_prefix, "a scope contains what is not below it, or not what is");
}

// -----------------------------------------------------------------------------------------------------------------
// keys

void check_key(std::string_view key) {
  bool is_good = !key.empty() && key.size() <= 256 && simdjson::validate_utf8(key.data(), key.size());
  for (const char c : key) is_good = is_good && static_cast<unsigned char>(c) >= 0x20 && c != 0x7f;
  const std::optional<StateError> error = atom::detail::check_key(key);
  require(!error == is_good, "a key is refused, or one that is none is not");
  static const std::string not_text = atom::detail::check_key("\n")->message();
  static const std::string too_long = atom::detail::check_key(std::string(257, 'a'))->message();
  static const std::string empty = atom::detail::check_key("")->message();
  if (!error || key.empty()) return require(!error || error->message() == empty, "the wrong message");
  require(error->message() == (key.size() > 256 ? too_long : not_text), "a message says what it was given");
}
void check_escaping(std::string_view any) {
  for (const char also : {'-', '.'}) {
    std::string escaped;
    atom::detail::escape(escaped, any, also);
    require(atom::detail::unescape(escaped) == any, "what was escaped is other bytes");
    require(escaped.find_first_of(" :/$\r\n\t\"'") == escaped.npos, "what is special is not escaped");
    if (also == '-') require(atom::detail::is_segment(escaped) == !any.empty(), "what is escaped is no segment");
  }
  require(atom::detail::unescape(any).size() <= any.size(), "bytes come from nowhere");
  const std::optional<std::string> of_url = atom::detail::unescape_url(any);
  if (any.find('%') == any.npos) require(of_url == any, "what is not escaped is changed");
  if (of_url) require(of_url->size() + 2 * std::size_t(std::count(any.begin(), any.end(), '%')) == any.size(), "%XX");
}
void keys(Bytes bytes) {
  const std::optional<Scope> one = scope_of(bytes.text());
  const std::string key(bytes.text());
  const std::optional<Scope> other = scope_of(bytes.text());
  const std::string other_key(bytes.rest());
  check_key(key);
  check_key(other_key);
  check_escaping(key);
  check_escaping(other_key);
  if (!one) return;
  const std::string id = atom::detail::state_id(*one, key);
  const auto differs = [&](const Scope& scope, std::string_view its_key) {
    const bool is_same = scope == *one && its_key == key;
    require((atom::detail::state_id(scope, its_key) == id) == is_same, "two states have one id");
  };
  differs(*one, other_key);
  if (other) differs(*other, other_key);
  if (other) differs(*other, key);
  // As if it were of other parts.
  for (std::size_t i = 0; i < id.size(); ++i) {
    const StateResult<Scope> part = Scope::from_database(std::string_view(id).substr(0, i));
    if (!part) continue;
    differs(*part, std::string_view(id).substr(i));
    differs(*part, std::string_view(id).substr(i + 1));
    differs(*part, atom::detail::unescape(std::string_view(id).substr(i + 1)));
  }
  const std::string shown = atom::detail::id_in_message(*one, key);
  if (one->kind() == ScopeKind::client) require(shown.starts_with("$client.*:"), "a message has the id of a client");
  if (one->kind() == ScopeKind::user) require(shown.starts_with("$user.*:"), "a message has the id of a user");
}

// ---------------------------------------------------------------------------------------------------------- event ids

/// The object of a scope, as JSON by key.
using Shown = std::map<std::string, std::string>;
Shown shown_in(std::string_view json) {
  const atom::Result<atom::Snapshot> snapshot = atom::snapshot_from_json(json);
  require(snapshot.has_value(), "an event is no JSON");
  Shown all;
  for (const auto& [key, value] : *snapshot) all[std::string(key)] = std::to_string(value.to<std::int64_t>().value());
  return all;
}
struct Event {
  std::string id, kind, data;
};
/// What a stream that begins with this id has to tell at once: nothing or one event.
std::optional<Event> first_event(const std::string& text, bool begins) {
  std::string_view rest = text;
  if (begins) {
    constexpr std::string_view retry = "retry: 1000\n\n";
    require(rest.starts_with(retry), "a stream does not say when to come back");
    rest.remove_prefix(retry.size());
  }
  if (rest.empty()) return std::nullopt;
  Event event;
  const auto line = [&](std::string_view name) {
    require(rest.starts_with(name), "an event has another line");
    rest.remove_prefix(name.size());
    const std::size_t end = rest.find('\n');
    require(end != rest.npos, "a line does not end");
    const std::string value(rest.substr(0, end));
    rest.remove_prefix(end + 1);
    return value;
  };
  event.id = line("id: ");
  event.kind = line("event: ");
  event.data = line("data: ");
  require(rest == "\n", "an event has more lines than it should");
  require(event.id.size() == 16 && event.id.find_first_not_of("0123456789abcdef") == event.id.npos, "an id is none");
  return event;
}

/// A scope with a past, which somebody has watched from its beginning.
class Past {
 public:
  static Past& instance() {
    static Past past;
    return past;
  }
  void ask(std::string_view last_id) {
    atom::EventStream stream = store_.events(scope_, {.last_event_id = std::string(last_id)});
    const std::optional<Event> event = first_event(stream.take(), true);
    const auto known = history_.find(std::string(last_id));
    const Shown now = history_.at(ids_.back());
    require(stream.take().empty() && !stream.ended(), "the same is told twice");
    if (!event) return require(known != history_.end() && known->second == now, "a page is told nothing");
    require(event->id == ids_.back(), "an event has another id than what it leads to");
    if (event->kind == "snapshot") return require(shown_in(event->data) == now, "a snapshot is of something else");
    require(event->kind == "change" && known != history_.end(), "a change follows on what nobody has had");
    Shown after = known->second;
    apply(*event, after);
    require(after == now, "a change leads to something else");
  }
  const std::string& id(std::size_t number) const { return ids_[number % ids_.size()]; }

 private:
  Past() {
    Shown shown;
    const auto look = [&] {
      const std::optional<Event> event = first_event(keeper_.take(), ids_.empty());
      require(event.has_value(), "nothing is told of a change");
      if (event->kind == "snapshot") shown = shown_in(event->data);
      if (event->kind == "change") apply(*event, shown);
      ids_.push_back(event->id);
      history_[event->id] = shown;
    };
    look();
    for (int i = 0; i < 40; ++i) {
      if (i % 5 == 4) {
        store_.delete_state({.key = key_of(i - 1), .scope = scope_});
      } else {
        store_.get_state<std::int64_t>(0, {.key = key_of(i), .scope = scope_}).set(i);
      }
      look();
    }
  }
  static std::string key_of(int i) { return "k" + std::to_string(i % 7); }
  static void apply(const Event& event, Shown& to) {
    constexpr std::string_view middle = ",\"removed\":";
    const std::string_view data = event.data;
    const std::size_t at = data.rfind(middle);
    constexpr std::string_view begin = "{\"changed\":";
    require(data.starts_with(begin) && at != data.npos, "a change is none");
    for (const auto& [key, json] : shown_in(data.substr(begin.size(), at - begin.size()))) to[key] = json;
    const std::string_view removed = data.substr(at + middle.size(), data.size() - at - middle.size() - 1);
    for (const std::string& key : atom::from_json<std::vector<std::string>>(removed).value()) to.erase(key);
  }

  const Scope scope_{"watched"};
  atom::StateStore store_;
  atom::EventStream keeper_ = store_.events(scope_);  // while somebody watches, what has been is known
  std::vector<std::string> ids_;
  std::map<std::string, Shown> history_;
};
void event_ids(Bytes bytes) {
  Past& past = Past::instance();
  const std::size_t number = bytes.byte();
  std::string id = past.id(number);
  past.ask(id);
  // One that is nearly one of ours.
  const std::size_t place = bytes.below(id.size());
  id[place] = static_cast<char>(bytes.byte());
  past.ask(id);
  past.ask(bytes.rest());
}

// -----------------------------------------------------------------------------------------------------------------
// URLs

/// No scheme, and nothing that any part of a message has.
constexpr std::string_view secret = "ZQ-secret-7";
bool has_secret(std::string_view text) {
  return text.find(secret) != text.npos;
}
/// The number that the next file gets which is opened.
int next_file() {
  const int fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  ::close(fd);
  return fd;
}
/// Of whatever is there. None connects to anything.
void open_any(const std::string& url) {
  const int before = next_file();
  try {
    const auto backend = atom::open_backend<atom::Memory
#if defined(ATOM_HAS_SQLITE)
                                            ,
                                            atom::Sqlite
#endif
#if defined(ATOM_HAS_REDIS)
                                            ,
                                            atom::Redis
#endif
#if defined(ATOM_HAS_POSTGRES)
                                            ,
                                            atom::Postgres
#endif
#if defined(ATOM_HAS_DYNAMODB)
                                            ,
                                            atom::DynamoDb
#endif
                                            >(url);
    require(url.starts_with(std::string(backend->traits().name.substr(0, 5))) || url.starts_with("unix:"),
            "a URL is another backend's");
  } catch (const StateError& error) {
    require(error.code() == StateErrorCode::refused, "a wrong URL is something else than refused");
    require(!has_secret(error.message()), "a message has what may be a password");
  }
  require(next_file() == before, "a file is opened");
}
void check_redis_url(const std::string& url) {
  const auto server = atom::detail::parse_redis_url(url);
  if (!server) return require(!has_secret(server.error().message()), "a message has what may be a password");
  require(server->host.empty() != server->path.empty(), "a server has two places, or none");
  require(server->port >= 1 && server->port <= 65535 && server->database >= 0, "a number is out of its range");
  require(server->path.find('\0') == server->path.npos, "a path is cut off");
  require(server->user.empty() || !server->password.empty(), "a user comes without a password");
  const bool is_of_place = has_secret(server->host) || has_secret(server->path);
  require(!has_secret(server->name()) || is_of_place, "the name of a server has its password");
  require(server->host.find('@') == server->host.npos, "a part of a password is taken for a host");
}
#if defined(ATOM_HAS_DYNAMODB)
void check_dynamodb_url(const std::string& url) {
  const auto parsed = atom::detail::parse_dynamodb_url(url);
  if (!parsed) return require(!has_secret(parsed.error().message()), "a message has what may be a key");
  require(!parsed->table.empty() && parsed->table.find('@') == parsed->table.npos, "keys are taken for a table");
  try {
    const auto target = atom::detail::dynamodb_target(parsed->region, parsed->endpoint);
    require(target.endpoint.find('@') == target.endpoint.npos, "keys are taken for an endpoint");
    require(target.endpoint.starts_with(target.tls ? "https://" : "http://"), "an endpoint is none");
    require(!has_secret(target.region), "a region is none");
  } catch (const StateError& error) {
    require(!has_secret(error.message()), "a message has what may be a key");
  }
}
#endif
void urls(Bytes bytes) {
  static const std::string starts[] = {"",       "memory:",    "sqlite:",       "redis://",    "rediss://",  "unix://",
                                       "redis:", "sqlite:///", "postgresql://", "postgres://", "dynamodb://"};
  const std::string start = starts[bytes.below(std::size(starts))];
  const std::string before(bytes.text()), after(bytes.rest());
  for (const std::string& url : {start + before + std::string(secret) + after, start + before + after,
                                 start + before + ':' + std::string(secret) + '@' + after}) {
    open_any(url);
    check_redis_url(url);
#if defined(ATOM_HAS_DYNAMODB)
    check_dynamodb_url(url);
#endif
    std::error_code none;
    if (url.starts_with("sqlite:") && has_secret(url) && url.find('\0') == url.npos) {
      require(!std::filesystem::exists(url.substr(7), none), "a file is made");
    }
  }
}

}  // namespace
}  // namespace fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Bytes bytes(data, size);
  constexpr void (*targets[])(fuzz::Bytes) = {&fuzz::cookies, &fuzz::scopes, &fuzz::keys, &fuzz::event_ids,
                                              &fuzz::urls};
  const std::size_t which = bytes.below(std::size(targets));
  targets[which](bytes);
  return 0;
}
