"""A comparison as data, as Markdown and as the rows of tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mien.bench.accuracy import Accuracy
from mien.bench.chain import ChainTimes, WorkersTime
from mien.bench.latency import Timing
from mien.bench.memory import Memory
from mien.bench.models import Model

__all__ = ["Report", "Table", "machine_line", "to_dict", "to_markdown", "to_tables"]


@dataclass(frozen=True)
class Report:
    """What was measured.

    Attributes:
        machine: as :func:`mien.bench.machine.describe_machine` gives it.
        settings: what was asked for.
        complete: whether all of it was measured; if not, it was interrupted.
        models: in the order in which they were named.
        timings: of all models.
        memory, accuracy: by name of the model, as far as they were measured.
        chains, workers: of whole photos, where that was asked for.
    """

    machine: Mapping[str, Any]
    settings: Mapping[str, Any]
    complete: bool
    models: Sequence[Model] = ()
    timings: Sequence[Timing] = ()
    memory: Mapping[str, Memory | None] | None = None
    accuracy: Mapping[str, Accuracy] | None = None
    chains: Sequence[ChainTimes] = ()
    workers: Sequence[WorkersTime] = ()


@dataclass(frozen=True)
class Table:
    """A table to show: all cells are text, the first column names the row."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


def to_dict(report: Report) -> dict[str, Any]:
    """Return plain JSON values; times in the units that their names end in."""
    content: dict[str, Any] = {
        "machine": dict(report.machine),
        "settings": dict(report.settings),
        "complete": report.complete,
    }
    if report.models:
        content["models"] = [_model_to_dict(model, report) for model in report.models]
    if report.chains or report.workers:
        content["end_to_end"] = {
            "stages": [asdict(each) for each in report.chains],
            "workers": [asdict(each) for each in report.workers],
        }
    return content


def to_tables(report: Report) -> list[Table]:
    """Return what there is to show: models, speed, memory, accuracy, stages of photos, workers."""
    tables = []
    if report.models:
        tables += [_models_table(report), _speed_table(report)]
    if report.memory:
        tables.append(_memory_table(report.memory))
    if report.accuracy:
        tables.append(_accuracy_table(report.accuracy))
    tables += [_stages_table(chain) for chain in report.chains]
    if report.workers:
        tables.append(_workers_table(report))
    return tables


def to_markdown(report: Report, command: str) -> str:
    """Return the tables as Markdown, with the command and the machine above them."""
    parts = [f"    {command}", "", machine_line(report.machine)]
    if not report.complete:
        parts += ["", "**Interrupted:** this is what was measured until then."]
    for table in to_tables(report):
        marks = ["---", *["---:"] * (len(table.columns) - 1)]
        lines = [table.columns, tuple(marks), *table.rows]
        parts += ["", f"**{table.title}**", ""]
        parts += ["| " + " | ".join(line) + " |" for line in lines]
        if table.note:
            parts += ["", table.note]
    return "\n".join(parts) + "\n"


def machine_line(machine: Mapping[str, Any]) -> str:
    """Return the machine and the versions in one sentence."""
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    features = f" ({', '.join(machine['features'])})" if machine["features"] else ""
    load = "" if machine["load_1min"] is None else f", load {machine['load_1min']} at the start"
    return (
        f"{machine['processor']}{features}, {machine['cores']} cores used at most, "
        f"{machine['system']}{load}; Python {machine['python']}, {versions}."
    )


def _model_to_dict(model: Model, report: Report) -> dict[str, Any]:
    memory, accuracy = (
        (report.memory or {}).get(model.name),
        (report.accuracy or {}).get(model.name),
    )
    return {
        "name": model.name,
        "path": str(model.path),
        "card": model.card.name,
        "precision": model.precision,
        "size_bytes": model.size_bytes,
        "parameters": model.card.parameters,
        "multiply_adds": model.card.multiply_adds,
        "load_ms": model.load_ms,
        "memory": None if memory is None else asdict(memory),
        "accuracy": None if accuracy is None else asdict(accuracy),
        "timings": [asdict(each) for each in report.timings if each.model == model.name],
    }


def _models_table(report: Report) -> Table:
    rows = []
    for model in report.models:
        cost = model.card.multiply_adds / 1e6
        row = (model.name, model.precision or "?", f"{model.size_bytes / 1e6:.2f}")
        rows.append((*row, f"{cost:.1f}" if cost else "?", f"{model.load_ms:.0f}"))
    columns = ("model", "precision", "MB", "M MACs", "load ms")
    return Table("Models", columns, tuple(rows), "M MACs: million multiply-adds a face.")


def _memory_table(peaks: Mapping[str, Memory | None]) -> Table:
    rows = tuple(
        (name, "?", "?", "?")
        if memory is None
        else (
            name,
            f"{memory.peak_mb:.0f}",
            f"{memory.model_mb:.0f}",
            f"{memory.first_answer_s:.2f}",
        )
        for name, memory in peaks.items()
    )
    note = (
        "Peak MB: a process of its own, interpreter included; model MB: how far that is above the "
        "process before the model was opened; answer s: from its start to the first logits."
    )
    return Table("Memory", ("model", "peak MB", "model MB", "answer s"), rows, note)


def _accuracy_table(judged: Mapping[str, Accuracy]) -> Table:
    some = next(iter(judged.values()))
    splits = [*some.splits, *(["all"] if len(some.splits) != 1 else [])]
    rows = []
    for name, accuracy in judged.items():
        shares = accuracy.splits | {"all": accuracy.all}
        held = ("reference", "")
        if accuracy.reference != name:
            held = (f"{100 * accuracy.loss:+.2f}", f"{accuracy.agreement:.2%}")
        rows.append((name, *(f"{shares[split]:.2%}" for split in splits), *held))
    held_to = " and ".join(dict.fromkeys(each.reference for each in judged.values()))
    note = (
        f"On {some.rows:,} rows; loss in points, against {held_to}; agreement: rows on which both "
        "name the same emotion."
    )
    return Table("Accuracy", ("model", *splits, "loss", "agreement"), tuple(rows), note)


def _speed_table(report: Report) -> Table:
    columns = ("model", "threads", "batch", "p50 ms", "p90 ms", "p99 ms", "faces/s")
    rows = tuple(
        (
            each.model,
            str(each.threads or "its own"),
            str(each.batch),
            *(f"{value:.2f}" for value in (each.p50_ms, each.p90_ms, each.p99_ms)),
            f"{each.faces_per_s:.0f}",
        )
        for each in report.timings
    )
    calls = min((each.calls for each in report.timings), default=0)
    return Table("Speed", columns, rows, f"At least {calls} calls each, in turn.")


def _stages_table(chain: ChainTimes) -> Table:
    rows = tuple(
        (
            each.stage,
            *(f"{value:.2f}" for value in (each.p50_ms, each.p90_ms, each.p99_ms)),
            f"{each.share:.0%}",
        )
        for each in chain.stages
    )
    title = f"A photo after the other, {chain.threads} thread{'s' * (chain.threads != 1)}"
    bad = f"; {chain.unreadable} could not be read" if chain.unreadable else ""
    note = (
        f"{chain.photos} photos with {chain.faces} faces{bad}: "
        f"{chain.photos_per_s:.1f} photos a second."
    )
    return Table(title, ("stage", "p50 ms", "p90 ms", "p99 ms", "share"), rows, note)


def _workers_table(report: Report) -> Table:
    columns = ("workers", "photos", "photos/s", "CPU ms", "busy", "idle", "early MB", "late MB")
    rows = tuple(
        (
            str(each.workers),
            str(each.photos),
            f"{each.photos_per_s:.1f}",
            f"{each.cpu_ms:.1f}",
            f"{each.busy:.0%}",
            "?" if each.idle is None else f"{each.idle:.0%}",
            *("?" if value is None else f"{value:.0f}" for value in (each.early_mb, each.late_mb)),
        )
        for each in report.workers
    )
    note = (
        "CPU: processor time a photo; busy: the part of all cores' time that went into them; idle: "
        "the part in which the machine did nothing at all, the rest went to other programs. "
        "Early and late: the process at its largest in the second and the last fifth."
    )
    return Table("Photos with several workers, a thread each", columns, rows, note)
