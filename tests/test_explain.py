"""Maps name what matters: on networks whose reasons are known, and on mien's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageDraw

from mien import Predictor
from mien.calibration import softmax
from mien.card import Calibration, Head, ModelCard
from mien.errors import ConfigError, InputError
from mien.explain import Explanation, Occlusion, cover, explain, part_of_face, region_of
from mien.faces import FaceTemplate, Framer
from mien.runtime import FakeSession, Session, open_session
from mien.types import EMOTIONS, Box, Crops, Face, Image, Logits, Point

CARD = ModelCard(
    name="fake",
    version="0",
    heads={"emotion": Head(EMOTIONS, Calibration(temperature=2.0))},
)
COARSE = Occlusion(stride_px=8)


def of(session: Session) -> Predictor:
    return Predictor(lambda image: (), session)


def spotter(crops: Crops) -> Logits:
    """Read a bright spot at one place as happy, and a bright upper right corner against it."""
    logits = np.zeros((len(crops), 7), np.float32)
    logits[:, 3] = crops[:, 30:40, 8:18, 0].mean(axis=(1, 2)) / 20
    logits[:, 3] -= crops[:, :8, 40:, 0].mean(axis=(1, 2)) / 80
    return logits


def spotted(count: int = 1) -> Crops:
    crops = np.full((count, 48, 48, 1), 60, np.uint8)
    crops[:, 30:40, 8:18] = 200
    crops[:, :8, 40:] = 200
    return crops


class TestOcclusion:
    @pytest.mark.parametrize(
        ("patch_px", "stride_px"), [(0, 1), (1, 1), (16, 0), (16, 17), (8, -1)]
    )
    def test_sizes_out_of_range_are_refused(self, patch_px: int, stride_px: int) -> None:
        with pytest.raises(ConfigError, match=r"must be .* not "):
            Occlusion(patch_px, stride_px)

    def test_a_patch_must_fit_into_the_crop(self) -> None:
        with pytest.raises(ConfigError, match="at most the crop's 48"):
            Occlusion(49, 4).batch(spotted())

    @pytest.mark.parametrize(
        ("patch_px", "stride_px", "count"),
        [(48, 48, 1), (16, 16, 9), (16, 4, 81), (16, 5, 64), (2, 2, 576), (9, 5, 81)],
    )
    def test_every_place_is_hidden_by_some_patch(
        self, patch_px: int, stride_px: int, count: int
    ) -> None:
        occlusion = Occlusion(patch_px, stride_px)
        hidden = np.zeros((48, 48))
        for box in occlusion.patches((48, 48)):
            hidden[box.y : box.y + box.h, box.x : box.x + box.w] += 1

        assert len(occlusion.patches((48, 48))) == count
        assert hidden.min() >= 1
        falls = np.full(count, 0.25)
        assert occlusion.heatmap(falls, (48, 48)) == pytest.approx(np.full((48, 48), 0.25))

    def test_a_patch_is_mean_grey_and_counts_where_it_lies(self) -> None:
        crop, occlusion = spotted(), Occlusion(16, 16)
        own, hidden = np.split(occlusion.batch(crop), [1])

        assert (own == crop).all()
        assert (hidden.shape, hidden.dtype) == ((9, 48, 48, 1), np.uint8)
        assert (abs(hidden[5, 16:32, 32:].astype(int) - crop.mean()) < 1).all()
        assert (hidden[5, :, :32] == crop[0, :, :32]).all()
        falls = np.zeros(9)
        falls[5] = 0.5
        heatmap = occlusion.heatmap(falls, (48, 48))
        assert (heatmap[16:32, 32:] == 0.5).all()
        assert np.count_nonzero(heatmap) == 16 * 16


class TestExplain:
    def test_no_crop_has_no_explanation(self) -> None:
        assert explain(of(FakeSession(CARD)), np.empty((0, 48, 48, 1), np.uint8)) == ()

    @pytest.mark.parametrize(
        "crops",
        [
            np.zeros((1, 48, 48), np.uint8),
            np.zeros((1, 40, 48, 1), np.uint8),
            np.zeros((1, 48, 48, 1)),
        ],
    )
    def test_what_is_no_crop_is_refused(self, crops: Crops) -> None:
        with pytest.raises(InputError, match="expected crops uint8"):
            explain(of(FakeSession(CARD)), crops)

    @pytest.mark.parametrize("count", [0, 1])
    def test_a_label_that_is_not_there_is_refused(self, count: int) -> None:
        with pytest.raises(ConfigError, match="fake has no label 'joy': choose one of angry, "):
            explain(of(FakeSession(CARD)), spotted(count), "joy")

    def test_a_known_reason_is_named(self) -> None:
        session, crops = FakeSession(CARD, spotter), spotted(2)

        explanations = explain(of(session), crops)

        own = softmax(spotter(crops), 2.0)[0, 3]
        for each in explanations:
            assert (each.label, each.probability) == ("happy", own)
            assert (each.heatmap.shape, each.heatmap.dtype) == ((48, 48), np.float32)
            assert each.heatmap.max() == each.heatmap[31:39, 9:17].max() > 0.1
            assert each.heatmap[2, 45] < 0, "what speaks against it is below 0"
            assert abs(each.heatmap[24:30, 40:]).max() < 1e-3, "what does not matter is 0"
            assert each.region.x <= 8 < 18 <= each.region.x + each.region.w
            assert each.region.y <= 30 < 40 <= each.region.y + each.region.h
            assert each.hidden == softmax(spotter(cover(crops, each.region)), 2.0)[0, 3] < own

    def test_another_label_has_the_opposite_reasons(self) -> None:
        happy, sad = (
            explain(of(FakeSession(CARD, spotter)), spotted(), label)[0]
            for label in ("happy", "sad")
        )
        assert sad.label == "sad"
        assert sad.heatmap[34, 12] < 0 < happy.heatmap[34, 12]

    def test_without_reasons_the_map_is_flat(self) -> None:
        session = FakeSession(CARD, lambda crops: np.zeros((len(crops), 7)))
        (flat,) = explain(of(session), spotted(), occlusion=COARSE)
        assert (flat.heatmap == 0).all()
        assert (flat.region, flat.hidden) == (Box(0, 0, 16, 16), flat.probability)


@pytest.mark.parametrize(
    ("place", "region"),
    [((0, 0), (0, 0)), ((47, 47), (32, 32)), ((24, 30), (15, 9)), (None, (0, 0))],
)
def test_the_region_holds_the_greatest_sum(
    place: tuple[int, int] | None, region: tuple[int, int]
) -> None:
    heatmap = np.zeros((48, 48), np.float32)
    if place is not None:
        heatmap[place] = 1
    assert region_of(heatmap) == Box(*region, 16, 16)


class TestWords:
    FACE = Face(
        Box(100, 100, 96, 96),
        0.9,
        (Point(130, 140), Point(166, 140), Point(148, 160), Point(132, 180), Point(164, 180)),
    )
    PLAIN = Framer(FaceTemplate())

    def test_a_face_without_landmarks_has_no_words(self) -> None:
        assert part_of_face(Box(0, 0, 48, 48), Face(Box(0, 0, 9, 9), 0.9), self.PLAIN) == ""

    @pytest.mark.parametrize(
        ("region", "words"),
        [
            ((0, 0, 48, 48), "the eyes, the nose and the mouth"),
            ((10, 14, 28, 10), "the eyes"),
            ((10, 14, 10, 10), "an eye"),
            ((10, 14, 28, 20), "the eyes and the nose"),
            ((20, 36, 10, 10), "the mouth"),
            ((12, 34, 8, 9), "the mouth"),
            ((16, 0, 16, 16), "the forehead"),
            ((0, 24, 10, 10), "a cheek"),
            ((16, 42, 16, 6), "the chin"),
        ],
    )
    def test_a_region_is_called_by_what_lies_in_it(
        self, region: tuple[int, ...], words: str
    ) -> None:
        assert part_of_face(Box(*region), self.FACE, self.PLAIN) == words


def drawn(mouth: str, side: int = 192) -> Crops:
    """Draw a face that smiles, frowns or gapes, as a crop."""
    picture = PillowImage.new("L", (side, side), 110)
    pen = ImageDraw.Draw(picture)
    pen.ellipse((26, 6, 166, 188), fill=190)
    for left in (58, 108):
        pen.ellipse((left, 66, left + 28, 84), fill=245)
        pen.ellipse((left + 8, 68, left + 20, 82), fill=30)
        pen.line((left - 4, 52, left + 32, 52), fill=60, width=6)
    pen.line((96, 84, 90, 116, 102, 116), fill=140, width=4)
    shapes = {
        "smile": lambda: pen.chord((60, 106, 132, 162), 0, 180, fill=250, outline=60, width=5),
        "frown": lambda: pen.arc((66, 140, 126, 180), 190, 350, fill=60, width=7),
        "gape": lambda: pen.ellipse((76, 124, 116, 172), fill=30, outline=90, width=4),
    }
    shapes[mouth]()
    return np.asarray(picture.reduce(side // 48))[None, ..., None]


@pytest.fixture(scope="module")
def session() -> Session:
    return open_session(threads=1)


def falls(session: Session, crop: Crops, column: int, regions: list[Box]) -> NDArray[np.float64]:
    """Return by how much the label's probability falls with each region hidden."""
    hidden = np.concatenate([crop, *(cover(crop, region) for region in regions)])
    shares = softmax(session(hidden)["emotion"], session.card.calibration.temperature)[:, column]
    return shares[0] - shares[1:]


def others_of(region: Box, step: int) -> list[Box]:
    """Return the windows of the region's size that have no pixel in common with it."""
    places = range(0, 48 - region.w + 1, step)
    return [
        Box(x, y, region.w, region.h)
        for x in places
        for y in places
        if abs(x - region.x) >= region.w or abs(y - region.y) >= region.h
    ]


class TestSanity:
    """Hiding what the map names costs the label more than hiding anything else of that size."""

    def test_the_astronaut_smiles_with_her_mouth(self, astronaut: Image, session: Session) -> None:
        predictor = Predictor(session=session)
        (reading,) = predictor.predict(astronaut)
        crop = predictor.crop(predictor.open(astronaut), (reading.face,)).pixels
        (why,) = explain(of(session), crop)

        assert (why.label, why.probability) == (reading.top, pytest.approx(reading.confidence))
        geometry = predictor.framer
        assert "the mouth" in part_of_face(why.region, reading.face, geometry)
        named, *others = self._falls(session, crop, why)
        assert named > 0.1  # a network that has learned covered faces needs no place alone
        assert named > 2 * max(others)
        assert why.hidden == pytest.approx(why.probability - named)

    def test_drawn_faces(self, session: Session) -> None:
        beaten = []
        for mouth in ("smile", "frown", "gape"):
            crop = drawn(mouth)
            (why,) = explain(of(session), crop)
            named, *others = self._falls(session, crop, why)
            assert named > 0.1
            assert named > 2 * np.mean(others)
            beaten.append(np.mean(named > np.array(others)))
        assert np.mean(beaten) > 0.95

    @pytest.mark.data
    def test_faces_of_fer2013(self, session: Session, fer2013_csv: Path) -> None:
        from mien import data

        dataset = data.load(fer2013_csv)
        rows = np.random.default_rng(1).permutation(dataset.rows("PublicTest"))[:50]
        named, others, beaten = [], [], []
        for row in rows:
            crop = dataset.crops[row : row + 1]
            (why,) = explain(of(session), crop)
            own, *rest = self._falls(session, crop, why, step=8)
            named.append(own)
            others.append(np.mean(rest))
            beaten.append(np.mean(own > np.array(rest)))
        assert np.mean(named) > 0.25
        assert np.mean(named) > 5 * np.mean(others)
        assert np.mean(beaten) > 0.9

    def _falls(
        self, session: Session, crop: Crops, why: Explanation, step: int = 3
    ) -> NDArray[np.float64]:
        """Return what hiding the named region costs, then what each disjoint one does."""
        regions = [why.region, *others_of(why.region, step)]
        return falls(session, crop, EMOTIONS.index(why.label), regions)
