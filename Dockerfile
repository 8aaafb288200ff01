# The daemon of this repository as an image; a project of one's own is packed the same way.
#
#     docker build -t simplest_script .
#     docker run --stop-timeout 35 -v simplest_script-data:/srv/data -v ./etc:/srv/etc:ro simplest_script
#
# A redeploy (a new container in the place of the old one):
# - survive: messages, delayed tasks, results, and what cron knows of its fires. They are in the database, and with SQLite in
#   the volume `/srv/data`, which must outlive the container.
# - do not survive: cron runs in progress. When a container's first process ends, all its processes end. The new container
#   cannot judge the processes of the old one, so their rows end as `lost` only when their `timeout` is over (without one
#   after 24 hours). Give entries a `timeout`, or run where processes may go on: see `etc/systemd/`.
# - handlers of queues and delayed tasks have until `shutdown_deadline` (25 s); `--stop-timeout` must be longer.

FROM rust:1.91-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked --bin simplest_script

FROM debian:bookworm-slim
# tini as the first process reaps what cron runs leave behind.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates tini \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /srv simplest_script \
    && mkdir -p /srv/data /srv/logs \
    && chown -R simplest_script /srv
COPY --from=build /src/target/release/simplest_script /usr/local/bin/simplest_script
COPY --from=build /src/etc/*.json /srv/etc/
USER simplest_script
WORKDIR /srv
VOLUME ["/srv/data"]
ENTRYPOINT ["tini", "--", "/usr/local/bin/simplest_script"]
CMD ["run"]
