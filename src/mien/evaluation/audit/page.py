"""An audit as a folder: a page to look through, tables for programs, sheets of pictures.

The sheets show pictures of the data set: they belong to whoever looked, under the data set's
terms. A folder that is new or empty therefore gets to tell Git to ignore it.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mien.data.duplicates import repeated
from mien.errors import ConfigError
from mien.evaluation.audit import DISPUTES, VERDICTS, VOTE_NAMES, Audit
from mien.evaluation.audit.figures import figures
from mien.evaluation.audit.sheets import contact_sheet, sheets
from mien.files import atomic_write
from mien.templates import render
from mien.text import percent
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
    tables = [_network_table(counted), _repeats_table(counted)]
    if counted["votes"]:
        tables.insert(0, _votes_table(counted["votes"]["among"]))
    return render(
        "mien.evaluation.audit",
        "page.html",
        source=source,
        model=audit.model,
        rows=counted["rows"]["all"],
        trained_on=counted["trained_on"],
        disputes=[
            f"{count} {by}" for count, by in zip(counted["disputes"].values(), _BY, strict=True)
        ],
        record=_RECORD,
        tables=tables,
        captions=captions,
    )


#: A title, the names of the columns, and the lines.
_Table: TypeAlias = tuple[str, Sequence[str], Sequence[Sequence[Any]]]


def _votes_table(among: Mapping[str, Mapping[str, Mapping[str, float]]]) -> _Table:
    columns = {
        "majority_for_the_label": "majority for the label",
        "majority_for_another": "for another",
        "majority_for_another_by_8": "8 of 10 for another",
        "no_vote_for_the_label": "no vote for the label",
        "no_majority": "no majority",
    }
    lines = [
        [name, int(next(iter(each.values()))["of"]), *(_share(each[key]) for key in columns)]
        for name, each in among.items()
    ]
    return "What ten voters say", ["rows", "count", *columns.values()], lines


def _network_table(counted: Mapping[str, Any]) -> _Table:
    lines = [
        [f"{part}, {split}", each["of"], each["count"], _share(each)]
        for part, splits in counted["network"].items()
        for split, each in splits.items()
    ]
    return "What the network disputes", ["rows", "count", "disputed", "fraction"], lines


def _repeats_table(counted: Mapping[str, Any]) -> _Table:
    lines = [
        [name, each["groups"], each["rows"], each["conflicting_groups"], each["conflicting_rows"]]
        for name, each in (
            ("equal pixels", counted["equal_pixels"]),
            ("same picture to the eye", counted["same_picture"]),
        )
    ]
    head = ["", "groups", "rows", "groups with several labels", "rows in them"]
    return "Repeated pictures", head, lines


def _share(each: Mapping[str, float]) -> str:
    low, high = (100 * each[name] for name in ("low", "high"))
    return f"{percent(each['share'], 1)} ({low:.1f} to {high:.1f})"


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
