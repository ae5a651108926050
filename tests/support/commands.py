"""Commands as a shell runs them, in this process."""

from __future__ import annotations

import pytest

from mien.cli import main


def exit_code(*arguments: object) -> int:
    """Run ``mien ARGUMENTS`` and return what it exits with."""
    with pytest.raises(SystemExit) as caught:
        main([str(argument) for argument in arguments])
    assert isinstance(caught.value.code, int)
    return caught.value.code
