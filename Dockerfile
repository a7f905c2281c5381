ARG RUST_IMAGE=rust:1-bookworm
ARG DEBIAN_IMAGE=debian:bookworm-slim

FROM ${RUST_IMAGE} AS chef
RUN cargo install --locked cargo-chef@0.1.78
WORKDIR /build

FROM chef AS planner
COPY . .
RUN cargo chef prepare

FROM chef AS build
COPY --from=planner /build/recipe.json .
# The dependencies are a layer of their own, which changes to Woosh's sources leave in the cache.
RUN cargo chef cook --release --locked --workspace --bins
COPY . .
RUN cargo build --release --locked --workspace --bins

FROM ${DEBIAN_IMAGE}
# For TLS to a database.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /build/target/release/woosh-server /build/target/release/woosh-harness /usr/local/bin/
RUN install -d -o 10001 -g 10001 /data
USER 10001:10001
ENV WOOSH_HOST=0.0.0.0
# The default database is woosh.db in the working directory.
WORKDIR /data
VOLUME /data
EXPOSE 3000
HEALTHCHECK --interval=5s --timeout=6s --start-period=60s CMD ["woosh-server", "healthcheck"]
ENTRYPOINT ["woosh-server"]
