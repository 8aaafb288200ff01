# `make test` is the one command: it does all set-up, all checks and all tests. CI runs the same.

.PHONY: test setup check

# No `--all-targets`: it would build the examples as tests, and not the ledger that tests run as a process.
test: setup check
	cargo test

# Rust with cargo, a C compiler and make are expected; what else is needed is installed here. Servers are only for tests:
# where one cannot be installed its tests say LEFT OUT and the rest runs; CI leaves nothing out.
setup:
	@cargo fmt --version >/dev/null 2>&1 || rustup component add rustfmt
	@cargo clippy --version >/dev/null 2>&1 || rustup component add clippy
	@command -v redis-server >/dev/null || { apt-get update -q && apt-get install -qy redis-server; } || test -z "$$CI"

check:
	cargo fmt --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --quiet
