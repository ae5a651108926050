"""A real server for each file of tests: uvicorn on a free port, on a thread."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest

from mien.card import ModelCard, write_card
from mien.images import encode
from mien.predictor import Predictor
from mien.runtime import FakeSession
from mien.service.run import Server, make_server
from mien.service.settings import Settings
from mien.types import Box, Face, Image, Point

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).resolve().parents[2]


class FakeDetector:
    """Finds one face in the middle of any picture that is not black; slow if told to."""

    def __init__(self, delay_s: float = 0.0) -> None:
        self.delay_s = delay_s
        self.calls = 0

    def __call__(self, image: Image) -> tuple[Face, ...]:
        self.calls += 1
        time.sleep(self.delay_s)
        height, width = image.shape[:2]
        if not image.any():
            return ()
        box = Box(width // 4, height // 4, max(1, width // 2), max(1, height // 2))
        points = tuple(
            Point(box.x + box.w * x, box.y + box.h * y)
            for x, y in ((0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8))
        )
        return (Face(box, 0.9, points),)


def fake_predictor(delay_s: float = 0.0) -> Predictor:
    return Predictor(FakeDetector(delay_s), FakeSession(ModelCard(name="fake", version="1")))


@dataclass
class Running:
    """A server that runs, and a client that speaks to it."""

    url: str
    server: Server
    client: httpx.Client
    predictor: Predictor

    @property
    def socket_url(self) -> str:
        return self.url.replace("http://", "ws://") + "/ws"


Start = Callable[..., AbstractContextManager[Running]]


@contextmanager
def running(predictor: Predictor | None = None, **settings: Any) -> Iterator[Running]:
    """Run a server; settings are those of :class:`Settings`, without a rate limit."""
    predictor = predictor or fake_predictor()
    chosen = Settings(**{"rate_per_s": 0, "threads": 2, "log_level": "error", **settings})
    server = make_server(chosen, lambda _: predictor)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        with httpx.Client(base_url=url, timeout=30, trust_env=False) as client:
            wait_until_ready(client)
            yield Running(url, server, client, predictor)
        server.should_exit = True
        thread.join(timeout=15)
        assert not thread.is_alive(), "the server did not stop"


def wait_until_ready(client: httpx.Client, timeout_s: float = 20.0) -> None:
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        try:
            if client.get("/health/ready").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.02)
    raise AssertionError("the server did not become ready")


@pytest.fixture(scope="module")
def service() -> Iterator[Running]:
    with running() as server:
        yield server


def picture(height: int = 64, width: int = 48, value: int = 200) -> Image:
    return np.full((height, width, 3), value, np.uint8)


@pytest.fixture(scope="session")
def jpeg() -> bytes:
    return encode(picture(), "jpeg")


@pytest.fixture(scope="session")
def png() -> bytes:
    return encode(picture(), "png")


def write_random_model(folder: Path) -> Path:
    """Write a network of one random layer, with its card: enough to be run anywhere."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weights = np.random.default_rng(7).normal(0, 2e-4, (2304, 7)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["crops"], ["float"], to=TensorProto.FLOAT),
            helper.make_node("Reshape", ["float", "shape"], ["flat"]),
            helper.make_node("MatMul", ["flat", "weights"], ["emotion"]),
        ],
        "random",
        [helper.make_tensor_value_info("crops", TensorProto.UINT8, ["N", 48, 48, 1])],
        [helper.make_tensor_value_info("emotion", TensorProto.FLOAT, ["N", 7])],
        [
            numpy_helper.from_array(np.array([-1, 2304]), "shape"),
            numpy_helper.from_array(weights, "weights"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path = folder / "random.onnx"
    onnx.save(model, path)
    write_card(ModelCard(name="random", version="0"), folder / "random.card.json")
    return path


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A Chromium whose camera shows a real face."""
    from tests.support.browser import chromium, write_y4m

    video = tmp_path_factory.mktemp("camera") / "face.y4m"
    write_y4m(video)
    with chromium(video) as browser:
        yield browser


@pytest.fixture
def page(browser: Browser, service: Running) -> Iterator[Page]:
    """A page of the service, 1280 pixels wide, that must not fail nor ask anybody else."""
    with watched_page(browser, service.url) as page:
        yield page


@contextmanager
def watched_page(browser: Browser, url: str, **options: Any) -> Iterator[Page]:
    """Open a page; at its end it must have had no error and asked nobody else."""
    options = {"viewport": {"width": 1280, "height": 860}, **options}
    context = browser.new_context(base_url=url, **options)
    page = context.new_page()
    own = (url, url.replace("http://", "ws://"), "blob:", "data:")
    foreign: list[str] = []
    wrong: list[str] = []
    page.on("request", lambda each: None if each.url.startswith(own) else foreign.append(each.url))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda line: wrong.append(line.text) if line.type == "error" else None)
    yield page
    context.close()
    assert foreign == [], "the page asked for something from elsewhere"
    assert [line for line in wrong if "the server responded with a status of" not in line] == []


@pytest.fixture(scope="session")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photo of 29 faces."""
    from tests.support.browser import composite

    path = tmp_path_factory.mktemp("crowd") / "crowd.jpg"
    path.write_bytes(encode(composite(29), "jpeg"))
    return path
