"""The same bytes through every door give the same boxes and probabilities, to the bit.

A door that writes its own chain (decodes in full, chooses faces by itself, crops from other
coordinates) gives other numbers for at least one of these photos, and fails here.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
from PIL import Image as PillowImage

from mien import Predictor, Result, open_predictor
from mien.cli import main
from mien.images import encode, open_picture, read
from mien.types import Face, Image

ASTRONAUT = Path(__file__).parents[1] / "examples" / "astronaut.jpg"

#: Box and probabilities of each face.
Faces: TypeAlias = list[tuple[tuple[int, ...], tuple[float, ...]]]


def small() -> bytes:
    return encode(np.asarray(PillowImage.fromarray(read(ASTRONAUT)).resize((200, 200))))


def twelve_megapixels() -> bytes:
    return encode(np.asarray(PillowImage.fromarray(read(ASTRONAUT)).resize((3501, 3423))))


def turned_by_exif() -> bytes:
    wide = PillowImage.fromarray(read(ASTRONAUT)).resize((2304, 2001))
    exif = PillowImage.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    wide.transpose(PillowImage.Transpose.ROTATE_90).save(buffer, "JPEG", exif=exif.tobytes())
    return buffer.getvalue()


def with_alpha() -> bytes:
    image = PillowImage.fromarray(read(ASTRONAUT)).convert("RGBA")
    image.putalpha(
        PillowImage.linear_gradient("L").resize(image.size).point(lambda v: 128 + v // 2)
    )
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def several_faces() -> bytes:
    face = PillowImage.fromarray(read(ASTRONAUT)[:300, 100:400])
    canvas = PillowImage.new("RGB", (2600, 2200), (90, 110, 130))
    for side, x, y in ((900, 60, 80), (500, 1200, 200), (320, 1900, 900), (700, 300, 1300)):
        canvas.paste(face.resize((side, side)), (x, y))
    return encode(np.asarray(canvas))


PHOTOS: dict[str, Callable[[], bytes]] = {
    each.__name__: each
    for each in (small, twelve_megapixels, turned_by_exif, with_alpha, several_faces)
}
REDUCED = {"twelve_megapixels", "turned_by_exif", "several_faces"}


@pytest.fixture(scope="module", params=PHOTOS)
def photo(request: pytest.FixtureRequest) -> tuple[str, bytes]:
    return request.param, PHOTOS[request.param]()


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return open_predictor(threads=1)


@pytest.fixture(scope="module")
def expected(photo: tuple[str, bytes], predictor: Predictor) -> Faces:
    faces = faces_of(predictor.predict(photo[1]))
    assert len(faces) == (3 if photo[0] == "several_faces" else 1)
    return faces


@pytest.fixture
def path(photo: tuple[str, bytes], tmp_path: Path) -> Path:
    path = tmp_path / ("photo.png" if photo[0] == "with_alpha" else "photo.jpg")
    path.write_bytes(photo[1])
    return path


def faces_of(result: Result) -> Faces:
    return [(tuple(each.face.box), each.probabilities) for each in result]


def of_json(faces: list[dict[str, Any]]) -> Faces:
    return [(tuple(each["box"].values()), tuple(each["probabilities"].values())) for each in faces]


def close(found: Faces, expected: Faces, tolerance: float, pixels: int) -> bool:
    return len(found) == len(expected) and all(
        np.abs(np.subtract(ours[0], theirs[0])).max() <= pixels
        and np.abs(np.subtract(ours[1], theirs[1])).max() <= tolerance
        for ours, theirs in zip(sorted(found), sorted(expected), strict=True)
    )


def test_the_large_photos_are_reduced(photo: tuple[str, bytes], predictor: Predictor) -> None:
    opened = predictor.open(photo[1])
    assert (opened.pixels.shape[:2] != opened.size_hw) == (photo[0] in REDUCED)


def test_a_path_and_many(path: Path, predictor: Predictor, expected: Faces) -> None:
    assert faces_of(predictor.predict(path)) == expected
    assert [faces_of(each) for each in predictor.predict_many([path] * 3, workers=2)] == [
        expected
    ] * 3


def test_an_array_and_a_pillow_image(
    photo: tuple[str, bytes], predictor: Predictor, expected: Faces
) -> None:
    """Equal to each other; to the file where it was not reduced, and close where it was."""
    array = open_picture(photo[1]).pixels

    from_array = faces_of(predictor.predict(array))

    assert faces_of(predictor.predict(PillowImage.fromarray(array))) == from_array
    if photo[0] in REDUCED:
        assert close(from_array, expected, 0.05, 8)
    else:
        assert from_array == expected


def test_a_wrapped_detector_that_says_what_it_needs(
    photo: tuple[str, bytes], predictor: Predictor, expected: Faces
) -> None:
    class Wrapped:
        needs_px = predictor.detector.needs_px  # type: ignore[attr-defined]

        def __call__(self, image: Image) -> tuple[Face, ...]:
            return predictor.detector(image)

    assert faces_of(Predictor(Wrapped(), predictor.session).predict(photo[1])) == expected


def test_the_command_line_plain_and_annotated(
    path: Path, expected: Faces, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for more in ([], ["--annotate", str(tmp_path / "out")], ["--batch", str(tmp_path)]):
        source = [] if "--batch" in more else [str(path)]
        with pytest.raises(SystemExit) as ended:
            main(["predict", *source, "--json", *more])
        assert not ended.value.code
        (image,) = json.loads(capsys.readouterr().out)["images"]
        assert of_json(image["faces"]) == expected


def test_explain(
    photo: tuple[str, bytes],
    path: Path,
    expected: Faces,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its readings are drawn and printed: they are caught where they are drawn."""
    from mien import draw

    drawn: list[Any] = []

    def catch(image: Image, readings: Any) -> Image:
        drawn.append(readings)
        return image

    monkeypatch.setattr(draw, "annotate", catch)
    with pytest.raises(SystemExit) as ended:
        main(["explain", str(path), "-o", str(tmp_path)])

    assert not ended.value.code
    (readings,) = drawn
    assert faces_of(Result("a", (1, 1), tuple(readings))) == expected


def test_a_batch_job(path: Path, expected: Faces, tmp_path: Path) -> None:
    """Its table holds probabilities as float32."""
    parquet = pytest.importorskip("pyarrow.parquet")
    with pytest.raises(SystemExit) as ended:
        main(["score", str(path), "-o", str(tmp_path / "out"), "--workers", "1"])
    assert not ended.value.code

    rows = parquet.read_table(tmp_path / "out").to_pylist()

    found = [
        (
            tuple(row[f"box.{side}"] for side in "xywh"),
            tuple(value for name, value in row.items() if name.startswith("probabilities.")),
        )
        for row in rows
    ]
    assert found == [
        (box, tuple(np.asarray(shares, np.float32).tolist())) for box, shares in expected
    ]


@pytest.fixture(scope="module")
def service(predictor: Predictor) -> Iterator[Any]:
    pytest.importorskip("uvicorn")
    from tests.service.conftest import running

    with running(predictor, socket_bytes=2**24) as server:
        yield server


def test_the_service(photo: tuple[str, bytes], service: Any, expected: Faces) -> None:
    headers = {"Content-Type": "application/octet-stream"}
    answer = service.client.post("/predict", content=photo[1], headers=headers)
    batch = service.client.post("/predict_batch", files=[("files", photo[1])] * 2)

    assert of_json(answer.json()["faces"]) == expected
    for result in batch.json()["results"]:
        # crops of several images share a batch, which may change the last digit
        assert close(of_json(result["faces"]), expected, 1e-6, 0)


def test_a_socket_without_smoothing(
    photo: tuple[str, bytes], service: Any, expected: Faces
) -> None:
    from websockets.sync.client import connect

    with connect(service.socket_url, proxy=None) as socket:
        socket.send(json.dumps({"type": "hello", "smooth": False}))
        socket.recv()
        socket.send(photo[1])
        answer = json.loads(socket.recv())

    assert of_json(answer["faces"]) == expected


def test_the_librarys_crops_through_the_inference_protocol(
    photo: tuple[str, bytes], service: Any, predictor: Predictor, expected: Faces
) -> None:
    picture = predictor.open(photo[1])
    crops = predictor.crop(picture, predictor.detect(picture)).pixels
    tensor = {
        "name": "crops",
        "datatype": "UINT8",
        "shape": list(crops.shape),
        "data": crops.ravel().tolist(),
    }

    answer = service.client.post(
        f"/v2/models/{predictor.card.name}/infer", json={"inputs": [tensor]}
    )

    shares = np.reshape(answer.json()["outputs"][0]["data"], (len(crops), -1))
    assert (shares == np.asarray([row for _, row in expected], np.float32)).all()


def test_the_web_app(photo: tuple[str, bytes], predictor: Predictor, expected: Faces) -> None:
    pytest.importorskip("streamlit")
    from mien.webapp.pictures import read_picture

    result = read_picture("photo", photo[1], predictor, keep=True)

    assert [(tuple(each.face.box), each.probabilities) for each in result.readings] == expected
