// A connection to a Redis server: one request, one reply, by a deadline. Sockets are this file's; hiredis reads and
// writes what goes over them. What fails throws StateError.
#pragma once

#include <atom/backend/detail/redis_url.hpp>
#include <atom/backend/detail/sockets.hpp>
#include <atom/backend/detail/waiting.hpp>
#include <atom/config.hpp>
#include <atom/state/backend.hpp>
#include <atom/state/error.hpp>

#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#if defined(ATOM_REDIS_TLS)
#include <hiredis/hiredis_ssl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#endif

namespace atom::inline v0_1::detail {

/// The words of a request, each of any bytes.
class RedisRequest {
 public:
  RedisRequest() = default;
  RedisRequest(std::initializer_list<std::string_view> words) {
    for (const std::string_view word : words) add(word);
  }
  RedisRequest& add(std::string_view word) {
    char head[24] = "$";
    char* const end = std::to_chars(head + 1, head + 22, word.size()).ptr;
    end[0] = '\r', end[1] = '\n';
    bytes_.append(head, end + 2).append(word).append("\r\n");
    ++words_;
    return *this;
  }
  RedisRequest& add(std::int64_t number) {
    char digits[20];
    const char* const end = std::to_chars(digits, digits + sizeof digits, number).ptr;
    return add(std::string_view(digits, static_cast<std::size_t>(end - digits)));
  }
  RedisRequest& add(const RedisRequest& more) {
    bytes_ += more.bytes_;
    words_ += more.words_;
    return *this;
  }
  void clear() noexcept {
    bytes_.clear();
    words_ = 0;
  }
  bool operator==(const RedisRequest&) const = default;
  /// As it goes over the wire.
  std::string text() const { return '*' + std::to_string(words_) + "\r\n" + bytes_; }

 private:
  std::string bytes_;
  std::size_t words_ = 0;
};

/// What a server has answered, or a part of it. What it is not, it says with an exception: then the server is none.
class RedisValue {
 public:
  explicit RedisValue(const redisReply* reply) noexcept : reply_(reply) {}
  bool is_error() const noexcept { return reply_->type == REDIS_REPLY_ERROR; }
  bool is_none() const noexcept { return reply_->type == REDIS_REPLY_NIL; }
  bool is_text() const noexcept { return reply_->type == REDIS_REPLY_STRING; }
  std::string_view text() const {
    require(is_text() || is_error() || reply_->type == REDIS_REPLY_STATUS);
    return {reply_->str, reply_->len};
  }
  std::int64_t integer() const {
    require(reply_->type == REDIS_REPLY_INTEGER);
    return reply_->integer;
  }
  std::size_t size() const {
    require(reply_->type == REDIS_REPLY_ARRAY);
    return reply_->elements;
  }
  RedisValue operator[](std::size_t i) const {
    require(i < size());
    return RedisValue(reply_->element[i]);
  }
  static void require(bool good) {
    if (!good) throw StateError(StateErrorCode::unavailable, "Redis: an answer that no Redis gives");
  }

 private:
  const redisReply* reply_;
};

class RedisReply : public RedisValue {
 public:
  /// Null: there is none yet.
  explicit RedisReply(redisReply* reply) noexcept : RedisValue(reply), owned_(reply) {}
  explicit operator bool() const noexcept { return owned_ != nullptr; }

 private:
  struct Free {
    void operator()(redisReply* reply) const noexcept { freeReplyObject(reply); }
  };
  std::unique_ptr<redisReply, Free> owned_;
};

/// What a command has failed with, without what older servers put before it in a script: where it stands.
inline std::string_view bare_redis_error(std::string_view text) {
  const std::size_t at = text.rfind(": -");
  return text.find("user_script") != text.npos && at != text.npos ? text.substr(at + 3) : text;
}
/// Whether an error of a server may be none soon.
inline bool is_passing_redis_error(std::string_view text) {
  for (const char* const word : {"LOADING", "BUSY", "TRYAGAIN", "MASTERDOWN", "CLUSTERDOWN", "NOREPLICAS"}) {
    if (text.substr(0, text.find(' ')) == word) return true;
  }
  return text.starts_with("ERR max number of clients");
}
/// What it means that a server has answered this error, and what to do. Of its text only what cannot be a value is
/// repeated: it quotes the words of a request that it does not know.
inline StateError redis_error(const RedisServer& server, std::string_view text, Effect effect = Effect::none) {
  text = bare_redis_error(text);
  const std::string_view word = text.substr(0, text.find(' '));
  const auto failed = [&](StateErrorCode code, std::string_view why, bool retryable) {
    return StateError(code, "Redis, " + server.name() + ": " + std::string(why), effect, retryable);
  };
  if (is_passing_redis_error(text)) return failed(StateErrorCode::unavailable, text, true);
  const std::string_view why =
      word == "NOAUTH"     ? "it wants a password: redis://user:password@host"
      : word == "NOPERM"   ? "the user may not do this (NOPERM): it needs @read, @write, @scripting, @connection, INFO "
                             "and TIME, for the keys of this name"
      : word == "READONLY" ? "it is a replica, and may only be read: name the primary"
      : word == "OOM"      ? "its memory is full (maxmemory): give it more"
      : word == "MISCONF"  ? "it takes no writes, as it cannot save them to its disk (MISCONF)"
      : word == "MOVED" || word == "ASK" || word == "CROSSSLOT"
          ? "a Redis Cluster is not supported yet"
          : text.substr(0, std::min({text.find(", with args"), text.find('`'), std::size_t{200}}));
  return failed(StateErrorCode::refused, why, word == "READONLY" || effect == Effect::unknown);
}

/// For one thread at a time.
class RedisConnection {
  template <class Work>
  auto guarded(Work work) {
    try {
      return work();
    } catch (...) {
      close();
      throw;
    }
  }

 public:
  using Clock = std::chrono::steady_clock;

  struct Options {
    RedisServer server = {};
    bool plain_text = false;   ///< also to another machine
    std::string ca_file = {};  ///< of TLS; empty: the system's
  };
  /// When the bell rings, it gives up what it waits for. Null: there is none.
  explicit RedisConnection(const Options& options, const Bell* bell = nullptr) : options_(options), bell_(bell) {}

  /// Connects and signs in, unless it has. A connection that the server has closed meanwhile is made anew.
  void open(Deadline deadline) {
    if (context_ && !can_read()) return;
    close();
    guarded([&] {
      connect(deadline);
      if (options_.server.tls) begin_tls(deadline);
      sign_in(deadline);
    });
  }
  void close() noexcept { context_.reset(); }
  bool is_open() const noexcept { return context_ != nullptr; }

  /// Sends a request and waits for its answer, which may be an error of the server's. If the answer does not come, the
  /// connection is closed, and the error has this effect, unless the server cannot have got all of the request.
  RedisReply call(const RedisRequest& request, Deadline deadline, Effect effect) {
    send(request, deadline);
    try {
      if (!options_.server.tls) wait(POLLIN, deadline);  // it takes longer than asking in vain
      for (;;) {
        if (RedisReply reply = read()) return reply;
        wait(POLLIN, deadline);
      }
    } catch (const StateError& error) {
      close();
      throw StateError(error.code(), reason(error), effect, true);
    } catch (...) {
      close();
      throw;
    }
  }

  // ---- In parts, for who waits for long. Each closes what it fails with.

  void send(const RedisRequest& request, Deadline deadline) {
    guarded([&] {
      if (Clock::now() >= deadline) throw late();
      const std::string text = request.text();
      options_.server.tls ? write_by_tls(text, deadline) : write(text, deadline);
    });
  }
  /// Waits until there is something to read here or at the other file, or until the deadline.
  void wait_for_either(int other, Deadline deadline) {
    pollfd both[] = {{context_->fd, POLLIN, 0}, {other, POLLIN, 0}};
    wait_for(both, 2, deadline);
  }
  /// An answer, if it is there.
  RedisReply try_read() {
    return guarded([&] { return read(); });
  }

  const RedisServer& server() const noexcept { return options_.server; }
  StateError failure(StateErrorCode code, const std::string& why, bool retryable = false) const {
    return {code, "Redis, " + options_.server.name() + ": " + why, Effect::none, retryable};
  }

 private:
  struct Free {
    void operator()(redisContext* context) const noexcept {
      const NoBrokenPipe guard;  // TLS says goodbye
      redisFree(context);
    }
  };
  struct FreeAddresses {
    void operator()(addrinfo* addresses) const noexcept { ::freeaddrinfo(addresses); }
  };
  class Socket {
   public:
    explicit Socket(int family) : fd_(::socket(family, SOCK_STREAM, 0)) {
      if (fd_ < 0) return;
      ::fcntl(fd_, F_SETFD, FD_CLOEXEC);
      ::fcntl(fd_, F_SETFL, O_NONBLOCK);
      NoBrokenPipe::forbid(fd_);
    }
    Socket(const Socket&) = delete;
    Socket& operator=(const Socket&) = delete;
    ~Socket() {
      if (fd_ >= 0) ::close(fd_);
    }
    int get() const noexcept { return fd_; }
    void release() noexcept { fd_ = -1; }

   private:
    int fd_;
  };

  static std::string system_text(int code) { return std::system_category().message(code); }

  // ---- Waiting

  void wait(short events, Deadline deadline) const {
    if (!is_ready(context_->fd, events, deadline)) throw late();
  }
  /// Whether it is before the deadline.
  bool is_ready(int socket, short events, Deadline deadline) const {
    const Waited waited = wait_for({socket, events, 0}, bell_, deadline);
    if (waited == Waited::rung) throw failure(StateErrorCode::unavailable, "it was woken, and has given up", true);
    return waited == Waited::ready;
  }
  StateError late() const { return failure(StateErrorCode::timed_out, "no answer before the deadline", true); }
  /// Of a connection that waits for no answer: the server has closed it.
  bool can_read() const {
    pollfd file{context_->fd, POLLIN, 0};
    return ::poll(&file, 1, 0) != 0;
  }
  /// Without the signals that `NoBrokenPipe` needs: a call of the system instead of five.
  void write(std::string_view text, Deadline deadline) const {
#if defined(MSG_NOSIGNAL)
    constexpr int no_signal = MSG_NOSIGNAL;
#else
    constexpr int no_signal = 0;
#endif
    while (!text.empty()) {
      const ssize_t count = ::send(context_->fd, text.data(), text.size(), no_signal);
      if (count >= 0) {
        text.remove_prefix(static_cast<std::size_t>(count));
      } else if (errno == EAGAIN) {
        wait(POLLOUT, deadline);
      } else if (errno != EINTR) {
        throw broken(system_text(errno));
      }
    }
  }
  void write_by_tls(std::string_view text, Deadline deadline) {
    check(redisAppendFormattedCommand(context_.get(), text.data(), text.size()));
    for (int is_done = 0; !is_done;) {
      {
        const NoBrokenPipe guard;
        check(redisBufferWrite(context_.get(), &is_done));
      }
      if (!is_done) wait(POLLOUT, deadline);
    }
  }
  RedisReply read() {
    void* reply = nullptr;
    check(redisGetReplyFromReader(context_.get(), &reply));
    if (!reply) {
      std::optional<NoBrokenPipe> guard;
      if (options_.server.tls) guard.emplace();  // it may answer what it reads
      check(redisBufferRead(context_.get()));
      check(redisGetReplyFromReader(context_.get(), &reply));
    }
    return RedisReply(static_cast<redisReply*>(reply));
  }
  void check(int code) const {
    if (code == REDIS_OK) return;
    if (context_->err == REDIS_ERR_OOM && !announces_too_many_) throw std::bad_alloc();
    if (context_->err != REDIS_ERR_PROTOCOL && !announces_too_many_) throw broken(context_->errstr);
    throw failure(StateErrorCode::unavailable,
                  "what answers is no Redis server: is this its port, and TLS as it should be?", true);
  }
  StateError broken(const std::string& why) const {
    return failure(StateErrorCode::unavailable, "the connection broke: " + why, true);
  }

  /// hiredis makes room for as many elements as a server says are to come: not for more than one ever answers.
  void bound_arrays() {
    using Functions = redisReplyObjectFunctions;
    static const Functions own = *context_->reader->fn;
    static Functions bounded = [] {
      Functions functions = own;
      functions.createArray = [](const redisReadTask* task, auto count) -> void* {
        constexpr std::size_t most = std::size_t{1} << 24;
        if (static_cast<std::size_t>(count) <= most) return own.createArray(task, count);
        *static_cast<bool*>(task->privdata) = true;
        return nullptr;
      };
      return functions;
    }();
    announces_too_many_ = false;
    context_->reader->fn = &bounded;
    context_->reader->privdata = &announces_too_many_;
  }

  // ---- Connecting

  void connect(Deadline deadline) {
    const RedisServer& server = options_.server;
    if (!server.path.empty()) {
      sockaddr_un address{};
      address.sun_family = AF_UNIX;
      if (server.path.size() >= sizeof address.sun_path) {
        throw failure(StateErrorCode::refused, "the path of the socket is too long");
      }
      std::memcpy(address.sun_path, server.path.data(), server.path.size());
      const int failed = connect_to(AF_UNIX, reinterpret_cast<const sockaddr*>(&address), sizeof address, deadline);
      if (failed) throw unreachable(failed);
      return;
    }
    addrinfo hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    const int unknown = ::getaddrinfo(server.host.c_str(), std::to_string(server.port).c_str(), &hints, &found);
    const std::unique_ptr<addrinfo, FreeAddresses> addresses(found);
    if (unknown) {
      throw failure(StateErrorCode::unavailable, std::string("the host is not found: ") + ::gai_strerror(unknown),
                    true);
    }
    std::vector<const addrinfo*> allowed;
    for (const addrinfo* address = found; address; address = address->ai_next) {
      if (server.tls || options_.plain_text || is_loopback(*address->ai_addr)) allowed.push_back(address);
    }
    if (allowed.empty()) {
      throw failure(StateErrorCode::refused,
                    "it is another machine, and redis:// sends all, passwords too, as plain text: use rediss://, or "
                    "set RedisOptions::plain_text if nobody can listen on the way");
    }
    int failed = 0;
    for (std::size_t left = allowed.size(); left > 0; --left) {  // one that does not take it has its share of the time
      const addrinfo& address = *allowed[allowed.size() - left];
      failed = connect_to(address.ai_family, address.ai_addr, address.ai_addrlen, share_of(deadline, left));
      if (!failed) return;
    }
    throw unreachable(failed);
  }
  StateError unreachable(int code) const {
    if (code == ETIMEDOUT) return failure(StateErrorCode::timed_out, "no connection before the deadline", true);
    return failure(StateErrorCode::unavailable, "no connection: " + system_text(code), true);
  }
  /// 0, or why it failed.
  int connect_to(int family, const sockaddr* address, socklen_t size, Deadline deadline) {
    Socket socket(family);
    if (socket.get() < 0) return errno;
    if (::connect(socket.get(), address, size) != 0) {
      // A socket of this machine whose queue is full says EAGAIN.
      if (errno != EINPROGRESS) return errno;
      if (!is_ready(socket.get(), POLLOUT, deadline)) return ETIMEDOUT;
      int error = 0;
      socklen_t error_size = sizeof error;
      ::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &error_size);
      if (error) return error;
    }
    if (family != AF_UNIX) {
      const int yes = 1;
      ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
      ::setsockopt(socket.get(), SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof yes);
    }
    context_.reset(redisConnectFd(socket.get()));
    if (!context_) throw std::bad_alloc();
    socket.release();
    context_->flags &= ~REDIS_BLOCK;
    bound_arrays();
    return 0;
  }

#if defined(ATOM_REDIS_TLS)
  struct FreeTls {
    void operator()(SSL_CTX* context) const noexcept { SSL_CTX_free(context); }
    void operator()(SSL* tls) const noexcept { SSL_free(tls); }
  };
  StateError tls_failure(const SSL* tls) const {
    const long certificate = SSL_get_verify_result(tls);
    if (certificate == X509_V_OK) {
      return failure(StateErrorCode::unavailable, "TLS failed: does the server speak it on this port?", true);
    }
    const std::string why = X509_verify_cert_error_string(certificate);
    return failure(StateErrorCode::refused, "its certificate is not to be trusted: " + why);
  }
  void begin_tls(Deadline deadline) {
    const auto refused = [&](const std::string& what) {
      const char* const why = ERR_reason_error_string(ERR_get_error());
      return failure(StateErrorCode::refused, what + (why ? std::string(": ") + why : ""));
    };
    if (!tls_) {
      std::unique_ptr<SSL_CTX, FreeTls> made(SSL_CTX_new(TLS_client_method()));
      if (!made) throw refused("TLS cannot begin");
      SSL_CTX_set_min_proto_version(made.get(), TLS1_2_VERSION);
      SSL_CTX_set_verify(made.get(), SSL_VERIFY_PEER, nullptr);
      const std::string& file = options_.ca_file;
      const int loaded = file.empty() ? SSL_CTX_set_default_verify_paths(made.get())
                                      : SSL_CTX_load_verify_locations(made.get(), file.c_str(), nullptr);
      if (loaded != 1) throw refused("the certificates to trust cannot be read");
      tls_ = std::move(made);
    }
    std::unique_ptr<SSL, FreeTls> made(SSL_new(tls_.get()));
    if (!made) throw refused("TLS cannot begin");
    // An address is compared with those in the certificate, a name with its names.
    const std::string& host = options_.server.host;
    if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(made.get()), host.c_str()) != 1) {
      ERR_clear_error();
      SSL_set_tlsext_host_name(made.get(), host.c_str());
      if (SSL_set1_host(made.get(), host.c_str()) != 1) throw refused("TLS cannot begin");
    }
    {
      const NoBrokenPipe guard;
      if (redisInitiateSSL(context_.get(), made.get()) != REDIS_OK) throw tls_failure(made.get());
    }
    SSL* const tls = made.release();  // it is the connection's
    for (;;) {
      ERR_clear_error();
      int result = 0;
      {
        const NoBrokenPipe guard;
        result = SSL_connect(tls);
      }
      if (result == 1) return;
      const int wants = SSL_get_error(tls, result);
      if (wants != SSL_ERROR_WANT_READ && wants != SSL_ERROR_WANT_WRITE) throw tls_failure(tls);
      wait(wants == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, deadline);
    }
  }
  std::unique_ptr<SSL_CTX, FreeTls> tls_;
#else
  void begin_tls(Deadline) const {
    throw failure(StateErrorCode::refused,
                  "rediss:// needs a hiredis with TLS (hiredis_ssl, 1.0 or later), which this program was built "
                  "without");
  }
#endif

  void sign_in(Deadline deadline) {
    const RedisServer& server = options_.server;
    if (!server.password.empty()) {
      RedisRequest auth{"AUTH"};
      if (!server.user.empty()) auth.add(server.user);
      auth.add(server.password);
      const RedisReply reply = call(auth, deadline, Effect::none);
      if (reply.is_error() && !is_passing_redis_error(reply.text())) {
        throw failure(StateErrorCode::refused, "it does not take the user and the password of the URL");
      }
      if (reply.is_error()) throw redis_error(server, reply.text());
    }
    if (server.database != 0) {
      const RedisReply reply = call(RedisRequest{"SELECT"}.add(server.database), deadline, Effect::none);
      if (reply.is_error()) throw redis_error(server, reply.text());
    }
  }

  const Options& options_;
  const Bell* const bell_;
  std::unique_ptr<redisContext, Free> context_;
  bool announces_too_many_ = false;  // its answer has an array that is larger than any of a server's
};

}  // namespace atom::inline v0_1::detail
