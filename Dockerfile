# headrace: server, workers, trainers, keys: one image, `headrace` is its entry point.
#
#   docker build -t headrace .                                   dependencies come from PyPI
#   docker build -t headrace --build-arg OFFLINE=1 .              offline: from ./wheels alone (docs/containers.md says how to fill it)
#   docker build -t headrace --build-arg EXTRA_REQUIREMENTS="opencv-python-headless pandas" .
#                                                                what the functions in your pipelines import
#
# It runs as uid 10001 and writes nothing outside /tmp, /keys and /state, so that its root can be read-only.
ARG PYTHON=3.11

# ---- the libraries: this layer stays the same while only headrace's own code changes
FROM python:${PYTHON}-slim AS libraries
ARG OFFLINE=""
ARG EXTRA_REQUIREMENTS=""
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
RUN python -m venv /opt/headrace
WORKDIR /src
# The pattern lets the folder be absent: it is there for builds without a network only.
COPY pyproject.toml wheel[s] wheels/
RUN if [ -n "$OFFLINE" ]; then export PIP_NO_INDEX=1 PIP_FIND_LINKS=/src/wheels; fi; \
    python -c "import tomllib; print(*tomllib.load(open('wheels/pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" > requirements && \
    /opt/headrace/bin/python -m pip install --requirement requirements $EXTRA_REQUIREMENTS

# ---- headrace itself, in a tree of its own, so that it becomes a small layer
FROM libraries AS package
ARG OFFLINE=""
COPY pyproject.toml README.md LICENSE ./
COPY headrace headrace
COPY pipeline pipeline
COPY coordinator coordinator
COPY workers workers
COPY broker broker
COPY client client
# Whole seconds, as an image's layers keep them: compiled kernels are found again by their sources' time.
RUN if [ -n "$OFFLINE" ]; then export PIP_NO_INDEX=1 PIP_FIND_LINKS=/src/wheels; fi; \
    /opt/headrace/bin/python -m pip install --no-deps --prefix /opt/package . && \
    find /opt/package -name '*.py' -exec sh -c 'for f; do touch -d "@$(stat -c %Y "$f")" "$f"; done' sh {} +

# ---- what runs
FROM python:${PYTHON}-slim
ARG CPU=generic
LABEL org.opencontainers.image.title="headrace" \
      org.opencontainers.image.description="Input pipelines that run beside your training loop" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN groupadd --gid 10001 headrace && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin headrace && \
    install -d -m 0700 -o 10001 -g 10001 /keys /keys/server /keys/worker /keys/trainer /state
COPY --from=libraries /opt/headrace /opt/headrace
COPY --from=package /opt/package /opt/headrace
# Kernels are compiled here, for every processor of the architecture: `generic` code costs 0 to 30 % in the kernels that
# resize, nothing in the others, and half a minute of compiling at each start would cost more. At run time they are copied
# to the temporary folder, because numba keeps none where it cannot write.
# `--build-arg CPU=x86-64-v3` (or any that LLVM knows) is for clusters where all machines are alike.
ENV PATH=/opt/headrace/bin:$PATH \
    PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    NUMBA_CPU_NAME=$CPU NUMBA_CPU_FEATURES= \
    HEADRACE_CACHE_DIR=/opt/headrace/cache
RUN python -c "from headrace.pipeline.warm import warm; warm()"
USER 10001:10001
WORKDIR /tmp
# The server's port under CURVE. Its page with /metrics and /healthz is on 7312, in the container alone unless configured otherwise.
EXPOSE 7311
STOPSIGNAL SIGTERM
# Whether the server can do its work, as its page says it (metrics.listen has to be left as it is): a tenth of the processor time of
# `headrace status`. Holds for `serve`; services that are something else disable it (see docker-compose.yml).
HEALTHCHECK --interval=5s --timeout=15s --start-period=60s --retries=4 CMD ["python", "-c", \
    "import http.client, sys; page = http.client.HTTPConnection('127.0.0.1', 7312, timeout=10); \
     page.request('GET', '/healthz'); sys.exit(page.getresponse().status != 200)"]
ENTRYPOINT ["headrace"]
CMD ["serve"]
