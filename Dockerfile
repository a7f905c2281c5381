# The manifests, and empty sources in the place of ours. It comes out the same until one of them is added or removed.
FROM debian:bookworm-slim AS skeleton
WORKDIR /skeleton
COPY . .
RUN find . -regextype posix-extended -type f ! -regex '.*/(Cargo\.(toml|lock)|build\.rs|src/(lib|main)\.rs|tests/([^/]+|[^/]+/main)\.rs)' -delete \
    && find . -type d -empty -delete \
    && find . -name '*.rs' | while read -r file; do echo 'fn main() {}' >"$file"; done

FROM rust:1-bookworm AS build
WORKDIR /build
# The dependencies have a layer of their own, which a change in our sources leaves as it is.
COPY --from=skeleton /skeleton .
RUN cargo build --release --locked --workspace --bins
COPY . .
# Newer than what was built in their place.
RUN find . -path ./target -prune -o -name '*.rs' -exec touch {} + \
    && cargo build --release --locked --workspace --bins

FROM debian:bookworm-slim
# For TLS to a database.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /build/target/release/woosh-server /build/target/release/woosh-harness /usr/local/bin/
RUN install -d -o 10001 -g 10001 /data
USER 10001:10001
ENV WOOSH_HOST=0.0.0.0
# Where woosh.db is, unless WOOSH_DATABASE says something else.
WORKDIR /data
VOLUME /data
EXPOSE 3000
HEALTHCHECK --interval=5s --timeout=6s --start-period=60s CMD ["woosh-server", "healthcheck"]
ENTRYPOINT ["woosh-server"]
