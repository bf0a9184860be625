#include "odr/backward.hpp"

#include "odr/side.hpp"

namespace odr {

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

}  // namespace odr
