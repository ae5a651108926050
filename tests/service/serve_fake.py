"""Run the service with a fake, slow detector, for tests that send signals to a process.

python serve_fake.py SECONDS_A_PICTURE [SECONDS_TO_LOAD]
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mien.predictor import Predictor
from mien.service.run import serve
from mien.service.settings import Settings, read_settings
from service.conftest import fake_predictor


def make(_: Settings) -> Predictor:
    time.sleep(float(sys.argv[2]) if len(sys.argv) > 2 else 0)
    return fake_predictor(float(sys.argv[1]))


if __name__ == "__main__":
    serve(read_settings(), make)
