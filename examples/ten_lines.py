"""Talk to an agent in ten lines: python examples/ten_lines.py CALL_ID [URL]"""

import argparse
import asyncio
from contextlib import suppress

from retell_voice import DEFAULT_URL, Call


async def main(call_id: str, url: str) -> None:
    async with Call(call_id, url=url) as call:
        async for event in call:
            print(event)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("call_id", metavar="CALL_ID")
    parser.add_argument("url", metavar="URL", nargs="?", default=DEFAULT_URL)
    with suppress(KeyboardInterrupt):  # it hangs up
        asyncio.run(main(**vars(parser.parse_args())))
