// What the tests of atom::Sqlite have in common.
#pragma once

#include <atom/backend/sqlite.hpp>

#include "support/backend_client.hpp"
