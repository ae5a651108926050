from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from mien.cli.webapp import open_app
from mien.errors import ConfigError
from mien.webapp.options import OPTIONS, as_flags

ROOT = Path(__file__).parents[2]


def test_config_file_says_the_same_as_the_command() -> None:
    found: dict[str, Any] = {}
    section = ""
    for line in (ROOT / ".streamlit" / "config.toml").read_text().splitlines():
        if head := re.fullmatch(r"\[(.+)\]", line):
            section = head[1]
        elif pair := re.fullmatch(r"(\w+) = (.+)", line):
            text = pair[2]
            value = {"true": True, "false": False}.get(text, text.strip('"'))
            found[f"{section}.{pair[1]}"] = int(text) if text.isdigit() else value
    assert found == OPTIONS


def test_flags_take_changes() -> None:
    flags = as_flags(server_port=9, server_headless=True, server_address="::1")
    assert "--server.port=9" in flags
    assert "--server.headless=true" in flags
    assert "--browser.gatherUsageStats=false" in flags
    assert [flag for flag in flags if "server.address" in flag] == ["--server.address=::1"]


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "example.org", "::"])
def test_other_machines_are_not_let_in_by_accident(host: str) -> None:
    with pytest.raises(ConfigError, match="--insecure"):
        open_app(host=host, insecure=False)


def test_command_runs_streamlit_with_the_options(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[list[str]] = []
    cli = pytest.importorskip("streamlit.web.cli")
    monkeypatch.setattr(cli, "main", lambda args, prog_name: called.append(args))
    with pytest.raises(SystemExit) as ended:
        open_app("127.0.0.1", 8600, Path("m.onnx"), browser=False, insecure=False)
    assert not ended.value.code
    (arguments,) = called
    assert arguments[0] == "run"
    assert Path(arguments[1]).is_file()
    assert arguments[-3:] == ["--", "--model", "m.onnx"]
    assert "--server.port=8600" in arguments
