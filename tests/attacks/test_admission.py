"""Refusals before the body, bodies that cost time, and one image in everybody's way."""

from __future__ import annotations

import gzip
import json
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from statistics import median

import httpx
import numpy as np
import pytest
from tests.service.conftest import picture

from mien.images import encode

from .conftest import Target, process, slowest_health_check, target
from .generators import MIB, brackets, connect, flat_png, listen_to, post, tiny_parts

FORM = {"content-type": "multipart/form-data; boundary=x"}


def by_urllib(url: str, body: bytes, **headers: str) -> tuple[int, dict[str, object]]:
    """Send with a client that reads no answer before it has sent everything."""
    request = urllib.request.Request(url, body, headers, method="POST")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=20) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def test_a_refusal_is_read_by_a_client_that_sends_first(service: Target) -> None:
    for _ in range(10):
        status, content = by_urllib(service.url + "/predict", bytes(20 * MIB))
        assert status == 413
        assert content["error"]["code"] == "too_large"  # type: ignore[index]


def test_a_wrong_key_is_refused_before_the_body() -> None:
    with target(api_keys=("k",)) as service, connect(service.port) as client:
        client.sendall(post("/predict", 10 * MIB))
        start = time.monotonic()
        assert client.recv(4096).startswith(b"HTTP/1.1 401")
        assert time.monotonic() - start < 1


@pytest.mark.parametrize("path", ["/predict", "/predict_batch", "/v2/models/fake/infer"])
def test_a_full_queue_refuses_before_the_body(path: str) -> None:
    with target(delay_s=2, threads=1, queue=0) as service, ThreadPoolExecutor(1) as pool:
        first = pool.submit(service.read)
        while "mien_queue_depth 1.0" not in service.metrics():
            time.sleep(0.05)
        with connect(service.port) as client:
            start = time.monotonic()
            client.sendall(post(path, 2 * MIB, "Content-Type: multipart/form-data; boundary=x"))
            answer = client.recv(4096)
            assert time.monotonic() - start < 1
        assert answer.startswith(b"HTTP/1.1 503")
        assert b"retry-after" in answer.lower()
        assert b"connection: close" in answer.lower()
        assert first.result().status_code == 200


def test_a_spent_rate_refuses_before_the_body() -> None:
    with target(rate_per_s=0.01, rate_burst=1) as service:
        assert service.read().status_code == 200
        with connect(service.port) as client:
            client.sendall(post("/predict", 5 * MIB))
            start = time.monotonic()
            assert client.recv(4096).startswith(b"HTTP/1.1 429")
            assert time.monotonic() - start < 1


def test_slow_uploads_keep_nobody_out() -> None:
    with target(threads=1, queue=2) as service:
        slow = [connect(service.port) for _ in range(3)]
        for each in slow:
            each.sendall(post("/predict", 1000) + b"\xff\xd8")
        time.sleep(0.3)
        assert service.read().status_code == 503
        time.sleep(2.5)
        assert service.read().status_code == 200
        for each in slow:
            each.close()


def test_a_batch_costs_a_token_for_each_image() -> None:
    data = encode(picture(), "jpeg")
    with target(rate_per_s=10, rate_burst=20) as service:
        url = service.url + "/predict_batch"
        files = [("images", ("x", data))] * 40
        answer = httpx.post(url, files=files, timeout=20, trust_env=False)
        assert answer.status_code == 200
        refused = service.read()
        assert refused.status_code == 429
        assert 1 <= int(refused.headers["retry-after"]) <= 4


@pytest.mark.parametrize(
    ("path", "body", "headers", "statuses"),
    [
        ("/predict", tiny_parts(9 * MIB), FORM, {413}),
        ("/predict_batch", tiny_parts(60 * MIB), FORM, {413}),
        ("/predict_batch", b"--x\r\n" + b"a: b\r\n" * (9 * MIB // 6), FORM, {400, 413}),
        ("/predict_batch", b"\r\n--" * (16 * MIB // 4), FORM, {400, 413}),
        ("/predict", b"--x\r\n\r\n" + b"\r\n-" * (9 * MIB // 3), FORM, {400, 413}),
        ("/v2/models/fake/infer", brackets(int(8.6 * MIB)), {}, {400, 413}),
        ("/v2/models/fake/infer", brackets(MIB), {}, {400, 413}),
        ("/v2/models/fake/infer", b"[" * (4 * MIB), {}, {400, 413}),
    ],
    ids=["parts", "batch", "headers", "junk", "dashes", "brackets", "fewer", "deep"],
)
def test_hostile_bodies_block_nobody(
    service: Target, path: str, body: bytes, headers: dict[str, str], statuses: set[int]
) -> None:
    with slowest_health_check(service) as seconds:
        status, _ = by_urllib(service.url + path, body, **headers)
    assert status in statuses
    # without an attack, the same machine takes as long as the median says
    assert max(seconds) < 1 + 10 * median(seconds)


@pytest.mark.parametrize("path", ["/predict", "/predict_batch", "/v2/models/fake/infer"])
def test_compressed_bodies_are_refused(service: Target, path: str) -> None:
    body = gzip.compress(encode(picture(), "jpeg"))
    headers = {"content-encoding": "gzip", **FORM}
    answer = httpx.post(service.url + path, content=body, headers=headers, trust_env=False)
    assert answer.status_code == 415
    assert "uncompressed" in answer.text


def test_large_images_leave_room_for_small_ones() -> None:
    """One image of 50 megapixels at a time; small ones go past those that wait."""
    large = flat_png(7070, 7070)
    assert len(large) < MIB
    with process(threads=2, timeout_s=120) as service:
        for _ in range(2):
            service.read()
        alone = median(_timed(service) for _ in range(15))
        url = service.url + "/predict"
        before = service.peak_mib()

        def send() -> int:
            return httpx.post(url, content=large, timeout=150, trust_env=False).status_code

        with ThreadPoolExecutor(3) as pool:
            sent = [pool.submit(send) for _ in range(3)]
            time.sleep(0.3)
            beside = []
            while not all(each.done() for each in sent):
                beside.append(_timed(service))
        assert {each.result() for each in sent} == {200}
        assert median(beside) < max(0.25, 12 * alone)
        assert service.peak_mib() - before < 700


def _timed(service: Target) -> float:
    start = time.perf_counter()
    assert service.read().status_code == 200
    return time.perf_counter() - start


def test_a_timeout_stops_the_work_at_its_next_stage() -> None:
    with target(delay_s=1, threads=1, timeout_s=0.3) as service:
        assert service.read().status_code == 504
        time.sleep(1.2)
        # neither the crop nor the network ran for it
        assert "mien_batch_crops_count 0.0" in service.metrics()


def test_annotated_images_above_16_megapixels_are_reduced(service: Target) -> None:
    image = np.full((4500, 4000, 3), 90, np.uint8)
    answer = httpx.post(
        service.url + "/predict?annotate=true",
        content=encode(image, "jpeg"),
        timeout=60,
        trust_env=False,
    )
    width, height = (int(part) for part in answer.headers["x-image-size"].split("x"))
    assert width * height <= 16_000_000
    assert abs(width / height - 4000 / 4500) < 0.01


def test_singles_wait_little_behind_batches() -> None:
    data = encode(picture(), "jpeg")
    with process(delay_s=0.03, threads=2) as service:
        alone = median(_timed(service) for _ in range(20))
        stop = threading.Event()

        def send_batches() -> None:
            files = [("images", ("x", data))] * 40
            with httpx.Client(trust_env=False, timeout=60) as client:
                while not stop.is_set():
                    client.post(service.url + "/predict_batch", files=files)

        batches = [threading.Thread(target=send_batches) for _ in range(8)]
        for each in batches:
            each.start()
        time.sleep(1)
        beside = median(_timed(service) for _ in range(40))
        stop.set()
        for each in batches:
            each.join()
    assert beside < 2.5 * alone


def test_the_rest_is_read_after_a_refusal(service: Target) -> None:
    with connect(service.port) as client:
        client.sendall(post("/predict", 30 * MIB))
        client.sendall(bytes(5 * MIB))
        assert listen_to(client, 3).startswith(b"HTTP/1.1 413")
