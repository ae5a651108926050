"""Pictures over HTTP, and every limit, against a real server."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import numpy as np
import pytest

from mien.images import decode, encode
from mien.service.settings import MIB

from .conftest import FakeDetector, Running, fake_predictor, picture, running

FORM_BOUNDARY = "multipart/form-data; boundary=x"


def error_of(response: httpx.Response, status: int, code: str) -> dict[str, str]:
    assert response.status_code == status, response.text
    error: dict[str, str] = response.json()["error"]
    assert set(error) == {"code", "message", "request_id"}
    assert error["code"] == code
    assert error["request_id"] == response.headers["x-request-id"]
    assert "Traceback" not in response.text
    return error


def bomb(width: int, height: int) -> bytes:
    """Return a small PNG whose header claims to be huge."""
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(100_000))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("content", "headers", "status", "code"),
    [
        (b"", {}, 422, "broken_image"),
        (b"", {"content-type": "image/jpeg"}, 422, "broken_image"),
        (b"nonsense", {"content-type": "image/jpeg"}, 415, "unsupported_image"),
        (b"<svg/>", {"content-type": "image/svg+xml"}, 415, "unsupported_image"),
        (b"GIF89a" + bytes(20), {"content-type": "image/png"}, 415, "unsupported_image"),
        (b"II*\0" + bytes(20), {"content-type": "image/tiff"}, 415, "unsupported_image"),
        (b"\xff\xd8\xff" + bytes(50), {}, 422, "broken_image"),
        (bomb(16_385, 1), {}, 413, "image_too_large"),
        (bomb(16_000, 16_000), {}, 413, "image_too_large"),
        (bytes(10 * MIB + 1), {}, 413, "too_large"),
        (b"{}", {"content-type": "application/json"}, 415, "unsupported_image"),
        (b"", {"content-type": "multipart/form-data"}, 415, "unsupported_media_type"),
        (b"", {"content-type": FORM_BOUNDARY}, 400, "bad_request"),
        (b"--x\r\n\r\n", {"content-type": FORM_BOUNDARY}, 400, "bad_request"),
        (b"--x--\r\n", {"content-type": FORM_BOUNDARY}, 422, "invalid"),
        (b"junk", {"content-type": FORM_BOUNDARY}, 400, "bad_request"),
    ],
)
def test_what_is_no_picture_is_refused(
    service: Running, content: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    response = service.client.post("/predict", content=content, headers=headers)
    error_of(response, status, code)


def test_other_errors_have_the_same_shape(service: Running, jpeg: bytes) -> None:
    error_of(service.client.get("/nothing"), 404, "not_found")
    error_of(service.client.get("/predict"), 405, "method_not_allowed")
    error_of(service.client.post("/predict?annotate=perhaps", content=jpeg), 422, "invalid")
    error_of(service.client.post("/predict?explain=2", content=jpeg), 422, "invalid")


@pytest.mark.parametrize("kind", ["jpeg", "png"])
def test_a_picture_is_read(service: Running, kind: Any) -> None:
    data = encode(picture(), kind)
    raw = service.client.post("/predict", content=data).json()
    form = service.client.post("/predict", files={"image": ("../../x", data)}).json()
    for answer in (raw, form):
        assert (answer["width"], answer["height"]) == (48, 64)
        assert answer["model"] == {"name": "fake", "version": "1"}
        assert set(answer["timings_ms"]) == {"decode", "detect", "classify", "total"}
        (face,) = answer["faces"]
        assert face["box"] == {"x": 12, "y": 16, "w": 24, "h": 32}
        assert sum(face["probabilities"].values()) == pytest.approx(1)
    assert raw["faces"] == form["faces"]


def test_no_face_is_an_empty_list(service: Running) -> None:
    answer = service.client.post("/predict", content=encode(picture(value=0), "png"))
    assert (answer.status_code, answer.json()["faces"]) == (200, [])


@pytest.mark.parametrize("kind", ["jpeg", "png"])
def test_annotated_pictures_keep_kind_and_size(service: Running, kind: Any) -> None:
    pytest.importorskip("mien.draw")
    image = picture(200, 300)
    answer = service.client.post("/predict?annotate=true", content=encode(image, kind))
    assert answer.headers["content-type"] == f"image/{kind}"
    drawn = decode(answer.content)
    assert drawn.shape == image.shape
    assert np.abs(drawn.astype(int) - image).max() > 50


def files_of(*contents: bytes) -> list[tuple[str, tuple[str, bytes]]]:
    return [("images", ("x", content)) for content in contents]


def test_batches_keep_their_order_and_survive_bad_pictures(service: Running) -> None:
    good = [encode(picture(60 + number, 50), "png") for number in range(3)]
    answer = service.client.post(
        "/predict_batch", files=files_of(good[0], b"bad", good[1], bytes(10 * MIB + 1), good[2])
    ).json()
    heights = [each.get("height") for each in answer["results"]]
    assert heights == [60, None, 61, None, 62]
    codes = [each["error"]["code"] for each in answer["results"] if "error" in each]
    assert codes == ["unsupported_image", "image_too_large"]


def test_a_hundred_pictures_are_the_most(service: Running, png: bytes) -> None:
    assert len(
        service.client.post("/predict_batch", files=files_of(*[png] * 100)).json()["results"]
    )
    refused = service.client.post("/predict_batch", files=files_of(*[png] * 101))
    assert "100" in error_of(refused, 413, "too_large")["message"]


def test_a_batch_has_limits_of_its_own(service: Running) -> None:
    error_of(service.client.post("/predict_batch", content=b"x"), 415, "unsupported_media_type")
    empty = service.client.post(
        "/predict_batch", content=b"--x--\r\n", headers={"content-type": FORM_BOUNDARY}
    )
    error_of(empty, 422, "invalid")
    large = service.client.post("/predict_batch", files=files_of(bytes(65 * MIB)))
    error_of(large, 413, "too_large")
    wide = [bomb(7000, 7000)] * 5
    error_of(service.client.post("/predict_batch", files=files_of(*wide)), 413, "too_large")


def endless(total: int) -> Iterator[bytes]:
    for _ in range(total // 65536):
        yield bytes(65536)


def test_bodies_without_a_length_are_cut_off_while_they_arrive(service: Running) -> None:
    """A gigabyte is announced by nobody, and is never held."""
    error_of(service.client.post("/predict", content=endless(1024 * MIB)), 413, "too_large")


def test_uploads_never_touch_the_disk(
    service: Running, monkeypatch: pytest.MonkeyPatch, jpeg: bytes
) -> None:
    import tempfile

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a temporary file was made")

    for name in ("SpooledTemporaryFile", "TemporaryFile", "NamedTemporaryFile", "mkstemp"):
        monkeypatch.setattr(tempfile, name, refuse)
    large = jpeg + bytes(5 * MIB)
    assert service.client.post("/predict", files={"image": ("x", large)}).status_code == 200


def test_all_uploads_together_are_limited(jpeg: bytes) -> None:
    with running(upload_memory_bytes=100_000) as service:
        refused = service.client.post("/predict", content=bytes(200_000))
        error_of(refused, 503, "overloaded")
        assert service.client.post("/predict", content=jpeg).status_code == 200


def test_a_slow_upload_is_given_up() -> None:
    with running(timeout_s=0.3) as service:
        host, port = service.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=5) as half:
            half.sendall(
                b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\nabc"
            )
            answer = half.recv(4096)
    assert b"408" in answer.split(b"\r\n")[0]
    assert b"slow_upload" in answer


def test_slow_reading_is_given_up(jpeg: bytes) -> None:
    with running(fake_predictor(0.6), timeout_s=0.3, batch_timeout_s=0.3) as service:
        error_of(service.client.post("/predict", content=jpeg), 504, "timeout")
        error_of(service.client.post("/predict_batch", files=files_of(jpeg)), 504, "timeout")


def test_idle_connections_are_kept_for_a_while_only() -> None:
    with running(keep_alive_s=1) as service:
        host, port = service.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=5) as kept:
            for _ in range(2):
                kept.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert kept.recv(65536).startswith(b"HTTP/1.1 200")
            start = time.monotonic()
            while kept.recv(65536):
                pass
    assert 0.5 < time.monotonic() - start < 4


def test_what_does_not_fit_into_the_queue_is_told_to_come_back(jpeg: bytes) -> None:
    with running(fake_predictor(0.4), threads=1, queue=1) as service, ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: service.client.post("/predict", content=jpeg), range(6)))
        statuses = sorted(answer.status_code for answer in answers)
        assert statuses == [200, 200, 503, 503, 503, 503]
        refused = next(answer for answer in answers if answer.status_code == 503)
        assert error_of(refused, 503, "overloaded")
        assert int(refused.headers["retry-after"]) >= 1
        assert service.client.post("/predict", content=jpeg).status_code == 200


def test_too_many_requests_of_one_caller_are_told_to_come_back(jpeg: bytes) -> None:
    with running(rate_per_s=0.01, rate_burst=2) as service:
        answers = [service.client.post("/predict", content=jpeg) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        error_of(answers[2], 429, "rate_limited")
        assert int(answers[2].headers["retry-after"]) > 1
        assert service.client.get("/health/live").status_code == 200


def test_who_leaves_takes_the_work_along(jpeg: bytes) -> None:
    with running(fake_predictor(0.5), threads=1) as service:
        detector = service.predictor.detector
        assert isinstance(detector, FakeDetector)
        before = detector.calls

        def leave() -> None:
            with pytest.raises(httpx.ReadTimeout):
                httpx.post(f"{service.url}/predict", content=jpeg, timeout=0.2, trust_env=False)

        threads = [threading.Thread(target=leave) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        time.sleep(1.2)
        assert detector.calls - before <= 2, "work was done for clients that had left"
        assert service.client.post("/predict", content=jpeg).status_code == 200


def test_keys() -> None:
    data = encode(picture(), "png")
    with running(api_keys=("open sesame",)) as service:
        for headers in (
            {},
            {"x-api-key": "sesame"},
            {"authorization": "Bearer"},
            {"x-api-key": "é"},
        ):
            raw = {name: value.encode("latin-1") for name, value in headers.items()}
            refused = service.client.post("/predict", content=data, headers=raw)
            error_of(refused, 401, "unauthorised")
        for headers in ({"x-api-key": "open sesame"}, {"authorization": "Bearer open sesame"}):
            answer = service.client.post("/predict", content=data, headers=headers)
            assert answer.status_code == 200
        assert service.client.get("/metrics").status_code == 401
        assert service.client.get("/model_info").status_code == 401
        assert service.client.get("/").status_code == 200


def test_other_origins_are_let_in_only_if_named(service: Running) -> None:
    headers = {"origin": "https://friend.example"}
    assert "access-control-allow-origin" not in service.client.get("/v2", headers=headers).headers
    with running(cors_origins=("https://friend.example",)) as open_service:
        answer = open_service.client.get("/v2", headers=headers)
        assert answer.headers["access-control-allow-origin"] == "https://friend.example"
        other = open_service.client.get("/v2", headers={"origin": "https://other.example"})
        assert "access-control-allow-origin" not in other.headers


def test_every_answer_is_guarded(service: Running) -> None:
    for path in ("/", "/docs", "/local", "/model_info", "/nothing", "/static/style.css"):
        headers = service.client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe-eval" not in headers["content-security-policy"].replace(
            "wasm-unsafe-eval", ""
        )
        assert headers["x-request-id"]
        assert "server" not in headers


def test_request_ids_are_kept_if_harmless(service: Running) -> None:
    kept = service.client.get("/v2", headers={"x-request-id": "abc-1"})
    assert kept.headers["x-request-id"] == "abc-1"
    replaced = service.client.get("/v2", headers={"x-request-id": 'a"b\\c'})
    assert len(replaced.headers["x-request-id"]) == 32


def test_model_info_says_what_not_to_do(service: Running) -> None:
    content = service.client.get("/model_info").json()
    assert content["labels"][3] == "happy"
    assert content["input"]["shape"] == ["N", 48, 48, 1]
    notice = " ".join(content["notice"])
    assert "not an emotion" in notice
    assert "5(1)(f)" in notice
    assert "biometric" in notice
    assert "none is stored" in notice


def test_metrics_count(service: Running, jpeg: bytes) -> None:
    service.client.post("/predict", content=jpeg)
    service.client.get("/a/path/that/is/not/there")
    text = service.client.get("/metrics").text
    for name in (
        'mien_requests_total{method="POST",route="/predict",status="200"}',
        'mien_stage_seconds_bucket{le="0.01",stage="detect"}',
        "mien_queue_depth",
        "mien_batch_crops_count",
        "mien_faces_total",
        'mien_frames_total{outcome="dropped"}',
    ):
        assert name in text
    assert "path" not in text


def test_failures_inside_are_not_shown(jpeg: bytes) -> None:
    def fail(_: Any) -> Any:
        raise ZeroDivisionError("secret detail")

    predictor = fake_predictor()
    with running(predictor) as service:
        predictor.detector = fail
        answer = service.client.post("/predict", content=jpeg)
        error_of(answer, 500, "internal")
        assert "secret" not in answer.text
        assert service.client.get("/health/live").status_code == 200


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("image/png", "image/png"),
        ("image/jpeg", "image/jpeg"),
        ("image/*", "image/png"),
        ("application/json", "application/json"),
        ("*/*", "application/json"),
        ("text/html,image/webp,*/*;q=0.8", "application/json"),
    ],
)
def test_accept_chooses_readings_or_an_image(
    service: Running, jpeg: bytes, accept: str, kind: str
) -> None:
    answer = service.client.post("/predict", content=jpeg, headers={"accept": accept})
    assert (answer.status_code, answer.headers["content-type"]) == (200, kind)


def test_annotate_answers_an_image(service: Running, jpeg: bytes, png: bytes) -> None:
    for data, kind in ((jpeg, "image/jpeg"), (png, "image/png")):
        answer = service.client.post("/annotate", content=data)
        assert (answer.status_code, answer.headers["content-type"]) == (200, kind)
        assert answer.headers["x-image-size"] == "48x64"
    asked = service.client.post("/annotate", content=jpeg, headers={"accept": "image/png"})
    assert asked.headers["content-type"] == "image/png"
    error_of(service.client.post("/annotate", content=b"x"), 415, "unsupported_image")


@pytest.mark.parametrize(
    "kind", ["application/x-www-form-urlencoded", "text/plain", "application/json", "image/gif"]
)
def test_the_content_says_what_a_body_is(service: Running, jpeg: bytes, kind: str) -> None:
    """`curl --data-binary` sends the kind of a form."""
    answer = service.client.post("/predict", content=jpeg, headers={"content-type": kind})
    assert answer.status_code == 200
