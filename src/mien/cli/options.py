"""Options that several commands have, said in the same words everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

__all__ = [
    "AllowNetwork",
    "Detector",
    "Device",
    "EveryNth",
    "Head",
    "MinFace",
    "MinScore",
    "Model",
    "Smallest",
    "Smooth",
]

Model: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--model",
        metavar="PATH",
        help="A .onnx, .tflite or .keras file with its card.",
        show_default="mien's own",
    ),
]
Head: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--head",
        metavar="NAME",
        help="Which of the model's label sets to read: emotion, or ferplus with contempt.",
        show_default="the card's first",
    ),
]
Device: TypeAlias = Annotated[
    str,
    typer.Option("--device", metavar="auto|cpu|cuda|coreml", help="What the model runs on."),
]
Detector: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--detector",
        metavar="NAME",
        help="What finds faces: yunet, centerface, or an installed package's.",
        show_default="yunet",
    ),
]
Smallest: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--smallest",
        metavar="PX",
        min=1,
        help="The smallest face to look for; larger is faster.",
        show_default="a 20th of the shorter side",
    ),
]
MinFace: TypeAlias = Annotated[
    int,
    typer.Option(
        "--min-face", metavar="PX", min=0, help="Leave out faces with a shorter longer side."
    ),
]
MinScore: TypeAlias = Annotated[
    float,
    typer.Option(
        "--min-score",
        metavar="S",
        min=0,
        max=1,
        help="Leave out faces with a lower detection score.",
    ),
]
EveryNth: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--every",
        metavar="N",
        min=1,
        help="Look for faces on every Nth frame.",
        show_default="15 times a second",
    ),
]
Smooth: TypeAlias = Annotated[
    float,
    typer.Option("--smooth", metavar="S", min=0, help="Smooth over S seconds; 0 does not."),
]
AllowNetwork: TypeAlias = Annotated[
    bool, typer.Option("--allow-network", help="Open rtsp:// addresses, too.")
]
