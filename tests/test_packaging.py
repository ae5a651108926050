"""What others install: the wheel, its version, and the shell's completion."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

import mien

ROOT = Path(__file__).parents[1]
ASTRONAUT = ROOT / "examples" / "astronaut.jpg"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built by what pyproject.toml names, without fetching it."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "-q", "wheel", str(ROOT), "-w", str(folder)]
    subprocess.run([*build, "--no-deps", "--no-build-isolation"], check=True)
    (built,) = folder.glob("mien-*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder with nothing but the wheel installed into it."""
    folder = tmp_path_factory.mktemp("installed")
    install = [sys.executable, "-m", "pip", "-q", "install", "--no-deps", "--no-index"]
    subprocess.run([*install, "--target", str(folder), str(wheel)], check=True)
    return folder


def run_installed(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run ``mien`` from the folder: of this environment only what mien depends on is seen.

    Without ``site`` the checkout, which is installed by a ``.pth`` file, is not on the path.
    """
    paths = [str(folder), sysconfig.get_paths()["purelib"]]
    program = f"import sys; sys.path[:0] = {paths!r}; from mien.cli import main; main(sys.argv[1:])"
    return subprocess.run(
        [sys.executable, "-I", "-S", "-c", program, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )


def test_a_wheel_holds_what_is_needed_and_no_more(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()

    inside = {name.split("/", 1)[1] for name in names if name.startswith("mien/")}
    assert {
        "assets/glance.onnx",
        "assets/glance.card.json",
        "assets/centerface.onnx",
        "py.typed",
        "assets/view/boxes.js",
        "service/static/samples/crowd.jpg",
        "service/templates/live.html",
        "train/hub_card.md",
        "train/recipes/glance.yaml",
    } <= inside
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert any(name.endswith("licenses/THIRD_PARTY.md") for name in names)
    others = {name.split("/")[0] for name in names} - {"mien"}
    assert others == {f"mien-{mien.__version__}.dist-info"}
    assert not [name for name in names if "__pycache__" in name or "test" in Path(name).name]


def test_an_installed_wheel_reads_a_photo(installed: Path) -> None:
    ran = run_installed(installed, "predict", ASTRONAUT)

    assert (ran.returncode, ran.stderr) == (0, "")
    assert re.search(
        r"face 1: (angry|disgust|fear|happy|neutral|sad|surprise|uncertain)", ran.stdout
    )
    assert str(ROOT / "src") not in ran.stdout


def test_an_installed_wheel_says_its_version(installed: Path) -> None:
    ran = run_installed(installed, "--version")

    assert ran.stdout == f"mien {mien.__version__}\n"


def test_the_version_stands_in_one_place() -> None:
    assert metadata.version("mien") == mien.__version__
    assert 'dynamic = ["version"]' in (ROOT / "pyproject.toml").read_text()
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+|rc\d+)?", mien.__version__)
    assert f"## {mien.__version__}" in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("mien ", "predict"),
        ("mien pre", "predict"),
        ("mien predict --ann", "--annotate"),
    ],
)
def test_a_shell_completes_commands_and_options(words: str, expected: str) -> None:
    ran = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; sys.argv[0] = 'mien'; from mien.cli import main; main()",
        ],
        env={
            **os.environ,
            "_MIEN_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split(" ")) - 1),
        },
        capture_output=True,
        text=True,
        check=False,
    )

    assert expected in ran.stdout.split()
