"""Running a network: the one place that makes sessions.

A session takes raw grey crops, 0-255, and gives logits. Normalisation is inside the
graph; labels, framing and calibration are in the card.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mien.card import ModelCard, card_path, read_card, sha256_of
from mien.errors import ConfigError, InputError, MissingExtra, ModelError
from mien.types import Crops, Logits

if TYPE_CHECKING:
    import onnxruntime

__all__ = [
    "DEVICES",
    "FakeSession",
    "LiteRtSession",
    "OnnxSession",
    "Session",
    "check_crops",
    "check_record",
    "default_model",
    "list_models",
    "make_session",
    "open_session",
]

_Floats: TypeAlias = NDArray[np.floating[Any]]

#: ONNX Runtime's providers by the names users give. ``auto`` is CUDA where it can be used and
#: else the CPU; CoreML only by name, since it may compute in float16 and so differ.
DEVICES = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
}


class Session(Protocol):
    """A network that is ready to run; any thread may call it."""

    card: ModelCard

    def __call__(self, crops: Crops) -> Mapping[str, Logits]:
        """Run the network once; return float32 (N, C) of every head of the card; N may be 0.

        Columns are in the order of the head's labels.

        Raises:
            InputError: crops are not uint8 (N, height, width, 1) of the card's size.
        """
        ...


def open_session(
    path: str | os.PathLike[str] | None = None,
    *,
    device: str = "auto",
    threads: int = 0,
) -> Session:
    """Open a model file by its ending: ``.onnx``, ``.tflite``, or what a plug-in opens.

    A plug-in is an entry point of the group ``mien.sessions``, named like the ending without
    its dot: a callable (path, card, device, threads) that returns a session. mien's extra
    ``train`` opens ``.keras`` files by one.

    Args:
        path: the weights, with their card beside them; mien's own model if ``None``.
        device: ``auto`` or one of :data:`DEVICES`; LiteRT runs on the CPU only.
        threads: per call; 0 leaves it to the runtime.

    Raises:
        ModelError: the file or its card is missing, damaged, or the two do not match.
        ConfigError: the device is unknown or not present.
        MissingExtra: the file needs a runtime that is not installed.
    """
    path = default_model() if path is None else Path(path)
    opener = _OPENERS.get(path.suffix) or _plugged_opener(path)
    if not path.is_file():
        raise ModelError(f"{path}: there is no such model file; check the path")
    card = read_card(card_path(path))
    check_record(path, card)
    return opener(path, card, device, threads)


def list_models() -> dict[Path, ModelCard]:
    """Return the models that ship with mien, by their files."""
    folder = Path(str(resources.files("mien") / "assets"))
    cards = (read_card(path) for path in sorted(folder.glob("*.card.json")))
    return {
        folder / name: card for card in cards for name in card.files if (folder / name).is_file()
    }


def default_model() -> Path:
    """Return the path of the model that ships with mien."""
    return Path(str(resources.files("mien") / "assets" / "glance.onnx"))


def make_session(
    model: Path | bytes, *, device: str = "auto", threads: int = 0, keep_memory: bool
) -> onnxruntime.InferenceSession:
    """Make an ONNX Runtime session: of every network, the detectors' too, on every device.

    Args:
        model: a ``.onnx`` file or its content.
        device: ``auto`` or one of :data:`DEVICES`.
        threads: per call; 0 leaves it to ONNX Runtime.
        keep_memory: keep the memory of one call for the next. It suits input of one size; with
            input of many sizes the largest would stay for good.

    Raises:
        ModelError: the file is not a usable ONNX model.
        ConfigError: the device is unknown or not present.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    options.enable_cpu_mem_arena = keep_memory
    options.enable_mem_pattern = keep_memory
    name = "the model" if isinstance(model, bytes) else str(model)
    providers = _providers(device, onnxruntime.get_available_providers())
    try:
        session = onnxruntime.InferenceSession(model, options, providers=providers)
    except Exception as error:  # ONNX Runtime has no common root for its errors
        raise ModelError(f"{name} is not a usable ONNX model: {error}") from None
    if device != "auto" and DEVICES[device] not in session.get_providers():
        raise ConfigError(
            f"device '{device}' is offered, but could not be started: look at its driver "
            "and libraries, or choose auto or cpu"
        )
    return session


class OnnxSession:
    """A network run by ONNX Runtime. Shared by all threads: ``run`` releases the GIL."""

    def __init__(self, path: Path, card: ModelCard, device: str = "auto", threads: int = 0) -> None:
        self.card = card
        self._session = make_session(path, device=device, threads=threads, keep_memory=True)
        source = self._session.get_inputs()[0]
        outputs = {output.name: output.shape for output in self._session.get_outputs()}
        _check_graph(path, card, source.shape, outputs)
        self._input = source.name
        self._dtype = np.uint8 if "uint8" in source.type else np.float32

    def __call__(self, crops: Crops) -> Mapping[str, Logits]:
        """Return logits; see :class:`Session`."""
        check_crops(crops, self.card)
        if len(crops) == 0:
            return _no_logits(self.card)
        feed = {self._input: crops.astype(self._dtype, copy=False)}
        heads = list(self.card.heads)
        return dict(zip(heads, self._session.run(heads, feed), strict=True))


class LiteRtSession:
    """A network run by LiteRT, with one interpreter a thread: they cannot be shared.

    An int8 model gets its crops and gives its logits by the scales stored in the file.
    """

    def __init__(self, path: Path, card: ModelCard, device: str = "auto", threads: int = 0) -> None:
        if device not in ("auto", "cpu"):
            raise ConfigError(f"a .tflite model runs on the CPU only, not on '{device}'")
        self.card = card
        self._content = path.read_bytes()
        self._path, self._threads = path, threads or None
        self._local = threading.local()
        self._opened()  # a bad file is found here, not at the first crop

    def __call__(self, crops: Crops) -> Mapping[str, Logits]:
        """Return logits; see :class:`Session`."""
        check_crops(crops, self.card)
        if len(crops) == 0:
            return _no_logits(self.card)
        opened = self._opened()
        if self._local.batch != len(crops):
            opened.interpreter.resize_tensor_input(opened.source["index"], crops.shape)
            opened.interpreter.allocate_tensors()
            self._local.batch = len(crops)
        opened.interpreter.set_tensor(opened.source["index"], _quantise(crops, opened.source))
        opened.interpreter.invoke()
        return {
            head: _dequantise(opened.interpreter.get_tensor(target["index"]), target)
            for head, target in opened.targets.items()
        }

    def _opened(self) -> _Opened:
        found: _Opened | None = getattr(self._local, "opened", None)
        if found is None:
            found = self._local.opened = self._open()
            self._local.batch = None
        return found

    def _open(self) -> _Opened:
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError:
            raise MissingExtra("litert", "ai-edge-litert") from None
        try:
            interpreter = Interpreter(model_content=self._content, num_threads=self._threads)
            interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise ModelError(f"{self._path} is not a usable LiteRT model: {error}") from None
        source = interpreter.get_input_details()[0]
        targets = {head: self._output(interpreter, head) for head in self.card.heads}
        shapes = {head: target["shape_signature"].tolist() for head, target in targets.items()}
        _check_graph(self._path, self.card, [None, *source["shape"][1:].tolist()], shapes)
        return _Opened(interpreter, source, targets)

    def _output(self, interpreter: Any, head: str) -> dict[str, Any]:
        """Find a head's output: by name if the file kept it, else by its columns."""
        columns = len(self.card.heads[head].labels)
        for key, names in interpreter.get_signature_list().items():
            if head in names["outputs"]:
                runner = interpreter.get_signature_runner(key)
                named: dict[str, Any] = runner.get_output_details()[head]
                return named
        outputs: list[dict[str, Any]] = interpreter.get_output_details()
        fitting = [details for details in outputs if details["shape"][-1] == columns]
        if len(fitting) != 1:
            raise ModelError(
                f"{self._path}: no output is named '{head}', and {len(fitting)} of "
                f"{len(outputs)} have the card's {columns} columns: expected one of them"
            )
        return fitting[0]


class _Opened(NamedTuple):
    interpreter: Any
    source: dict[str, Any]
    targets: dict[str, dict[str, Any]]


class FakeSession:
    """A session without a network, for tests of whatever uses one.

    Args:
        card: what it claims to be.
        logits_of: from crops to the logits of the default head, or to those of every head; mean
            brightness picks a label if ``None``. Heads it does not give are all zero.
    """

    def __init__(
        self,
        card: ModelCard | None = None,
        logits_of: Callable[[Crops], _Floats | Mapping[str, _Floats]] | None = None,
    ) -> None:
        self.card = card or ModelCard(name="fake", version="0")
        self._logits_of = logits_of or self._by_brightness

    def __call__(self, crops: Crops) -> Mapping[str, Logits]:
        """Return logits; see :class:`Session`."""
        check_crops(crops, self.card)
        found = self._logits_of(crops)
        given = found if isinstance(found, Mapping) else {self.card.default_head: found}
        logits = {}
        for name, head in self.card.heads.items():
            shape = len(crops), len(head.labels)
            logits[name] = np.asarray(given.get(name, np.zeros(shape)), np.float32).reshape(shape)
        return logits

    def _by_brightness(self, crops: Crops) -> _Floats:
        classes = len(self.card.labels)
        label = crops.mean(axis=(1, 2, 3)) * classes / 256
        return np.asarray(-np.abs(np.arange(classes) + 0.5 - label[:, None]))


def check_crops(crops: Crops, card: ModelCard) -> None:
    """Refuse what is not a batch of crops of the card's size.

    Raises:
        InputError: with the shape and dtype expected and received.
    """
    height, width = card.framing.size_hw
    if crops.dtype != np.uint8 or crops.ndim != 4 or crops.shape[1:] != (height, width, 1):
        raise InputError(
            f"expected crops uint8 (N, {height}, {width}, 1), got {crops.dtype} {crops.shape}"
        )


def check_record(path: Path, card: ModelCard) -> None:
    """Refuse weights that are not those the card was written for; it may list none.

    Raises:
        ModelError: the card describes files, and this is none of them or has changed.
    """
    if not card.files:
        return
    record = card.files.get(path.name)
    if record is None:
        raise ModelError(
            f"{path} is none of the files its card describes ({', '.join(card.files)}): "
            f"write a card for it, {path.name}.card.json"
        )
    if record.sha256 != sha256_of(path):
        raise ModelError(
            f"{path} is not the file its card describes (SHA-256 differs): "
            "restore it, or write a card for it"
        )


def _check_graph(
    path: Path,
    card: ModelCard,
    input_shape: Sequence[int | str | None],
    outputs: dict[str, Sequence[int | str | None]],
) -> None:
    """Refuse a graph that does not take and give what its card says."""
    head, columns = card.default_head, len(card.labels)
    if head not in outputs:
        raise ModelError(f"{path} has no output '{head}': it has {', '.join(outputs)}")
    if len(outputs[head]) != 2 or outputs[head][1] != columns:
        raise ModelError(
            f"{path}: output '{head}' has shape {list(outputs[head])}, but its card has "
            f"{columns} labels: expected [N, {columns}]"
        )
    expected = [*card.framing.size_hw, 1]
    if list(input_shape[1:]) != expected or isinstance(input_shape[0], int):
        raise ModelError(
            f"{path} takes input of shape {list(input_shape)}, but its card says "
            f"{['N', *expected]} with any N"
        )


def _no_logits(card: ModelCard) -> dict[str, Logits]:
    return {name: np.empty((0, len(head.labels)), np.float32) for name, head in card.heads.items()}


def _providers(device: str, available: list[str]) -> list[str]:
    if device == "auto":
        wanted = (DEVICES["cuda"], DEVICES["cpu"])
        return [provider for provider in wanted if provider in available]
    if device not in DEVICES:
        raise ConfigError(f"no device '{device}': choose auto, {', '.join(DEVICES)}")
    if DEVICES[device] not in available:
        raise ConfigError(
            f"device '{device}' is not there: this ONNX Runtime offers {', '.join(available)}"
        )
    return list(dict.fromkeys([DEVICES[device], DEVICES["cpu"]]))


def _quantise(crops: Crops, details: dict[str, Any]) -> NDArray[Any]:
    if details["dtype"] == np.float32:
        return crops.astype(np.float32)
    scale, zero = details["quantization"]
    limits = np.iinfo(details["dtype"])
    steps = np.rint(crops.astype(np.float32) / scale + zero)
    return np.asarray(np.clip(steps, limits.min, limits.max), details["dtype"])


def _dequantise(values: NDArray[Any], details: dict[str, Any]) -> Logits:
    if details["dtype"] == np.float32:
        return np.asarray(values, np.float32)
    scale, zero = details["quantization"]
    return np.asarray((values.astype(np.float32) - zero) * scale, np.float32)


def _plugged_opener(path: Path) -> _Opener:
    plugged = {f".{each.name}": each for each in entry_points(group="mien.sessions")}
    if path.suffix not in plugged:
        endings = " or ".join([*_OPENERS, *plugged])
        raise ModelError(f"{path}: expected a model file ending in {endings}")
    opener: _Opener = plugged[path.suffix].load()
    return opener


_Opener: TypeAlias = Callable[[Path, ModelCard, str, int], Session]
_OPENERS: dict[str, _Opener] = {
    ".onnx": OnnxSession,
    ".tflite": LiteRtSession,
}
