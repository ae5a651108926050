"""The page's logic, by Streamlit's own test driver: no browser."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

st = pytest.importorskip("streamlit")

from streamlit.testing.v1 import AppTest  # noqa: E402

from mien.webapp.pictures import read_picture  # noqa: E402

from .conftest import MakeZip, clip, jpeg  # noqa: E402

_PATIENCE_S = 60


def page() -> None:
    from mien.webapp.app import main
    from webapp.fakes import fake_predictor

    main(fake_predictor)


def page_without_model() -> None:
    from mien.webapp.app import main
    from webapp.fakes import no_predictor

    main(no_predictor)


@pytest.fixture(autouse=True)
def forget_predictors() -> Iterator[None]:
    st.cache_resource.clear()
    yield
    st.cache_resource.clear()


@pytest.fixture
def app() -> AppTest:
    return run(AppTest.from_function(page, default_timeout=_PATIENCE_S))


def run(app: AppTest) -> AppTest:
    app.run()
    assert not app.exception, app.exception
    return app


def html(app: AppTest) -> str:
    return "".join(each.value for each in app.get("html"))


def photos(app: AppTest) -> list[dict[str, Any]]:
    """Return what the components draw: photos with their readings, newest first."""
    drawn = [json.loads(each.proto.json or "null") for each in app.get("bidi_component")]
    return [each for each in drawn if each and "reading" in each]


def tops(app: AppTest) -> list[str]:
    faces = [face for photo in photos(app) for face in photo["reading"]["faces"]]
    return ["uncertain" if face["uncertain"] else face["emotion"] for face in faces]


def uploader(app: AppTest, word: str) -> object:
    return next(each for each in app.file_uploader if word in each.label)


def upload(app: AppTest, word: str, *files: tuple[str, bytes]) -> AppTest:
    uploader(app, word).set_value([(name, data, "") for name, data in files])
    return run(app)


def click(app: AppTest, label: str) -> AppTest:
    next(each for each in app.button if each.label == label).click()
    return run(app)


def test_missing_model_is_told_in_words() -> None:
    app = run(AppTest.from_function(page_without_model, default_timeout=_PATIENCE_S))
    (error,) = app.error
    assert "there is no such model file" in error.value


def test_empty_page_says_what_to_know_and_offers_an_example(app: AppTest) -> None:
    text = html(app)
    assert "An expression is not an emotion." in text
    assert "Article 5(1)(f)" in text
    assert "Photos stay on this computer." in text
    assert "What does a face show?" in text
    assert "A folder&#x27;s worth of faces" in text
    assert not app.error or all("Not for" in each.value for each in app.error)
    click(app, "Try it with this photo")
    assert tops(app) == ["happy"]


def test_photos_are_kept_when_the_page_runs_again(app: AppTest) -> None:
    upload(app, "photos", ("a.jpg", jpeg()), ("b*.jpg", jpeg(30)), ("a again.jpg", jpeg()))
    run(app)
    names = [each.value for each in app.markdown if each.value.startswith("**")]
    assert names[:2] == ["**b\\*\\.jpg**", "**a\\.jpg**"]
    assert tops(app) == ["uncertain", "happy"]
    click(app, "Remove")
    assert tops(app) == ["happy"]
    click(app, "Clear all")
    assert "What does a face show?" in html(app)


@pytest.mark.parametrize(
    ("data", "word"),
    [(b"", "0 bytes"), (b"hello", "This is not an image"), (jpeg()[:300], "truncated")],
)
def test_bad_photo_is_told_in_words(app: AppTest, data: bytes, word: str) -> None:
    upload(app, "photos", ("a.jpg", data))
    assert any(word in each.value for each in app.error)


def test_photo_without_a_face_says_so(app: AppTest) -> None:
    upload(app, "photos", ("black.jpg", jpeg(0)))
    assert "No face found" in html(app)


def test_photos_come_one_by_one_with_a_count(app: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Semaphore(1)

    def slow(name: str, data: bytes, predictor: object, *, keep: bool) -> object:
        gate.acquire()
        return read_picture(name, data, predictor, keep=keep)  # type: ignore[arg-type]

    monkeypatch.setattr("mien.webapp.tabs.photo.read_picture", slow)
    upload(app, "photos", *((f"{at}.jpg", jpeg(100 + 20 * at)) for at in range(3)))
    assert len(photos(app)) == 1
    job = app.session_state["mien_photo_job"]
    assert (job.state.done, job.state.total) == (1, 3)
    gate.release(2)
    job.wait(_PATIENCE_S)
    assert len(photos(run(app))) == 3
    assert "mien_photo_job" not in app.session_state


def test_only_so_many_photos_are_kept(app: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien.webapp.tabs.photo._MOST_PHOTOS", 2)
    upload(app, "photos", *((f"{at}.jpg", jpeg(100 + 20 * at)) for at in range(3)))
    assert len(app.session_state["mien_album"]) == 2


def finish(app: AppTest, key: str) -> AppTest:
    if key in app.session_state:
        app.session_state[key].wait(_PATIENCE_S)
        run(app)
    return app


def read_batch(app: AppTest, *files: tuple[str, bytes]) -> AppTest:
    upload(app, "ZIP", *files)
    click(app, "Read them")
    return finish(app, "mien_batch_job")


def test_batch_is_read_and_kept(app: AppTest, make_zip: MakeZip) -> None:
    packed = make_zip({"x/a.jpg": jpeg(), "note.txt": b"-"}).getvalue()
    read_batch(app, ("b.jpg", jpeg(30)), ("c.jpg", b"no"), ("d.zip", packed))
    run(app)
    assert [(each.label, each.value) for each in app.metric][:4] == [
        ("Photos", "3"),
        ("Faces", "2"),
        ("Uncertain", "1"),
        ("Not readable", "1"),
    ]
    table = app.dataframe[0].value
    assert list(table["image"]) == ["b.jpg", "c.jpg", "x/a.jpg"]
    assert "1 (50 %)" in html(app)
    assert any("1 other files" in each.value for each in app.caption)
    downloads = [each.label for each in app.get("download_button")]
    assert {"CSV", "JSON", "Annotated photos"} <= set(downloads)


def test_hostile_archive_is_refused_in_words(app: AppTest, make_zip: MakeZip) -> None:
    read_batch(app, ("x.zip", make_zip({"../a.jpg": jpeg()}).getvalue()))
    assert any("leads out of the archive" in each.value for each in app.error)
    read_batch(app, ("x.zip", make_zip({"a.bmp": bytes(3_000_000)}).getvalue()))
    assert any("times its size" in each.value for each in app.error)
    read_batch(app, ("x.zip", make_zip({"a.txt": b""}).getvalue()))
    assert any("no image in it" in each.value for each in app.error)


def test_model_tab_shows_card_and_figures(app: AppTest) -> None:
    assert any("fake 1" in each.value for each in app.markdown)
    assert any("Prohibited" in each.value or "Not for" in each.value for each in app.error)
    assert any("Accuracy" in each.value.columns for each in app.dataframe)


def test_model_tab_shows_a_report_beside_the_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from .test_reports import RESULT

    row = {"label": "a", "precision": 0.5, "recall": 0.25, "f1": 0.33, "support": 3}
    result = {**RESULT, "per_class": [row, {**row, "label": "b"}]}
    (tmp_path / "m.report.json").write_text(json.dumps({"results": [result]}))
    monkeypatch.setattr("sys.argv", ["app", "--model", str(tmp_path / "m.onnx")])
    app = run(AppTest.from_function(page, default_timeout=_PATIENCE_S))
    text = html(app)
    assert "mien-confusion" in text
    assert "mien-plot" in text
    assert "0.25" in text


def test_video_is_read_and_kept(app: AppTest) -> None:
    upload(app, "video", ("talk.mp4", clip(frames=5)))
    click(app, "Read the video")
    finish(app, "mien_video_job")
    run(app)
    assert "Person 1" in html(app)
    assert len(app.get("video")) == 1
    labels = [each.label for each in app.get("download_button")]
    assert {"Annotated video", "JSON lines", "Summary"} <= set(labels)


def test_bad_video_is_told_in_words(app: AppTest) -> None:
    upload(app, "video", ("talk.mp4", b"no video at all"))
    click(app, "Read the video")
    finish(app, "mien_video_job")
    assert any("talk.mp4" in each.value for each in app.error)


def test_reasons_are_shown_on_request(app: AppTest) -> None:
    upload(app, "photos", ("a.jpg", jpeg()), ("black.jpg", jpeg(0)), ("no.jpg", b"no"))
    assert not any("reason" in face for face in photos(app)[0]["reading"]["faces"])
    toggle = next(each for each in app.toggle if each.label == "Show why")
    toggle.set_value(True)
    run(app)
    (face,) = photos(app)[0]["reading"]["faces"]
    assert face["reason"]["image"].startswith("data:image/jpeg;base64,")
    assert face["reason"]["words"].endswith(".")
    assert any("what the reading rests on" in each.value for each in app.caption)
    assert set(app.session_state["mien_photo_reasons"]) == set(app.session_state["mien_album"])
    click(app, "Remove")
    assert len(app.session_state["mien_photo_reasons"]) == 2
    next(each for each in app.toggle if each.label == "Show why").set_value(False)
    run(app)
    assert not any("reason" in face for face in photos(app)[0]["reading"]["faces"])
