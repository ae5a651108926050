# The service, small and without root:  docker build -t mien . && docker run -p 8000:8000 -e MIEN_API_KEYS=... mien
#
# Two stages: the first has pip and what builds need, the second only what runs.

FROM python:3.12-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /source
RUN python -m venv /venv
COPY pyproject.toml README.md LICENSE THIRD_PARTY.md ./
COPY requirements/serve.txt ./requirements/serve.txt
RUN /venv/bin/pip install --require-hashes -r requirements/serve.txt
COPY src ./src
RUN /venv/bin/pip install --no-deps .

FROM python:3.12-slim-bookworm
ENV PATH="/venv/bin:$PATH" \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    MIEN_HOST=0.0.0.0 \
    MIEN_PORT=8000
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin mien
COPY --from=build /venv /venv
USER 10001:10001
WORKDIR /tmp
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health/ready', timeout=2)"]
# no keys, no start: set MIEN_API_KEYS, mount a file for MIEN_API_KEYS_FILE, or, behind a
# proxy that checks who asks, set MIEN_INSECURE=true
CMD ["mien", "serve"]
