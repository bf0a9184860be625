# Sourced by the scripts that need packages. Nothing is installed without being named first.

# Whether what a package brings is there, however it came.
atom_present() {
  case $1 in
    ninja-build) command -v ninja ;;
    clang-19) command -v clang++-19 ;;
    llvm-19) command -v llvm-cov-19 ;;
    libclang-rt-19-dev) echo 'int main() {}' | clang++-19 -fsanitize=address,undefined -x c++ -o /dev/null - ;;
    libc++-19-dev | libc++abi-19-dev)
      printf '#include <string>\nint main() { throw std::string(1, 2); }' |
        clang++-19 -stdlib=libc++ -x c++ -o /dev/null -
      ;;
    catch2) atom_header catch2/catch.hpp || atom_header catch2/catch_all.hpp ;;
    libfmt-dev) atom_header fmt/core.h ;;
    libsimdjson-dev) atom_header simdjson.h ;;
    libsqlite3-dev) atom_header sqlite3.h ;;
    libpq-dev) pkg-config --exists libpq ;;
    postgresql) command -v postgres || ls /usr/lib/postgresql/*/bin/postgres ;;
    libhiredis-dev) atom_header hiredis/hiredis.h ;;
    libcurl4-openssl-dev) atom_header curl/curl.h ;;
    libcpp-httplib-dev) atom_header httplib.h ;;
    libbenchmark-dev) atom_header benchmark/benchmark.h ;;
    libtbb-dev) atom_header tbb/concurrent_hash_map.h ;;
    libboost-dev | libboost1.81-dev) atom_header boost/signals2.hpp ;;
    nlohmann-json3-dev) atom_header nlohmann/json.hpp ;;
    nodejs) command -v node ;;
    chromium) command -v chromium || command -v chromium-browser || command -v google-chrome ;;
    libsigc++-2.0-dev) pkg-config --exists sigc++-2.0 ;;
    *) command -v "$1" ;;
  esac >/dev/null 2>&1
}
atom_header() { echo "#include <$1>" | "${CXX:-c++}" -std=c++20 -E -x c++ -o /dev/null -; }

# atom_missing PACKAGE...: sets the array `missing` to those whose content is not there.
atom_missing() {
  local package
  missing=()
  for package in "$@"; do
    atom_present "$package" || missing+=("$package")
  done
}

# atom_install PACKAGE...: installs what is missing, on Debian and Ubuntu. Elsewhere, or if that fails, it names what is
# missing and returns 1.
atom_install() {
  local missing sudo=() apt=(apt-get -y -o DPkg::Lock::Timeout=300)
  atom_missing "$@"
  ((${#missing[@]} > 0)) || return 0
  if command -v apt-get >/dev/null 2>&1; then
    if ((EUID != 0)); then
      sudo=(sudo)
      command -v sudo >/dev/null 2>&1 || sudo=(false)
    fi
    echo "Installing with apt-get: ${missing[*]}"
    # Some distributions call a package otherwise, so one that apt does not know must not stop the others.
    "${sudo[@]}" "${apt[@]}" -q update </dev/null >/dev/null || true
    local package known=()
    for package in "${missing[@]}"; do
      if apt-cache show "$package" >/dev/null 2>&1; then known+=("$package"); fi
    done
    if ((${#known[@]} > 0)); then
      "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive "${apt[@]}" -q install --no-install-recommends "${known[@]}" \
        </dev/null || true
    fi
    hash -r
    atom_missing "$@"
    ((${#missing[@]} > 0)) || return 0
  fi
  echo "Missing, please install (the names are Debian's): ${missing[*]}" >&2
  return 1
}

# atom_install_npm FOLDER PLACE: fetches what FOLDER/package-lock.json names to PLACE, from npm. Needs node (18 or later)
# and npm.
atom_install_npm() {
  mkdir -p "$2"
  if [[ -e $2/installed ]] && cmp -s "$1/package-lock.json" "$2/installed"; then return; fi
  cp "$1"/package*.json "$2"
  (cd "$2" && npm ci --ignore-scripts --no-audit --no-fund) || return
  cp "$1/package-lock.json" "$2/installed"
}
