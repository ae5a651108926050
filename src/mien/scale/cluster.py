"""A Ray cluster: actors that read parts, streamed by Ray Data.

What travels is the number of a part and its report; pictures go from where they lie to the
actor that reads them. An actor or node that dies loses the part in its hands, which another
one reads.
"""

from __future__ import annotations

import logging
import os
import pickle
import socket
from collections.abc import Generator, Sequence
from typing import Any

# before Ray is there: nothing is reported, and no warning about cards that are not used or
# about what it tries again
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "error")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")

import ray
import ray.data

from mien.errors import ConfigError, MienError
from mien.scale.job import PartReport
from mien.scale.part import PartReader, open_reader
from mien.scale.places import is_address

__all__ = ["connect", "read_on_cluster"]

_MOST_BLOCKS = 10_000
_KNOCK_S = 10.0


def connect(address: str | None, *, cpus: int | None = None) -> None:
    """Join a cluster; start one of this machine alone if there is no address.

    ``RAY_ADDRESS`` is an address too, as everywhere in Ray.

    Raises:
        ConfigError: there is no cluster at the address.
    """
    place = address or os.environ.get("RAY_ADDRESS")
    new = place is None
    try:
        _knock(place or "")
        ray.init(
            address=address,
            num_cpus=cpus if new else None,
            include_dashboard=False if new else None,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise ConfigError(
            f"no Ray cluster can be used ({place or 'of this machine'}): {error}; "
            "ray start --head starts one"
        ) from None


def _knock(address: str) -> None:
    """See whether anybody listens at HOST:PORT: Ray itself asks for more than a minute.

    Raises:
        OSError: nobody answers.
    """
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), timeout=_KNOCK_S).close()


def read_on_cluster(
    folder: str, numbers: Sequence[int], *, workers: int | None = None, address: str | None = None
) -> Generator[PartReport, None, None]:
    """Read parts of the job in a folder; yield reports as parts are finished.

    Sources, model and folder must be reachable under the same names from every node. Where
    Ray is in use already, that cluster is taken and left as it is.

    Args:
        workers: actors of one core each; as many as the cluster has cores if ``None``.
        address: of the cluster, see :func:`connect`.

    Raises:
        ConfigError: there is no such cluster.
        MienError: as :class:`mien.scale.part.PartReader`.
    """
    ours = not ray.is_initialized()
    if ours:
        connect(address, cpus=workers)
    try:
        crew = min(workers or int(ray.cluster_resources().get("CPU", 1)), len(numbers))
        for row in _reports(folder, numbers, crew).iter_rows():
            outcome = pickle.loads(row["outcome"])
            if isinstance(outcome, MienError):
                raise outcome
            yield outcome
    finally:
        if ours:
            ray.shutdown()


def _reports(folder: str, numbers: Sequence[int], crew: int) -> ray.data.Dataset:
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    ray.data.DataContext.get_current().enable_progress_bars = False
    items = [{"number": number} for number in numbers]
    return ray.data.from_items(
        items, override_num_blocks=min(len(items), _MOST_BLOCKS)
    ).map_batches(
        _Actor,
        fn_constructor_args=(folder if is_address(folder) else os.path.abspath(folder),),
        batch_size=1,
        num_cpus=1,
        # one part in hand: what waits goes to whoever is free, and not down with a node; fewer
        # than the crew will do, so that the part of a lost node is read on those that are left
        compute=ray.data.ActorPoolStrategy(
            min_size=1, max_size=crew, initial_size=crew, max_tasks_in_flight_per_actor=1
        ),
    )


class _Actor:
    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._reader: PartReader | None = None

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[bytes]]:
        return {"outcome": [pickle.dumps(self._read(int(number))) for number in batch["number"]]}

    def _read(self, number: int) -> PartReport | MienError:
        try:
            self._reader = self._reader or open_reader(self._folder)
            return self._reader(number)
        except MienError as error:
            return error
