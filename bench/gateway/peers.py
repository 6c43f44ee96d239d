"""Other gateways, started as their documentation says, one worker each.

None of them authenticates users, holds or captures credits here, or keeps anything; LiteLLM checks one master key.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import ports, usage
from bench.gateway.packages import PeerAbsentError, install
from bench.gateway.targets import Target
from smartspec.local import processes
from smartspec.local.embedded_postgres import find_free_port
from smartspec.local.site import tail

START_SECONDS = 120
LITELLM, PORTKEY = "litellm[proxy]==1.108.7", "@portkey-ai/gateway@1.15.2"


@contextmanager
def _running(
    name: str, command: list[str], port: int, log: Path, path: str, **more: str
) -> Iterator["subprocess.Popen[str]"]:
    """The peer until the end of the block, once it answers this path. It gets no variable but those named here."""
    environment = {
        "PATH": f"{Path(command[0]).parent}:/usr/sbin:/usr/bin:/bin",
        "HOME": str(log.parent),
        **more,
    }
    with log.open("w") as output:
        process = processes.start(
            command, cwd=log.parent, env=environment, stdout=output, stderr=output, process_group=0,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def check() -> None:
        if process.poll() is not None:
            raise PeerAbsentError(f"{name} does not start.\n{tail(log)}")

    try:
        try:
            ports.wait_for_answer(port, path, check, START_SECONDS)
        except TimeoutError as error:
            raise PeerAbsentError(f"{name}: {error}\n{tail(log)}") from error
        yield process
    finally:
        processes.stop(process)


_LITELLM = """
model_list:
  - model_name: bench
    litellm_params: {{model: openai/bench, api_base: "http://127.0.0.1:{mock}/v1", api_key: none}}
litellm_settings: {{telemetry: false, num_retries: 0}}
general_settings: {{master_key: sk-bench}}
"""


def install_litellm() -> Path:
    return install(
        "litellm", [sys.executable, "-m", "venv", "."], ["bin/pip", "install", "-q", LITELLM]
    )


@contextmanager
def litellm(installed: Path, mock: int, folder: Path) -> Iterator[Target]:
    """LiteLLM's proxy with one worker, without a database, so without users and budgets."""
    (config := folder / "litellm.yaml").write_text(_LITELLM.format(mock=mock))
    port = find_free_port()
    command = [
        str(installed / "bin" / "litellm"),
        "--config",
        str(config),
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    command += ["--num_workers", "1", "--telemetry", "False"]
    variables = {
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_TELEMETRY": "False",
        "LITELLM_LOG": "ERROR",
    }
    with _running(
        "litellm", command, port, folder / "litellm.log", "/health/liveliness", **variables
    ) as process:
        yield Target("LiteLLM", port, process.pid, {"Authorization": "Bearer sk-bench"})


_FIRST = """
const {Server} = require("net"), listen = Server.prototype.listen;
Server.prototype.listen = function (port, ...rest) {
    if (typeof port === "object") return listen.call(this, {...port, host: "127.0.0.1"}, ...rest);
    return listen.call(this, port, "127.0.0.1", ...rest.filter(one => typeof one === "function"));
};
const {fetch, Response, Headers} = globalThis;
globalThis.fetch = async (...asked) => {
    const answer = await fetch(...asked);
    if (!answer.headers.get("content-type")?.startsWith("text/event-stream")) return answer;
    return new Response(answer.body, {status: answer.status, headers: new Headers(answer.headers)});
};
"""


def install_portkey() -> Path:
    if not (shutil.which("node") and (npm := shutil.which("npm"))):
        raise PeerAbsentError("portkey needs Node 20 and npm")
    return install(
        "portkey",
        [npm, "install", "--prefix", ".", "--no-audit", "--no-fund", "--ignore-scripts", PORTKEY],
    )


@contextmanager
def portkey(installed: Path, mock: int, folder: Path) -> Iterator[Target]:
    """Portkey's gateway, in one Node process, which loads something first: it would listen everywhere, and refuse all
    streams, as it adds headers to the provider's own, which Node 20 does not let anybody change."""
    server = installed / "node_modules/@portkey-ai/gateway/build/start-server.js"
    (first := folder / "first.cjs").write_text(_FIRST)
    port = find_free_port()
    command = [
        shutil.which("node") or "node",
        "--require",
        str(first),
        str(server),
        "--headless",
        f"--port={port}",
    ]
    headers = {
        "x-portkey-provider": "openai",
        "x-portkey-custom-host": f"http://127.0.0.1:{mock}/v1",
    }
    variables = {"NODE_ENV": "production", "TRUSTED_CUSTOM_HOSTS": "127.0.0.1,localhost"}
    with _running("portkey", command, port, folder / "portkey.log", "/", **variables) as process:
        yield Target("Portkey", port, process.pid, {**headers, "Authorization": "Bearer none"})


_NGINX = """
{user}
daemon off; worker_processes 1; pid nginx.pid; error_log stderr error;
events {{ worker_connections 16384; }}
http {{
    access_log off;
    client_body_temp_path .; proxy_temp_path .; fastcgi_temp_path .; uwsgi_temp_path .; scgi_temp_path .;
    upstream mock {{ server 127.0.0.1:{mock}; keepalive 64; }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            proxy_pass http://mock; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off;
        }}
    }}
}}
"""


def find_nginx() -> Path:
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if not program:
        raise PeerAbsentError("nginx is not installed (Debian: apt-get install nginx)")
    return Path(program)


@contextmanager
def nginx(program: Path, mock: int, folder: Path) -> Iterator[Target]:
    """nginx's proxy_pass with one worker: what relaying alone costs."""
    port, user = find_free_port(), "user root;" if os.geteuid() == 0 else ""
    (config := folder / "nginx.conf").write_text(_NGINX.format(mock=mock, port=port, user=user))
    command = [str(program), "-p", str(folder), "-c", str(config), "-e", "stderr"]
    with _running("nginx", command, port, folder / "nginx.log", "/") as process:
        yield Target("nginx", port, usage.children(process.pid)[0])


@dataclass(frozen=True)
class Peer:
    """`install` gives what `serve` starts; it takes minutes, once, and may raise PeerAbsentError, as `serve` may.

    `serve` gets that, the port of the mock and a folder for what it writes.
    """

    install: Callable[[], Path]
    serve: Callable[[Path, int, Path], AbstractContextManager[Target]]


PEERS = {
    "litellm": Peer(install_litellm, litellm),
    "portkey": Peer(install_portkey, portkey),
    "nginx": Peer(find_nginx, nginx),
}
