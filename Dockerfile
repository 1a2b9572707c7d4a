# The consumer: `docker build -t maskline .`, then settings as environment variables
# (docs/operating.md). No HEALTHCHECK: the probes are /livez and /readyz on HEALTH_PORT.

FROM python:3.13-slim AS build
WORKDIR /src
COPY requirements/runtime.lock requirements/build.lock requirements/
RUN python -m venv /venv && python -m venv /tools \
 && /venv/bin/pip install --no-cache-dir --require-hashes --only-binary :all: \
      -r requirements/runtime.lock \
 && /tools/bin/pip install --no-cache-dir --require-hashes --only-binary :all: \
      -r requirements/build.lock
COPY pyproject.toml README.md ./
COPY schemas schemas
COPY http_client http_client
COPY segmentation segmentation
COPY consumer consumer
COPY producer_tools producer_tools
RUN /tools/bin/hatchling build --target wheel \
 && /venv/bin/pip install --no-cache-dir --no-deps --no-index dist/*.whl

FROM python:3.13-slim
COPY --from=build /venv /venv
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    ORT_DISABLE_TELEMETRY=1 \
    HOST=0.0.0.0 \
    HEALTH_PORT=8004 \
    LOG_FORMAT=json
EXPOSE 8004
USER 10001:10001
ENTRYPOINT ["maskline"]
CMD ["consume"]
