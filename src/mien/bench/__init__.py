"""Models side by side: latency, throughput, memory, size, accuracy; and whole photos.

Nothing here knows how a Keras file is opened or where labelled crops come from: the command
line passes a function and arrays.
"""

from __future__ import annotations
