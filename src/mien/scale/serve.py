"""The service of `mien.service` on a Ray cluster: as many replicas as asked, one address.

    serve run mien.scale.serve:application replicas=4

A replica is a whole service, with its own network, limits and queue, and reads the settings of
its node's environment. What comes in is shared out by Ray Serve, which also listens: its address
and port are Serve's, and so is the care for who may reach it.
"""

# No postponed annotations here: Ray looks at the one of `application`.

import os

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # before Ray is there

from fastapi import FastAPI
from pydantic import BaseModel, Field
from ray import serve

from mien.service.app import create_app
from mien.service.settings import read_settings

__all__ = ["Replicas", "application"]


class Replicas(BaseModel):
    """How many, and how large.

    Attributes:
        replicas: how many there are.
        cpus: processor cores of each, which are also its threads that decode and detect.
    """

    replicas: int = Field(1, ge=1)
    cpus: int = Field(1, ge=1)


def application(replicas: Replicas) -> serve.Application:
    """Return the service as an application, for ``serve.run`` and ``serve run``.

    Raises:
        ConfigError: a setting is wrong.
    """

    def make_app() -> FastAPI:
        return create_app(read_settings(threads=replicas.cpus))

    deployment = serve.deployment(
        serve.ingress(make_app)(),
        name="mien",
        num_replicas=replicas.replicas,
        ray_actor_options={"num_cpus": replicas.cpus},
        # the service has a queue of its own, and says so when it is full
        max_ongoing_requests=read_settings().queue + replicas.cpus,
    )
    return deployment.bind()  # type: ignore[attr-defined]
