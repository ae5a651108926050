"""Put the figures of degraded faces from a report into the cards of the model.

mien evaluate --data fer2013.csv.gz --votes fer2013new.csv --degradations -o models/report
python -m experiments.training.note models/report/report.json src/mien/assets/glance.card.json
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

from mien.card import read_card, write_card
from mien.evaluation.robustness import card_figures, from_report

if __name__ == "__main__":
    report, *cards = map(Path, sys.argv[1:])
    measured = from_report(json.loads(report.read_text(encoding="utf-8")))
    for path in cards:
        card = read_card(path)
        write_card(replace(card, metrics={**card.metrics, **card_figures(measured)}), path)
