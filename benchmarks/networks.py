"""Write every network of mien as ONNX with fresh weights, to compare their speed.

    python benchmarks/networks.py untrained/
    mien benchmark untrained/ models/optimised src/mien/assets/glance.onnx --threads 1

How long a network takes does not depend on what it has learned.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from mien.card import ModelCard, record_of, write_card
from mien.train import nets
from mien.train.export import HEAD_LABELS
from mien.train.onnx_graph import write_onnx


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("architectures", nargs="*", default=sorted(nets.NETS))
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    for name in options.architectures:
        model = nets.build(name)
        logits, cost = nets.logits_of(model), nets.summarise(model)
        path = options.folder / f"{name}.onnx"
        write_onnx(logits, path)
        card = ModelCard(
            name=name,
            version="untrained",
            heads={head: HEAD_LABELS[head] for head in logits.output},
            files={path.name: record_of(path)},
            parameters=cost.parameters,
            multiply_adds=cost.multiply_adds,
        )
        write_card(card, path.with_name(f"{name}.card.json"))
        print(f"{path}: {cost.parameters:,} parameters, {cost.multiply_adds:,} multiply-adds")


if __name__ == "__main__":
    main()
