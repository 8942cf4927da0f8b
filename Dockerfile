# The images of this project. Each target is one:
#
#   docker build --target module   -t mcp-auth-filter .          # the module alone, for Istio and Envoy Gateway
#   docker build --target envoy    -t mcp-auth-filter-envoy .    # Envoy with the module
#   docker build --target mcp-auth -t mcp-auth .                 # the command line
#
# `--build-arg COMMIT=$(git rev-parse --short=12 HEAD)` puts the commit into the module's log and metrics.

FROM rust:1.95.0-slim-bookworm AS source
WORKDIR /source
COPY rust-toolchain.toml Cargo.toml Cargo.lock ./
COPY .cargo .cargo
COPY src src
COPY crates crates
COPY benches benches
# What `mcp-auth render` writes is made from these files.
COPY envoy envoy

FROM source AS build-module
ARG COMMIT
RUN if [ -n "$COMMIT" ]; then export MCP_AUTH_COMMIT="$COMMIT"; fi; \
    cargo build --locked --release --lib --target wasm32-wasip1

# The layout that Istio and Envoy Gateway read: one layer with the file plugin.wasm.
FROM scratch AS module
COPY --from=build-module /source/target/wasm32-wasip1/release/mcp_auth_filter.wasm /plugin.wasm

FROM envoyproxy/envoy:v1.40.0 AS envoy
COPY --from=build-module /source/target/wasm32-wasip1/release/mcp_auth_filter.wasm /etc/envoy/

FROM source AS build-mcp-auth
RUN cargo build --locked --release -p mcp-auth-cli

FROM gcr.io/distroless/cc-debian12:nonroot AS mcp-auth
COPY --from=build-mcp-auth /source/target/release/mcp-auth /usr/local/bin/mcp-auth
WORKDIR /policies
ENTRYPOINT ["mcp-auth"]
