"""The SDKs and frameworks: each has a driver, which runs in the folder of its packages."""

from collections.abc import Callable
from pathlib import Path

from tests.clients import installing
from tests.clients.client import Client, Step, read_steps, run_program
from tests.clients.gateway import Gateway

DRIVERS = Path(__file__).parent / "drivers"
# Neither tracing nor prices are asked of servers that are not on this machine.
QUIET = {
    "OPENAI_AGENTS_DISABLE_TRACING": "1",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LANGCHAIN_TRACING_V2": "false",
    "AI_SDK_LOG_WARNINGS": "false",
    "PYTHONDONTWRITEBYTECODE": "1",
}


def _make_python(driver: str) -> Callable[[Gateway, Path, Path], list[Step]]:
    def run(gateway: Gateway, installed: Path, folder: Path) -> list[Step]:
        command = [str(installed), str(DRIVERS / f"{driver}_python.py")]
        return read_steps(run_program(command, folder, _list_variables(gateway)))

    return run


def _make_node(driver: str) -> Callable[[Gateway, Path, Path], list[Step]]:
    def run(gateway: Gateway, installed: Path, folder: Path) -> list[Step]:
        # Node looks for packages above the folder of the script.
        for name in ("steps.mjs", f"{driver}_node.mjs"):
            (installed / name).write_bytes((DRIVERS / name).read_bytes())
        command = [str(installing.find_node()), str(installed / f"{driver}_node.mjs")]
        return read_steps(run_program(command, folder, _list_variables(gateway)))

    return run


def _list_variables(gateway: Gateway) -> dict[str, str]:
    return {
        "GATEWAY_URL": gateway.url,
        "GATEWAY_KEY": gateway.key,
        "GATEWAY_POOR_KEY": gateway.poor_key,
        **QUIET,
    }


PYTHON = [
    Client("OpenAI (Python)", "sdks", "openai", _make_python("openai")),
    Client("Anthropic (Python)", "sdks", "anthropic", _make_python("anthropic")),
    Client("LangChain (Python)", "sdks", "langchain-openai", _make_python("langchain")),
    Client("Pydantic AI", "sdks", "pydantic-ai-slim", _make_python("pydantic_ai")),
    Client("OpenAI Agents", "sdks", "openai-agents", _make_python("openai_agents")),
    Client("llm", "sdks", "llm", _make_python("llm")),
    Client("LiteLLM", "frameworks", "litellm", _make_python("litellm")),
    Client("LlamaIndex", "frameworks", "llama-index-llms-openai", _make_python("llama_index")),
    Client("Instructor", "frameworks", "instructor", _make_python("instructor")),
    Client("OpenAI (Python 2)", "frameworks", "openai", _make_python("openai")),
]
NODE = [
    Client("OpenAI (Node)", "node-sdks", "openai", _make_node("openai")),
    Client("Anthropic (Node)", "node-sdks", "@anthropic-ai/sdk", _make_node("anthropic")),
    Client("AI SDK", "node-sdks", "ai", _make_node("ai_sdk")),
    Client("LangChain (Node)", "node-sdks", "@langchain/openai", _make_node("langchain")),
]
