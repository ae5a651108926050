"""An audit as a folder: a page to look through, tables for programs, sheets of pictures.

The sheets show pictures of the data set: they belong to whoever looked, under the data set's
terms. A folder that is new or empty therefore gets to tell Git to ignore it.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.data.duplicates import repeated
from mien.errors import ConfigError
from mien.evaluation.audit import DISPUTES, VERDICTS, VOTE_NAMES, Audit
from mien.evaluation.audit.figures import figures
from mien.evaluation.audit.sheets import contact_sheet, sheets
from mien.files import atomic_write
from mien.types import EMOTIONS

__all__ = ["open_folder", "write_audit"]

_RECORD = "figures.json"
#: Who disputes a label, in the order of :data:`DISPUTES`.
_BY = (
    "by voters and network for the same other emotion",
    "by both for different ones",
    "by voters alone",
    "by the network alone",
)


def open_folder(folder: Path) -> None:
    """Make the folder, or find an audit in it that may be replaced.

    Raises:
        ConfigError: it holds something else, or cannot be made.
    """
    try:
        inside = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
        if _RECORD not in inside and inside - {".gitignore"}:
            raise ConfigError(f"{folder} holds something else than an audit: name a new folder")
        if not inside:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / ".gitignore").write_text("*\n", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot write to {folder}: {error.strerror or error}") from None


def write_audit(audit: Audit, folder: Path, source: str) -> dict[str, Any]:
    """Write the page, its sheets and its tables, and return the figures.

    Args:
        source: what the data set is called on the page.

    Raises:
        ConfigError: the folder holds something else than an audit, or cannot be written.
    """
    open_folder(folder)
    counted = figures(audit)
    try:
        _write_table(folder / "disputes.csv", _disputes(audit))
        _write_table(folder / "duplicates.csv", _duplicates(audit))
        _write_table(folder / "no_face.csv", _no_face(audit))
        captions = {}
        for old in (folder / "sheets").glob("*.png"):
            old.unlink()
        for name, (title, tiles) in sheets(audit).items():
            with atomic_write(folder / "sheets" / f"{name}.png") as temporary:
                contact_sheet(tiles).save(temporary)
            captions[f"sheets/{name}.png"] = title
        _write_text(folder / "index.html", _page(audit, counted, source, captions))
        _write_text(folder / _RECORD, json.dumps(counted, indent=2) + "\n")
    except OSError as error:
        raise ConfigError(f"cannot write to {folder}: {error.strerror or error}") from None
    return counted


def _disputes(audit: Audit) -> Iterable[dict[str, Any]]:
    read, data = audit.probabilities.argmax(axis=1), audit.dataset
    for rank, row in enumerate(audit.disputed, start=1):
        shares = audit.probabilities[row]
        line = {
            "rank": rank,
            **_which(audit, row),
            "suggested": VERDICTS[audit.suggested[row]],
            "disputed_by": DISPUTES[audit.dispute[row]],
            "doubt": f"{audit.doubt[row]:.4f}",
            "network_reads": EMOTIONS[read[row]],
            "network_gives_it": f"{shares[read[row]]:.4f}",
            "network_gives_the_label": f"{shares[data.emotion[row]]:.4f}",
            "network_trained_on_it": "yes" if audit.trained_on[row] else "no",
        }
        if data.votes is not None:
            line["votes"] = _votes_text(data.votes[row])
        yield line


def _duplicates(audit: Audit) -> Iterable[dict[str, Any]]:
    for number, rows in enumerate(repeated(audit.near), start=1):
        conflicting = len(np.unique(audit.dataset.emotion[rows])) > 1
        for row in rows:
            twins = (audit.exact[rows] == audit.exact[row]).sum() > 1
            yield {
                "group": number,
                **_which(audit, row),
                "alike": "equal pixels" if twins else "same picture",
                "labels_differ": "yes" if conflicting else "no",
            }


def _no_face(audit: Audit) -> Iterable[dict[str, Any]]:
    missing = audit.no_face if audit.not_found is None else audit.no_face | audit.not_found
    rows = np.flatnonzero(missing)
    for row in rows[np.argsort(~audit.no_face[rows], kind="stable")]:
        voted = audit.verdict is not None and VERDICTS[audit.verdict[row]] == "no face"
        line = {
            **_which(audit, row),
            "blank": "yes" if audit.blank[row] else "no",
            "voted_no_face": "yes" if voted else "no",
        }
        if audit.not_found is not None:
            line["not_found"] = "yes" if audit.not_found[row] else "no"
        yield line


def _which(audit: Audit, row: int) -> dict[str, Any]:
    data = audit.dataset
    name = {"row": row + 1} if data.names is None else {"file": data.names[row]}
    return {**name, "split": data.split[row], "label": EMOTIONS[data.emotion[row]]}


def _votes_text(votes: NDArray[np.float32]) -> str:
    order = [column for column in np.argsort(-votes, kind="stable") if votes[column] > 0]
    return ", ".join(f"{VOTE_NAMES[column]} {votes[column]:.0f}" for column in order)


def _page(
    audit: Audit, counted: Mapping[str, Any], source: str, captions: Mapping[str, str]
) -> str:
    title = f"Labels of {source}"
    parts = [f"<h1>{escape(title)}</h1>", _overview(audit, counted)]
    if counted["votes"]:
        parts.append(_votes_tables(counted["votes"]["among"]))
    parts += [_network_table(counted), _repeats_table(counted)]
    parts += [
        f'<h2>{escape(caption)}</h2><img src="{escape(path)}" alt="{escape(caption)}">'
        for path, caption in captions.items()
    ]
    return _SHELL.format(title=escape(title), body="\n".join(parts))


def _overview(audit: Audit, counted: Mapping[str, Any]) -> str:
    disputes = ", ".join(
        f"{count} {by}" for count, by in zip(counted["disputes"].values(), _BY, strict=True)
    )
    trained, rows = counted["trained_on"], counted["rows"]["all"]
    return (
        f"<p>{rows} rows, read by {escape(audit.model)}. Disputed labels: {disputes}. All of "
        'them, surest first, stand in <a href="disputes.csv">disputes.csv</a>; repeated '
        'pictures in <a href="duplicates.csv">duplicates.csv</a>, pictures without a face in '
        '<a href="no_face.csv">no_face.csv</a>, every count in '
        f'<a href="{_RECORD}">{_RECORD}</a>.</p>'
        f"<p class=note>The network was trained on {trained} of these rows (or on the same "
        "pixels) and has learned their labels, wrong ones too: there it disputes fewer than it "
        "should, and its agreement with the voters is no second witness where it was trained on "
        "their votes. What it disputes in rows that it never saw is the fair figure. A dispute "
        "is a reason to look, not a proof: an expression has no true name.</p>"
    )


def _votes_tables(among: Mapping[str, Mapping[str, Mapping[str, float]]]) -> str:
    columns = {
        "majority_for_the_label": "majority for the label",
        "majority_for_another": "for another",
        "majority_for_another_by_8": "8 of 10 for another",
        "no_vote_for_the_label": "no vote for the label",
        "no_majority": "no majority",
    }
    lines = [
        [name, int(next(iter(each.values()))["of"]), *(_percent(each[key]) for key in columns)]
        for name, each in among.items()
    ]
    return "<h2>What ten voters say</h2>" + _table(["rows", "count", *columns.values()], lines)


def _network_table(counted: Mapping[str, Any]) -> str:
    lines = [
        [f"{part}, {split}", each["of"], each["count"], _percent(each)]
        for part, splits in counted["network"].items()
        for split, each in splits.items()
    ]
    head = ["rows", "count", "disputed", "share"]
    return "<h2>What the network disputes</h2>" + _table(head, lines)


def _repeats_table(counted: Mapping[str, Any]) -> str:
    lines = [
        [name, each["groups"], each["rows"], each["conflicting_groups"], each["conflicting_rows"]]
        for name, each in (
            ("equal pixels", counted["equal_pixels"]),
            ("same picture to the eye", counted["same_picture"]),
        )
    ]
    head = ["", "groups", "rows", "groups with several labels", "rows in them"]
    return "<h2>Repeated pictures</h2>" + _table(head, lines)


def _percent(each: Mapping[str, float]) -> str:
    share, low, high = (100 * each[name] for name in ("share", "low", "high"))
    return f"{share:.1f} % ({low:.1f} to {high:.1f})"


def _table(head: Sequence[str], lines: Iterable[Sequence[Any]]) -> str:
    rows = ["".join(f"<th>{escape(name)}</th>" for name in head)]
    rows += ["".join(f"<td>{escape(str(cell))}</td>" for cell in line) for line in lines]
    return "<table>" + "".join(f"<tr>{row}</tr>" for row in rows) + "</table>"


def _write_table(path: Path, lines: Iterable[Mapping[str, Any]]) -> None:
    with atomic_write(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = None
        for line in lines:
            if writer is None:
                writer = csv.DictWriter(file, list(line), lineterminator="\n")
                writer.writeheader()
            writer.writerow(line)


def _write_text(path: Path, text: str) -> None:
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


_SHELL = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; color: #22303c; max-width: 78rem; margin: 2rem auto;
  padding: 0 1rem }}
h1 {{ font-size: 1.5rem }} h2 {{ font-size: 1.1rem; margin-top: 2rem }}
table {{ border-collapse: collapse; display: block; overflow-x: auto }}
th, td {{ padding: .2rem .7rem; text-align: right; border-bottom: 1px solid #c9d1d8;
  font-variant-numeric: tabular-nums; white-space: nowrap }}
th:first-child, td:first-child {{ text-align: left }}
img {{ max-width: 100% }}
.note {{ background: #f3f6f8; padding: .7rem 1rem; border-left: 4px solid #2f6f9f }}
</style>
{body}
</html>
"""
