"""Calls from a program that knows nothing of asyncio.

python examples/without_asyncio.py CALL_ID URL

`retell_voice.sync.Call` is a plain context manager and iterator, with the events and errors of
`retell_voice.Call`; its methods may be called from any thread.
"""

import argparse
import sys

from retell_voice import RetellVoiceError, Transcript
from retell_voice.sync import Call


def main(call_id: str, url: str) -> None:
    """Hold a call, and print what is said."""
    try:
        with Call(call_id, url=url, updates=True) as call:
            for event in call:
                if isinstance(event, Transcript) and event.utterances:
                    latest = event.utterances[-1]
                    print(f"{latest.role}: {latest.content}")
            print(f"the agent was heard for {call.statistics().heard:.1f} s")
    except RetellVoiceError as error:
        sys.exit(f"{error}\n{error.hint}")
    except KeyboardInterrupt:  # leaving the block has hung up
        print()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A call from a program without asyncio.")
    parser.add_argument("call_id", metavar="CALL_ID")
    parser.add_argument("url", metavar="URL")
    main(**vars(parser.parse_args()))
