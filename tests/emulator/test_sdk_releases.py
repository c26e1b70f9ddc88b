"""Older releases of Retell's SDK, each with the answers that its own schema demands.

``scripts/sdk-matrix`` tries sixteen of them. Today's is in ``test_sdk.py``.
"""

import asyncio
import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

from sdk_parts.matrix import SEED, visited

FOLDER = Path(sys.prefix, "retell-sdks")


@pytest.mark.skipif(
    not all((FOLDER / each).exists() for each in SEED) and os.environ.get("CI") != "true",
    reason="scripts/sdk-matrix --install",
)
async def test_old_releases_register_look_up_list_and_change_calls() -> None:
    rows = await asyncio.gather(*(visited(FOLDER / each) for each in SEED))
    assert [(row.version, row.wrong) for row in rows] == [(each, ()) for each in SEED]
    first, *_ = rows
    assert first.done == (
        *("register", "get registered", "get ended", "list", "create web call", "agents"),
    )
