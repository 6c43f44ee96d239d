"""Other gateways, started as their documentation recommends, with one worker each.

In this set-up none of them authenticates users, holds or captures credits, or stores anything.
LiteLLM checks one master key.
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
def _run_peer(
    name: str, command: list[str], port: int, log: Path, path: str, **more: str
) -> Iterator["subprocess.Popen[str]"]:
    """Run the peer until the end of the block; yield its process once it responds to this path.

    Its environment has only the variables that are named here. Raises PeerAbsentError.
    """
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
def run_litellm(installed: Path, mock: int, folder: Path) -> Iterator[Target]:
    """Run LiteLLM's proxy with one worker and without a database, so without users and budgets."""
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
    with _run_peer(
        "litellm", command, port, folder / "litellm.log", "/health/liveliness", **variables
    ) as process:
        yield Target("LiteLLM", port, process.pid, {"Authorization": "Bearer sk-bench"})


_PATCH = """
const {Server} = require("net"), listen = Server.prototype.listen;
Server.prototype.listen = function (port, ...rest) {
    if (typeof port === "object") return listen.call(this, {...port, host: "127.0.0.1"}, ...rest);
    return listen.call(this, port, "127.0.0.1",
                       ...rest.filter(one => typeof one === "function"));
};
const {fetch, Response, Headers} = globalThis;
globalThis.fetch = async (...args) => {
    const answer = await fetch(...args);
    if (!answer.headers.get("content-type")?.startsWith("text/event-stream")) return answer;
    const headers = new Headers(answer.headers);
    return new Response(answer.body, {status: answer.status, headers});
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
def run_portkey(installed: Path, mock: int, folder: Path) -> Iterator[Target]:
    """Run Portkey's gateway in one Node process, which first loads the script `_PATCH`.

    Without the script, Portkey listens on all interfaces and fails for all streams: it adds
    headers to the provider's response, which Node 20 does not allow.
    """
    server = installed / "node_modules/@portkey-ai/gateway/build/start-server.js"
    (patch := folder / "patch.cjs").write_text(_PATCH)
    port = find_free_port()
    command = [
        shutil.which("node") or "node",
        "--require",
        str(patch),
        str(server),
        "--headless",
        f"--port={port}",
    ]
    headers = {
        "x-portkey-provider": "openai",
        "x-portkey-custom-host": f"http://127.0.0.1:{mock}/v1",
    }
    variables = {"NODE_ENV": "production", "TRUSTED_CUSTOM_HOSTS": "127.0.0.1,localhost"}
    with _run_peer("portkey", command, port, folder / "portkey.log", "/", **variables) as process:
        yield Target("Portkey", port, process.pid, {**headers, "Authorization": "Bearer none"})


_NGINX = """
{user}
daemon off; worker_processes 1; pid nginx.pid; error_log stderr error;
events {{ worker_connections 16384; }}
http {{
    access_log off;
    client_body_temp_path .; proxy_temp_path .; fastcgi_temp_path .; uwsgi_temp_path .;
    scgi_temp_path .;
    upstream mock {{ server 127.0.0.1:{mock}; keepalive 64; }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            proxy_pass http://mock; proxy_http_version 1.1; proxy_set_header Connection "";
            proxy_buffering off;
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
def run_nginx(program: Path, mock: int, folder: Path) -> Iterator[Target]:
    """Run nginx's proxy_pass with one worker, which shows what relaying alone costs."""
    port, user = find_free_port(), "user root;" if os.geteuid() == 0 else ""
    (config := folder / "nginx.conf").write_text(_NGINX.format(mock=mock, port=port, user=user))
    command = [str(program), "-p", str(folder), "-c", str(config), "-e", "stderr"]
    with _run_peer("nginx", command, port, folder / "nginx.log", "/") as process:
        yield Target("nginx", port, usage.list_children(process.pid)[0])


@dataclass(frozen=True)
class Peer:
    """A gateway to compare with. Both functions may raise PeerAbsentError.

    `install` returns what `serve` starts; the first installation takes minutes. `serve` gets it,
    the port of the mock and a folder for its files.
    """

    install: Callable[[], Path]
    serve: Callable[[Path, int, Path], AbstractContextManager[Target]]


PEERS = {
    "litellm": Peer(install_litellm, run_litellm),
    "portkey": Peer(install_portkey, run_portkey),
    "nginx": Peer(find_nginx, run_nginx),
}
