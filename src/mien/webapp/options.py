"""How Streamlit is set up for this app: one table for ``mien app`` and ``streamlit run``.

``.streamlit/config.toml`` at the root of the repository says the same for ``streamlit run``
there; a test compares the two.
"""

from __future__ import annotations

__all__ = ["MAX_UPLOAD_MB", "OPTIONS", "as_flags"]

MAX_UPLOAD_MB = 500

_Value = str | int | bool

#: Streamlit's options by name. The colours are those of the service's pages.
OPTIONS: dict[str, _Value] = {
    "server.address": "127.0.0.1",
    "server.maxUploadSize": MAX_UPLOAD_MB,
    "server.fileWatcherType": "none",
    "server.showEmailPrompt": False,
    "browser.gatherUsageStats": False,
    "logger.hideWelcomeMessage": True,
    "client.toolbarMode": "minimal",
    "client.showErrorDetails": "none",
    "runner.magicEnabled": False,
    "theme.baseRadius": "10px",
    "theme.light.primaryColor": "#1a5fb4",
    "theme.light.backgroundColor": "#f7f6f3",
    "theme.light.secondaryBackgroundColor": "#eceae4",
    "theme.light.textColor": "#1c1b19",
    "theme.light.linkColor": "#1a5fb4",
    "theme.light.borderColor": "#dedbd3",
    "theme.dark.primaryColor": "#78b4ff",
    "theme.dark.backgroundColor": "#131312",
    "theme.dark.secondaryBackgroundColor": "#272725",
    "theme.dark.textColor": "#f1efea",
    "theme.dark.linkColor": "#78b4ff",
    "theme.dark.borderColor": "#343431",
}


def as_flags(**changes: _Value) -> list[str]:
    """Return the options as flags of ``streamlit run``.

    Args:
        changes: options to add or replace; ``server_port`` stands for ``server.port``.
    """
    named = {name.replace("_", ".", 1): value for name, value in changes.items()}
    return [f"--{name}={_text(value)}" for name, value in {**OPTIONS, **named}.items()]


def _text(value: _Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
