"""What each form keeps, as a table."""

from __future__ import annotations

from mien.card import FileRecord, ModelCard

__all__ = ["COLUMNS", "MARK", "as_markdown", "table_rows"]

#: The first line of every table that was written here.
MARK = "<!-- written by mien optimize, which writes it anew -->"

COLUMNS = (
    *("file", "precision", "MB", "of Keras", "held-out", "lost", "test", "lost"),
    *("agrees", "moved"),
)

# The widest that the data had.
_TESTS = ("PublicTest + PrivateTest", "Test", "PrivateTest", "PublicTest")
_PROBES = ("held-out", "generated")

_NOTES = """
* **MB**: millions of bytes; **of Keras**: as a part of the Keras file's.
* **held-out**: accuracy of the head `{head}` on Training rows that neither training nor
  calibration saw; **lost**: points less than the Keras file.
* **test**: the same on {test}, where nothing is decided.
* **agrees**: {probe} crops whose most probable label is the Keras file's.
* **moved**: by how much the probabilities of a crop move at most, on 99 of 100 of them.

Labels, crop geometry, temperature and SHA-256 are in `{card}`, the card of all of these
files, and so are the figures of every head and split.
"""


def table_rows(card: ModelCard) -> list[tuple[str, ...]]:
    """Return a row of :data:`COLUMNS` for every file, largest first."""
    keras = next(record for name, record in card.files.items() if name.endswith(".keras"))
    files = sorted(card.files.items(), key=lambda item: -item[1].size_bytes)
    return [_row(name, record, keras) for name, record in files]


def as_markdown(card: ModelCard) -> str:
    """Return a page with the table and what its columns mean."""
    ruler = ("---", "---", *["---:"] * (len(COLUMNS) - 2))
    lines = [f"| {' | '.join(row)} |" for row in (COLUMNS, ruler, *table_rows(card))]
    first = next(iter(card.files.values()))
    notes = _NOTES.format(
        head=card.default_head,
        test=_widest(first, _TESTS) or "the test splits",
        probe=_widest(first, _PROBES),
        card=f"{card.name}.card.json",
    )
    return "\n".join([MARK, "", f"# {card.name}, optimised", "", *lines, notes])


def _row(name: str, record: FileRecord, keras: FileRecord) -> tuple[str, ...]:
    probe = record.metrics.get(_widest(record, _PROBES), {})
    return (
        name,
        record.precision,
        f"{record.size_bytes / 1e6:.2f}",
        f"{record.size_bytes / keras.size_bytes:.1%}",
        *_accuracy(record, keras, "held-out"),
        *_accuracy(record, keras, _widest(record, _TESTS)),
        f"{probe['agreement']:.2%}" if probe else "",
        f"{probe['moved']:.4f}" if probe else "",
    )


def _widest(record: FileRecord, names: tuple[str, ...]) -> str:
    return next((name for name in names if name in record.metrics), "")


def _accuracy(record: FileRecord, keras: FileRecord, split: str) -> tuple[str, str]:
    """Return a split's accuracy, and the points that are lost; empty if it was not measured."""
    own, others = (each.metrics.get(split, {}).get("accuracy") for each in (record, keras))
    if own is None:
        return "", ""
    return f"{own:.2%}", "" if others is None else f"{100 * (others - own):+.2f}"
