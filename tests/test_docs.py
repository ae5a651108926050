"""Every command, path and block of Python that the documents show."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

import pytest
import typer.main
import yaml
from tests import rehearsal
from tests.support.documents import (
    DOCUMENTS,
    ROOT,
    Said,
    command_lines,
    commands,
    file_names,
    inline_code,
    python_blocks,
)

from mien.cli import app, main

COMMANDS = typer.main.get_command(app).commands
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
TARGETS = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M)

#: Launchers that take a command's own arguments.
LAUNCHERS = {
    "scripts/predict_emotion.py": "predict",
    "scripts/optimize_model.py": "optimize",
    "scripts/benchmark.py": "benchmark",
}

#: What a document may name below the repository though it is not there: what commands make.
MADE = ("models/optimised", "deploy/secrets", "src/mien/service/static/vendor")

#: Names that the reference document has and mien has not: docs/decisions.md says why.
NOT_OURS = ("src/data_pipeline.py", "src/training.py", "src/model_architectures.py")

#: What lies about where commands of documents are run.
PLAYGROUND = {
    "examples/astronaut.jpg",
    "examples/",
    "photo.jpg",
    "crowd.jpg",
    "holiday/",
    "photos/",
}

LINES = command_lines()
OURS = [
    (said, command)
    for said in LINES
    if re.search(r"\bmien |\b(python|make|pip|pytest|streamlit) ", said.text)
    for command in commands(said.text)
]
SHOWN = [(said, command) for said, command in OURS if command[0] == "mien"]


def ids(cases: list[tuple[Said, list[str]]]) -> list[str]:
    return [f"{said.document}: {' '.join(command)}" for said, command in cases]


def parse(name: str, arguments: list[str]) -> None:
    """Let the command's own parser judge: names and values of options, and arguments."""
    if name.startswith("-"):
        assert name in ("--version", "--help", "-h", "--install-completion", "--show-completion")
        return
    assert name in COMMANDS, f"there is no command 'mien {name}'"
    with contextlib.suppress(typer.Exit):  # --help
        COMMANDS[name].make_context(f"mien {name}", list(arguments))


def test_there_is_something_to_check() -> None:
    assert len(DOCUMENTS) > 10
    assert len(SHOWN) > 30
    assert commands("") == []
    assert commands("A=1 mien predict - --json | head > out  # why") == [
        ["mien", "predict", "-", "--json"],
        ["head"],
    ]


@pytest.mark.parametrize(("said", "command"), SHOWN, ids=ids(SHOWN))
def test_a_command_that_is_shown_can_be_given(said: Said, command: list[str]) -> None:
    parse(command[1], [each for each in command[2:] if each != "..."])


def test_a_command_that_is_mentioned_exists() -> None:
    mentioned = [said for said in inline_code() if re.match(r"mien [a-z]", said.text)]
    assert mentioned
    for said in mentioned:
        _, name, *rest = said.text.split()
        assert name in COMMANDS, str(said)
        known = {option for each in COMMANDS[name].params for option in each.opts}
        known |= {option for each in COMMANDS[name].params for option in each.secondary_opts}
        for option in re.findall(r"(?<![\w-])--[a-z][a-z-]*", " ".join(rest)):
            assert option in known | {"--help"}, str(said)


OTHERS = [(said, command) for said, command in OURS if command[0] != "mien"]


@pytest.mark.parametrize(("said", "command"), OTHERS, ids=ids(OTHERS))
def test_what_else_is_run_exists(said: Said, command: list[str]) -> None:
    program, arguments = command[0], command[1:]
    if program == "make":
        assert {each for each in arguments if "=" not in each} <= set(TARGETS)
    elif program in ("python", "python3"):
        for script in (each for each in arguments[:1] if each.endswith(".py") and "/" in each):
            assert (ROOT / script).is_file()
            if script in LAUNCHERS:
                parse(LAUNCHERS[script], arguments[1:])
    elif program == "pip":
        for named in re.findall(r"(?:mien|\.)\[([a-z,]+)\]", " ".join(arguments)):
            assert set(named.split(",")) <= set(EXTRAS)
    elif program in ("streamlit", "pytest"):
        for path in (each for each in arguments[:2] if each.endswith(".py") or "/" in each):
            assert (ROOT / path).exists()


def test_paths_of_the_repository_exist() -> None:
    tops = "api|benchmarks|deploy|docs|examples|models|notebooks|scripts|src|tests"
    spans = [*inline_code(), *(Said(said.document, word) for said in LINES for word in
             said.text.split())]  # fmt: skip
    path = re.compile(rf"(?:{tops})/[\w./*-]*[\w*/]")
    named = {(said, said.text) for said in spans if path.fullmatch(said.text)}
    assert len(named) > 20
    missing = [
        str(said)
        for said, text in named
        if not text.startswith((*MADE, *NOT_OURS)) and not any(ROOT.glob(text.rstrip("/")))
    ]
    assert missing == []


def test_links_between_documents_lead_somewhere() -> None:
    for document in DOCUMENTS:
        for target in re.findall(r"\]\(([^)#\s]+)", document.read_text(encoding="utf-8")):
            if "://" not in target and not target.startswith("mailto:"):
                assert (document.parent / target).exists(), f"{document}: {target}"


def test_pages_of_the_site_exist() -> None:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    pages = re.findall(r"[\w/-]+\.md$", text, re.M)
    assert pages
    assert [page for page in pages if not (ROOT / "docs" / page).is_file()] == []
    assert yaml.safe_load(text)["theme"]["font"] is False


def test_the_site_builds_strictly_and_asks_nobody(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)],
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )

    assert ran.returncode == 0, ran.stderr
    commands_page = (tmp_path / "reference" / "cli" / "index.html").read_text(encoding="utf-8")
    assert all(f'id="mien-{name}"' in commands_page for name in COMMANDS)
    fetched = re.compile(
        r"""<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)=["'](?:https?:)?//|url\(["']?https?:"""
    )
    for page in [*tmp_path.rglob("*.html"), *tmp_path.rglob("*.css")]:
        assert not fetched.search(page.read_text(encoding="utf-8")), page


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_shows_an_example_that_can_be_given(name: str) -> None:
    help_text = COMMANDS[name].help or ""

    assert "**Examples**" in help_text
    shown = [" ".join(part.split()) for part in help_text.split("\n\n")]
    examples = [each for part in shown for each in commands_in(part)]
    assert any(example[1] == name for example in examples)
    for example in examples:
        parse(example[1], example[2:])


def commands_in(paragraph: str) -> list[list[str]]:
    if not paragraph.startswith(("mien ", "cat ")):
        return []
    return [command for command in commands(paragraph) if command[0] == "mien"]


def can_be_run(said: Said, command: list[str]) -> bool:
    """Say whether a command is quick and names nothing but what the playground has."""
    if command[1] not in ("predict", "explain") or "|" in said.text:
        return False
    context = COMMANDS[command[1]].make_context("mien", command[2:])
    inputs = [str(each) for each in context.params["images"] or ()]
    inputs += [f"{context.params['batch']}/"] if context.params.get("batch") else []
    return context.params.get("model") is None and bool(inputs) and set(inputs) <= PLAYGROUND


RUN = [command for said, command in SHOWN if can_be_run(said, command)]
RUN = [list(each) for each in dict.fromkeys(map(tuple, RUN))]


@pytest.fixture
def playground(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which the files lie that documents speak of."""
    photo = ROOT / "examples" / "astronaut.jpg"
    for name in PLAYGROUND:
        path = tmp_path / name / ("photo.jpg" if name.endswith("/") else "")
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(photo, path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("command", RUN, ids=[" ".join(each) for each in RUN])
def test_a_quick_command_does_what_it_says(
    playground: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(command[1:])

    told = capsys.readouterr()
    assert caught.value.code == 0, told.err
    made = [path for path in playground.rglob("*") if path.is_file()]
    assert "face" in told.out or len(made) > len(PLAYGROUND)


def test_every_command_has_been_run() -> None:
    """``python -m tests.rehearsal docs/rehearsal.md`` runs them all and writes that page."""
    page = (ROOT / "docs" / "rehearsal.md").read_text(encoding="utf-8")

    assert "**exit code" not in page
    run = {row.split("` ")[0].removeprefix("| `") for row in page.splitlines() if "| `" in row}
    shown = {line for line, _ in rehearsal.shown()}
    assert shown == {line.replace("\\|", "|") for line in run}


PYTHON = python_blocks()


@pytest.mark.parametrize(
    "block", PYTHON, ids=[f"{said.document}-{number}" for number, said in enumerate(PYTHON)]
)
def test_python_runs(playground: Path, block: Said) -> None:
    """Run a block; one that names a file that only its reader has is compiled."""
    program = compile(block.text, block.document, "exec")
    named = {name for name in file_names(block.text) if not (playground / name).exists()}
    if not named:
        exec(program, {"__name__": "__main__"})
