"""Calls in a row on devices that stay open: python examples/open_devices.py CALL_ID… URL

As a kiosk does it: no first word is clipped because a sound card still opens, and a chime says
when the next call may begin. The calls must have been registered as s16le at 24000 Hz.
"""

import argparse
import asyncio
from contextlib import suppress

import numpy as np

from retell_voice import AudioIO, Call, DeviceChanged, Ended, LatencyChanged, Samples

RATE = 24000


def chime() -> Samples:
    """Return a short sound, shape (n,), mono int16."""
    t = np.arange(RATE // 5) / RATE
    return (6000 * np.sin(2 * np.pi * 880 * t) * np.exp(-12 * t)).astype(np.int16)


async def watch(io: AudioIO) -> None:
    """Tell what becomes of the devices, whether or not a call is up."""
    async for event in io:
        match event:
            case DeviceChanged(name=name, state=state, why=why):
                print(f"{name}: {state} {why}")
            case LatencyChanged(side=side, why=why):
                print(f"{side}: opened again with another latency after {why}")


async def main(url: str, call_ids: list[str]) -> None:
    async with AudioIO(rate=RATE) as io:
        watching = asyncio.create_task(watch(io))
        for call_id in call_ids:
            await io.play(chime(), RATE)
            async with Call(call_id, url=url, audio=io) as call:
                async for event in call:
                    if isinstance(event, Ended):
                        print(f"heard {event.statistics.heard:.1f} s; {event.error or 'all well'}")
        print(f"devices were opened {io.openings} times")
    await watching


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("call_ids", metavar="CALL_ID", nargs="+")
    parser.add_argument("url", metavar="URL")
    with suppress(KeyboardInterrupt):  # it hangs up
        asyncio.run(main(**vars(parser.parse_args())))
