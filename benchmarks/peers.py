"""mien beside the package fer: the same crops and photos, in the same run, in turn.

    python benchmarks/peers.py --data fer2013.csv.gz --photos holiday/ --environments ~/.cache/peers

Each package gets a virtual environment of its own, made here with pip and kept for the next
run; fer brings TensorFlow, PyTorch and moviepy along, some gigabytes. Both run on one core.

Source:
    fer 25.10.3 (https://github.com/justinshenk/fer): MTCNN or a Haar cascade finds faces, a
    mini-Xception reads them; its weights are inside the wheel.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

ROOT = Path(__file__).parents[1]
ASTRONAUT = ROOT / "examples" / "astronaut.jpg"
# fer asks for pkg_resources, which setuptools 81 no longer has, and does not say so
PEERS = {"mien": [str(ROOT)], "fer": ["fer==25.10.3", "setuptools<81"]}
LABELS = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
#: What is compared: a name, whose environment, and how it is opened.
CONTENDERS = (
    ("mien", "mien", ""),
    ("fer, quantised (its default)", "fer", "tflite"),
    ("fer, Keras", "fer", "keras"),
    ("fer, quantised, MTCNN", "fer", "mtcnn"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="fer2013.csv or .csv.gz")
    parser.add_argument("--photos", type=Path, required=True, help="a folder of photos")
    parser.add_argument("--environments", type=Path, default=ROOT / ".venv" / "peers")
    parser.add_argument("--rounds", type=int, default=10, help="of timing, in turn")
    parser.add_argument(
        "--rows", type=int, default=None, help="about how many test rows; all if left out"
    )
    options = parser.parse_args()

    pythons = {name: environment(options.environments / name, PEERS[name]) for name in PEERS}
    with tempfile.TemporaryDirectory() as folder:
        crops = save_crops(options.data, Path(folder), options.rows)
        photos = [str(path.resolve()) for path in find_photos(options.photos)]
        results = compare(pythons, crops, photos, options.rounds)
    report(results, pythons, len(photos))


def environment(folder: Path, packages: list[str]) -> Path:
    """Make a virtual environment, or take the one that is there; return its Python."""
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    done = folder / "packages.json"
    if not done.is_file() or json.loads(done.read_text()) != packages:
        print(f"installing {', '.join(packages)} into {folder}", file=sys.stderr)
        venv.create(folder, with_pip=True)
        install(python, *packages)
        done.write_text(json.dumps(packages))
    elif str(ROOT) in packages:  # the code may have changed since
        install(python, "--no-deps", "--force-reinstall", str(ROOT))
    return python


def install(python: Path, *arguments: str) -> None:
    """Let pip install something, or end."""
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "-q", "install"]
    if subprocess.run([*pip, *arguments], check=False).returncode:
        sys.exit(f"{' '.join(arguments)} could not be installed; pip says why above")


def save_crops(data: Path, folder: Path, rows: int | None) -> dict[str, str]:
    """Write the test rows where both environments can read them; return the files."""
    import numpy as np

    from mien.data import load

    dataset = load(data)
    chosen = np.flatnonzero(dataset.split != "Training")
    tests = dataset.take(chosen[:: max(1, len(chosen) // (rows or len(chosen)))])
    files = {}
    for name in ("crops", "emotion", "split"):
        files[name] = str(folder / f"{name}.npy")
        np.save(files[name], getattr(tests, name))
    return files


def find_photos(folder: Path) -> list[Path]:
    """List the photos of a folder."""
    from mien.images import find_images

    return find_images(folder) or sys.exit(f"{folder} holds no photos")


def compare(
    pythons: dict[str, Path], crops: dict[str, str], photos: list[str], rounds: int
) -> dict[str, dict[str, Any]]:
    """Ask all contenders the same questions, in turn."""
    import numpy as np

    workers = open_workers(pythons)
    results: dict[str, dict[str, Any]] = {
        name: {"face_ms": [], "photo_ms": [], "cold_s": []} for name in workers
    }
    truth, split = np.load(crops["emotion"]), np.load(crops["split"])
    for name, worker in workers.items():
        if not name.endswith("MTCNN"):  # the same network as without
            print(f"{name}: reading the test rows", file=sys.stderr)
            right = np.array(worker.ask("read", crops["crops"])) == truth
            results[name]["accuracy"] = [
                *(float(right[split == each].mean()) for each in ("PublicTest", "PrivateTest")),
                float(right.mean()),
            ]
    for turn in range(rounds):
        print(f"timing, round {turn + 1} of {rounds}", file=sys.stderr)
        for name, worker in workers.items():
            results[name]["face_ms"] += worker.ask("time_faces", crops["crops"])
            times_ms, faces = worker.ask("time_photos", photos)
            results[name]["photo_ms"] += times_ms
            results[name]["faces"] = faces
    for worker in workers.values():
        worker.close()
    for _ in range(3):
        for name, package, kind in CONTENDERS:
            if name in results:
                results[name]["cold_s"].append(cold_start_s(pythons[package], package, kind))
    return results


def open_workers(pythons: dict[str, Path]) -> dict[str, Worker]:
    """Start a process for each contender; who does not start is left out and told."""
    workers = {}
    for name, package, kind in CONTENDERS:
        worker = Worker(pythons[package], package, kind)
        if worker.failure is None:
            workers[name] = worker
        else:
            print(f"{name}: left out: {worker.failure}", file=sys.stderr)
    return workers


def report(results: dict[str, dict[str, Any]], pythons: dict[str, Path], photos: int) -> None:
    """Print Markdown."""
    sizes = {name: megabytes(python.parents[1]) for name, python in pythons.items()}
    packages = {name: package for name, package, _ in CONTENDERS}
    print(f"{platform.machine()}, one core; {photos} photos, each read in every round.\n")
    print(
        "| package | PublicTest | PrivateTest | both | a face, ms | a photo, ms | faces found "
        "| cold start, s | install, MB |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|"
    )
    for name, found in results.items():
        parts = [f"{value:.2%}" for value in found.get("accuracy", ())] or ["as above"] * 3
        median = statistics.median
        print(
            f"| {name} | {' | '.join(parts)} | {median(found['face_ms']):.2f} "
            f"| {median(found['photo_ms']):.1f} | {found['faces']} "
            f"| {median(found['cold_s']):.2f} | {sizes[packages[name]]:.0f} |"
        )


def megabytes(folder: Path) -> float:
    """Return what the packages of an environment take on disk, pip itself left out."""
    return (
        sum(
            path.stat().st_size
            for path in folder.glob("[Ll]ib/**/*")
            if path.is_file()
            and not path.is_symlink()
            and not {"pip", "__pycache__"} & set(path.parts[len(folder.parts) :])
        )
        / 1e6
    )


def one_core() -> dict[str, str]:
    """Return an environment in which libraries start one thread."""
    names = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
    return {**os.environ, **dict.fromkeys(names, "1"), "TF_CPP_MIN_LOG_LEVEL": "3",
            "CUDA_VISIBLE_DEVICES": "-1"}  # fmt: skip


def cold_start_s(python: Path, package: str, kind: str) -> float:
    """Return the time from starting Python to the readings of a photo."""
    begun = time.perf_counter()
    command = [str(python), __file__, "--once", package, kind, str(ASTRONAUT)]
    subprocess.run(command, check=True, capture_output=True, env=one_core())
    return time.perf_counter() - begun


class Worker:
    """A process in a package's environment that answers questions, one JSON line each."""

    def __init__(self, python: Path, package: str, kind: str) -> None:
        command = [str(python), __file__, "--worker", package, kind]
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log,
            text=True, env=one_core(),
        )  # fmt: skip
        self.failure: str | None = None
        try:
            self.ask("ready", "")
        except RuntimeError as error:
            self.failure = str(error)

    def ask(self, question: str, about: Any) -> Any:
        """Return the answer.

        Raises:
            RuntimeError: the process ended.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps([question, about]) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise RuntimeError(self._last_words()) from None
        for line in self._process.stdout:
            if line.startswith("answer "):
                return json.loads(line.removeprefix("answer "))
        raise RuntimeError(self._last_words())

    def close(self) -> None:
        """Let the process end."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
        self._log.close()

    def _last_words(self) -> str:
        self._process.wait()
        self._log.seek(0)
        return (self._log.read().strip().splitlines() or ["no message"])[-1]


# What follows runs in the package's own environment.


class Peer(Protocol):
    """A package under test."""

    def classify(self, crops: Any) -> Any:
        """Return columns in the order of LABELS for grey crops uint8 (N, 48, 48, 1)."""
        ...

    def read(self, path: str) -> int:
        """Return how many faces of a photo were found and read."""
        ...


class Mien:
    """mien, as ``mien predict`` uses it."""

    def __init__(self, _kind: str) -> None:
        from mien import Predictor
        from mien.faces import CenterFace
        from mien.runtime import open_session

        self._predictor = Predictor(CenterFace(threads=1), open_session(threads=1))

    def classify(self, crops: Any) -> Any:
        """See :class:`Peer`."""
        return self._predictor.session(crops).argmax(axis=1)

    def read(self, path: str) -> int:
        """See :class:`Peer`."""
        return len(self._predictor.predict(path))


class Fer:
    """fer, as its README uses it."""

    ORDER = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")

    def __init__(self, kind: str) -> None:
        import numpy as np
        from fer.fer import FER

        self._fer = FER(mtcnn=kind == "mtcnn", use_tflite=kind != "keras")
        self._columns = np.array([LABELS.index(label) for label in self.ORDER])

    def classify(self, crops: Any) -> Any:
        """As fer does itself with the square that it cut out, without its margin."""
        import cv2
        import numpy as np

        grey = np.float32([cv2.resize(crop[..., 0], (64, 64)) for crop in crops])
        shares = np.asarray(self._fer._classify_emotions((grey / 255.0 - 0.5) * 2.0))
        return self._columns[shares.argmax(axis=1)]

    def read(self, path: str) -> int:
        """See :class:`Peer`."""
        import cv2

        return len(self._fer.detect_emotions(cv2.imread(path)))


def work(package: str, kind: str) -> None:
    """Answer the questions on standard input."""
    keep_to_one_core()
    peer: Peer = {"mien": Mien, "fer": Fer}[package](kind)
    for line in sys.stdin:
        question, about = json.loads(line)
        print("answer", json.dumps(QUESTIONS[question](peer, about)), flush=True)


def keep_to_one_core() -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def _read(peer: Peer, path: str) -> list[int]:
    import numpy as np

    crops = np.load(path)
    batches = [peer.classify(crops[start : start + 64]) for start in range(0, len(crops), 64)]
    return np.concatenate(batches).tolist()


def _time_faces(peer: Peer, path: str) -> list[float]:
    import numpy as np

    crops = np.load(path)[:32]
    peer.classify(crops[:1])  # other programs ran in between
    times_ms = []
    for number in range(len(crops)):
        begun = time.perf_counter()
        peer.classify(crops[number : number + 1])
        times_ms.append((time.perf_counter() - begun) * 1000)
    return times_ms


def _time_photos(peer: Peer, photos: list[str]) -> tuple[list[float], int]:
    peer.read(photos[0])  # other programs ran in between
    times_ms, faces = [], 0
    for path in photos:
        begun = time.perf_counter()
        faces += peer.read(path)
        times_ms.append((time.perf_counter() - begun) * 1000)
    return times_ms, faces


QUESTIONS: dict[str, Callable[[Peer, Any], Any]] = {
    "ready": lambda peer, about: None,
    "read": _read,
    "time_faces": _time_faces,
    "time_photos": _time_photos,
}


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        work(*sys.argv[2:4])
    elif sys.argv[1:2] == ["--once"]:
        keep_to_one_core()
        {"mien": Mien, "fer": Fer}[sys.argv[2]](sys.argv[3]).read(sys.argv[4])
    else:
        main()
