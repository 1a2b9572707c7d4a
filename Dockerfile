# One image for every command: `docker build -t maskline .`, then settings as environment variables
# (docs/operating.md). No HEALTHCHECK: the probes are /livez and /readyz on HEALTH_PORT.
#
# BASE_IMAGE    any image with Python 3.11 or newer, its venv module and glibc
# ONNXRUNTIME   onnxruntime-gpu takes the variant for NVIDIA's GPUs. Nobody has tested it: it needs a
#               BASE_IMAGE with CUDA and cuDNN, and ONNX_PROVIDERS=CUDAExecutionProvider

ARG BASE_IMAGE=python:3.13-slim

FROM ${BASE_IMAGE} AS libraries
ARG ONNXRUNTIME=onnxruntime
COPY requirements/runtime.lock requirements/onnxruntime-gpu.lock /requirements/
# The environment has no pip: that of /tools installs into it. Libraries bring their tests, 20 MB.
# The .pth file leads to our code.
RUN python3 -m venv --without-pip /venv && python3 -m venv /tools \
 && install="/tools/bin/pip --python /venv/bin/python install --no-cache-dir --require-hashes" \
 && $install --only-binary :all: -r /requirements/runtime.lock \
 && if [ "$ONNXRUNTIME" != onnxruntime ]; then \
      /tools/bin/pip --python /venv/bin/python uninstall --yes onnxruntime \
      && $install --no-deps -r "/requirements/$ONNXRUNTIME.lock"; fi \
 && find /venv -type d -name tests -prune -exec rm -rf {} + \
 && echo /app > "$(/venv/bin/python -c 'import site; print(site.getsitepackages()[0])')/maskline.pth"

FROM libraries AS application
COPY requirements/build.lock /requirements/
RUN /tools/bin/pip install --no-cache-dir --require-hashes --only-binary :all: \
      -r /requirements/build.lock
WORKDIR /src
COPY pyproject.toml README.md ./
COPY schemas schemas
COPY http_client http_client
COPY segmentation segmentation
COPY consumer consumer
COPY producer_tools producer_tools
RUN /tools/bin/hatchling build --target wheel \
 && /tools/bin/pip --python /venv/bin/python install --no-cache-dir --no-deps --no-index \
      --target /app dist/*.whl

FROM ${BASE_IMAGE}
RUN find / -xdev \( -name pip -o -name 'pip3*' -o -name 'pip-*' -o -name ensurepip \
      -o -name python-wheels \) -prune -exec rm -rf {} +
COPY --from=libraries /venv /venv
ENV PATH=/app/bin:/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    ORT_DISABLE_TELEMETRY=1 \
    HOST=0.0.0.0 \
    HEALTH_PORT=8004 \
    LOG_FORMAT=json
EXPOSE 8003 8004
USER 10001:10001
ENTRYPOINT ["maskline"]
CMD ["consume"]
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Maskline" \
      org.opencontainers.image.description="Photos of people come in on Kafka, body-region masks come out: in order, exactly once." \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# Last, so that a change of our code makes no other layer anew.
COPY --from=application /app /app
