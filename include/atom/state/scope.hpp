// Whose a state is: a client's, a user's, a component's, or shared by all who name its scope. A scope is a text of
// segments joined by dots, such as `shop.cart` or `$client.42.cart`. The one rule to remember: what comes from outside
// is one segment, for `client`, `user` and `/`; it is never spliced into a text.
#pragma once

#include <atom/config.hpp>
#include <atom/detail/segment.hpp>
#include <atom/detail/utf8.hpp>
#include <atom/key.hpp>
#include <atom/state/error.hpp>

#include <compare>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace atom::inline v0_1 {

/// Whose a scope is, with all that lie below it.
enum class ScopeKind : std::uint8_t {
  shared,  ///< of all who name it
  component,
  client,
  user,
};

/// A scope that each request has its own of: `AnyScope::resolve` finds it.
enum class ScopePlaceholder : std::uint8_t {
  component,
  client,
  user,
  user_or_client,  ///< the user's where there is one, else the client's
};

namespace detail {

// In bytes. A scope and a key fit together into an index of any of the databases.
inline constexpr std::size_t longest_scope = 512;
inline constexpr std::size_t longest_key = 256;  // and label

/// What the scopes of a kind begin with.
inline constexpr std::string_view scope_prefixes[] = {"", "$component.", "$client.", "$user."};

constexpr ScopeKind scope_kind(std::string_view text) noexcept {
  for (const ScopeKind kind : {ScopeKind::component, ScopeKind::client, ScopeKind::user}) {
    if (text.starts_with(scope_prefixes[static_cast<std::size_t>(kind)])) return kind;
  }
  return ScopeKind::shared;
}
/// The segments alone.
constexpr std::string_view without_prefix(std::string_view text) noexcept {
  text.remove_prefix(scope_prefixes[static_cast<std::size_t>(scope_kind(text))].size());
  return text;
}

/// The text of a scope, checked when it is compiled.
struct ScopeLiteral {
  template <std::size_t N>
  consteval ScopeLiteral(const char (&literal)[N]) : text(literal, N - 1) {
    if (text.size() > longest_scope) throw "a scope has at most 512 bytes";
    if (text.starts_with('$')) throw "what begins with $ is made by Scope::client, Scope::user or Scope::component";
    if (!is_dotted(text)) throw "a scope is segments joined by dots, such as shop.cart; operator / adds any other one";
  }
  std::string_view text;
};

}  // namespace detail

/// The name of a set of states, 1 to 512 bytes of text. Each scope has one text, and each text is of one scope at most:
/// letters, digits, `-`, `_`, `~` and UTF-8 beyond ASCII stand in a segment as they are, and all else as `%XX`.
///
///   const atom::Scope room = atom::Scope{"chat.rooms"} / request.room;  // all who name it share it
///   const atom::Scope cart = atom::Scope::client(cookie) / "cart";
///
/// `component`, `client`, `user` and `/` throw StateError: invalid_name for what is empty, too_large for what would be
/// too long. Those that begin with `try_` return it instead, for what comes from outside.
class Scope {
 public:
  /// A literal, which must be the text of a shared scope.
  explicit Scope(detail::ScopeLiteral literal) : Scope(std::string(literal.text), Checked()) {}
  template <std::convertible_to<std::string_view> Text>
    requires(!std::is_array_v<Text>)
  explicit Scope(const Text&) = delete;  // text made at run time may be bad: Scope::parse, or operator / for a segment

  /// The shared scope that has this text. It may come from outside: nobody's own scope has a text that passes here.
  static StateResult<Scope> parse(std::string_view text) {
    return detail::scope_kind(text) == ScopeKind::shared ? from_database(text) : bad_text();
  }
  /// The scope that has this text, of whatever kind. For what a database gives back, never for what a request says.
  static StateResult<Scope> from_database(std::string_view text) {
    if (text.size() > detail::longest_scope) return too_long();
    if (!detail::is_dotted(detail::without_prefix(text))) return bad_text();
    return Scope(std::string(text), Checked());
  }

  /// The scope `global`. Others lie below it, as `global.news`.
  static Scope global() { return Scope("global"); }

  /// The scope of one component, client or user, whatever bytes its id has.
  static Scope component(std::string_view key) { return try_component(key).value(); }
  static Scope client(std::string_view id) { return try_client(id).value(); }
  static Scope user(std::string_view id) { return try_user(id).value(); }
  static StateResult<Scope> try_component(std::string_view key) { return of(ScopeKind::component, key); }
  static StateResult<Scope> try_client(std::string_view id) { return of(ScopeKind::client, id); }
  static StateResult<Scope> try_user(std::string_view id) { return of(ScopeKind::user, id); }

  /// The scope of whoever makes the request: a placeholder, for options.
  static constexpr ScopePlaceholder component() noexcept { return ScopePlaceholder::component; }
  static constexpr ScopePlaceholder client() noexcept { return ScopePlaceholder::client; }
  static constexpr ScopePlaceholder user() noexcept { return ScopePlaceholder::user; }
  static constexpr ScopePlaceholder user_or_client() noexcept { return ScopePlaceholder::user_or_client; }

  /// The scope one segment below this one, whatever bytes the segment has: a dot in it does not make it two.
  Scope operator/(std::string_view segment) const { return try_nested(segment).value(); }
  StateResult<Scope> try_nested(std::string_view segment) const { return below(text_ + '.', segment); }

  /// Whether the other scope is this one, or lies below it. `a` contains `a.b`, and not `ab`.
  bool contains(const Scope& other) const noexcept {
    const std::string_view theirs = other.text_;
    return theirs.starts_with(text_) && (theirs.size() == text_.size() || theirs[text_.size()] == '.');
  }

  const std::string& text() const noexcept { return text_; }
  ScopeKind kind() const noexcept { return detail::scope_kind(text_); }
  /// The segments as they were before they were escaped; the first one of a client's scope is its id.
  std::vector<std::string> segments() const {
    std::vector<std::string> all;
    std::string_view rest = detail::without_prefix(text_);
    for (;;) {
      const std::size_t dot = rest.find('.');
      all.push_back(detail::unescape(rest.substr(0, dot)));
      if (dot == rest.npos) return all;
      rest.remove_prefix(dot + 1);
    }
  }
  /// Of the text, computed once. It may differ from run to run, so it is neither stored nor sent.
  std::size_t hash() const noexcept { return hash_; }

  friend bool operator==(const Scope& a, const Scope& b) noexcept {
    return a.hash_ == b.hash_ && detail::same_text(a.text_, b.text_);
  }
  /// By text, byte by byte.
  friend std::strong_ordering operator<=>(const Scope& a, const Scope& b) noexcept { return a.text_ <=> b.text_; }

 private:
  struct Checked {};
  Scope(std::string text, Checked) noexcept : text_(std::move(text)), hash_(std::hash<std::string_view>()(text_)) {}

  static StateResult<Scope> of(ScopeKind kind, std::string_view id) {
    return below(std::string(detail::scope_prefixes[static_cast<std::size_t>(kind)]), id);
  }
  static StateResult<Scope> below(std::string text, std::string_view segment) {
    if (segment.empty()) return StateError(StateErrorCode::invalid_name, "an id, or a segment of a scope, is empty");
    if (segment.size() > detail::longest_scope) return too_long();  // so that nothing large is escaped in vain
    detail::escape(text, segment);
    if (text.size() > detail::longest_scope) return too_long();
    return Scope(std::move(text), Checked());
  }
  // None of these says what it was given: an id may be all that it takes to be somebody.
  static StateError too_long() {
    return {StateErrorCode::too_large, "the text of a scope has at most 512 bytes, with what is escaped in it"};
  }
  static StateError bad_text() {
    return {StateErrorCode::invalid_name,
            "no scope has this text: it is segments joined by dots, such as shop.cart, in which all but letters, "
            "digits, '-', '_' and '~' is written %XX; `scope / segment` does that"};
  }

  std::string text_;
  std::size_t hash_;
};

/// Who makes a request, as the server knows it once it has authenticated them. What is empty is not known.
struct RequestContext {
  std::string client_id = {};
  std::string user_id = {};
  std::string component = {};  ///< the key of the component that is being rendered
};

namespace detail {
/// Of no request, where no scope is a placeholder.
inline const RequestContext& no_request() {
  static const RequestContext nothing;
  return nothing;
}
}  // namespace detail

/// What options take: a scope, or a placeholder for one. By default it is the component of the request.
class AnyScope {
 public:
  AnyScope() noexcept = default;
  AnyScope(Scope scope) noexcept : scope_(std::move(scope)) {}
  AnyScope(ScopePlaceholder placeholder) noexcept : scope_(placeholder) {}

  /// The scope, or null for a placeholder.
  const Scope* fixed() const noexcept { return std::get_if<Scope>(&scope_); }

  /// The scope that this is in a request. Where the context lacks what a placeholder needs, the error is no_context: no
  /// other scope takes its place.
  StateResult<Scope> resolve(const RequestContext& context) const {
    using enum ScopePlaceholder;
    if (const Scope* const scope = fixed()) return *scope;
    const ScopePlaceholder own = *std::get_if<ScopePlaceholder>(&scope_);
    if (own == component) return context.component.empty() ? missing(own) : Scope::try_component(context.component);
    if (own != client && !context.user_id.empty()) return Scope::try_user(context.user_id);
    if (own != user && !context.client_id.empty()) return Scope::try_client(context.client_id);
    return missing(own);
  }

 private:
  static StateError missing(ScopePlaceholder placeholder) {
    static constexpr std::string_view messages[] = {
        "the scope is the component's of the request, and there is none: name a scope, such as Scope::component(key), "
        "or go through states.in(context) with a context that has a component",
        "the scope is the client's of the request, and there is none: name a scope, such as Scope::client(id), "
        "or go through states.in(context) with a context that has a client_id",
        "the scope is the user's of the request, and there is none: name a scope, such as Scope::user(id), "
        "or go through states.in(context) with a context that has a user_id",
        "the scope is the user's or the client's of the request, and there is neither: name a scope, such as "
        "Scope::user(id), or go through states.in(context) with a context that has a user_id or a client_id",
    };
    return {StateErrorCode::no_context, messages[static_cast<std::size_t>(placeholder)]};
  }

  std::variant<ScopePlaceholder, Scope> scope_ = ScopePlaceholder::component;
};

namespace detail {

/// What is wrong with a name of a state, its key or a label: 1 to 256 bytes of UTF-8 without control bytes are one.
inline std::optional<StateError> check_name(std::string_view what, std::string_view name) {
  const auto wrong = [&](StateErrorCode code, const char* why) {
    return StateError(code, std::string(what) + " of a state " + why);
  };
  if (name.empty()) return wrong(StateErrorCode::invalid_name, "is empty");
  if (name.size() > longest_key) return wrong(StateErrorCode::too_large, "has more than 256 bytes");
  while (!name.empty()) {
    const auto first = static_cast<unsigned char>(name[0]);
    const std::size_t length = utf8_length(name);
    if (length == 0 || first < 0x20 || first == 0x7f) {
      return wrong(StateErrorCode::invalid_name, "is not UTF-8, or has control bytes");
    }
    name.remove_prefix(length);
  }
  return std::nullopt;
}
inline std::optional<StateError> check_key(std::string_view key) {
  return check_name("the key", key);
}
inline std::optional<StateError> check_labels(std::span<const std::string> labels) {
  for (const std::string& label : labels) {
    if (auto bad = check_name("a label", label)) return bad;
  }
  return std::nullopt;
}

/// The scope as a message names it: without the id of a client or a user, which may be all that it takes to be one.
inline std::string scope_in_message(const atom::Scope& scope) {
  const ScopeKind kind = scope.kind();
  if (kind != ScopeKind::client && kind != ScopeKind::user) return scope.text();
  return std::string(scope_prefixes[static_cast<std::size_t>(kind)]) + '*';
}

/// Both in one text. The key is escaped as a segment is, but keeps its dots.
inline std::string join_names(std::string id, std::string_view key) {
  id += ':';
  escape(id, key, '.');
  return id;
}
/// One text for both, and another one for any other pair: no scope has a colon, so the first one ends it.
inline std::string state_id(const atom::Scope& scope, std::string_view key) {
  return join_names(scope.text(), key);
}
/// The same for messages.
inline std::string id_in_message(const atom::Scope& scope, std::string_view key) {
  return join_names(scope_in_message(scope), key);
}

}  // namespace detail
}  // namespace atom::inline v0_1

template <>
struct std::hash<atom::Scope> {
  std::size_t operator()(const atom::Scope& scope) const noexcept { return scope.hash(); }
};
