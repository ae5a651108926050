"""Write a trained network as smaller and quicker files: ``mien optimize`` by another name.

    python optimize_model.py models/best_model.keras --dynamic
    python optimize_model.py models/best_model.keras --int8 --data fer2013.csv

Every option of ``mien optimize`` is taken too.
"""

from __future__ import annotations

import sys

from mien.cli import main

if __name__ == "__main__":
    main(["optimize", *sys.argv[1:]])
