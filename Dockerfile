# The image of every Gatecast process: `docker build -t gatecast .`
# deploy/build_image.sh builds it where images cannot be pulled: other bases stand in by argument.
ARG NODE_BASE=node:20-bookworm-slim
ARG BASE=python:3.11-slim-bookworm

FROM ${NODE_BASE} AS web
WORKDIR /src/web
COPY web/package.json web/package-lock.json web/.npmrc ./
RUN npm ci --no-audit --no-fund --loglevel=error
COPY web ./
# Types are checked with the tests, which are not here.
RUN npm run bundle

FROM ${BASE} AS build
WORKDIR /src
# The one environment has pip and never leaves this stage, the other is what the image gets.
RUN python3 -m venv /build && python3 -m venv --without-pip /opt/gatecast
COPY requirements.lock ./
RUN /build/bin/pip --python /opt/gatecast/bin/python install --no-cache-dir --no-deps \
    --require-hashes --only-binary :all: --requirement requirements.lock
COPY pyproject.toml README.md LICENSE schema.sql ./
COPY realtime realtime
COPY api api
COPY web/src/locales/notices web/src/locales/notices
COPY --from=web /src/web/dist web/dist
RUN /build/bin/pip wheel --no-cache-dir --no-deps --wheel-dir /wheels . \
    && /build/bin/pip --python /opt/gatecast/bin/python install --no-cache-dir --no-deps \
    --no-index /wheels/*.whl

FROM ${BASE}
LABEL org.opencontainers.image.title="Gatecast" \
    org.opencontainers.image.description="The realtime push server for flight status" \
    org.opencontainers.image.licenses="Apache-2.0"
RUN useradd --system --uid 10001 --user-group --no-create-home --home-dir /var/lib/gatecast \
    --shell /usr/sbin/nologin gatecast \
    && install --directory --owner gatecast --group gatecast --mode 0700 /var/lib/gatecast
COPY --from=build /opt/gatecast /opt/gatecast
ENV PATH=/opt/gatecast/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    GATECAST_HOST=0.0.0.0 \
    GATECAST_DATA_DIR=/var/lib/gatecast
USER 10001:10001
# A read-only root needs a writable /tmp; `serve` without a database keeps it in GATECAST_DATA_DIR.
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
    CMD ["python3", "-c", "from urllib.request import urlopen; from realtime.settings import load_settings; s = load_settings(); urlopen(f'http://127.0.0.1:{s.operations_port or s.port}/readyz', timeout=4)"]
ENTRYPOINT ["gatecast"]
CMD ["serve"]
