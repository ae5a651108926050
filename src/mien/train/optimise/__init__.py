"""Smaller and quicker files of a trained network, each checked before it is written.

mien optimize models/best_model.keras --all --data fer2013.csv.gz

models/optimised/glance.tflite            float32, for LiteRT
models/optimised/glance.float16.tflite    weights in half precision
models/optimised/glance.dynamic.tflite    int8 weights, activations quantised as they come
models/optimised/glance.int8.tflite       int8 throughout, in and out
models/optimised/glance.onnx              float32, for ONNX Runtime
models/optimised/glance.int8.onnx         integers throughout
models/optimised/glance.card.json         the card of all of them, with what each one keeps
models/optimised/README.md                the same figures as a table
"""

from __future__ import annotations

from mien.train.optimise.build import Optimised, optimise
from mien.train.optimise.checks import Check
from mien.train.optimise.forms import FORMS, PRECISIONS, Form
from mien.train.optimise.table import COLUMNS, table_rows

__all__ = [
    "COLUMNS",
    "FORMS",
    "PRECISIONS",
    "Check",
    "Form",
    "Optimised",
    "optimise",
    "table_rows",
]
