"""What Anthropic says about a problem with the shape of a request.

Source: answers of the API that people quote in public issue trackers. It validates with pydantic,
whose path of a problem names the alternative of each union: `tools.0.custom.name`.
"""

from tests.clients.mock.refusals import Refused, join_words, refuse_anthropic
from tests.clients.mock.shapes import Problem

INPUTS = {
    "string": "Input should be a valid string",
    "integer": "Input should be a valid integer",
    "number": "Input should be a valid number",
    "boolean": "Input should be a valid boolean",
    "array": "Input should be a valid list",
    "object": "Input should be a valid dictionary",
    "null": "Input should be null",
}


def refuse_problem(problem: Problem) -> Refused:
    """Return Anthropic's refusal of a request with this problem."""
    match problem.kind:
        case "missing":
            why = "Field required"
        case "extra":
            why = "Extra inputs are not permitted"
        case "type":
            why = INPUTS[problem.expected]
        case _ if problem.path[-1] == "type":
            tags = ", ".join(f"'{one}'" for one in problem.expected)
            name = ".".join(map(str, problem.path[:-1]))
            return refuse_anthropic(
                f"{name}: Input tag '{problem.got}' found using 'type' does not match any of the"
                f" expected tags: {tags}"
            )
        case _:
            values = join_words([f"'{one}'" for one in problem.expected]).replace(", and ", " or ")
            why = f"Input should be {values.replace(' and ', ' or ')}"
    return refuse_anthropic(f"{write_path(problem)}: {why}")


def write_path(problem: Problem) -> str:
    """Return the path as Anthropic writes it. A tool without a type is `custom`."""
    tags = dict(problem.tags)
    if problem.path[:1] == ("tools",) and len(problem.path) > 2:
        tags.setdefault(2, "custom")
    steps: list[str] = []
    for place, step in enumerate(problem.path):
        if place in tags:
            steps.append(tags[place])
        steps.append(str(step))
    return ".".join(steps)
