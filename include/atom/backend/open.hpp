// A backend by its URL, for programs that read it from their configuration: of those whose headers they include.
//
//   atom::StateStore states{atom::open_backend<atom::Memory, atom::Sqlite, atom::Redis>(url)};
#pragma once

#include <atom/config.hpp>
#include <atom/state/backend.hpp>
#include <atom/state/error.hpp>

#include <algorithm>
#include <concepts>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace atom::inline v0_1 {

/// A backend that a URL can name: it says which schemes are its, and is made of a URL that has one of them.
template <class B>
concept url_backend = std::derived_from<B, Backend> && requires(std::string url) {
  { *std::begin(B::url_schemes) } -> std::convertible_to<std::string_view>;
  { B::from_url(std::move(url)) } -> std::same_as<B>;
};

/// The one of `Backends` whose scheme the URL has: `memory:`, `sqlite:app.db`, `redis://127.0.0.1`, ... It connects to
/// nothing; a StateStore does. Throws StateError (`refused`) if none has it, or the URL is wrong; no message has more
/// of a URL than its scheme.
template <url_backend... Backends>
  requires(sizeof...(Backends) > 0)
std::shared_ptr<Backend> open_backend(std::string_view url) {
  const std::string_view scheme = url.substr(0, url.find(':'));
  const bool has_one = scheme.size() < url.size();
  std::shared_ptr<Backend> opened;
  std::string known;
  const auto try_one = [&]<class B>(std::type_identity<B>) {
    for (const std::string_view mine : B::url_schemes) {
      known.append(known.empty() ? "" : ", ").append(mine).append(":");
      if (!opened && has_one && scheme == mine) opened = std::make_shared<B>(B::from_url(std::string(url)));
    }
  };
  (try_one(std::type_identity<Backends>()), ...);
  if (opened) return opened;

  const auto is_of_a_scheme = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+'; };
  const bool may_be_shown = has_one && scheme.size() <= 16 && std::all_of(scheme.begin(), scheme.end(), is_of_a_scheme);
  throw StateError(StateErrorCode::refused, "the URL of a backend begins with one of " + known + ", and not with " +
                                                (may_be_shown ? std::string(scheme) + ':' : "something else"));
}

}  // namespace atom::inline v0_1
