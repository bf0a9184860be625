// States behind everything that stands before a database, which is one in memory.
#include <atom/backend/memory.hpp>

#include "contract/kind.hpp"

namespace contract {
namespace {

const Registered<DatabaseInMemory<atom::Memory>> memory_database{"memory_database"};

}  // namespace
}  // namespace contract
