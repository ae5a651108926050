from __future__ import annotations

from pathlib import Path

import pytest

from mien.card import ModelCard
from mien.cli import main
from mien.data import Dataset


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ((), 2, "nothing to export: name the folder of a RUN, or --hub DIR"),
        (("runs/none",), 2, "cannot read the recipe"),
    ],
)
def test_a_mistake_is_told(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    code: int,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(SystemExit) as caught:
        main(["export", *arguments])

    assert caught.value.code == code
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "models", "graph"),
    [
        ((), "models", "models/glance.onnx"),
        (("-o", "out"), "out", "out/glance.onnx"),
        (("--onnx", "assets/own.onnx"), "models", "assets/own.onnx"),
    ],
)
def test_files_go_where_they_are_asked_to(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    drawn_csvs: tuple[Path, Path],
    options: tuple[str, ...],
    models: str,
    graph: str,
) -> None:
    from mien.train import export

    asked: list[Path] = []

    def export_nothing(run: Path, dataset: Dataset, *paths: Path, **_: object) -> export.Exported:
        asked.extend((run, *paths))
        return export.Exported(ModelCard(name="glance", version="1"), paths, 1e-6)

    monkeypatch.setattr(export, "export_run", export_nothing)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "recipe.yaml").write_text("model: {architecture: glance}")

    with pytest.raises(SystemExit) as caught:
        main(["export", "run", "--data", str(drawn_csvs[0]), *options])

    assert caught.value.code == 0
    assert asked == [Path("run"), Path(models), Path(graph)]
    assert capsys.readouterr().out.splitlines() == [
        models,
        graph,
        "largest difference between the logits of graph and network: 1.0e-06",
    ]
