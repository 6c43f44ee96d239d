"""tools/line_lengths.py finds lines that are too long, and leaves alone those that may be."""

from pathlib import Path

import pytest

from tools import line_lengths

LONG = "word " * 25
ADDRESS = f"https://example.com/{'a' * 100}"


def check(folder: Path, name: str, text: str) -> list[str]:
    file = folder / name
    file.write_text(text)
    return list(line_lengths.check_file(file))


@pytest.mark.parametrize("name", ["a.sql", "a.html", "a.md"])
def test_a_long_line_is_found(tmp_path: Path, name: str) -> None:
    (found,) = check(tmp_path, name, f"short\n{LONG}\n")
    assert found == f"{tmp_path / name}:2: 125 characters, 100 are allowed"


def test_a_line_of_100_characters_is_not_too_long(tmp_path: Path) -> None:
    assert check(tmp_path, "a.sql", "ก" * 100 + "\n") == []


@pytest.mark.parametrize(
    "text",
    [f"| {LONG} |", f"```sh\n{LONG}\n```", f"See [this]({ADDRESS}).", f"See <{ADDRESS}>."],
    ids=["a table", "code", "a link", "an address"],
)
def test_what_cannot_be_broken_may_be_long_in_markdown(tmp_path: Path, text: str) -> None:
    assert check(tmp_path, "a.md", text) == []


def test_a_template_tag_alone_on_its_line_may_be_long(tmp_path: Path) -> None:
    tag = f'{{% component "button.html" with title="{LONG}" %}}'
    assert check(tmp_path, "a.html", f"  {tag}\n") == []


@pytest.mark.parametrize(
    "line",
    [
        f'{{% translate "{LONG}" %}}',
        f"{{% if a %}}{LONG}{{% endif %}}",
        f"<p>{{% url '{LONG}' %}}</p>",
    ],
    ids=["translate", "two tags", "markup"],
)
def test_a_template_tag_beside_something_else_counts(tmp_path: Path, line: str) -> None:
    assert len(check(tmp_path, "a.html", line)) == 1


def test_prose_after_code_counts_again(tmp_path: Path) -> None:
    (found,) = check(tmp_path, "a.md", f"```\n{LONG}\n```\n{LONG}\n")
    assert ":4: " in found


def test_a_long_line_fails_the_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a.sql"
    file.write_text(LONG)
    assert line_lengths.main([str(file)]) == 1
    assert "125 characters" in capsys.readouterr().out


def test_the_whole_repository_is_looked_at() -> None:
    files = line_lengths.all_files(line_lengths.ROOT)
    assert {file.suffix for file in files} == {".md", ".sql", ".html", ".txt"}
    assert line_lengths.ROOT / "README.md" in files
