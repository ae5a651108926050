"""An audit in numbers: shares with their intervals, as plain dicts."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from mien.data import SPLITS
from mien.data.duplicates import repeated
from mien.evaluation.audit import DISPUTES, OPINIONS, VERDICTS, Audit
from mien.types import EMOTIONS

__all__ = ["figures", "share"]

_EMOTIONS = len(EMOTIONS)
_MOST_VOTES = 8  # of ten: voters who hardly doubt


def figures(audit: Audit) -> dict[str, Any]:
    """Return everything that is counted: dicts of numbers, and of :func:`share`."""
    data = audit.dataset
    groups = {"all": np.ones(len(data), bool)}
    groups |= {split: data.split == split for split in SPLITS if (data.split == split).any()}
    classes = {label: data.emotion == column for column, label in enumerate(EMOTIONS)}
    parts = {"trained on": audit.trained_on, "never seen": ~audit.trained_on}
    return {
        "model": audit.model,
        "rows": {name: int(rows.sum()) for name, rows in groups.items()},
        "trained_on": int(audit.trained_on.sum()),
        "disputes": {
            name: int((audit.dispute == index).sum()) for index, name in enumerate(DISPUTES)
        },
        "votes": _votes(audit, groups | classes),
        "network": {
            name: {
                split: share(audit.flagged & rows & inside, rows & inside & ~audit.no_face)
                for split, inside in groups.items()
                if (rows & inside).any()
            }
            for name, rows in parts.items()
        },
        "together": _together(audit, parts),
        "equal_pixels": _repeats(audit, audit.exact),
        "same_picture": _repeats(audit, audit.near),
        "no_face": _no_face(audit, groups),
    }


def share(rows: NDArray[np.bool_], among: NDArray[np.bool_]) -> dict[str, float]:
    """Return how many of ``among`` are in ``rows``, as a part of 1 with Wilson's 95 % interval."""
    count, of = int((rows & among).sum()), int(among.sum())
    if of == 0:
        return {"count": 0, "of": 0, "share": 0.0, "low": 0.0, "high": 1.0}
    interval = binomtest(count, of).proportion_ci(0.95, method="wilson")
    return {
        "count": count,
        "of": of,
        "share": count / of,
        "low": float(interval.low),
        "high": float(interval.high),
    }


def _votes(audit: Audit, groups: dict[str, NDArray[np.bool_]]) -> dict[str, Any] | None:
    votes, verdict, data = audit.dataset.votes, audit.verdict, audit.dataset
    if votes is None or verdict is None:
        return None
    rows = np.arange(len(data))
    others = votes[:, OPINIONS]
    for_label = others[rows, data.emotion].copy()
    others[rows, data.emotion] = 0
    another = (verdict <= _EMOTIONS) & (verdict != data.emotion)
    counts = {
        "majority_for_the_label": verdict == data.emotion,
        "majority_for_another": another,
        "majority_for_another_by_8": others.max(axis=1) >= _MOST_VOTES,
        "no_vote_for_the_label": for_label == 0,
        "at_most_one_vote_for_the_label": for_label <= 1,
        **{
            name.replace(" ", "_"): verdict == VERDICTS.index(name)
            for name in ("unknown", "no face", "no majority")
        },
    }
    among = {
        name: {key: share(each, inside) for key, each in counts.items()}
        for name, inside in groups.items()
    }
    decided = verdict <= _EMOTIONS
    for name, inside in groups.items():
        among[name]["majority_for_another_of_decided"] = share(another, inside & decided)
    table = np.zeros((_EMOTIONS, len(VERDICTS)), int)
    np.add.at(table, (data.emotion, verdict), 1)
    return {"among": among, "verdicts": list(VERDICTS), "labels_by_verdict": table.tolist()}


def _together(audit: Audit, parts: dict[str, NDArray[np.bool_]]) -> dict[str, Any] | None:
    """Count whom the network sides with where the voters dispute the label."""
    if audit.verdict is None:
        return None
    emotion, verdict = audit.dataset.emotion, audit.verdict
    read = audit.probabilities.argmax(axis=1)
    disputed = (verdict <= _EMOTIONS) & (verdict != emotion) & ~audit.no_face
    agreed = (verdict == emotion) & ~audit.no_face
    result = {}
    for name, rows in parts.items():
        among = disputed & rows
        result[name] = {
            "network_with_voters": share(read == verdict, among),
            "network_with_label": share(read == emotion, among),
            "both_against_the_label_alike": share(disputed & (read == verdict), rows),
            "flagged_where_voters_dispute": share(audit.flagged, among),
            "flagged_where_voters_agree": share(audit.flagged, agreed & rows),
        }
    return result


def _repeats(audit: Audit, groups: NDArray[np.int64]) -> dict[str, Any]:
    data = audit.dataset
    found = repeated(groups)
    conflicting = [rows for rows in found if len(np.unique(data.emotion[rows])) > 1]
    splits = [split for split in SPLITS if (data.split == split).any()]
    present = {
        split: np.bincount(groups[data.split == split], minlength=groups.max() + 1)
        for split in splits
    }
    twins = {
        mine: {
            other: int((present[other][groups[data.split == mine]] > (mine == other)).sum())
            for other in splits
        }
        for mine in splits
    }
    return {
        "groups": len(found),
        "rows": sum(len(rows) for rows in found),
        "rows_with_a_twin_in": twins,
        "conflicting_groups": len(conflicting),
        "conflicting_rows": sum(len(rows) for rows in conflicting),
    }


def _no_face(audit: Audit, groups: dict[str, NDArray[np.bool_]]) -> dict[str, Any]:
    voted = None if audit.verdict is None else audit.verdict == VERDICTS.index("no face")
    kinds = {"blank": audit.blank, "voted_no_face": voted, "not_found": audit.not_found}
    counted = {
        name: None
        if rows is None
        else {split: int((rows & inside).sum()) for split, inside in groups.items()}
        for name, rows in kinds.items()
    }
    if voted is not None and audit.not_found is not None:
        counted["voted_and_not_found"] = {
            split: int((voted & audit.not_found & inside).sum()) for split, inside in groups.items()
        }
    return counted
