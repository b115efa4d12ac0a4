# One worker, by its folder name, for the CPU or for an NVIDIA GPU. From the repository root:
#   docker build -f deploy/worker.Dockerfile --build-arg WORKER=detect -t atelier/worker-detect:0.1.0 .
# Every layer but the last few is the same for all workers of a device, so a second worker is cheap.
ARG PYTHON=3.11.16-slim-bookworm

FROM python:${PYTHON} AS build
WORKDIR /src
ENV PATH=/opt/atelier/bin:$PATH PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/atelier
ARG DEVICE=cpu
# An index with CPU-only builds of PyTorch saves about 5 GB; without one the image has the CUDA build.
ARG TORCH_INDEX=
COPY requirements/${DEVICE}.txt requirements/lock.txt
RUN --mount=type=cache,target=/root/.cache/pip \
    if [ "$DEVICE" = cpu ] && [ -n "$TORCH_INDEX" ]; then \
      grep -E '^torch(vision)?==' requirements/lock.txt > requirements/torch.txt \
        && grep -vE '^(torch|torchvision|triton|nvidia-.*|cuda-.*)==' requirements/lock.txt \
           > requirements/rest.txt \
        && pip install --no-deps --index-url "$TORCH_INDEX" -r requirements/torch.txt \
        && pip install --no-deps -r requirements/rest.txt; \
    else \
      pip install --no-deps -r requirements/lock.txt; \
    fi
COPY pyproject.toml README.md ./
COPY services services
COPY shared shared
COPY workers workers
ARG WORKER
RUN --mount=type=cache,target=/root/.cache/pip \
    test -f "workers/${WORKER:?name a folder of workers/}/contract.py" \
    && pip install --no-deps . && pip check

FROM python:${PYTHON}
RUN groupadd --gid 10001 atelier \
    && useradd --uid 10001 --gid atelier --no-create-home --home-dir /var/lib/atelier \
       --shell /usr/sbin/nologin atelier \
    && install -d -o atelier -g atelier -m 0700 \
       /var/lib/atelier /var/lib/atelier/checkpoints /weights /faces
COPY --from=build /opt/atelier /opt/atelier
COPY deploy/healthcheck.py /etc/atelier/
ARG WORKER
ENV PATH=/opt/atelier/bin:$PATH \
    HOME=/var/lib/atelier \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    WORKER=${WORKER} \
    ATELIER_HOME=/var/lib/atelier \
    ATELIER_WEIGHTS_DIR=/weights
WORKDIR /opt/atelier
USER 10001:10001
STOPSIGNAL SIGTERM
CMD ["sh", "-c", "exec python -m workers.runtime \"$WORKER\""]
