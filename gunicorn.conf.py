"""The settings of gunicorn, for development and production."""

import os
from typing import Any

from smartspec import server

numbers = server.read_numbers()
bind = f"{os.environ.get('BIND_HOST', '127.0.0.1')}:{numbers['PORT']}"
# The gevent worker patches the standard library before it loads the application. psycopg is loaded
# after that, so it also waits through gevent.
worker_class = "gevent"
workers = numbers["WEB_CONCURRENCY"]
worker_connections = 5000  # Above this number, not even /healthz gets a response.
preload_app = False  # A connection pool must not be opened before the fork.
keepalive = 5
timeout = 60  # Seconds for which a worker may block its event loop.
drain_seconds = numbers["GRACEFUL_TIMEOUT"]
graceful_timeout = drain_seconds + server.SETTLE_SECONDS  # After this the master kills workers.
worker_tmp_dir = server.choose_heartbeat_folder()

control_socket_disable = True  # Two instances of one user would delete each other's socket.
accesslog = None  # Query strings contain user codes, which must not be logged.
errorlog = "-"
logconfig_dict = server.LOGGING

forwarder_headers = ""  # No request header may set the path at which the site is mounted.
limit_request_line = 4094
limit_request_fields = 64
limit_request_field_size = 8190
forwarded_allow_ips = os.environ.get("FORWARDED_ALLOW_IPS", "127.0.0.1")

server.raise_open_files()


def post_worker_init(worker: Any) -> None:
    """Let running completions go on after SIGTERM, and follow what administrators set."""
    server.end_without_loss(worker, seconds=drain_seconds)
    server.follow_settings()


def worker_int(worker: Any) -> None:
    """Settle what runs before SIGINT or SIGQUIT ends the worker."""
    server.end_quickly()
