# An index of commands; nothing needs `just` to be installed. `just` alone lists them.

default:
    @just --list --unsorted

# Start a gateway in this folder's ./runtime.
dev *args:
    cargo run -p abstractgateway -- serve {{args}}

# Start a cluster on this machine, until Ctrl-C.
dev-cluster *args:
    cargo dev-cluster {{args}}

# All checks, as they run before a change lands.
test:
    ./scripts/test.sh

# Format and lints only.
lint:
    ./scripts/test.sh fmt clippy

# Unit and port tests, without the end-to-end ones.
unit:
    cargo nextest run --workspace --exclude ag-e2e

# End-to-end tests against the built binary.
e2e:
    cargo build -p abstractgateway
    cargo nextest run -p ag-e2e

# Licences, sources and which crate may use which library; needs cargo-deny.
deny:
    cargo deny check bans licenses sources

# The effective configuration, secrets masked.
config:
    cargo run -q -p abstractgateway -- config print

# Microbenchmark of the SQLite write path.
bench-store *args:
    cargo run --release -p ag-store-sqlite --example write_bench -- {{args}}

# Microbenchmark of flow execution.
bench-flow *args:
    cargo run --release -p ag-visualflow --example flow_bench -- {{args}}

# Secrets for docker-compose.yml, in deploy/secrets.
secrets:
    deploy/make-secrets.sh

# The cluster in containers.
up *args: secrets
    docker compose --profile cluster up --build {{args}}
