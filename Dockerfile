# The page for a Docker Space or plain Docker:             docker build -t milr .
# for a CPU alone, a quarter of the size:                  … --build-arg TORCH_INDEX=URL of an index with torch's CPU builds
# with Janus-Pro's weights inside (under the DeepSeek Model License, whose use restrictions pass on to whoever gets the image):
#                                                        … --build-arg WEIGHTS=deepseek-community/Janus-Pro-1B
# on a base that cannot change under its name:             … --build-arg BASE=python:3.12-slim@sha256:…
ARG PYTHON=3.12
ARG BASE=python:${PYTHON}-slim
FROM ${BASE}

# All but torch and what CUDA needs is pinned by hash (`make lock`); torch's wheels differ with the index.
ARG TORCH=2.13.0
ARG TORCH_INDEX=
COPY requirements-image.txt /tmp/requirements.txt
RUN pip install --no-cache-dir --disable-pip-version-check --no-deps --require-hashes -r /tmp/requirements.txt \
    && pip install --no-cache-dir --disable-pip-version-check ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} "torch==$TORCH"

# Spaces run as user 1000, and so does this everywhere.
RUN useradd --uid 1000 --create-home user
USER user
ENV HOME=/home/user \
    HF_HOME=/home/user/.cache/huggingface \
    GRADIO_TEMP_DIR=/tmp/gradio \
    HF_HUB_DISABLE_TELEMETRY=1 \
    GRADIO_ANALYTICS_ENABLED=False \
    PYTHONUNBUFFERED=1 \
    HOST=0.0.0.0 \
    PORT=7860
RUN mkdir -p "$HF_HOME"

# Weights are fetched when first used, into the cache folder; or here, into the image. No token: these are public.
ARG WEIGHTS=
RUN test -z "$WEIGHTS" || python -c "import sys; from huggingface_hub import snapshot_download; snapshot_download(sys.argv[1])" "$WEIGHTS"
ENV MILR_MODEL=${WEIGHTS}

WORKDIR /home/user/app
COPY --chown=user . .

EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=10s --start-period=120s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen('http://127.0.0.1:' + os.environ['PORT'] + '/gradio_api/app_id', timeout=8)"]
CMD ["python", "app.py"]
