#!/usr/bin/env bash
# The checks of this repository, cheapest first: format, lints, build, doc examples, tests.
#
#   scripts/test.sh               all of them
#   scripts/test.sh fmt clippy    only these steps (fmt, clippy, build, doc, deploy, test)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [ -n "${CI:-}" ]; then
  # Nothing is compiled twice there, so the bookkeeping for the next compilation is waste.
  export CARGO_INCREMENTAL=0
  export CARGO_TERM_COLOR=never
fi

# Source files whose documentation holds an example that would be compiled.
files_with_examples() {
  # shellcheck disable=SC2016
  find crates services -name '*.rs' -path '*/src/*' -print0 | xargs -0 awk '
    FNR == 1 { fenced = 0 }
    /^[ \t]*\/\/[\/!][ \t]*```/ {
      language = $0
      sub(/^[^`]*```/, "", language)
      if (!fenced && language ~ /^(rust|no_run|should_panic|compile_fail|$)/) print FILENAME
      fenced = !fenced
    }'
}

step_fmt() { cargo fmt --all --check; }

step_clippy() { cargo clippy --workspace --all-targets --locked -- -D warnings; }

# All targets, so that dependencies are built once, with the features that tests ask for as well: the binary that the
# end-to-end tests drive comes out of the same build as the tests.
step_build() { cargo build --workspace --all-targets --locked; }

step_doc() {
  if [ -z "$(files_with_examples)" ]; then
    echo 'no documentation holds an example'
    return
  fi
  cargo test --doc --workspace --locked
}

# Linters that are installed; tests/deployment checks the rest without any.
step_deploy() {
  if command -v hadolint >/dev/null; then hadolint deploy/Dockerfile; else echo 'hadolint is missing'; fi
  if command -v yamllint >/dev/null; then
    yamllint --strict -c deploy/yamllint.yml docker-compose.yml deploy
  else
    echo 'yamllint is missing'
  fi
  if command -v promtool >/dev/null; then
    promtool check config deploy/observability/prometheus.yml
    promtool test rules deploy/observability/alerts_test.yml
  else
    echo 'promtool is missing'
  fi
}

step_test() {
  # What the build has just written would hold up each sync of the tests' own databases.
  sync
  if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --workspace --locked ${CI:+--profile ci}
  else
    echo 'cargo-nextest is missing: using cargo test, without time limits per test' >&2
    cargo test --workspace --locked --all-targets
  fi
}

# shellcheck source=scripts/tools.sh
. scripts/tools.sh

steps=("$@")
# All of them: the machine is made ready first. Single steps take it as it is.
[ ${#steps[@]} -gt 0 ] || prepare
[ ${#steps[@]} -gt 0 ] || steps=(fmt clippy build doc deploy test)
for step in "${steps[@]}"; do
  case "$step" in
    fmt | clippy | build | doc | deploy | test) ;;
    *) printf 'unknown step: %s\n' "$step" >&2; exit 2 ;;
  esac
done

started=$SECONDS
times=''
for step in "${steps[@]}"; do
  printf '\n== %s\n' "$step"
  # The tests come last, and their summary is the last thing to read.
  if [ "$step" = test ] && [ -n "$times" ]; then
    printf 'so far:%s, %s s in all\n' "$times" "$((SECONDS - started))"
  fi
  begun=$SECONDS
  "step_$step"
  took=$((SECONDS - begun))
  times="$times $step $took s"
  [ "$step" = test ] || printf '== %s took %s s\n' "$step" "$took"
done
