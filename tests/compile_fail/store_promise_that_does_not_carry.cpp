// A promise that suspends by itself must carry the store over that, too.
#include <atom/context.hpp>

template <bool carries>
struct Task {
  struct promise_type : atom::StorePromise {
    Task get_return_object() { return {}; }
    auto initial_suspend() {
      if constexpr (carries) {
        return carry(std::suspend_never());
      } else {
        return std::suspend_never();
      }
    }
    auto final_suspend() noexcept { return carry(std::suspend_never()); }
    void return_void() {}
    void unhandled_exception() {}
  };
};

template <bool carries>
Task<carries> wait() {
  co_await std::suspend_always();
}

void use() {
  wait<true>();
}
void misuse() {
  wait<false>();  // error: initial_suspend and final_suspend return carry(awaiter)
}
