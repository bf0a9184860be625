#include "odr/forward.hpp"

#include "odr/side.hpp"
#include "support/catch.hpp"

#include <vector>

namespace {

struct Secret {
  long number = 7;
};
auto local() {
  struct Local {
    long number = 7;
  };
  return Local{};
}
const auto lambda = [number = 7L] { return number; };

}  // namespace

namespace odr {

static auto static_local() {
  struct Local {
    long number = 7;
  };
  return Local{};
}

Side forward_side() {
  return make_side();
}
std::size_t forward_store_size() {
  return sizeof(atom::AtomStore);
}
atom::Snapshot forward_request() {
  atom::AtomStore store;
  store.use(visitor).change(&Visitor::name, "forward");
  store.use(counter).add(2);
  return store.snapshot();
}

atom::Snapshot forward_secrets() {
  atom::Snapshot secrets;
  secrets.set("anonymous", Secret{});
  secrets.set("vector", std::vector<Secret>(1));
  secrets.set("local", local());
  secrets.set("static local", static_local());
  secrets.set("lambda", lambda);
  REQUIRE(secrets.try_get<Secret>("anonymous"));
  return secrets;
}

}  // namespace odr
