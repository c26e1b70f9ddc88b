"""A swarm from several machines: its parts as tasks of a Dask cluster.

Dask runs a plain function in a worker's process, which may have an event loop of its own and takes
as long as the calls do; nothing is patched, and what comes back is JSON to be added up.
"""

from __future__ import annotations

import re
from typing import Any

from retell_voice.errors import ConfigError, ConnectError, RetellVoiceError, show
from retell_voice.extras import how_to_install
from retell_voice.swarm.figures import Figures
from retell_voice.swarm.part import AnyPart, added, run_part

_ADDRESS = re.compile(r"(\w+://)?[^/\s]+:\d+")
_CONNECT_TIMEOUT = 5.0
_MOST_SHOWN = 300  # characters of what a worker's error says


def run_on(address: str, part: AnyPart) -> Figures:
    """Run a part of the calls on each worker of a cluster; blocks until all are over.

    Args:
        address: of the cluster's scheduler: ``tcp://host:8786``.
        part: all of it.

    Raises:
        ConfigError: that is no address, Dask is not installed, or the cluster has no workers.
        ConnectError: there is no scheduler at that address, or a worker failed.
    """
    if not _ADDRESS.fullmatch(address):
        raise ConfigError(
            f"{show(address)} is not the address of a Dask scheduler",
            "it looks like tcp://host:8786, as `dask scheduler` prints it",
        )
    try:
        from distributed import Client  # noqa: PLC0415 - an extra
    except ImportError:
        raise ConfigError(
            "workers are reached with Dask, which is not installed",
            f"here and on each worker: {how_to_install('swarm-dask')}",
        ) from None
    part.check()
    try:
        client: Any = Client(address, timeout=_CONNECT_TIMEOUT)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise ConnectError(
            f"network: no Dask scheduler answers at {address}",
            f"dask scheduler starts one ({error})",
        ) from None
    with client:
        workers = sorted(client.scheduler_info(n_workers=-1)["workers"])
        if not workers:
            raise ConfigError(
                f"the Dask cluster at {address} has no workers", "dask worker ADDRESS"
            )
        futures = [
            client.submit(run_part, each, workers=[worker], pure=False, allow_other_workers=False)
            for worker, each in zip(workers, part.split(len(workers)), strict=False)
        ]
        try:
            shown = client.gather(futures)
        except RetellVoiceError:
            raise
        except Exception as error:  # whatever a worker stumbles over, or that it died
            raise ConnectError(
                f"swarm: a worker of {address} failed: {str(error)[:_MOST_SHOWN]}",
                "the workers need the same version of retell-voice, with the extra 'swarm-dask'",
            ) from error
        return added(shown)
