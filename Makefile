# `make test` is the one command: it does all set-up, all checks and all tests. CI runs the same.

.PHONY: test releases tls setup servers kafka redis axe newer check docs pictures

# Three tests for each two cores: most of them wait for the processes that they have started.
export RUST_TEST_THREADS ?= $(shell echo $$(( ($$(getconf _NPROCESSORS_ONLN) * 3 + 1) / 2 )))

# No `--all-targets`: it would build the examples as tests, and not the ledger that tests run as a process.
test: setup check
	cargo test
	@$(MAKE) --no-print-directory releases
	@$(MAKE) --no-print-directory tls

# The suites of databases and Redis, and a test of loss, on servers of other releases than the machine's own.
REDIS_SUITE = servers_are_of_the_releases_asked_for source::redis:: redis::losses::
DATABASE_SUITE = store::suite:: store::mysql::server::tests:: store::postgres::server::tests:: two_daemons::
OTHER_RELEASES = cargo test --lib --test servers --test daemon --
releases:
	TEST_SERVERS=newer $(OTHER_RELEASES) $(DATABASE_SUITE) $(REDIS_SUITE)
	TEST_SERVERS=valkey $(OTHER_RELEASES) $(REDIS_SUITE)
	TEST_SERVERS=oldest $(OTHER_RELEASES) $(REDIS_SUITE)

# Kafka over TLS and SASL, by a build that links the system's OpenSSL and libcurl: librdkafka is compiled once more. The
# program that other tests run is put back.
TLS_SUITE = kafka::secured each_bad_configuration_gets_its_report
tls:
	@if pkg-config --exists openssl libcurl 2>/dev/null; then \
		cargo build --features oidc --example ledger && \
		cargo test --features oidc --test daemon --test refusals -- $(TLS_SUITE); result=$$?; \
		cargo build --example ledger; exit $$result; \
	else \
		echo "LEFT OUT: Kafka over TLS, which needs libssl-dev and libcurl4-openssl-dev"; test -z "$$CI"; \
	fi

# Rust with cargo, a C compiler and make are expected; what else is needed is installed here. Servers are only for tests:
# where one cannot be installed its tests say LEFT OUT and the rest runs; CI leaves nothing out.
setup:
	@cargo fmt --version >/dev/null 2>&1 || rustup component add rustfmt
	@cargo clippy --version >/dev/null 2>&1 || rustup component add clippy
	@$(MAKE) --no-print-directory servers || test -z "$$CI"

# Debian's packages; a policy that says no keeps them from starting services of their own. PostgreSQL's programs are not
# in the path. Chromium shows boxes in place of Chinese where no font has it.
servers:
	@missing=""; \
	command -v redis-server >/dev/null || missing="$$missing redis-server"; \
	command -v mariadbd >/dev/null || test -x /usr/sbin/mariadbd || missing="$$missing mariadb-server"; \
	command -v postgres >/dev/null || ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || missing="$$missing postgresql"; \
	command -v pgbouncer >/dev/null || test -x /usr/sbin/pgbouncer || missing="$$missing pgbouncer"; \
	command -v promtool >/dev/null || missing="$$missing prometheus"; \
	command -v chromium >/dev/null && command -v chromedriver >/dev/null || missing="$$missing chromium chromium-driver"; \
	fc-list :lang=zh 2>/dev/null | grep -q . || missing="$$missing fontconfig fonts-wqy-microhei"; \
	command -v java >/dev/null || missing="$$missing openjdk-17-jre-headless"; \
	command -v mvn >/dev/null || test -d $(KAFKA) || missing="$$missing maven"; \
	pkg-config --exists openssl libcurl 2>/dev/null || missing="$$missing pkg-config libssl-dev libcurl4-openssl-dev"; \
	test -z "$$missing" || sh tests/servers/install.sh $$missing
	@$(MAKE) --no-print-directory kafka redis axe newer

# Apache Kafka's jars from Maven Central, 43 MB; the folder's name is in tests/servers/kafka.rs too.
SERVERS = $(or $(CARGO_TARGET_DIR),target)/servers
KAFKA = $(SERVERS)/kafka-4.1.1
kafka: $(KAFKA)
$(KAFKA): tests/servers/kafka.xml
	@rm -rf $@.unfinished
	mvn -q -B -f tests/servers/kafka.xml dependency:copy-dependencies -DoutputDirectory=$(abspath $@.unfinished)
	@rm -rf $@ && mv $@.unfinished $@ && touch $@

# The oldest Redis that is supported, which no package has any more; from Maven Central too. The plugin leaves a marker in
# the folder that it runs in.
REDIS = $(SERVERS)/redis-6.2
OLD_REDIS = redis-server-$(if $(filter aarch64,$(shell uname -m)),6.2.7-linux-arm64,6.2.6-v5-linux-amd64)
redis: $(REDIS)
$(REDIS):
	@rm -rf $@.unfinished && mkdir -p $@.unfinished
	cd $@.unfinished && mvn -q -B dependency:unpack -Dartifact=com.github.codemonstur:embedded-redis:1.4.3 \
		-Dmdep.unpack.includes=$(OLD_REDIS) -DoutputDirectory=$(abspath $@.unfinished)
	@cd $@.unfinished && mv redis-server-* redis-server && chmod +x redis-server
	@mv $@.unfinished $@

# Finds what people with a screen reader, or without a mouse, cannot use of the page. The folder's name is in
# tests/daemon/http/page/looks.rs too.
AXE = $(SERVERS)/axe-4.14.1
axe: $(AXE)
$(AXE):
	@rm -rf $@.unfinished && mkdir -p $@.unfinished && cd $@.unfinished && \
	npm pack --silent axe-core@4.14.1 >/dev/null 2>&1 && tar xzf *.tgz --strip-components=1 package/axe.min.js package/LICENSE && \
	rm *.tgz && cd .. && mv $(notdir $@).unfinished $(notdir $@) || echo "LEFT OUT: axe-core, which npm and its registry have"

# MySQL itself, and newer releases of the others. Not for everybody: the script says what it needs.
newer:
	@sh tests/servers/newer.sh $(SERVERS)

# The pictures of README, of a daemon that has worked for minutes. Few colours make them small.
PICTURES = $(or $(CARGO_TARGET_DIR),target)/screenshots/documents
pictures: setup
	@command -v pngquant >/dev/null || sh tests/servers/install.sh pngquant
	cargo build --example ledger
	cargo test --test daemon the_pictures_of_the_documents -- --ignored
	@for picture in $(PICTURES)/*.png; do \
		pngquant --force --strip --speed 1 --output docs/images/$$(basename $$picture) 96 $$picture; \
	done; ls -l docs/images

check:
	cargo fmt --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --quiet
	cargo test --quiet --test rooms

# The documents as a book, in target/book/html. Their links are checked by tests/documents.rs. mdBook is built once, where it
# is not installed: about two minutes.
TARGET = $(or $(CARGO_TARGET_DIR),target)
BOOK = $(TARGET)/book
MDBOOK_VERSION = 0.5.4
MDBOOK = $(or $(shell command -v mdbook),$(TARGET)/tools/bin/mdbook)
docs: $(MDBOOK)
	@rm -rf $(BOOK) && mkdir -p $(BOOK)/source/docs
	@cp docs/book.toml $(BOOK)/ && cp docs/SUMMARY.md *.md $(BOOK)/source/ && cp -R docs/en docs/zh docs/images $(BOOK)/source/docs/
	$(MDBOOK) build $(BOOK)
	@echo "$(BOOK)/html/index.html"

$(TARGET)/tools/bin/mdbook:
	cargo install mdbook --version $(MDBOOK_VERSION) --locked --root $(TARGET)/tools
