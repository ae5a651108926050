"""The notice as the web app shows it."""

from __future__ import annotations

from mien import notice

__all__ = ["BRIEF", "NOTICE"]

#: One line, always in sight.
BRIEF = "An expression is not an emotion. Photos stay on this computer."

#: At the foot of the page.
NOTICE = (
    *notice.NOTICE,
    notice.Point(
        "Nothing leaves this computer.",
        "Photos and videos are read on the computer that runs this page, kept in its memory "
        "while the page is open, and sent nowhere else.",
    ),
)
