# Garage with its settings inside and folders its unprivileged user may write.
# The published image is a bare binary, so a fresh volume in it would belong to root.
ARG PYTHON=3.11.16-slim-bookworm

FROM python:${PYTHON} AS folders
RUN install -d -o 10001 -g 10001 -m 0700 /state/meta /state/data

FROM dxflrs/garage:v2.4.1
COPY deploy/garage.toml /etc/garage.toml
COPY --from=folders --chown=10001:10001 /state /var/lib/garage
USER 10001:10001
EXPOSE 3900
STOPSIGNAL SIGTERM
CMD ["/garage", "server", "--single-node", "--default-bucket"]
