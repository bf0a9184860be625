// The version of the library, for #if and for CMakeLists.txt, which reads it from here.
// Everything lives in `namespace atom::inline v<major>_<minor>`, so objects built against another minor version do not
// link by accident.
#pragma once

#define ATOM_VERSION_MAJOR 0
#define ATOM_VERSION_MINOR 1
#define ATOM_VERSION_PATCH 0
