// States in the backend that the examples show.
#include "../../examples/own_backend/backend.hpp"

#include "contract/kind.hpp"

namespace contract {
namespace {

const Registered<DatabaseInMemory<OwnBackend>> own_backend{"own_backend"};

}  // namespace
}  // namespace contract
