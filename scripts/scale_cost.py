"""What reading very many pictures costs, from one measured number.

    python scripts/scale_cost.py                      # measure on this machine, then calculate
    python scripts/scale_cost.py --images-per-s 25    # calculate with a number you have
    python scripts/scale_cost.py --images 1e9 --core-hour 0.0225 --get-1000 0.0004 ...

Measured as `mien score` reads, on copies of examples/astronaut.jpg at 640 x 480.
Every price is an option; docs/scale.md says where the defaults come from.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from mien.images import encode
from mien.scale import Job, Options, read_locally

ROOT = Path(__file__).parents[1]
GB = 1e9


@dataclass(frozen=True)
class Measured:
    """What one worker does: pictures a second, of so many bytes each."""

    images_per_s: float
    bytes_in: float


def measure(copies: int, workers: int, min_face_px: int | None) -> Measured:
    """Read copies of one photo; opening the model is not counted."""
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder, "in"), Path(folder, "out")
        source.mkdir()
        with Image.open(ROOT / "examples" / "astronaut.jpg") as photo:
            picture = np.asarray(photo.convert("RGB").resize((640, 480)))
        content = encode(picture, "jpeg", 90)
        for number in range(copies):
            (source / f"{number:08}.jpg").write_bytes(content)
        options = Options(part_images=max(copies // (8 * workers), 1), min_face_px=min_face_px)
        job = Job.open(str(out), [str(source)], options)
        # each worker's first part warms its caches, and beside the last ones others are idle
        reports = list(read_locally(job.folder, job.missing(), workers=workers))
        reports = reports[workers:-workers] or reports
        seconds = sum(each.seconds for each in reports)
        read = sum(each.images for each in reports)
        return Measured(read / seconds, len(content))


def rows_of(measured: Measured, options: argparse.Namespace) -> list[tuple[str, str]]:
    """Calculate; each row is a name and a figure in words."""
    images, each = options.images, measured
    core_hours = images / (each.images_per_s * options.efficiency * 3600)
    objects = images / options.images_per_object
    parts = images / options.part_images
    storage_in, storage_out = images * each.bytes_in / GB, images * options.bytes_out / GB
    compute = core_hours * options.core_hour
    requests = (objects * options.get_1000 + parts * options.put_1000) / 1000
    transfer = storage_in * options.transfer_gb
    rate = each.images_per_s * options.efficiency
    per_core = rate * each.bytes_in
    return [
        ("images/s a core, measured or given", f"{each.images_per_s:.1f}"),
        ("bytes in, out of an image", f"{each.bytes_in:,.0f}, {options.bytes_out:,.0f}"),
        ("core-hours", f"{core_hours:,.0f}"),
        (f"hours on {options.cores:,} cores", f"{core_hours / options.cores:,.1f}"),
        ("compute", f"${compute:,.0f}"),
        ("requests", f"${requests:,.0f}"),
        ("transfer", f"${transfer:,.0f}"),
        ("total", f"${compute + requests + transfer:,.0f}"),
        ("for a million images", f"${(compute + requests + transfer) / images * 1e6:,.2f}"),
        (
            "result",
            f"{storage_out:,.0f} GB, ${storage_out * options.storage_gb_month:,.0f} a month",
        ),
        ("source", f"{storage_in:,.0f} GB, ${storage_in * options.storage_gb_month:,.0f} a month"),
        ("network a core", f"{per_core * 8 / 1e6:,.1f} Mbit/s"),
        (
            f"cores that fill {options.link_gbit:g} Gbit/s",
            f"{options.link_gbit * 1e9 / 8 / per_core:,.0f}",
        ),
        (
            f"cores that ask {options.gets_per_s:,.0f} times a second",
            f"{options.gets_per_s * options.images_per_object / rate:,.0f}",
        ),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    given = parser.add_argument
    given("--images", type=float, default=1e9)
    given("--images-per-s", type=float, help="of one core; measured here if left out")
    given("--bytes-in", type=float, default=math.nan, help="of an image; as measured, or 100,000")
    given("--bytes-out", type=float, default=100.0, help="of a row in Parquet")
    given("--copies", type=int, default=400, help="to measure with")
    given("--workers", type=int, default=1, help="to measure with, a core each")
    given("--min-face", type=int, help="to measure with, as mien score has it")
    given("--cores", type=int, default=1000)
    given("--efficiency", type=float, default=0.9, help="the share of time that cores read")
    given("--core-hour", type=float, default=0.0225, help="dollars")
    given("--images-per-object", type=float, default=1.0, help="1: files; 10,000: tars")
    given("--part-images", type=float, default=10_000.0, help="pictures of a part of the result")
    given("--get-1000", type=float, default=0.0004, help="dollars for 1,000 reads")
    given("--put-1000", type=float, default=0.005, help="dollars for 1,000 writes")
    given("--transfer-gb", type=float, default=0.0, help="dollars to move a GB to the cores")
    given("--storage-gb-month", type=float, default=0.023, help="dollars")
    given("--link-gbit", type=float, default=10.0, help="of a machine's network")
    given("--gets-per-s", type=float, default=5500.0, help="that the store gives a prefix")
    options = parser.parse_args()
    if options.images_per_s is None:
        measured = measure(options.copies, options.workers, options.min_face)
    else:
        measured = Measured(options.images_per_s, 100_000.0)
    if not math.isnan(options.bytes_in):
        measured = Measured(measured.images_per_s, options.bytes_in)
    print(f"| {options.images:,.0f} images | |\n| --- | ---: |")
    for name, figure in rows_of(measured, options):
        print(f"| {name} | {figure} |")


if __name__ == "__main__":
    main()
