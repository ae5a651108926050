"""The documents as tests see them: their command lines, blocks of Python, and paths."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]

_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\w*)\n(?P<body>.*?)^(?P=indent)```$", re.M | re.S
)
_INDENTED = re.compile(r"(?:\A|\n)\n((?: {4}\S.*\n?(?:\n(?= {4}))*)+)")
_INLINE = re.compile(r"`([^`\n]+)`")
_SHELLS = {"", "bash", "console", "sh", "shell"}
_SETTING = re.compile(r"^[A-Z_]+=\S*$")


@dataclass(frozen=True)
class Said:
    """Something that a document says, and where."""

    document: str
    text: str

    def __str__(self) -> str:
        return f"{self.document}: {self.text}"


def blocks(document: Path) -> Iterator[tuple[str, str]]:
    """Yield (language, body) of each fenced or indented block; indented ones have none."""
    text = document.read_text(encoding="utf-8")
    for found in _FENCE.finditer(text):
        yield found["language"], found["body"]
    for found in _INDENTED.finditer(_FENCE.sub("", text)):
        yield "", re.sub(r"^ {4}", "", found[1], flags=re.M)


def python_blocks() -> list[Said]:
    return [
        Said(_name(document), body)
        for document in DOCUMENTS
        for language, body in blocks(document)
        if language in ("python", "py")
    ]


def command_lines() -> list[Said]:
    """Return the lines of all blocks that are for a shell, continued lines joined."""
    return [
        Said(_name(document), line.removeprefix("$ ").strip())
        for document in DOCUMENTS
        for language, body in blocks(document)
        if language in _SHELLS
        for line in _joined(language, body)
    ]


def commands(line: str) -> list[list[str]]:
    """Split a line into its simple commands, each without settings and redirections.

    >>> commands("A=1 mien predict - --json | head > out.txt  # why")
    [['mien', 'predict', '-', '--json'], ['head']]
    """
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split, lexer.commenters = True, "#"
    found: list[list[str]] = [[]]
    redirected = False
    for token in lexer:
        if set(token) <= set("|&;"):
            found.append([])
        elif set(token) <= set("<>"):
            redirected = True
        elif redirected:
            redirected = False
        elif found[-1] or not _SETTING.match(token):
            found[-1].append(token)
    return [each for each in found if each]


def inline_code() -> list[Said]:
    return [
        Said(_name(document), span)
        for document in DOCUMENTS
        for span in _INLINE.findall(_FENCE.sub("", document.read_text(encoding="utf-8")))
    ]


def file_names(source: str) -> set[str]:
    """Return the strings in Python source that look like names of files."""
    strings = {
        node.value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    return {text for text in strings if re.fullmatch(r"[\w./-]+\.[a-z0-9]{2,5}", text)}


def _name(document: Path) -> str:
    return document.relative_to(ROOT).as_posix()


def _joined(language: str, body: str) -> Iterator[str]:
    lines = body.replace("\\\n", " ").splitlines()
    shown = any(line.startswith("$ ") for line in lines)
    for line in lines:
        if line.startswith("$ ") or (not shown and language != "console"):
            yield line
