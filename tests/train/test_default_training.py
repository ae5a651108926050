"""The training of the default network in plain PyTorch, with tiny settings on drawn faces."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mien.errors import ConfigError

torch = pytest.importorskip("torch", reason="the default network is trained with PyTorch")

from experiments.training import face_api, face_resnet, gpu, ship, soup, views  # noqa: E402
from experiments.training.data import Rows, read  # noqa: E402
from experiments.training.figures import held_out_sets, macro_f1  # noqa: E402
from experiments.training.nets import (  # noqa: E402
    Glance,
    StandardCnn,
    folded,
    from_keras,
    keras_arrays,
    put,
)
from experiments.training.pixels import seen, without_a_face  # noqa: E402
from experiments.training.recipe import Degrading, Recipe, read_recipe  # noqa: E402
from experiments.training.student import Place, rate_at, train  # noqa: E402
from experiments.training.teaching import HEADS, Teaching, fit_powers  # noqa: E402
from experiments.training.weights import begin_with, build  # noqa: E402

from mien.types import EMOTIONS  # noqa: E402


@pytest.fixture(scope="module")
def rows(csvs: tuple[Path, Path]) -> tuple[Rows, Rows]:
    return read(*csvs, held_out=0.3)


# --- recipes ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rates: 0.1", "rates: Extra inputs"),
        ("rate: -1", "rate: Input should be greater than 0"),
        ("degrading: {fraction: 2}", "degrading.fraction"),
        ("teachers: ['a/b']", "teachers.0"),
        ("voters: false", "somebody has to teach"),
        ("network: resnet", "network: Input should be 'glance'"),
        ("[", "cannot read the recipe"),
    ],
)
def test_a_wrong_recipe_is_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(text)

    with pytest.raises(ConfigError, match=message):
        read_recipe(path)


def test_the_rate_warms_up_and_ends_at_zero() -> None:
    rates = [rate_at(position, 10, 0.1) for position in (0, 0.5, 1, 5.5, 10)]

    assert rates == pytest.approx([0.002, 0.05, 0.1, 0.05, 0])


# --- views -------------------------------------------------------------------------------------


def test_no_change_of_view_changes_no_pixel(rows: tuple[Rows, Rows]) -> None:
    crops = rows[0].crops[:3]
    nothing = np.tile(np.eye(2, 3), (3, 1, 1))

    np.testing.assert_array_equal(views.warp(crops, nothing), crops)


def test_views_are_composed_from_the_inside_out(rows: tuple[Rows, Rows]) -> None:
    crops = rows[0].crops[:2]
    mirror = np.tile([[-1.0, 0, 47], [0, 1, 0]], (2, 1, 1))
    down = np.tile([[1.0, 0, 0], [0, 1, 5]], (2, 1, 1))

    at_once = views.warp(crops, views.compose(mirror, down))

    np.testing.assert_array_equal(at_once, views.warp(views.warp(crops, mirror), down))


def test_a_view_is_drawn_by_its_number() -> None:
    first, again, other = (views.matrices(number, 4) for number in (3, 3, 4))

    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


# --- networks ----------------------------------------------------------------------------------


def moved(network: Any) -> Any:
    """Give every weight a value that a mistake shows in."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for value in network.state_dict().values():
            if value.is_floating_point():
                value += 0.05 * torch.rand(value.shape, generator=generator)
    return network.eval()


@pytest.mark.parametrize(
    ("network", "architecture"),
    [(Glance(HEADS), "glance_54m"), (StandardCnn(), "standard_cnn")],
)
def test_keras_gives_the_same_logits(
    network: Any, architecture: str, tmp_path: Path, rows: tuple[Rows, Rows]
) -> None:
    from tests.support.models import make_card

    from mien.card import card_path, write_card
    from mien.train import nets

    arrays = list(keras_arrays(moved(network)).values())
    model = nets.build(architecture)
    named = keras_arrays(network)
    layers = [layer for layer in model.layers if layer.weights]
    for number, layer in enumerate(layers):
        layer.set_weights(named.get(layer.name, arrays[number]))
    crops = rows[0].crops[:5]
    pixels = crops[..., None].astype(np.float32)
    expected = nets.logits_of(model).predict_on_batch(pixels)
    path = tmp_path / f"{architecture}.keras"
    model.save(path)
    write_card(make_card(path, heads={"emotion": EMOTIONS}), card_path(path))
    back = type(network)(HEADS) if architecture == "glance_54m" else type(network)()
    from_keras(back, path)

    for each in (network, back.eval(), folded(back)):
        with torch.no_grad():
            found = each(torch.from_numpy(crops)[:, None].float())
        assert found.keys() == expected.keys()
        for head, logits in found.items():
            np.testing.assert_allclose(logits.numpy(), expected[head], atol=2e-3, rtol=1e-4)


@pytest.mark.parametrize("architecture", ["glance_53m", "glance_54m"])
def test_an_opinion_is_kept_or_begins_with_the_label(architecture: str, tmp_path: Path) -> None:
    from tests.support.models import make_card

    from mien.card import card_path, write_card
    from mien.train import nets

    path = tmp_path / "glance.keras"
    nets.build(architecture).save(path)
    write_card(make_card(path, heads={"emotion": EMOTIONS}), card_path(path))
    network = build("glance", 0.0)

    begin_with(network, path, np.empty(0))

    label, opinion = (network.layers[f"{h}_logits"].weight for h in ("emotion", "second_opinion"))
    assert torch.equal(opinion, label / 2) == (architecture == "glance_53m")


def write_package(folder: Path) -> Path:
    """Write weights of the package's names and shapes, drawn at random."""
    channels = (3, 32, 64, 128, 256)
    shapes: dict[str, tuple[int, ...]] = {}
    for block in range(4):
        for number in range(4):
            inputs = channels[block] if number == 0 else channels[block + 1]
            name, outputs = f"dense{block}/conv{number}", channels[block + 1]
            if block == number == 0:
                shapes[f"{name}/filters"] = (3, 3, inputs, outputs)
            else:
                shapes[f"{name}/depthwise_filter"] = (3, 3, inputs, 1)
                shapes[f"{name}/pointwise_filter"] = (1, 1, inputs, outputs)
            shapes[f"{name}/bias"] = (outputs,)
    shapes |= {"fc/weights": (256, 7), "fc/bias": (7,)}
    _write_weights(folder, "face_expression_model", shapes)
    blocks = [("conv32_down", 3, 32, 7)]
    for name, inputs, outputs in face_resnet.BLOCKS:
        blocks += [(f"{name}/conv1", inputs, outputs, 3), (f"{name}/conv2", outputs, outputs, 3)]
    shapes = {}
    for name, inputs, outputs, side in blocks:
        shapes[f"{name}/conv/filters"] = (side, side, inputs, outputs)
        for part in ("conv/bias", "scale/weights", "scale/biases"):
            shapes[f"{name}/{part}"] = (outputs,)
    _write_weights(folder, "face_recognition_model", shapes | {"fc": (256, 128)})
    return folder


def _write_weights(folder: Path, model: str, shapes: dict[str, tuple[int, ...]]) -> None:
    generator = np.random.default_rng(0)
    entries, content = [], b""
    for name, shape in shapes.items():
        entry: dict[str, Any] = {"name": name, "shape": shape, "dtype": "float32"}
        if len(shape) > 1:
            entry["quantization"] = {"dtype": "uint8", "scale": 2e-4, "min": -0.0255}
            content += generator.integers(0, 256, shape, np.uint8).tobytes()
        else:
            content += generator.normal(0.5, 0.1, shape).astype(np.float32).tobytes()
        entries.append(entry)
    (folder / f"{model}.bin").write_bytes(content)
    manifest = folder / f"{model}-weights_manifest.json"
    manifest.write_text(json.dumps([{"weights": entries}]))


def test_a_pretrained_trunk_keeps_its_function(tmp_path: Path, rows: tuple[Rows, Rows]) -> None:
    """Batch normalisation put back on the very faces gives what bias and scale gave."""
    folder = write_package(tmp_path)
    crops = rows[0].crops[:16]
    network = face_resnet.FaceResNet({"emotion": 7}, side=64)
    network.begin_with(folder, crops)
    arrays = face_api.read_manifest(folder, "face_recognition_model")
    grey = torch.from_numpy(crops)[:, None].float()
    large = torch.nn.functional.interpolate(grey, (64, 64), mode="bilinear", align_corners=False)
    mean = torch.tensor([122.782, 117.001, 104.298]).view(1, 3, 1, 1)
    kernel = torch.from_numpy(arrays["conv32_down/conv/filters"].transpose(3, 2, 0, 1).copy())
    bias, gain, shift = (
        torch.from_numpy(arrays[f"conv32_down/{part}"]).view(1, -1, 1, 1)
        for part in ("conv/bias", "scale/weights", "scale/biases")
    )

    with torch.no_grad():
        convolved = torch.nn.functional.conv2d((large.expand(-1, 3, -1, -1) - mean) / 256, kernel)
        expected = (convolved[:, :, ::2, ::2] + bias) * gain + shift
        found = network._unit(large / 256, "conv32_down", 2, 0)

    np.testing.assert_allclose(found.numpy(), expected.numpy(), atol=1e-3)


def test_everything_runs_in_one_command(tmp_path: Path, rows: tuple[Rows, Rows]) -> None:
    package = write_package(tmp_path)
    models = Path(__file__).parents[2] / "models"

    path = gpu.everything(tmp_path / "out", models, package, *rows, "cpu", tiny=True)

    with np.load(path) as arrays:
        assert arrays["stem_conv/0"].dtype == np.float16
        assert arrays["second_opinion_logits/0"].shape == (256, 7)
    assert path.stat().st_size < 4_000_000


def test_the_second_opinion_speaks_our_labels(tmp_path: Path, rows: tuple[Rows, Rows]) -> None:
    folder = write_package(tmp_path)

    answers = views.ask(face_api.FaceExpressionNet(folder).bfloat16(), rows[0].crops[:3], "cpu")

    assert answers["second_opinion"].shape == (3, len(EMOTIONS))


def test_a_cut_off_package_is_refused(tmp_path: Path) -> None:
    path = write_package(tmp_path) / "face_expression_model.bin"
    path.write_bytes(path.read_bytes() + b"\0")

    with pytest.raises(ValueError, match="its manifest names"):
        face_api.read_manifest(tmp_path, "face_expression_model")


# --- pixels ------------------------------------------------------------------------------------


def test_a_part_of_a_batch_is_degraded(rows: tuple[Rows, Rows]) -> None:
    crops = rows[0].crops[:40]
    still = np.tile(np.eye(2, 3), (40, 1, 1))
    distances = {}
    for fraction in (0.0, 0.5, 1.0):
        how = Degrading(fraction=fraction, erasing=0)
        found = seen(crops, still, how, np.random.default_rng(0))
        distances[fraction] = np.abs(found.astype(int) - crops).mean()
        again = seen(crops, still, how, np.random.default_rng(0))
        np.testing.assert_array_equal(found, again)

    assert distances[0.0] < distances[0.5] < distances[1.0]


def test_no_crops_without_a_face_are_none(rows: tuple[Rows, Rows]) -> None:
    none = without_a_face(0, rows[0].crops, np.random.default_rng(0))

    assert none.shape == (0, 48, 48)


def test_held_out_sets_are_the_same_each_time(rows: tuple[Rows, Rows]) -> None:
    first, second = (held_out_sets(rows[1].crops) for _ in range(2))

    assert set(first) == {"plain", "strength_3", "strength_5", "no_face"}
    for name, crops in first.items():
        np.testing.assert_array_equal(crops, second[name])


# --- teaching ----------------------------------------------------------------------------------


def test_the_better_opinion_gets_the_larger_power() -> None:
    generator = np.random.default_rng(0)
    truth = generator.integers(0, 7, 500)
    knows = np.log(0.02 + 0.86 * np.eye(7, dtype=np.float32)[truth])
    guesses = np.log(generator.dirichlet(np.ones(7), 500)).astype(np.float32)

    powers = fit_powers([knows, guesses], truth)

    assert powers[0] > 0.8
    assert powers[1] < 0.1


def test_a_teacher_that_was_not_asked_is_named(tmp_path: Path, rows: tuple[Rows, Rows]) -> None:
    with pytest.raises(ConfigError, match=r"held_out\.vgg\.npz is not there"):
        Teaching(tmp_path, Recipe(teachers=("vgg",)), *rows)


def test_targets_are_distributions(tmp_path: Path, rows: tuple[Rows, Rows]) -> None:
    fit, held_out = rows
    teachers = [("vgg", StandardCnn().eval().bfloat16(), 1.0)]
    views.answer(tmp_path, teachers, fit, held_out, range(2), "cpu")
    teaching = Teaching(tmp_path, Recipe(teachers=("vgg",)), fit, held_out)

    teaching.look_for_views()
    maps, targets = teaching.of(np.arange(len(fit.crops)), np.random.default_rng(0))

    assert teaching.views == [0, 1]
    assert maps.shape == (len(fit.crops), 2, 3)
    for each in (targets, teaching.of_no_face(3)):
        for target in each.values():
            np.testing.assert_allclose(target.sum(axis=1), 1, atol=2e-3)
    assert set(targets) == {"emotion", "ferplus"}  # no second opinion was asked


# --- runs --------------------------------------------------------------------------------------

_TINY = Recipe(epochs=3, batch=16, plain_views=2, rate=0.01)


def test_a_run_that_was_stopped_ends_with_the_same_numbers(
    tmp_path: Path, rows: tuple[Rows, Rows], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Place(tmp_path / "whole", tmp_path)
    train(_TINY, whole, None, *rows)

    stopped, epochs = Place(tmp_path / "stopped", tmp_path), []
    from experiments.training.student import Run

    real = Run.one_epoch

    def stop(self: Run, epoch: int, teaching: Teaching) -> dict[str, float]:
        epochs.append(epoch)
        if epochs == [0, 1]:
            raise KeyboardInterrupt
        return real(self, epoch, teaching)

    monkeypatch.setattr(Run, "one_epoch", stop)
    with pytest.raises(KeyboardInterrupt):
        train(_TINY, stopped, None, *rows)
    train(_TINY, stopped, None, *rows)

    assert epochs == [0, 1, 1, 2]
    with np.load(whole.run / "weights.npz") as one, np.load(stopped.run / "weights.npz") as other:
        for name in one.files:
            np.testing.assert_array_equal(one[name], other[name])


def test_another_recipe_is_another_run(tmp_path: Path, rows: tuple[Rows, Rows]) -> None:
    place = Place(tmp_path / "run", tmp_path)
    train(_TINY.model_copy(update={"epochs": 2}), place, None, *rows)

    with pytest.raises(ConfigError, match="another recipe"):
        train(_TINY, place, None, *rows)


# --- averaging -----------------------------------------------------------------------------------


def test_a_part_of_the_way_lies_between() -> None:
    first = {"weight": torch.zeros(2), "count": torch.tensor(3)}
    second = {"weight": torch.ones(2), "count": torch.tensor(5)}

    found = soup.between(first, second, 0.25)

    assert found["weight"].tolist() == [0.25, 0.25]
    assert found["count"] == 3  # counters are not averaged


def test_the_most_robust_point_that_costs_nothing_is_taken() -> None:
    log = [
        {"part": 0.0, "views_loss": 0.80, "strength_3_accuracy": 0.5},
        {"part": 0.5, "views_loss": 0.79, "strength_3_accuracy": 0.6},
        {"part": 1.0, "views_loss": 0.82, "strength_3_accuracy": 0.7},
    ]

    assert soup.chosen(log)["part"] == 0.5
    assert soup.chosen(log[::2])["part"] == 0.0


def test_six_views_begin_with_the_crops(rows: tuple[Rows, Rows]) -> None:
    crops = rows[1].crops

    found = soup.views_of(crops)

    assert len(found) == 6
    np.testing.assert_array_equal(found[0], crops)
    np.testing.assert_array_equal(found[3], crops[:, :, ::-1])


# --- choices before shipping -------------------------------------------------------------------


def test_a_swallowed_class_is_brought_back_and_an_idle_opinion_costs_nothing() -> None:
    generator = np.random.default_rng(0)
    prior = np.array([0.14, 0.02, 0.14, 0.25, 0.17, 0.17, 0.11])
    truth = generator.choice(7, 3000, p=prior / prior.sum())
    evidence = 2.0 * np.eye(7)[truth] + generator.normal(0, 1, (3000, 7))
    biased = evidence + 1.5 * np.log(prior)  # more prior than there is

    choice = ship.choose(biased[None], np.zeros((1, 3000, 7)), truth, prior)

    assert choice.adjustment > 0.3
    assert choice.figures["adjusted"]["macro_f1"] > choice.figures["plain"]["macro_f1"]
    assert choice.figures["adjusted"]["accuracy"] >= choice.figures["plain"]["accuracy"]
    assert choice.opinion == 1.0


def test_an_opinion_that_is_wrong_is_left_out() -> None:
    truth = np.arange(700) % 7
    emotion = np.eye(7)[truth][None] * 1.0
    wrong = 20 * np.eye(7)[(truth + 1) % 7][None]

    choice = ship.choose(emotion, wrong, truth, np.full(7, 1 / 7))

    assert choice.opinion == 0


def test_what_was_chosen_is_in_the_head() -> None:
    from mien.train import nets

    model = nets.build("glance_54m")
    crops = np.random.default_rng(0).integers(0, 256, (4, 48, 48, 1)).astype(np.float32)
    before = nets.logits_of(model).predict_on_batch(crops)
    prior = np.linspace(0.1, 0.2, 7)

    ship.fold(model, ship.Choice(0.5, 0.3, {}), prior)

    after = nets.logits_of(model).predict_on_batch(crops)
    expected = before["emotion"] - 0.5 * np.log(prior) + 0.3 * before["second_opinion"]
    np.testing.assert_allclose(after["emotion"], expected, atol=1e-4)
    np.testing.assert_array_equal(after["second_opinion"], before["second_opinion"])


def test_macro_f1_counts_classes_alike() -> None:
    assert macro_f1(np.array([0, 1, 1]), np.array([0, 1, 1]), classes=2) == 1
    assert macro_f1(np.array([1, 1, 1]), np.array([0, 1, 1]), classes=2) == pytest.approx(0.4)


def test_weights_go_to_the_layer_that_they_are_of() -> None:
    layer = torch.nn.Linear(2, 3)

    put(layer, [np.arange(6, dtype=np.float32).reshape(2, 3), np.ones(3, np.float32)])

    np.testing.assert_array_equal(layer.weight.detach().numpy(), [[0, 3], [1, 4], [2, 5]])
