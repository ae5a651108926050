"""What readings rest on, over HTTP."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from mien.card import Framing, ModelCard
from mien.faces import FaceTemplate
from mien.faces.template import YUNET
from mien.images import decode, encode
from mien.predictor import Predictor
from mien.runtime import FakeSession
from mien.types import Box, Crops, Face, Image, Logits, Point

from .conftest import Running, picture, running

CARD = ModelCard(name="fake", version="1", framing=Framing(scale=1.2, shift_y=0.0))
BOXES = (Box(10, 10, 40, 50), Box(60, 10, 40, 50), Box(110, 10, 40, 50))


class ThreeFaces:
    """Finds three faces that lean by 90 degrees in any picture that is not black."""

    template = FaceTemplate(YUNET.landmarks, landmark_weight=0.0)  # framed by their boxes

    def __call__(self, image: Image) -> tuple[Face, ...]:
        places = ((0.5, 0.3), (0.5, 0.7), (0.4, 0.5), (0.2, 0.35), (0.2, 0.65))
        return tuple(
            Face(box, 0.9, tuple(Point(box.x + box.w * x, box.y + box.h * y) for x, y in places))
            for box in BOXES
            if image.any()
        )


class Spotter:
    """A bright lower half makes a face happy; remembers how many crops came at once."""

    def __init__(self) -> None:
        self.counts: list[int] = []

    def __call__(self, crops: Crops) -> Logits:
        self.counts.append(len(crops))
        logits = np.zeros((len(crops), 7), np.float32)
        logits[:, 3] = crops[:, 24:].mean(axis=(1, 2, 3)) / 40
        return logits


@pytest.fixture(scope="module")
def spotter() -> Spotter:
    return Spotter()


@pytest.fixture(scope="module")
def explaining(spotter: Spotter) -> Iterator[Running]:
    predictor = Predictor(ThreeFaces(), FakeSession(CARD, spotter))
    with running(predictor, explain_faces=2, batch_crops=8) as server:
        yield server


@pytest.fixture(scope="module")
def leaning() -> bytes:
    """Return three faces whose lower half, which is their left, is bright."""
    image = picture(70, 160, 40)
    for box in BOXES:
        image[:, box.x : box.x + box.w // 2] = 240
    return encode(image, "png")


def test_a_service_may_explain_nothing(jpeg: bytes) -> None:
    with running(explain_faces=0) as server:
        answer = server.client.post("/predict?explain=true", content=jpeg)
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "explain_unavailable"


def test_without_a_face_nothing_is_explained(explaining: Running) -> None:
    black = encode(picture(value=0), "png")
    for query in ("", "&annotate=true"):
        answer = explaining.client.post(f"/predict?explain=true{query}", content=black)
        assert answer.status_code == 200
    plain = explaining.client.post("/predict?explain=true", content=black).json()
    assert plain["faces"] == []


def test_the_surest_faces_are_explained(
    explaining: Running, spotter: Spotter, leaning: bytes
) -> None:
    plain = explaining.client.post("/predict", content=leaning).json()
    spotter.counts.clear()
    answer = explaining.client.post("/predict?explain=true", content=leaning).json()

    explanations = [face.pop("explanation") for face in answer["faces"]]
    assert answer["faces"] == plain["faces"]
    assert answer["timings_ms"]["total"] >= answer["timings_ms"]["explain"] > 0
    assert explanations[2] is None, "beyond the two that this service explains"
    assert max(spotter.counts) <= 8, "others' crops come in between"
    assert sum(spotter.counts) == 3 + 2 * 82
    for why, face, box in zip(explanations[:2], plain["faces"][:2], BOXES[:2], strict=True):
        assert (why["label"], why["probability"]) == (face["emotion"], face["confidence"])
        heatmap = np.array(why["map"])
        assert heatmap.shape == (48, 48)
        assert heatmap[30:44].min() > 0.005 > abs(heatmap[:8]).max()
        assert why["region"]["y"] > 20
        assert why["probability_without"] < why["probability"]
        corners = np.array(why["corners"])
        middle = (box.x + box.w / 2, box.y + box.h / 2)
        assert corners.mean(axis=0) == pytest.approx(middle)
        assert np.linalg.norm(corners[1] - corners[0]) == pytest.approx(60)
        assert corners[0][0] > corners[3][0], "the face's lower edge is on the left"


def test_explanations_are_drawn_on_request(explaining: Running, leaning: bytes) -> None:
    client = explaining.client
    plain = decode(client.post("/predict?annotate=true", content=leaning).content)
    drawn = decode(client.post("/predict?annotate=true&explain=true", content=leaning).content)

    assert drawn.shape == plain.shape
    changed = np.abs(drawn.astype(int) - plain).max(axis=2) > 40
    assert changed[20:50, 12:28].mean() > 0.5
    assert not changed[:, 120:].any()


def test_the_library_explains_alike(explaining: Running, leaning: bytes) -> None:
    from mien.explain import explain

    predictor = explaining.predictor
    (reading, *_) = predictor.predict(leaning)
    crop = predictor.crop(predictor.open(leaning), (reading.face,)).pixels
    (expected,) = explain(predictor, crop)
    answer = explaining.client.post("/predict?explain=true", content=leaning).json()

    found = answer["faces"][0]["explanation"]
    assert np.array(found["map"]) == pytest.approx(expected.heatmap, abs=1e-4)
    assert found["probability_without"] == pytest.approx(expected.hidden)
    assert found["probability"] == predictor.probabilities(predictor.session(crop))[0].max()
