// A note that a client reads and writes: requests with a session in coroutines of Boost.Asio, where no thread waits.
#pragma once

#include "state_in_asio.hpp"

#include <atom/json_reader.hpp>
#include <atom/state/visitor.hpp>
#include <boost/beast/http.hpp>
#include <iostream>

namespace http = boost::beast::http;
using Request = http::request<http::string_body>;
using Response = http::response<http::string_body>;

/// What the page gets as JSON, and sends back with another text.
struct Note {
  std::string text;
  std::int64_t version = 0;
  static constexpr auto atom_fields() {
    return atom::describe(atom::field("text", &Note::text), atom::field("version", &Note::version));
  }
};
inline const atom::Atom<std::string> note_atom{"note"};

inline boost::asio::awaitable<Response> handle(atom::StateStore& states, Request request) {
  Response response(http::status::ok, request.version());
  try {
    const atom::VisitorOptions in_time{.deadline = std::chrono::seconds(2)};  // and its sessions'
    const atom::SessionOptions kept{.route = "/note", .ttl = std::chrono::hours(24 * 30)};
    std::string cookies(request[http::field::cookie]);
    const auto visitor = co_await in_asio(atom::Visitor::find_async(states, std::move(cookies), in_time));
    if (request.method() == http::verb::post) {
      // No form of another site says so: it comes without the cookie, and a new one would replace the client's own.
      if (!request[http::field::content_type].starts_with("application/json")) {
        co_return Response(http::status::unsupported_media_type, request.version());
      }
      const auto sent = atom::from_json<Note>(request.body());
      if (!sent) co_return Response(http::status::bad_request, request.version());
      auto write = [sent = *sent](atom::Session& session) {  // in a thread of the store's; perhaps more than once
        if (session.version(note_atom) != sent.version) return false;  // written since the page was made
        session.use(note_atom).update(sent.text);
        return true;
      };
      const bool is_written = co_await in_asio(visitor->transact_async(std::move(write), kept));
      if (!is_written) response.result(http::status::conflict);  // with the note as it is now
    }
    if (const auto cookie = visitor->set_cookie()) response.set(http::field::set_cookie, *cookie);
    atom::Session session = visitor->session(kept);
    co_await in_asio(session.load_async(note_atom));  // else its first use would block this thread
    response.body() = atom::to_json(Note{session.use(note_atom).value(), session.version(note_atom)});
  } catch (const atom::StateError& error) {
    std::cerr << error.what() << '\n';
    response.result(http::status(atom::http_status(error.code())));
    if (error.retryable()) response.set(http::field::retry_after, "1");
  }
  co_return response;
}
