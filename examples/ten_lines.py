"""Talk to an agent in ten lines: python examples/ten_lines.py CALL_ID [URL]"""

import asyncio
import sys

from retell_voice import DEFAULT_URL, Call


async def main(call_id: str, url: str = DEFAULT_URL) -> None:
    async with Call(call_id, url=url) as call:
        async for event in call:
            print(event)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
