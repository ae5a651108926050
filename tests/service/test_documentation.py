"""The OpenAPI document, and a client that a generator writes from it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.support.documents import command_lines

from mien.images import encode
from mien.service.app import create_app
from mien.service.settings import Settings

from .conftest import ROOT, Running, fake_predictor, picture, running

#: openapi-python-client asks for an older typer than ours: it stands in an environment of its own.
GENERATOR = os.environ.get("MIEN_TEST_OPENAPI_CLIENT") or shutil.which("openapi-python-client")


@pytest.fixture(scope="module")
def content() -> dict[str, Any]:
    return create_app(Settings()).openapi()


def operations(content: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [(path, each) for path, both in content["paths"].items() for each in both.values()]


def test_every_operation_has_a_short_name(content: dict[str, Any]) -> None:
    names = [each["operationId"] for _, each in operations(content)]
    assert len(names) == len(set(names))
    assert {"predict", "predict_batch", "annotate", "model_info", "infer"} <= set(names)
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", name) for name in names)


def test_every_error_has_its_schema(content: dict[str, Any]) -> None:
    for path, each in operations(content):
        expected = "InferenceError" if path.startswith("/v2") else "ErrorAnswer"
        for status, answer in each["responses"].items():
            if int(status) >= 400:
                (body,) = answer["content"].values()
                assert body["schema"]["$ref"].endswith(expected), (path, status)


def test_keys_are_security_schemes(content: dict[str, Any]) -> None:
    schemes = content["components"]["securitySchemes"]
    assert {each["type"] for each in schemes.values()} == {"http", "apiKey"}
    secured = {path for path, each in operations(content) if "security" in each}
    assert {"/predict", "/predict_batch", "/annotate", "/model_info", "/metrics"} <= secured
    assert "/health/live" not in secured


def test_the_example_is_an_answer(content: dict[str, Any]) -> None:
    from mien.service.schemas import EXAMPLE, PredictAnswer

    PredictAnswer.model_validate(EXAMPLE)
    shown = content["paths"]["/predict"]["post"]["responses"]["200"]["content"]
    assert shown["application/json"]["example"] == EXAMPLE


@pytest.mark.skipif(GENERATOR is None, reason="needs openapi-python-client")
def test_a_generated_client_works(content: dict[str, Any], tmp_path: Path) -> None:
    assert GENERATOR is not None
    document = tmp_path / "openapi.json"
    document.write_text(json.dumps(content))
    # the generator knows one kind of binary body
    kinds = ("image/jpeg", "image/png", "image/webp", "image/bmp")
    config = {"content_type_overrides": dict.fromkeys(kinds, "application/octet-stream")}
    (tmp_path / "config.json").write_text(json.dumps({**config, "post_hooks": []}))
    made = subprocess.run(
        [
            GENERATOR,
            "generate",
            "--path",
            str(document),
            "--output-path",
            "client",
            "--meta",
            "none",
            "--config",
            "config.json",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    assert "WARNING" not in made.stdout + made.stderr, made.stdout + made.stderr
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(encode(picture(), "jpeg"))
    with running(api_keys=("k",)) as server:
        ran = subprocess.run(
            [sys.executable, "-c", _PROGRAM, server.url, str(photo)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
    assert ran.returncode == 0, ran.stderr
    emotion, code = ran.stdout.split()
    assert emotion in fake_predictor().card.labels
    assert code == "unauthorised"


_PROGRAM = """
import sys
from io import BytesIO
from client import AuthenticatedClient, Client
from client.api.read import predict
from client.models import PredictFilesBody, ErrorAnswer
from client.types import File
url, photo = sys.argv[1:]
def body():
    data = BytesIO(open(photo, "rb").read())
    return PredictFilesBody(image=File(payload=data, file_name="photo.jpg"))
with AuthenticatedClient(base_url=url, token="k") as client:
    print(predict.sync(client=client, body=body()).faces[0].emotion)
with Client(base_url=url) as client:
    print(predict.sync(client=client, body=body()).error.code)
"""

CURLS = [said.text for said in command_lines() if re.search(r"\bcurl\b", said.text)]


@pytest.mark.parametrize("line", CURLS)
@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_every_curl_line_works(service: Running, line: str, tmp_path: Path) -> None:
    """As it stands, but for the port, and against a service without keys."""
    (tmp_path / "examples").mkdir()
    for name in ("examples/astronaut.jpg", "photo.jpg", "one.jpg", "two.jpg"):
        shutil.copyfile(ROOT / "examples" / "astronaut.jpg", tmp_path / name)
    ours = line.replace("http://127.0.0.1:8000", service.url).split("  #")[0]
    ran = subprocess.run(
        ["bash", "-o", "pipefail", "-c", ours.replace("curl ", "curl --noproxy '*' --fail ")],
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    made = [path for path in tmp_path.iterdir() if path.name == "read.jpg"]
    told = ran.stdout or b"".join(path.read_bytes() for path in made)
    assert told.startswith((b"{", b"\xff\xd8", b"\x89PNG")), told[:80]


def test_there_are_curl_lines() -> None:
    assert len(CURLS) >= 3
