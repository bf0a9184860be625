#include "odr/backward.hpp"

#include "odr/side.hpp"
#include "support/catch.hpp"

#include <string_view>
#include <vector>

namespace {

// Different types, but with the names, sizes and alignments of those in forward.cpp.
struct Secret {
  const char* text = nullptr;
};
auto local() {
  struct Local {
    const char* text = nullptr;
  };
  return Local{};
}
const auto lambda = [text = static_cast<const char*>(nullptr)] { return text; };

}  // namespace

namespace odr {

static auto static_local() {
  struct Local {
    const char* text = nullptr;
  };
  return Local{};
}

Side backward_side() {
  return make_side();
}
std::size_t backward_store_size() {
  return sizeof(atom::AtomStore);
}
atom::Snapshot backward_request() {
  atom::AtomStore store;
  store.use(visitor).change(&Visitor::name, "backward");
  store.use(counter).add(2);
  return store.snapshot();
}

void backward_reads_none_of(const atom::Snapshot& secrets) {
  const auto reads = [&]<class T>(std::string_view key, const T&) { return secrets.try_get<T>(key) != nullptr; };
  CHECK_FALSE(reads("anonymous", Secret{}));
  CHECK_FALSE(reads("vector", std::vector<Secret>()));
  CHECK_FALSE(reads("local", local()));
  CHECK_FALSE(reads("static local", static_local()));
  CHECK_FALSE(reads("lambda", lambda));
}

}  // namespace odr
