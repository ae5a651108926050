from __future__ import annotations

import sys
from pathlib import Path

import pytest
from tests.support.models import write_onnx, write_tiny_model

from mien.bench.memory import measure_memory, peak_mb
from mien.errors import ModelError
from mien.runtime import open_session

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="peaks cannot be read there")


def test_a_process_that_fails_says_why(tmp_path: Path) -> None:
    bare = write_onnx(tmp_path / "bare.onnx")

    with pytest.raises(ModelError, match=r"measures its memory failed: .*no model card"):
        measure_memory(bare, open_session, device="cpu", threads=1, batch=1)


def test_memory_of_a_process_of_its_own(tmp_path: Path) -> None:
    tiny = write_tiny_model(tmp_path)

    memory = measure_memory(tiny, open_session, device="cpu", threads=1, batch=2)

    assert memory is not None
    assert 0 <= memory.model_mb < memory.peak_mb
    assert memory.first_answer_s > 0


def test_the_peak_of_this_process_does_not_fall() -> None:
    before = peak_mb()
    block = bytearray(30_000_000)
    after = peak_mb()

    assert before is not None
    assert after is not None
    assert 0 < before <= after
    assert len(block) == 30_000_000
