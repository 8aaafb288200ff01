# `make test` is the one command: it does all set-up, checks and tests. CI runs the same.

.PHONY: test check

test: check
	cargo test --workspace --all-targets
	cargo test --workspace --doc

check:
	cargo fmt --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --quiet
