"""Sound on its way from the file that is read to the one that is written."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.packet import Packet

__all__ = ["Sound"]


class Sound:
    """Packets of sound in the order of time, 0 at the first frame asked for.

    One thread reads the file and puts packets in; another writes and takes them out.

    Attributes:
        stream: that the packets are of.

    Args:
        zero_s: the time in the file at which its pictures start.
        start_s: where what is asked for begins; sound before it is left out.
        end_s: where it ends; sound after it is left out.
    """

    def __init__(self, stream: AudioStream, zero_s: float, start_s: float, end_s: float) -> None:
        self.stream = stream
        self._zero_s, self._start_s, self._end_s = zero_s, start_s, end_s
        self._waiting: deque[Packet[AudioStream]] = deque()

    def put(self, packet: Packet[AudioStream]) -> None:
        """Add a packet as it was read."""
        self._waiting.append(packet)

    def packets(self) -> Iterator[Packet[AudioStream]]:
        """Yield what has come since the last call; each packet belongs to the caller."""
        while self._waiting:
            packet = self._waiting.popleft()
            if packet.pts is None or packet.time_base is None:
                continue
            time_s = float(packet.pts * packet.time_base) - self._zero_s
            if time_s >= self._end_s or (self._start_s > 0 and time_s < self._start_s):
                continue
            packet.pts -= round((self._zero_s + self._start_s) / packet.time_base)
            packet.dts = packet.pts  # sound is in order, so that both are the same
            yield packet
