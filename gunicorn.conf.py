"""gunicorn, in development and in production; every number has an environment variable or a reason."""

import os

bind = f"{os.environ.get('BIND_HOST', '127.0.0.1')}:{os.environ.get('PORT', '8000')}"
# The gevent worker patches the standard library before the application is loaded,
# and psycopg, loaded after that, then waits through gevent too.
worker_class = "gevent"
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
worker_connections = 5000  # beyond it not even /healthz is answered
preload_app = False  # a connection pool must not be opened before the fork
keepalive = 5
timeout = 60  # seconds a worker may block its event loop
graceful_timeout = int(os.environ.get("GRACEFUL_TIMEOUT", "30"))

control_socket_disable = True  # two instances of one user would delete each other's
accesslog = None  # query strings carry user codes
errorlog = "-"

forwarder_headers = ""  # no header may say where we are mounted
limit_request_line = 4094
limit_request_fields = 64
limit_request_field_size = 8190
forwarded_allow_ips = os.environ.get("FORWARDED_ALLOW_IPS", "127.0.0.1")
