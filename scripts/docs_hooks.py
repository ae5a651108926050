"""What MkDocs does besides: the page of commands is written from the commands themselves."""

from __future__ import annotations

from typing import Any

import typer.main

from mien.cli import app

__all__ = ["commands_as_markdown", "on_page_markdown"]

_PLACE = "<!-- commands -->"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put the commands where a page asks for them. MkDocs calls this for every page."""
    return (
        markdown.replace(_PLACE, commands_as_markdown())
        if markdown.rstrip().endswith(_PLACE)
        else markdown
    )


def commands_as_markdown() -> str:
    """Return a section for each command: help, arguments and options."""
    group = typer.main.get_command(app)
    sections = []
    for name, command in group.commands.items():
        context = typer.Context(command, info_name=f"mien {name}")
        sections += [
            f"## mien {name}",
            f"```\n{' '.join(command.get_usage(context).split()).removeprefix('Usage: ')}\n```",
            _with_examples(command.help or ""),
            _parameters(command),
        ]
    return "\n\n".join(sections)


def _with_examples(text: str) -> str:
    """Fence the paragraphs that are command lines."""
    return "\n\n".join(
        f"```\n{' '.join(each.split())}\n```" if each.startswith(("mien ", "cat ")) else each
        for each in (part.strip() for part in text.split("\n\n"))
    )


def _parameters(command: Any) -> str:
    rows = ["| argument or option | what it is | default |", "|---|---|---|"]
    for each in command.params:
        names = ", ".join(f"`{name}`" for name in (*each.opts, *each.secondary_opts))
        if each.param_type_name == "argument":
            names = f"`{(each.metavar or each.name or '').upper()}`"
        text = (getattr(each, "help", "") or "").replace("|", "\\|").replace("<", "&lt;")
        rows.append(f"| {names} | {text} | {_default(each)} |")
    return "\n".join(rows)


def _default(parameter: Any) -> str:
    shown = getattr(parameter, "show_default", None)
    if isinstance(shown, str):
        return shown.replace("<", "&lt;")
    default = parameter.default
    if getattr(parameter, "required", False):
        return "must be given"
    if default is None or default is False or callable(default) or default == []:
        return ""
    return f"`{getattr(default, 'value', default)}`"
