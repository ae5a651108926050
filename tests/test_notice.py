from __future__ import annotations

import re

import pytest
from tests.support.documents import ROOT

from mien.notice import NOTICE
from mien.service.notice import NOTICE as SERVICE
from mien.webapp.notice import NOTICE as WEBAPP


@pytest.mark.parametrize("name", ["README.md", "docs/service.md", "docs/model-card.md"])
def test_documents_give_the_one_notice(name: str) -> None:
    text = " ".join(re.sub(r"\*\*", "", (ROOT / name).read_text(encoding="utf-8")).split())

    for point in NOTICE:
        assert str(point) in text


def test_every_edge_gives_it() -> None:
    assert SERVICE[: len(NOTICE)] == tuple(map(str, NOTICE))
    assert WEBAPP[: len(NOTICE)] == NOTICE
