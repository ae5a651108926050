from __future__ import annotations

import pickle
import re

import pytest
from tests.support.documents import ROOT

from mien import errors
from mien.errors import MienError, MissingExtra

CLASSES: dict[str, type[MienError]] = {name: getattr(errors, name) for name in errors.__all__}


def drawn_tree() -> dict[str, str]:
    """Read parents by name off the tree that the docstring draws."""
    found: dict[str, str] = {}
    above: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"    ([│ ├└─]*)(\w+)  +\S", line)
        if match is None:
            continue
        depth, name = len(match[1]), match[2]
        while above and above[-1][0] >= depth:
            above.pop()
        found[name] = above[-1][1] if above else "Exception"
        above.append((depth, name))
    return found


def test_the_docstring_draws_the_real_tree() -> None:
    assert drawn_tree() == {name: error.__bases__[0].__name__ for name, error in CLASSES.items()}


@pytest.mark.parametrize("error", CLASSES.values(), ids=CLASSES)
def test_every_error_has_one_root_a_code_and_an_exit_code(error: type[MienError]) -> None:
    assert issubclass(error, MienError)
    assert len(error.__bases__) == 1
    assert re.fullmatch("[a-z]+(_[a-z]+)*", error.code)
    assert error.exit_code in (1, 2)


def test_codes_tell_errors_apart() -> None:
    codes = [error.code for error in CLASSES.values()]
    assert len(set(codes)) == len(codes)


def test_a_missing_extra_says_what_to_run() -> None:
    error = MissingExtra("video", "av")

    assert (error.extra, error.package) == ("video", "av")
    assert "pip install 'mien[video]'" in str(error)
    assert "'av'" in str(error)


@pytest.mark.parametrize(
    ("module", "package"),
    [
        ("av", "av"),
        ("ai-edge-litert", "ai-edge-litert"),
        ("yaml", "PyYAML"),
        ("sklearn.metrics", "scikit-learn"),
        ("matplotlib.figure", "matplotlib"),
        ("cv2", "opencv-python-headless"),
    ],
)
def test_a_missing_extra_names_the_package_and_not_its_module(module: str, package: str) -> None:
    assert MissingExtra("train", module).package == package


def test_module_names_are_those_of_packages_that_mien_asks_for() -> None:
    asked = (ROOT / "pyproject.toml").read_text()

    for package in errors._PACKAGES.values():
        assert f'"{package}' in asked


def test_a_missing_extra_comes_over_from_another_process() -> None:
    error = pickle.loads(pickle.dumps(MissingExtra("video", "av")))

    assert (error.extra, str(error)) == ("video", str(MissingExtra("video", "av")))
