#include "odr/forward.hpp"

#include "odr/side.hpp"

namespace odr {

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

}  // namespace odr
