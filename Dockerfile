FROM python:3.11-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 DEBUG=false
WORKDIR /app
COPY requirements.txt .
RUN python -m venv /venv && /venv/bin/pip install --only-binary :all: --no-deps -r requirements.txt
COPY . .
# The command needs no database. The secret is used by this command only and is not stored.
RUN SECRET_KEY=only-for-collectstatic DATABASE_URL=postgres://build@127.0.0.1/build \
    PUBLIC_ORIGIN=http://127.0.0.1 \
    /venv/bin/python manage.py collectstatic --no-input --skip-checks && rm -rf .data

FROM python:3.11-slim
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 DEBUG=false BIND_HOST=0.0.0.0 PORT=8000
# Charges wait in this folder while the database takes nothing: mount a volume there.
ENV DATA_DIR=/var/lib/smartspec
RUN useradd --system --uid 10001 --no-create-home smartspec \
    && install --directory --owner=smartspec --mode=700 /var/lib/smartspec
WORKDIR /app
COPY --from=build /venv /venv
COPY --from=build /app /app
USER smartspec
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f\"http://127.0.0.1:{os.environ['PORT']}/healthz\", timeout=4)"]
STOPSIGNAL SIGTERM
CMD ["python", "-m", "smartspec.server"]
