"""What one core can do at best, and how near to that the runtimes come with each model.

    python benchmarks/peak.py models/ src/mien/assets            # one thread, Markdown

The limit is taken from a float32 matrix product by NumPy's BLAS and from a copy of an
array too large for the caches, the best of many, each in a process of its own with its threads
set. A model's floor is its multiply-adds at that peak; the time to move weights and
activations through memory once is beside it. Both are on paper: neither can be beaten without
fewer or cheaper multiply-adds.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mien.bench.latency import Case, measure, random_crops
from mien.bench.machine import describe_machine
from mien.bench.models import find_models, open_models
from mien.bench.report import machine_line
from mien.cli.batch import cores
from mien.faces import CenterFace
from mien.runtime import open_session

DETECTOR = Path(__file__).parents[1] / "src" / "mien" / "assets" / "centerface.onnx"
SIDE = 768  # a product is done in some milliseconds, between what other programs do
PRODUCTS = 400
COPY_BYTES = 256_000_000


@dataclass(frozen=True)
class Limits:
    """What threads can do at best."""

    gflops: float  #: float32, a multiply-add counted as two
    gb_per_s: float  #: read and written, both counted


@dataclass(frozen=True)
class Cost:
    """What a network has to do for one face or picture."""

    multiply_adds: int
    weight_bytes: int
    activation_bytes: int  #: of float32 outputs of its heavy operations; 0 if not known


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("models", nargs="*", type=Path, help="model files and folders of them")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 32])
    parser.add_argument("--iterations", type=int, default=100)
    parser.add_argument("--limits", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.limits:
        print(measured_gflops(), measured_gb_per_s())
        return

    limits = ask_limits(options.threads)
    print(f"{machine_line(describe_machine(cores()))}\n")
    print(
        f"Peak on {options.threads} thread{'s' * (options.threads > 1)}: {limits.gflops:.0f} "
        f"GFLOP/s float32 (product of {SIDE} x {SIDE} matrices), {limits.gb_per_s:.1f} GB/s "
        "(copy of 256 MB), the best of many.\n"
    )
    print(
        "| model | batch | M mult-adds | MB weights | MB activations | floor, arithmetic ms "
        "| memory ms | median ms | best ms | of the peak |"
    )
    print("|---|" + "---:|" * 9)
    for line in rows(options, limits):
        print(line)


def rows(options: argparse.Namespace, limits: Limits) -> list[str]:
    """Measure every model at every batch size, in turn, and the detector after them."""
    found, _ = find_models(options.models or [DETECTOR.parent])
    onnx_like = [path for path in found if path.suffix != ".keras"]  # Keras has its own threads
    models, failures = open_models(
        onnx_like, open_session, device="cpu", threads=(options.threads,), loads=1
    )
    for failure in failures:
        print(f"left out: {failure}", file=sys.stderr)
    generator = np.random.default_rng(0)
    cases = [
        Case(
            model.name, 1, model.session, random_crops(size, model.card.framing.size_hw, generator)
        )
        for model in models
        for size in options.batch
    ]
    timings = measure(cases, iterations=options.iterations, warmup=10, generator=generator)
    by_name = {model.name: model for model in models}
    lines = []
    for timing in timings:
        model = by_name[timing.model]
        cost = cost_of(model.path, (1, *model.card.framing.size_hw, 1), model.card.multiply_adds)
        lines.append(row(timing.model, timing.batch, cost, limits, timing.p50_ms, timing.best_ms))
    return [*lines, detector_row(options, limits)]


def detector_row(options: argparse.Namespace, limits: Limits) -> str:
    """Measure the detector's network on what a photo of 640 x 480 pixels becomes."""
    shape = (1, 3, 320, 448)
    session = CenterFace(threads=options.threads)._session
    image = np.random.default_rng(0).random(shape, np.float32) * 255
    taken_ms = []
    for _ in range(max(options.iterations // 4, 10)):
        begun = time.perf_counter()
        session.run(None, {"image": image})
        taken_ms.append((time.perf_counter() - begun) * 1000)
    name = f"{DETECTOR.name}, {shape[3]} x {shape[2]}"
    cost = cost_of(DETECTOR, shape, 0)
    return row(name, 1, cost, limits, float(np.median(taken_ms[3:])), min(taken_ms))


def row(name: str, batch: int, cost: Cost, limits: Limits, median_ms: float, best_ms: float) -> str:
    """Return a line of the table; the share is that of the best call."""
    arithmetic_ms = 2 * cost.multiply_adds * batch / limits.gflops / 1e6
    moved = cost.weight_bytes + 2 * cost.activation_bytes * batch
    return (
        f"| {name} | {batch} | {cost.multiply_adds / 1e6:.1f} | {cost.weight_bytes / 1e6:.2f} "
        f"| {cost.activation_bytes * batch / 1e6:.2f} | {arithmetic_ms:.2f} "
        f"| {moved / limits.gb_per_s / 1e6:.2f} | {median_ms:.2f} | {best_ms:.2f} "
        f"| {arithmetic_ms / best_ms:.0%} |"
    )


def cost_of(path: Path, shape: Sequence[int], multiply_adds: int) -> Cost:
    """Count what a graph does for one input; ``multiply_adds`` is its card's figure, or 0."""
    size = path.stat().st_size
    if path.suffix != ".onnx":
        return Cost(multiply_adds, size, 0)
    import onnx
    from onnx import numpy_helper

    model = onnx.load(path)
    for dimension, value in zip(
        model.graph.input[0].type.tensor_type.shape.dim, shape, strict=True
    ):
        dimension.dim_value = value
    for item in (*model.graph.output, *model.graph.value_info):
        item.type.tensor_type.ClearField("shape")
    graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for item in (*graph.input, *graph.value_info, *graph.output):
        shapes[item.name] = tuple(each.dim_value for each in item.type.tensor_type.shape.dim)
    counted = activations = 0
    for node in graph.node:
        if node.op_type not in ("Conv", "ConvTranspose", "Gemm", "MatMul"):
            continue
        kernel, output = shapes[node.input[1]], shapes[node.output[0]]
        source = shapes[node.input[0]]
        positions = source if node.op_type == "ConvTranspose" else output
        # of a kernel (out, in / group, ...) each output sums over all but the first
        taps = kernel[1:] if "Conv" in node.op_type else kernel[:1]
        counted += int(np.prod(positions) * np.prod(taps))
        activations += int(np.prod(output)) * 4
    weights = sum(numpy_helper.to_array(each).nbytes for each in graph.initializer)
    return Cost(multiply_adds or counted, weights, activations)


def ask_limits(threads: int) -> Limits:
    """Measure in a process in which BLAS starts that many threads."""
    names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
    command = [sys.executable, __file__, "--limits"]
    ran = subprocess.run(
        command, env={**os.environ, **dict.fromkeys(names, str(threads))},
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    gflops, gb_per_s = map(float, ran.stdout.split())
    return Limits(gflops, gb_per_s)


def measured_gflops() -> float:
    """Return the best rate of a large product; the best, as other programs can only slow it."""
    generator = np.random.default_rng(0)
    # two matrices: of one and its own transpose, BLAS works out but half
    left, right = generator.random((2, SIDE, SIDE), np.float32)
    result = np.empty_like(left)
    best_s = min(_taken_s(lambda: np.matmul(left, right, out=result)) for _ in range(PRODUCTS))
    return 2 * SIDE**3 / best_s / 1e9


def measured_gb_per_s() -> float:
    """Return the best rate of a copy, read and written bytes together."""
    source = np.ones(COPY_BYTES // 4, np.float32)
    target = np.zeros_like(source)
    best_s = min(_taken_s(lambda: np.copyto(target, source)) for _ in range(10))
    return 2 * COPY_BYTES / best_s / 1e9


def _taken_s(call: Callable[[], object]) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
