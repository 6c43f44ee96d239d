"""What OpenAI says about a problem with the shape of a request.

Source: answers of the API that people quote in public issue trackers.
"""

from tests.clients.mock.refusals import Refused, join_words, refuse_openai
from tests.clients.mock.shapes import Path, Problem

AN = ("array", "integer", "object")


def refuse_problem(problem: Problem) -> Refused:
    """Return OpenAI's refusal of a request with this problem."""
    name = write_path(problem.path)
    match problem.kind:
        case "missing":
            message, code = f"Missing required parameter: '{name}'.", "missing_required_parameter"
        case "extra":
            message, code = f"Unknown parameter: '{name}'.", "unknown_parameter"
        case "type":
            expected = f"{_article(problem.expected)} {problem.expected}"
            got = f"{_article(problem.word)} {problem.word}"
            message = f"Invalid type for '{name}': expected {expected}, but got {got} instead."
            code = "invalid_type"
        case _:
            values = join_words([f"'{one}'" for one in problem.expected])
            message = f"Invalid value: '{problem.got}'. Supported values are: {values}."
            code = "invalid_value"
    return refuse_openai(message, param=name, code=code)


def write_path(path: Path) -> str:
    """Return the path as OpenAI writes it, such as `input[0].content`."""
    written = ""
    for step in path:
        written += f"[{step}]" if isinstance(step, int) else f".{step}"
    return written.removeprefix(".")


def _article(word: str) -> str:
    return "an" if word in AN else "a"


def refuse_unsupported(name: str, instead: str = "") -> Refused:
    """Return the refusal of a parameter that the model does not take."""
    use = f" Use '{instead}' instead." if instead else ""
    return refuse_openai(
        f"Unsupported parameter: '{name}' is not supported with this model.{use}",
        param=name,
        code="unsupported_parameter",
    )


def refuse_value(name: str, value: object, default: object) -> Refused:
    """Return the refusal of a value other than the default one."""
    return refuse_openai(
        f"Unsupported value: '{name}' does not support {value} with this model. Only the default"
        f" ({default}) value is supported.",
        param=name,
        code="unsupported_value",
    )


def refuse_empty(name: str) -> Refused:
    """Return the refusal of a list without members."""
    return refuse_openai(
        f"Invalid '{name}': empty array. Expected an array with minimum length 1, but got an empty"
        " array instead.",
        param=name,
        code="empty_array",
    )
