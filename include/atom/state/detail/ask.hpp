// What a database is asked apart from the row of writes.
#pragma once

#include <atom/config.hpp>
#include <atom/state/backend.hpp>
#include <atom/state/detail/cache.hpp>
#include <atom/state/detail/core.hpp>
#include <atom/state/engine.hpp>
#include <atom/state/error.hpp>
#include <atom/state/must_not_block.hpp>

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>

namespace atom::inline v0_1::detail {

/// Whether what fails is asked again though it may have had an effect.
enum class Again : std::uint8_t { in_any_case, if_without_effect };

template <class T>
const StateError* error_of(const StateResult<T>& result) noexcept {
  return result ? nullptr : &result.error();
}
inline const StateError* error_of(const std::optional<StateError>& error) noexcept {
  return error ? &*error : nullptr;
}

/// Calls a function of the backend, whose last parameter is the deadline: until then again and again, if need be.
template <Again again = Again::in_any_case, class F, class... Arguments>
std::invoke_result_t<F, Backend&, const Arguments&..., Deadline> ask(const StateCore& core, Deadline deadline,
                                                                     F function, const Arguments&... arguments) {
  if (const auto refused = core.engine->refusal()) {
    const StateError& why = *refused;
    return why;
  }
  about_to_block();
  for (unsigned failures = 1;; ++failures) {
    auto answer = std::invoke(function, core.engine->backend(), arguments..., deadline);
    const StateError* const error = error_of(answer);
    const bool helps = error && error->retryable() && (again == Again::in_any_case || error->effect() == Effect::none);
    if (!helps || !pause_before(core, failures, deadline)) return answer;
  }
}

/// Reads states, all at once.
inline std::optional<StateError> read_states(const StateCore& core, std::span<const StateName> names,
                                             std::span<Outcome> outcomes, Deadline deadline) {
  if (names.empty()) return std::nullopt;
  return ask(core, deadline, &Backend::read, names, outcomes);
}

}  // namespace atom::inline v0_1::detail
