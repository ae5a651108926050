"""What every module offers, read off the sources, so that no extra has to be installed."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import mien

SOURCE = Path(mien.__file__).parent
MODULES = {
    ".".join(("mien", *path.relative_to(SOURCE).with_suffix("").parts)).removesuffix(
        ".__init__"
    ): path
    for path in sorted(SOURCE.rglob("*.py"))
    if path.name != "__main__.py"
}
LIGHT = [
    "mien", "mien.boxes", "mien.card", "mien.calibration", "mien.draw", "mien.errors",
    "mien.faces", "mien.files", "mien.images", "mien.notice", "mien.palette", "mien.predictor",
    "mien.result", "mien.runtime", "mien.text", "mien.types", "mien.video", "mien.wire",
]  # fmt: skip


def bound_names(statements: list[ast.stmt]) -> Iterator[str]:
    """Yield what statements at the top of a module bind, conditional ones too."""
    for statement in statements:
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield statement.name
        elif isinstance(statement, (ast.Import, ast.ImportFrom)):
            yield from (alias.asname or alias.name.split(".")[0] for alias in statement.names)
        elif isinstance(statement, (ast.Assign, ast.AnnAssign)):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            yield from (
                name.id for each in targets for name in ast.walk(each) if isinstance(name, ast.Name)
            )
        elif isinstance(statement, (ast.If, ast.Try, ast.With)):
            yield from bound_names(statement.body)
            yield from bound_names(getattr(statement, "orelse", []))


def exported(tree: ast.Module) -> list[str]:
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "__all__":
            return [str(name) for name in ast.literal_eval(statement.value)]
    return []


def order(name: str) -> tuple[int, str]:
    """Constants first, then classes, then functions, each by name: as ruff sorts them."""
    return 0 if name.isupper() else 1 if name[0].isupper() else 2, name


def is_script(tree: ast.Module) -> bool:
    """Say whether a module is run and not imported: it has no doors to list."""
    return not exported(tree) and not any(
        isinstance(each, (ast.FunctionDef, ast.ClassDef)) and not each.name.startswith("_")
        for each in tree.body
    )


@pytest.mark.parametrize("module", MODULES)
def test_what_a_module_lists_is_there_once_and_in_order(module: str) -> None:
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    names = exported(tree)

    assert names or is_script(tree), "a module with public names lists them in __all__"
    assert len(set(names)) == len(names)
    assert set(names) <= {*bound_names(tree.body), "__version__"}
    assert [n for n in names if n[0] != "_"] == sorted([n for n in names if n[0] != "_"], key=order)
    assert ast.get_docstring(tree), "every module says what it is for"


@pytest.mark.parametrize("module", LIGHT)
def test_what_the_core_lists_can_be_had(module: str) -> None:
    loaded = importlib.import_module(module)
    for name in loaded.__all__:
        assert getattr(loaded, name) is not None
        assert name in dir(loaded)


def test_the_front_door() -> None:
    """``__all__`` and what type checkers and ``__getattr__`` see are the same names."""
    tree = ast.parse(MODULES["mien"].read_text(encoding="utf-8"))
    typed = {
        name.asname or name.name
        for block in tree.body
        if isinstance(block, ast.If)
        for each in block.body
        if isinstance(each, ast.ImportFrom)
        for name in each.names
    }
    assert {*mien.__all__} - {"__version__"} == typed == set(mien._HOMES)
    for name in mien.__all__:
        assert getattr(mien, name) is not None
        assert name in dir(mien)


def test_what_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'mien' has no attribute 'predict'"):
        mien.predict  # noqa: B018


FRAMEWORKS = {"keras", "tensorflow", "torch", "jax", "matplotlib", "pandas", "sklearn", "streamlit"}


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import mien", FRAMEWORKS | {"onnxruntime", "cv2", "PIL", "typer", "rich"}),
        ("from mien import Predictor", FRAMEWORKS | {"typer", "rich", "fastapi", "av"}),
        ("import mien.data.datasets, mien.data.synthetic", FRAMEWORKS | {"cv2", "onnxruntime"}),
        ("import mien.evaluation.cross_dataset", {"keras", "tensorflow", "torch", "cv2"}),
        ("import mien.evaluation.audit", {"keras", "tensorflow", "torch", "cv2"}),
        ("from mien.video.tracking import Tracker", FRAMEWORKS | {"av", "cv2", "pyarrow"}),
        ("from mien.video.story import Story", FRAMEWORKS | {"av", "cv2", "pyarrow"}),
        ("import mien.cli", FRAMEWORKS | {"onnxruntime", "cv2", "fastapi", "av"}),
    ],
)
def test_importing_is_light(statement: str, absent: set[str]) -> None:
    program = f"import sys; {statement}; print(*{{name.split('.')[0] for name in sys.modules}})"
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True
    )
    assert absent & set(ran.stdout.split()) == set()
    assert ran.stderr == ""
