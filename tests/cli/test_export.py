from __future__ import annotations

from pathlib import Path

import pytest

from mien.cli import main


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ((), 2, "Missing argument"),
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
