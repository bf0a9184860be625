// Requests to DynamoDB and their answers, several at once, by a deadline. They are signed (AWS Signature Version 4) and
// carried by libcurl, from the thread that calls.
#pragma once

#include <atom/backend/detail/dynamodb_target.hpp>
#include <atom/backend/detail/sockets.hpp>
#include <atom/config.hpp>
#include <atom/json_reader.hpp>
#include <atom/state/backend.hpp>
#include <atom/state/error.hpp>

#include <curl/curl.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#if LIBCURL_VERSION_NUM < 0x074b00
#error "atom::DynamoDb needs libcurl 7.75 or later, which signs requests"
#endif

namespace atom::inline v0_1 {

/// Who sends requests. The token is of those that last for a while only.
struct DynamoDbCredentials {
  std::string key_id = {};
  std::string secret = {};
  std::string session_token = {};
};

namespace detail {

/// A request, and what came of it.
struct DynamoDbCall {
  std::string_view operation = {};  ///< "UpdateItem"
  std::string body = {};

  enum class Status : std::uint8_t {
    waits,      ///< It was not sent, or is to be sent again.
    good,       ///< `answer` is what was asked for.
    condition,  ///< Its condition does not hold, so it had no effect; `answer` says more.
    failed,     ///< `error` says why.
  };
  Status status = Status::waits;
  std::string answer = {};
  std::optional<StateError> error = {};
  /// The name that the server has given to what is wrong.
  std::string type = {};
  /// It may have taken effect, or may still, though nobody has said so.
  bool is_doubtful = false;
  /// Another attempt makes sense: at once with other credentials, or after a while.
  bool is_expired = false, is_throttled = false;
  /// How often there was something with it after which the table may be another one, see DynamoDbClient::table_id.
  unsigned breaks = 0;
};

/// An answer as JSON. Refers to its text.
class DynamoDbJson {
 public:
  explicit DynamoDbJson(std::string_view text) : parser_(text.size()) {
    const std::size_t size = text.size();
    const JsonLimits limits{.max_bytes = size, .max_depth = 1000, .max_keys = size, .max_elements = size};
    DecodeError error;
    is_good_ = parse_json(text, limits, *parser_, parser_->doc, root_, error) && root_.is_object();
  }
  explicit operator bool() const noexcept { return is_good_; }
  simdjson::dom::element root() const noexcept { return root_; }

 private:
  JsonParser parser_;
  simdjson::dom::element root_;
  bool is_good_ = false;
};
inline StateError strange_dynamodb_answer() {
  return {StateErrorCode::unavailable, "DynamoDB: an answer that no DynamoDB gives", Effect::unknown, true};
}
/// What stands under a name, or nothing.
inline std::optional<simdjson::dom::element> member_of(simdjson::dom::element object, std::string_view name) {
  simdjson::dom::element found;
  if (!object.is_object() || object.at_key(name).get(found) != simdjson::SUCCESS) return std::nullopt;
  return found;
}
/// The text under a name, or an empty one.
inline std::string_view text_of(simdjson::dom::element object, std::string_view name) {
  const auto found = member_of(object, name);
  std::string_view text;
  if (!found || found->get(text) != simdjson::SUCCESS) return {};
  return text;
}

/// For one thread at a time; nobody else sees what it sends.
class DynamoDbConnection {
 public:
  using Clock = std::chrono::steady_clock;

  /// `breaks` counts those of all calls, each before its call is over.
  DynamoDbConnection(const DynamoDbTarget& target, std::size_t parallel, std::atomic<std::uint64_t>& breaks)
      : target_(target), breaks_(breaks), multi_((start_curl(), curl_multi_init())) {
    if (!multi_) throw std::bad_alloc();
    curl_multi_setopt(multi_.get(), CURLMOPT_MAXCONNECTS, static_cast<long>(parallel));
    easies_.resize(parallel);
  }

  /// Sends those that wait, each once, and returns when each has an answer or none.
  void run(std::span<DynamoDbCall* const> calls, const DynamoDbCredentials& credentials, Deadline deadline) {
    const NoBrokenPipe guard;
    std::size_t next = 0, under_way = 0;
    const auto begin_more = [&] {
      const bool is_late = Clock::now() >= deadline;
      for (std::unique_ptr<Easy>& easy : easies_) {
        if (easy && easy->call) continue;
        for (; next < calls.size(); ++next) {
          if (calls[next]->status != DynamoDbCall::Status::waits) continue;
          if (!is_late) break;
          give_up(*calls[next]);
        }
        if (next == calls.size()) return;
        if (!easy) easy = std::make_unique<Easy>(target_);
        begin(*easy, *calls[next++], credentials, deadline);
        ++under_way;
      }
    };
    try {
      for (begin_more(); under_way > 0; begin_more()) {
        int running = 0;
        require(curl_multi_perform(multi_.get(), &running));
        int left = 0;
        bool has_ended = false;
        while (const CURLMsg* const message = curl_multi_info_read(multi_.get(), &left)) {
          if (message->msg != CURLMSG_DONE) continue;
          for (const std::unique_ptr<Easy>& easy : easies_) {
            if (!easy || easy->handle.get() != message->easy_handle) continue;
            const CURLcode code = message->data.result;
            curl_multi_remove_handle(multi_.get(), easy->handle.get());
            end(*easy, code);
            --under_way;
            has_ended = true;
            break;
          }
        }
        if (under_way > 0 && !has_ended) require(curl_multi_poll(multi_.get(), nullptr, 0, 1000, nullptr));
      }
    } catch (...) {
      for (const std::unique_ptr<Easy>& easy : easies_) {
        if (!easy || !easy->call) continue;
        curl_multi_remove_handle(multi_.get(), easy->handle.get());
        easy->call = nullptr;
      }
      throw;
    }
  }

 private:
  struct FreeMulti {
    void operator()(CURLM* multi) const noexcept {
      const NoBrokenPipe guard;  // TLS says goodbye
      curl_multi_cleanup(multi);
    }
  };
  struct FreeEasy {
    void operator()(CURL* easy) const noexcept {
      const NoBrokenPipe guard;
      curl_easy_cleanup(easy);
    }
  };
  struct FreeList {
    void operator()(curl_slist* list) const noexcept { curl_slist_free_all(list); }
  };
  struct Easy {
    explicit Easy(const DynamoDbTarget& where) : target(where), handle(curl_easy_init()) {
      if (!handle) throw std::bad_alloc();
    }
    const DynamoDbTarget& target;
    std::unique_ptr<CURL, FreeEasy> handle;
    std::unique_ptr<curl_slist, FreeList> headers;
    DynamoDbCall* call = nullptr;
    bool was_plain_text_refused = false;
    bool has_answered = false;  // a request before
    unsigned times_sent = 0;    // as far as libcurl tells
  };

  static void start_curl() {
    static const CURLcode started = curl_global_init(CURL_GLOBAL_DEFAULT);
    if (started != CURLE_OK) throw std::bad_alloc();
  }
  static void require(CURLMcode code) {
    if (code != CURLM_OK) throw std::bad_alloc();
  }
  StateError failure(StateErrorCode code, const std::string& why, Effect effect, bool retryable) const {
    return {code, "DynamoDB, " + target_.endpoint + ": " + why, effect, retryable};
  }

  // ---- Sending

  void begin(Easy& easy, DynamoDbCall& call, const DynamoDbCredentials& credentials, Deadline deadline) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    CURL* const handle = easy.handle.get();
    curl_easy_reset(handle);
    call.answer.clear();
    easy.headers.reset();
    const auto add = [&](const std::string& header) {
      curl_slist* const longer = curl_slist_append(easy.headers.get(), header.c_str());
      if (!longer) throw std::bad_alloc();
      static_cast<void>(easy.headers.release());
      easy.headers.reset(longer);
    };
    add("Content-Type: application/x-amz-json-1.0");
    add("X-Amz-Target: DynamoDB_20120810." + std::string(call.operation));
    if (!credentials.session_token.empty()) add("X-Amz-Security-Token: " + credentials.session_token);
    const auto set = [&](CURLoption option, auto value) {
      if (curl_easy_setopt(handle, option, value) != CURLE_OK) throw std::bad_alloc();
    };
    set(CURLOPT_URL, (target_.endpoint + '/').c_str());
    set(CURLOPT_HTTPHEADER, easy.headers.get());
    set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(call.body.size()));
    set(CURLOPT_POSTFIELDS, call.body.c_str());
    set(CURLOPT_AWS_SIGV4, ("aws:amz:" + target_.region + ":dynamodb").c_str());
    set(CURLOPT_USERNAME, credentials.key_id.c_str());
    set(CURLOPT_PASSWORD, credentials.secret.c_str());
    set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    set(CURLOPT_NOPROXY, "*");
    set(CURLOPT_NOSIGNAL, 1L);
#if LIBCURL_VERSION_NUM >= 0x075700
    // At the deadline nobody waits for the thread that looks up the name.
    set(CURLOPT_QUICK_EXIT, 1L);
#endif
    set(CURLOPT_TCP_NODELAY, 1L);
    set(CURLOPT_TCP_KEEPALIVE, 1L);
    set(CURLOPT_TIMEOUT_MS, std::max<long>(static_cast<long>(std::min<std::int64_t>(left, 86'400'000)), 1L));
    set(CURLOPT_CONNECTTIMEOUT_MS, 86'400'000L);  // no other limit than that one
    if (!target_.ca_file.empty()) set(CURLOPT_CAINFO, target_.ca_file.c_str());
    set(CURLOPT_WRITEDATA, static_cast<void*>(&call));
    set(CURLOPT_WRITEFUNCTION, &DynamoDbConnection::take);
    set(CURLOPT_OPENSOCKETDATA, static_cast<void*>(&easy));
    set(CURLOPT_OPENSOCKETFUNCTION, &DynamoDbConnection::open_socket);
#if LIBCURL_VERSION_NUM >= 0x075000
    set(CURLOPT_PREREQDATA, static_cast<void*>(&easy));
    set(CURLOPT_PREREQFUNCTION, &DynamoDbConnection::count_request);
#endif
    easy.was_plain_text_refused = false;
    easy.times_sent = 0;
    require(curl_multi_add_handle(multi_.get(), handle));
    easy.call = &call;
  }
  static std::size_t take(char* bytes, std::size_t, std::size_t size, void* call) noexcept {
    std::string& answer = static_cast<DynamoDbCall*>(call)->answer;
    constexpr std::size_t most = std::size_t{64} << 20;  // four times what an answer may have
    if (answer.size() + size > most) return 0;
    try {
      answer.append(bytes, size);
    } catch (...) {
      return 0;
    }
    return size;
  }
  static curl_socket_t open_socket(void* to, curlsocktype, curl_sockaddr* address) noexcept {
    Easy& easy = *static_cast<Easy*>(to);
    const DynamoDbTarget& target = easy.target;
    if (!target.tls && !target.plain_text && !is_loopback(address->addr)) {
      easy.was_plain_text_refused = true;
      return CURL_SOCKET_BAD;
    }
    const int fd = ::socket(address->family, address->socktype, address->protocol);
    if (fd < 0) return CURL_SOCKET_BAD;
    ::fcntl(fd, F_SETFD, FD_CLOEXEC);
    NoBrokenPipe::forbid(fd);
    return fd;
  }

#if LIBCURL_VERSION_NUM >= 0x075000
  static int count_request(void* of, char*, char*, int, int) noexcept {
    ++static_cast<Easy*>(of)->times_sent;
    return CURL_PREREQFUNC_OK;
  }
#endif

  // ---- What came of it

  void give_up(DynamoDbCall& call) const {
    call.status = DynamoDbCall::Status::failed;
    call.is_throttled = call.is_expired = false;
    call.error = failure(StateErrorCode::timed_out, "no time is left before the deadline",
                         call.is_doubtful ? Effect::unknown : Effect::none, true);
  }
  void end(Easy& easy, CURLcode code) {
    DynamoDbCall& call = *std::exchange(easy.call, nullptr);
    CURL* const handle = easy.handle.get();
    long sent = 0, connects = 0, status = 0;
    curl_easy_getinfo(handle, CURLINFO_REQUEST_SIZE, &sent);
    curl_easy_getinfo(handle, CURLINFO_NUM_CONNECTS, &connects);
    curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
    // When a connection breaks before there was an answer, libcurl sends the request again, by a new one or another.
    const bool is_second = easy.times_sent > 1 || (connects > 0 && easy.has_answered);
    if (code != CURLE_OK ? sent > 0 : is_second) call.is_doubtful = true;
    if (code != CURLE_OK || connects > 0) count_break(call);
    if (code == CURLE_OK) {
      easy.has_answered = true;
      return read(call, status);
    }
    call.status = DynamoDbCall::Status::failed;
    const Effect effect = call.is_doubtful ? Effect::unknown : Effect::none;
    const auto failed = [&](StateErrorCode why, const std::string& text, bool retryable = true) {
      call.error = failure(why, text, effect, retryable);
    };
    if (easy.was_plain_text_refused) {
      return failed(StateErrorCode::refused,
                    "it is another machine, and http:// sends all as plain text: use https://, or set "
                    "DynamoDbOptions::plain_text if nobody can listen on the way",
                    false);
    }
    switch (code) {
      case CURLE_OUT_OF_MEMORY:
        throw std::bad_alloc();
      case CURLE_OPERATION_TIMEDOUT:
        return failed(StateErrorCode::timed_out, "no answer before the deadline");
      case CURLE_PEER_FAILED_VERIFICATION:
      case CURLE_SSL_CACERT_BADFILE:
        return failed(StateErrorCode::refused, std::string("its certificate: ") + curl_easy_strerror(code), false);
      case CURLE_UNSUPPORTED_PROTOCOL:
      case CURLE_URL_MALFORMAT:
        return failed(StateErrorCode::refused, std::string("the endpoint: ") + curl_easy_strerror(code), false);
      default:
        return failed(StateErrorCode::unavailable, curl_easy_strerror(code));
    }
  }
  void count_break(DynamoDbCall& call) const noexcept {
    ++call.breaks;
    ++breaks_;
  }
  void read(DynamoDbCall& call, long status) const {
    call.error.reset();
    call.is_throttled = call.is_expired = false;
    if (status == 200) {
      call.status = DynamoDbCall::Status::good;
      return;
    }
    call.status = DynamoDbCall::Status::failed;
    call.type.clear();
    bool is_about_size = false;
    if (const DynamoDbJson json(call.answer); json) {
      const std::string_view type = text_of(json.root(), "__type");
      call.type = type.substr(type.find('#') + 1);
      std::string_view message = text_of(json.root(), "message");
      if (message.empty()) message = text_of(json.root(), "Message");
      is_about_size = message.find("tem size") != message.npos || message.find("ggregated size") != message.npos;
    }
    const std::string& type = call.type;
    const auto is_one_of = [&](std::initializer_list<std::string_view> types) {
      return std::find(types.begin(), types.end(), type) != types.end();
    };
    if (is_one_of({"ConditionalCheckFailedException", "TransactionCanceledException"})) {
      call.status = DynamoDbCall::Status::condition;
      return;
    }
    const auto failed = [&](StateErrorCode code, const std::string& why, bool retryable = false) {
      call.error = failure(code, why, call.is_doubtful ? Effect::unknown : Effect::none, retryable || call.is_doubtful);
    };
    if (status >= 500 || type == "TransactionInProgressException") {
      call.is_doubtful = call.is_throttled = true;
      return failed(StateErrorCode::unavailable, "it has failed: " + known(type, status), true);
    }
    if (status == 429 || is_one_of({"ProvisionedThroughputExceededException", "ThrottlingException", "Throttling",
                                    "RequestLimitExceeded", "TransactionConflictException", "LimitExceededException",
                                    "ReplicatedWriteConflictException"})) {
      call.is_throttled = true;
      return failed(StateErrorCode::unavailable, "it takes no more at present: " + known(type, status), true);
    }
    call.is_expired = is_one_of({"ExpiredTokenException", "ExpiredToken", "RequestExpired"});
    if (call.is_expired) return failed(StateErrorCode::refused, "the credentials have expired", true);
    if (is_one_of({"UnrecognizedClientException", "InvalidSignatureException", "IncompleteSignatureException",
                   "MissingAuthenticationTokenException", "InvalidClientTokenId", "SignatureDoesNotMatch"})) {
      return failed(StateErrorCode::refused, "it does not take the credentials, or the clock is wrong (" + type + ")");
    }
    if (is_one_of({"AccessDeniedException", "AccessDenied"})) {
      return failed(StateErrorCode::refused,
                    "whose the credentials are may not do this (" + std::string(call.operation) +
                        "): it needs DescribeTable, GetItem, BatchGetItem, Query, UpdateItem, DeleteItem and "
                        "ConditionCheckItem; to create the table also CreateTable, UpdateTimeToLive and Scan");
    }
    if (type == "ResourceNotFoundException") {
      count_break(call);
      return failed(StateErrorCode::refused,
                    "there is no such table in this region: `prepare` makes it if it is told to create");
    }
    if (is_about_size) return failed(StateErrorCode::too_large, "more than DynamoDB takes: 400 KB in an item");
    if (type == "UnknownOperationException") {
      return failed(StateErrorCode::refused, "it has no " + std::string(call.operation));
    }
    failed(StateErrorCode::refused, known(type, status));
  }
  /// A word that a server has sent, if it can be shown.
  static std::string known(const std::string& type, long status) {
    const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
    const bool is_word = !type.empty() && type.size() <= 60 && std::all_of(type.begin(), type.end(), is_letter);
    return is_word ? type : "HTTP " + std::to_string(status);
  }

  const DynamoDbTarget& target_;
  std::atomic<std::uint64_t>& breaks_;
  std::unique_ptr<CURLM, FreeMulti> multi_;
  std::vector<std::unique_ptr<Easy>> easies_;  // they end before what they were added to
};

}  // namespace detail
}  // namespace atom::inline v0_1
