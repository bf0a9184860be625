// Sees no store: whatever the further headers add must not change what these mean.
#include "odr/side.hpp"

namespace odr {

Side few_side() {
  return make_side();
}

}  // namespace odr
