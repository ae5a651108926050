"""Requests of the Open Inference Protocol as arrays, and arrays as its answers.

Both forms of the protocol, HTTP and gRPC, read and answer by this module: one input, ``crops``,
and the outputs of :data:`OUTPUTS`. What a request asks for and this server does not have is
refused: an answer that leaves something out looks like one that has it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.card import ModelCard
from mien.faces import stretch_contrast
from mien.service.engine import Engine
from mien.service.errors import ServiceError
from mien.types import Crops

__all__ = ["OUTPUTS", "Call", "body_limit", "check_shape", "infer", "parse", "response_json"]

OUTPUTS = ("probabilities", "logits")

#: A number, a comma, and what indented JSON puts around them.
_JSON_BYTES_A_NUMBER = 8
_HEAD_BYTES = 64 * 1024

#: Lists in lists, tensors in requests: nothing goes deeper than this.
_DEPTH = 10


@dataclass(slots=True)
class Call:
    """A request: crops, its id, and the outputs wanted, each with whether as binary."""

    crops: Crops
    id: str | None = None
    outputs: dict[str, bool] = field(default_factory=dict)


def body_limit(card: ModelCard, most_crops: int) -> int:
    """Return the bytes that a request of the most crops may have, as JSON."""
    height, width = card.framing.size_hw
    return _HEAD_BYTES + most_crops * height * width * _JSON_BYTES_A_NUMBER


async def infer(engine: Engine, crops: Crops) -> dict[str, NDArray[np.floating]]:
    """Run the network; return every output by its name."""
    stretched = await engine.on_thread(lambda: stretch_contrast(crops))
    answers = await engine.classify(stretched)
    return {
        "logits": answers[engine.predictor.head],
        "probabilities": engine.predictor.probabilities(answers).astype(np.float32),
    }


def parse(body: bytes, header_length: str | None, card: ModelCard, most_crops: int) -> Call:
    """Read a request.

    Raises:
        ServiceError: ``bad_request``; ``too_large``: more crops than allowed.
    """
    try:
        length = len(body) if header_length is None else _header_length(header_length, len(body))
        _check_depth(body[:length])
        content = json.loads(body[:length])
        _only(content, "a request", ("id", "parameters", "inputs", "outputs"))
        parameters = content.get("parameters", {})
        _only(parameters, "parameters of a request", ("binary_data_output",))
        (tensor,) = content["inputs"]
        crops = _crops(tensor, body[length:], card, most_crops)
        outputs = _outputs(content.get("outputs"), bool(parameters.get("binary_data_output")))
        call_id = content.get("id")
        if call_id is not None and not isinstance(call_id, str):
            raise ValueError("id is a string")
    except (
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        OverflowError,
        RecursionError,
    ) as error:
        message = f"not a request for crops: {type(error).__name__}: {error}"
        raise ServiceError("bad_request", message[:300]) from None
    return Call(crops, call_id, outputs)


def check_shape(shape: Sequence[Any], card: ModelCard, most_crops: int) -> list[int]:
    """Return a shape of crops.

    Raises:
        ValueError: it is another.
        ServiceError: ``too_large``: more crops than allowed.
    """
    height, width = card.framing.size_hw
    expected = [height, width, 1]
    whole = all(type(side) is int for side in shape)
    if not whole or len(shape) != 4 or shape[0] < 0 or list(shape[1:]) != expected:
        raise ValueError(f"expected shape [N, {height}, {width}, 1], got {list(shape)}"[:200])
    if shape[0] > most_crops:
        raise ServiceError(
            "too_large", f"a request may have {most_crops} crops, this one has {shape[0]}"[:200]
        )
    return list(shape)


def response_json(
    card: ModelCard, call: Call, arrays: Mapping[str, NDArray[np.floating]]
) -> tuple[dict[str, Any], list[bytes]]:
    """Return the JSON of an answer, and the binary tensors that follow it."""
    outputs: list[dict[str, Any]] = []
    blobs: list[bytes] = []
    for name, as_binary in call.outputs.items():
        array = np.ascontiguousarray(arrays[name], "<f4")
        output: dict[str, Any] = {"name": name, "datatype": "FP32", "shape": list(array.shape)}
        if as_binary:
            blobs.append(array.tobytes())
            output["parameters"] = {"binary_data_size": len(blobs[-1])}
        else:
            output["data"] = array.ravel().tolist()
        outputs.append(output)
    content: dict[str, Any] = {"model_name": card.name, "model_version": card.version}
    if call.id is not None:
        content["id"] = call.id
    content["outputs"] = outputs
    return content, blobs


def _header_length(text: str, most: int) -> int:
    if not (text.isascii() and text.isdigit()) or int(text[:20]) > most:
        raise ValueError(f"Inference-Header-Content-Length is no length of this body: {text[:20]}")
    return int(text)


def _check_depth(text: bytes) -> None:
    """Refuse nesting that no request has, before anything is built of it."""
    signs = np.frombuffer(text, np.uint8)
    opened = np.isin(signs, np.frombuffer(b"[{", np.uint8)).astype(np.int8)
    closed = np.isin(signs, np.frombuffer(b"]}", np.uint8)).astype(np.int8)
    if signs.size and int(np.cumsum(opened - closed, dtype=np.int32).max()) > _DEPTH:
        raise ValueError(f"brackets in more than {_DEPTH} others")


def _only(content: Any, what: str, known: Sequence[str]) -> None:
    if not isinstance(content, dict):
        raise TypeError(f"{what} is an object")
    unknown = sorted(set(content) - set(known))
    if unknown:
        raise ValueError(f"{what} may have {', '.join(known)}, not {unknown[0]!r}")


def _outputs(wanted: Any, as_binary: bool) -> dict[str, bool]:
    """Return the outputs by name, with whether each is to be binary; all if none is named."""
    if not wanted:
        return dict.fromkeys(OUTPUTS, as_binary)
    if not isinstance(wanted, list):
        raise TypeError("outputs is a list")
    found: dict[str, bool] = {}
    for each in wanted:
        _only(each, "an output", ("name", "parameters"))
        parameters = each.get("parameters", {})
        _only(parameters, "parameters of an output", ("binary_data",))
        if each["name"] not in OUTPUTS:
            raise ValueError(f"no output {each['name']!r}: there are {', '.join(OUTPUTS)}")
        found[each["name"]] = bool(parameters.get("binary_data", as_binary))
    return found


def _crops(tensor: Any, binary: bytes, card: ModelCard, most_crops: int) -> Crops:
    _only(tensor, "an input", ("name", "shape", "datatype", "parameters", "data"))
    parameters = tensor.get("parameters", {})
    _only(parameters, "parameters of an input", ("binary_data_size",))
    if tensor["name"] != "crops" or tensor["datatype"] != "UINT8":
        raise ValueError("expected one input 'crops' of datatype UINT8")
    shape = check_shape(tensor["shape"], card, most_crops)
    size = parameters.get("binary_data_size")
    if size is None:
        if binary:
            raise ValueError("bytes follow the JSON, but no input has binary_data_size")
        content = _flat(tensor["data"], shape)
    elif type(size) is not int or size != len(binary):
        raise ValueError(f"binary_data_size is {size}, {len(binary)} bytes came"[:200])
    elif "data" in tensor:
        raise ValueError("an input has data or binary_data_size, not both")
    else:
        content = binary
    if len(content) != int(np.prod(shape, dtype=object)):
        raise ValueError(f"shape {shape} does not fit {len(content)} numbers")
    return np.frombuffer(content, np.uint8).reshape(shape)


def _flat(data: Any, shape: list[int]) -> bytes:
    """Return numbers from 0 to 255, flat or nested as the shape says, as bytes.

    ``numpy.asarray`` would look at each object of a list several times, and hold the
    interpreter's lock for seconds over a few megabytes of empty lists.
    """
    if not isinstance(data, list):
        raise TypeError("data is a list")
    if data and isinstance(data[0], list):
        for side in shape[1:]:
            if set(map(type, data)) != {list} or set(map(len, data)) != {side}:
                raise ValueError("data is not nested as its shape says")
            data = list(chain.from_iterable(data))
    if not set(map(type, data)) <= {int}:
        raise ValueError("expected whole numbers")
    return bytes(data)
