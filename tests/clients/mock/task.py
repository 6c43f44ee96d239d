"""What the model says: a whole task for agents, one call of a tool and a text for the others.

An agent is told, in any words, to `read FILE`, to `write it to FILE` and to run a command. The
model calls the agent's own tools, whatever their names are, and takes the word that it has to write
from what the tool for reading files answered. The state of the task is in the request.
"""

import json
import re
import secrets
from typing import Any

from tests.clients.mock.arguments import build_arguments, build_value
from tests.clients.mock.conversation import Call, Conversation, Said, Tool

READ = re.compile(r"Read the file (\S+)")
WRITE = re.compile(r"write it to the file (\S+)")
WORD = re.compile(r"The word is: (\w+)")
SCRIPTS = "exec"  # a tool that runs JavaScript, in which the tools of the agent are functions
STEP = re.compile(r"Call the tool (\w+) with (\{.*\}|\S+)$", re.MULTILINE)
READERS = ("read_file", "read", "view", "read_text_file", "view_file")
WRITERS = ("write_file", "write", "create_file", "apply_patch")
# An agent asks for a summary when a conversation has become long, and goes on with that alone.
COMPACTION = re.compile(r"CONTEXT CHECKPOINT|create a detailed summary")
SUMMARY = re.compile(r"Summary: (\d+) steps are done")
SHELLS = (
    *("bash", "shell", "run_shell_command", "exec_command", "shell_command", "local_shell"),
    *("execute_command", "run_command"),
)
CHAT = "in words"  # the user asks for no tools
ANSWER = "Hello, this is the answer."
THOUGHTS = "The user wants something simple. One step after the other."


def decide(conversation: Conversation) -> Said:
    """Return what the model says next."""
    thoughts = THOUGHTS if conversation.thinks else ""
    asked = "\n".join(conversation.texts)
    if COMPACTION.search(conversation.last_turn):
        return _summarise(conversation)
    if CHAT in conversation.last_turn and conversation.choice == "auto":
        return Said(_speak(conversation, ANSWER).text, [], thoughts)
    source, target = READ.search(asked), WRITE.search(asked)
    if steps := STEP.findall(asked):
        said = _follow(conversation, steps)
    elif source and target and conversation.find_tool(*SHELLS, SCRIPTS):
        said = _continue_task(conversation, source[1].rstrip(".,"), target[1].rstrip(".,"))
    elif source and target and not conversation.tools and "SEARCH/REPLACE" in asked:
        said = _write_block(asked, target[1].rstrip(".,"))
    else:
        said = _answer(conversation)
    return Said(said.text, said.calls, thoughts)


def _follow(conversation: Conversation, steps: list[tuple[str, str]]) -> Said:
    """Call the next of the tools that the user names, with the arguments that stand there."""
    done = len(conversation.results)
    if done >= len(steps):
        return Said(f"All steps are done. The last one says: {conversation.results[-1][:300]}")
    name, arguments = steps[done]
    tool = conversation.find_tool(name.lower())
    if not tool:
        return Said(f"There is no tool {name}, only {[one.name for one in conversation.tools]}.")
    return Said("", [Call(make_id("call"), tool, json.loads(arguments))])


def _summarise(conversation: Conversation) -> Said:
    """Say how far the task is, so that it can go on from there."""
    results = conversation.earlier + conversation.results
    word = WORD.search("\n".join(results + conversation.texts))
    done = _count_steps(conversation, results)
    return Said(f"Summary: {done} steps are done. {word[0] if word else ''}")


def _count_steps(conversation: Conversation, results: list[str]) -> int:
    """Return how many steps of the task are done, those of the last summary included."""
    summaries = SUMMARY.findall("\n".join(conversation.texts))
    return len(results) + int(summaries[-1] if summaries else 0)


def _continue_task(conversation: Conversation, source: str, target: str) -> Said:
    shell = conversation.find_tool(*SHELLS, SCRIPTS)
    assert shell
    match _count_steps(conversation, conversation.results):
        case 0:
            reader = conversation.find_tool(*READERS)
            call = _call(reader, path=source) if reader else _run(shell, f"cat {source}")
            return Said("I read the file first.", [call])
        case 1:
            word = WORD.search("\n".join(conversation.results + conversation.texts))
            if not word:
                return Said(f"There is no word in {conversation.results!r:.500}.")
            return Said("", [_write(conversation, shell, target, word[1])])
        case 2:
            # Some agents lose the output of a command that ends at once.
            return Said("", [_run(shell, f"cat {target}; sleep 0.3")])
    last = (conversation.results or conversation.texts)[-1]
    return Said(f"The file has been written, it says: {last.strip()[-200:]}")


def _write(conversation: Conversation, shell: Tool, target: str, word: str) -> Call:
    writer = conversation.find_tool(*WRITERS)
    patch = f"*** Begin Patch\n*** Add File: {target}\n+{word}\n*** End Patch\n"
    if writer and writer.kind == "custom":
        return Call(make_id("call"), writer, patch)
    if writer and writer.name == "apply_patch":
        return _call(writer, patch=patch)
    if writer and "content" in str(writer.schema):
        return _call(writer, path=target, content=f"{word}\n")
    return _run(shell, f"echo {word} > {target}")


def _run(shell: Tool, command: str) -> Call:
    if shell.name == SCRIPTS:
        script = f"text(await tools.exec_command({{cmd: {json.dumps(command)}}}));"
        return Call(make_id("call"), shell, script)
    return _call(shell, command=command, cmd=command, description="A step of the task")


def _call(tool: Tool, **values: Any) -> Call:
    return Call(make_id("call"), tool, build_arguments(tool.schema, values))


def _write_block(asked: str, target: str) -> Said:
    """Return an edit of a file for an agent whose model has no tools but writes edits as text."""
    word = WORD.search(asked)
    lines = ("<<<<<<< SEARCH", "=======", word[1] if word else "?", ">>>>>>> REPLACE")
    return Said("\n".join(["Here it is.", "", target, "```", *lines, "```", ""]))


def _answer(conversation: Conversation) -> Said:
    if conversation.results:
        return _speak(conversation, f"The tool says {conversation.results[-1][:200]}.")
    tool = _choose(conversation)
    if tool:
        if tool.kind == "custom":
            return Said("", [Call(make_id("call"), tool, "x")])
        return Said("", [Call(make_id("call"), tool, build_value(tool.schema) or {})])
    return _speak(conversation, ANSWER)


def _choose(conversation: Conversation) -> Tool | None:
    """Return the tool to call; None for an agent that was told nothing about its tools."""
    if conversation.choice == "none":
        return None
    named = conversation.find_tool(conversation.choice.lower(), "structuredoutput")
    if named or conversation.find_tool(*SHELLS, SCRIPTS):
        return named
    return conversation.tools[0] if conversation.tools else None


def _speak(conversation: Conversation, text: str) -> Said:
    if conversation.schema is not None:
        return Said(json.dumps(build_value(conversation.schema) or {"answer": text}))
    return Said(text)


def make_id(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(12)}"
