# Development tasks. CI runs `just ci`, so each command is written here only.
# Install just and the other tools with .ci/tools, then run target/ci/bin/just, or `just` if it is installed already.

set shell := ["bash", "-euo", "pipefail", "-c"]
set positional-arguments

export PATH := justfile_directory() / "target/ci/bin" + ":" + env("PATH")

# List the recipes
default:
    @just --list --unsorted

# Start the server, with these arguments
run *arguments:
    cargo run --locked -- "$@"

# Run all tests, with these arguments for cargo test
test *arguments:
    cargo test --workspace --locked "$@"

# Format all Rust code
fmt:
    cargo fmt --all

# Check formatting, lints, spelling, shell scripts and dependencies
lint: fmt-check clippy typos shellcheck deny

[private]
fmt-check:
    cargo fmt --all --check

[private]
clippy:
    cargo clippy --workspace --all-targets --locked -- -D warnings

[private]
typos:
    typos

[private]
shellcheck:
    git grep -lE '^#!.*bash$' | xargs shellcheck

# Check the licences, versions and sources of dependencies, and their advisories if the database can be fetched
deny:
    cargo-deny --locked check licenses bans sources
    @if timeout 120 cargo-deny fetch db; then \
        cargo-deny --locked check --disable-fetch advisories; \
    else \
        echo "deny: advisories were NOT checked: their database cannot be fetched"; \
    fi

# Build the documentation
doc:
    cargo doc --workspace --no-deps --locked

# Check that the domain does no I/O, and that no files of a crate depend on each other in a circle
layers:
    #!/usr/bin/env bash
    set -euo pipefail
    dependencies=$(cargo tree --locked -p woosh-domain -e normal)
    if grep -E ' (tokio|sqlx|poem|reqwest|rustix|mio|hyper)' <<<"$dependencies"; then
        echo "layers: woosh-domain must not depend on these" >&2
        exit 1
    fi
    echo "layers: woosh-domain does no I/O"
    for crate in domain adapters app; do .ci/circles "$crate/src"; done

# List changes of a layer, domain or adapters, that no test notices, with these arguments for cargo-mutants
mutants layer *arguments:
    #!/usr/bin/env bash
    set -euo pipefail
    if ! command -v cargo-mutants >/dev/null; then
        echo "mutants: cargo install --locked cargo-mutants installs it" >&2
        exit 1
    fi
    case "$1" in
        domain) test_packages=woosh-domain tests=(--tests) ;;
        # The contract suite on the databases tests most of the SQL.
        adapters) test_packages=woosh-adapters,woosh-harness tests=(--lib --test contract --test audit --test laws) ;;
        *) echo "mutants: the layer is domain or adapters" >&2; exit 1 ;;
    esac
    # Short simulations, because each change runs them.
    export WOOSH_REQUIRE_POSTGRES=1 WOOSH_SIMULATION_STEPS=20000 PROPTEST_CASES=64
    mkdir -p target
    nice cargo mutants --package "woosh-$1" --test-package "$test_packages" --output target/mutants "${@:2}" -- "${tests[@]}"

# Run the commands of README.md, and compare what they print with what it shows
readme:
    .ci/tour
    cargo run --locked -p woosh-harness -- run -- sh -c 'curl -sf $WOOSH_URL/health/live'
    cargo run --locked -p woosh-harness -- sanity
    cargo run --locked -p woosh-harness -- sanity --backend postgres
    cargo run --locked -p woosh-harness -- kill --seconds 10

# Lint openapi.yaml, and test a server against it
api:
    .ci/api

# Test the configurations of proxies in README.md, if the proxies are installed or can be
proxies:
    .ci/proxies

# Test the image, docker-compose.yml and testcontainers, if a Docker engine can be used
docker:
    .ci/docker .ci/testcontainers

# Install the tools that these recipes need
tools:
    .ci/tools

# Run every check, as CI does
ci: lint doc layers test readme api proxies docker
