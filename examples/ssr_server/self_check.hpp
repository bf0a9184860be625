// Does an answer hold anything of another request? Each request carries marks that no other has, the answer that it
// should get is known to the last letter, and a crowd of clients asks at the same time. Who has sent a form comes back,
// and must find what it left and nothing else. Knows no socket either.
#pragma once

#include "shop.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdio>
#include <exception>
#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace shop::self_check {

// -------------------------------------------------------------------------------------------------------- one request

/// The mark of request `number`, such as "zq00042x". No text of the page looks like it.
inline std::string mark(int number) {
  std::array<char, 16> text{};
  std::snprintf(text.data(), text.size(), "zq%05dx", number);
  return text.data();
}

/// The marks in a text that are not `own`.
inline std::set<std::string> foreign_marks(std::string_view text, std::string_view own) {
  std::set<std::string> found;
  for (std::size_t at = text.find("zq"); at != text.npos; at = text.find("zq", at + 1)) {
    const std::string_view word = text.substr(at, own.size());
    if (word.size() == own.size() && word.back() == 'x' && word != own) found.emplace(word);
  }
  return found;
}

/// A request, and what should come back.
struct Order {
  int number = 0;
  Request request = {};
  std::string session = {};               // what its cookie says, a secret: nowhere in the answer
  atom::Snapshot state = {};              // what the page should show
  std::vector<std::string> cookies = {};  // how each Set-Cookie should begin, decoded
};

/// Every number gives another name, other items and another session, in another mixture of languages and methods. The
/// sessions are none that the shop has given out, so each request is a new client.
inline Order order(int number) {
  Order o{.number = number, .session = mark(number) + "-secret"};
  const std::string name = "Guest <" + mark(number) + "> & \"Co\"";
  std::vector<Item> cart;
  std::vector<std::string> offered;
  int pieces = 0;
  std::string form = "name=" + encode_query(name);
  for (int i = 0; i < number % 4; ++i) {
    cart.push_back({"thing " + std::to_string(i) + " of " + mark(number), i + 1});
    for (int k = 0; k <= i; ++k, ++pieces) form += "&item=" + encode_query(cart.back().title);
  }

  // By the browser's header; over that by its cookie; over that by the state that the page sends back, where all but
  // the locale is forged.
  const auto language = [](int n) { return std::string(words[static_cast<std::size_t>(n) % words.size()].language); };
  std::string locale = language(number / 4);
  o.request.accept_language = "xx, en;q=0.1, " + locale + "-XX;q=0.9";
  o.request.cookies = "session=" + o.session;
  if (number % 3 == 0) {
    locale = language(number / 12);
    o.request.cookies += "; locale=%22" + locale + "%22";
  }
  if (number % 5 == 0) {
    const std::string chosen = language(number / 20 + 1);
    form += "&state=" + encode_query(R"({"user":{"name":"Eve"},"pieces":99,"locale":")" + chosen + "\"}");
    if (chosen != locale) o.cookies.push_back("locale=\"" + chosen + "\";");
    locale = chosen;
  }
  const bool is_post = number % 2 == 1;
  if (is_post) o.request.method = "POST";
  (is_post ? o.request.body : o.request.query) = form;

  o.state.set(locale_atom, locale);
  o.state.set(user_atom, User{name}).set(cart_atom, cart).set(pieces_atom.key(), pieces);
  if (is_post) {
    o.cookies.push_back("session=");  // something is kept, so the client is told who it is
  } else {
    for (const Item& item : cart) offered.insert(offered.end(), static_cast<std::size_t>(item.quantity), item.title);
  }
  o.state.set(offered_atom, offered);
  return o;
}

/// The same client's next visit, without a form: with the cookie that it got, it finds what it left.
inline Order return_of(const Order& first, const Response& response) {
  Order o{.number = first.number, .state = first.state};
  for (const auto& [name, value] : response.headers) {
    if (name != "Set-Cookie" || !value.starts_with("session=")) continue;
    o.session = value.substr(8, value.find(';') - 8);
  }
  o.request.accept_language = first.state.get(locale_atom);
  o.request.cookies = "session=" + o.session;
  return o;
}

/// What is wrong with the response to an order, in words; empty: nothing, it is exactly what it should be.
inline std::string fault(const Order& o, const Response& response) {
  const std::string title = "request " + std::to_string(o.number) + ": ";
  std::string everything = response.body;
  std::vector<std::string> cookies;
  for (const auto& [name, value] : response.headers) {
    everything.append("\n").append(name).append(": ").append(value);
    // Decoded, because cpp-httplib's client has done it already.
    if (name == "Set-Cookie") cookies.push_back(decode_query(value).value_or(value));
  }

  if (const auto foreign = foreign_marks(everything, mark(o.number)); !foreign.empty()) {
    return title + "the answer holds " + *foreign.begin() + ", which is of another request";
  }
  if (everything.find(o.session) != everything.npos) return title + "the answer holds the session, which is secret";
  if (response.status != 200) return title + "answered with status " + std::to_string(response.status);
  if (response.body != render(o.state)) return title + "the page is not the one that was asked for";
  bool same = cookies.size() == o.cookies.size();
  for (std::size_t i = 0; same && i < cookies.size(); ++i) same = cookies[i].starts_with(o.cookies[i]);
  if (!same) return title + "the cookies are not the ones that it should get";
  return {};
}

/// A page's main part as a person would read it, line by line, without the form.
inline std::vector<std::string> in_short(std::string_view html) {
  html = html.substr(0, html.find("<form"));
  html.remove_prefix(std::min(html.find("<h1"), html.size()));
  std::vector<std::string> lines;
  while (!html.empty()) {
    std::string_view rest = take_until(html, '\n');
    std::string line;
    while (!rest.empty()) {
      line += take_until(rest, '<');
      take_until(rest, '>');
    }
    constexpr std::pair<std::string_view, char> escapes[] = {
        {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&#39;", '\''}, {"&amp;", '&'}};
    for (const auto& [escaped, c] : escapes) {
      for (std::size_t at = line.find(escaped); at != line.npos; at = line.find(escaped, at + 1)) {
        line.replace(at, escaped.size(), 1, c);
      }
    }
    if (!line.empty()) lines.push_back(std::move(line));
  }
  return lines;
}

// ------------------------------------------------------------------------------------------------------------- a crowd

/// How one client sends a request; what it throws is a fault.
using Send = std::function<Response(const Request&)>;

/// What came of it.
struct Outcome {
  int answered = 0;
  std::set<std::string> users = {};      // the headings of the right answers, which greet by name
  std::vector<std::string> faults = {};  // of the answers that are not right
  std::vector<std::string> sample = {};  // the page of order `sample_order`, in short
};
inline constexpr int sample_order = 7;  // has things in its cart, and is not in English

/// Clients that send the orders 0 to `orders` - 1, all at the same time, and check each answer.
class Crowd {
 public:
  /// Starts the clients, each on its own thread with its own Send.
  Crowd(int orders, std::size_t clients, const std::function<Send()>& connect)
      : orders_(orders), active_(clients), now_at_(clients, -1) {
    for (std::size_t client = 0; client < clients; ++client) {
      threads_.emplace_back([this, client, send = connect()] { run(client, send); });
    }
  }
  Crowd(const Crowd&) = delete;
  Crowd& operator=(const Crowd&) = delete;
  /// Waits for the clients.
  ~Crowd() {
    for (std::thread& thread : threads_) thread.join();
  }

  /// Whether all were through before `patience` ran out.
  bool wait_for(std::chrono::milliseconds patience) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, patience, [&] { return active_ == 0; });
  }
  /// The orders that still wait for an answer.
  std::vector<int> waiting() {
    const std::lock_guard lock(mutex_);
    std::vector<int> numbers;
    for (const int number : now_at_) {
      if (number >= 0) numbers.push_back(number);
    }
    return numbers;
  }
  Outcome outcome() {
    const std::lock_guard lock(mutex_);
    return outcome_;
  }

 private:
  void run(std::size_t client, const Send& send) {
    for (int number = take(client); number >= 0; number = take(client)) {
      const Order asked = order(number);
      try {
        const Response response = send(asked.request);
        std::string wrong = fault(asked, response);
        if (wrong.empty() && asked.request.method == "POST") {
          const Order again = return_of(asked, response);
          wrong = fault(again, send(again.request));
        }
        note(asked, &response, std::move(wrong));
      } catch (const std::exception& e) {
        note(asked, nullptr, "request " + std::to_string(number) + ": no answer: " + e.what());
      }
    }
    const std::lock_guard lock(mutex_);
    --active_;
    changed_.notify_all();
  }
  int take(std::size_t client) {
    const std::lock_guard lock(mutex_);
    return now_at_[client] = next_ < orders_ ? next_++ : -1;
  }
  void note(const Order& asked, const Response* response, std::string fault) {
    std::vector<std::string> page;
    if (response) page = in_short(response->body);
    const std::lock_guard lock(mutex_);
    if (response) ++outcome_.answered;
    if (!fault.empty()) {
      outcome_.faults.push_back(std::move(fault));
    } else if (!page.empty()) {
      outcome_.users.insert(page.front());
      if (asked.number == sample_order) outcome_.sample = std::move(page);
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  const int orders_;
  int next_ = 0;
  std::size_t active_;
  std::vector<int> now_at_;  // by client: the order it waits for, or -1
  Outcome outcome_;
  std::vector<std::thread> threads_;
};

}  // namespace shop::self_check
