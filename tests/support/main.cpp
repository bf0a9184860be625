// For a standard library that the installed Catch2, version 2, was not built with: then its main cannot be linked.
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
