"""Run the service with a fake, slow detector, for tests that send signals to a process."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.service.conftest import fake_predictor

from mien.service.run import serve
from mien.service.settings import read_settings

if __name__ == "__main__":
    serve(read_settings(), lambda _: fake_predictor(float(sys.argv[1])))
