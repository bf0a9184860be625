// cpp-httplib: a thread for each request. The store is a local variable of the handler.
#include <httplib.h>

#include <cstdint>
#include <thread>

#include "greeting.hpp"

int main(int argc, char** argv) {
  httplib::Server server;
  server.Get("/greet", [](const httplib::Request& request, httplib::Response& response) {
    atom::AtomStore store;
    response.set_content(adapters::greet(store, request.get_param_value("name")), "application/json");
  });

  const int port = server.bind_to_any_port("127.0.0.1");
  if (port <= 0) return 2;
  std::thread serving([&] { server.listen_after_bind(); });
  while (!server.is_running()) std::this_thread::yield();
  const int code = adapters::run(argc, argv, static_cast<std::uint16_t>(port));
  server.stop();
  serving.join();
  return code;
}
