// A coroutine with a StorePromise carries its store by itself.
#include <atom/context.hpp>

struct Task {
  struct promise_type : atom::StorePromise {
    Task get_return_object() { return {}; }
    auto initial_suspend() { return carry(std::suspend_never()); }
    auto final_suspend() noexcept { return carry(std::suspend_never()); }
    void return_void() {}
    void unhandled_exception() {}
  };
};

Task misuse() {
  co_await std::suspend_always();
  co_await atom::carry(std::suspend_always());  // error: co_await without atom::carry
}
