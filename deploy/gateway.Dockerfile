# The gateway; the relay and the schema upgrade run from the same image by another command.
# Holds no model library. Build from the repository root:
#   docker build -f deploy/gateway.Dockerfile -t atelier/gateway:0.1.0 .
ARG PYTHON=3.11.16-slim-bookworm

FROM python:${PYTHON} AS build
WORKDIR /src
ENV PATH=/opt/atelier/bin:$PATH PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/atelier
# The lock first: a change of our code does not install the world again. It is complete, so pip
# resolves nothing.
COPY requirements/base.txt requirements/base.txt
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install --no-deps -r requirements/base.txt
COPY pyproject.toml README.md ./
COPY services services
COPY shared shared
COPY workers workers
RUN --mount=type=cache,target=/root/.cache/pip pip install --no-deps . && pip check

FROM python:${PYTHON}
RUN groupadd --gid 10001 atelier \
    && useradd --uid 10001 --gid atelier --no-create-home --home-dir /var/lib/atelier \
       --shell /usr/sbin/nologin atelier \
    && install -d -o atelier -g atelier -m 0700 /var/lib/atelier
COPY --from=build /opt/atelier /opt/atelier
COPY services/gateway/gunicorn.conf.py deploy/healthcheck.py /etc/atelier/
ENV PATH=/opt/atelier/bin:$PATH \
    HOME=/var/lib/atelier \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    ATELIER_HOME=/var/lib/atelier \
    ATELIER_HOST=0.0.0.0 \
    ATELIER_PORT=8080
WORKDIR /opt/atelier
USER 10001:10001
EXPOSE 8080
STOPSIGNAL SIGTERM
CMD ["gunicorn", "-c", "/etc/atelier/gunicorn.conf.py", "services.gateway.app:create_app()"]
