"""Several calls at once in one program: python examples/several_calls.py CALL_ID… URL

Each call says what is in a WAV file, say.wav, and writes what the agent says into another one,
agent-1.wav and so on; a test of a server under load, for example. The calls must have been
registered as s16le at 24000 Hz, or at that of ``--rate``. With `asyncio.TaskGroup` one call that
cannot be opened would end all of them, so each keeps its own failure.
"""

import argparse
import asyncio
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from retell_voice import (
    AgentStopped,
    AudioFormat,
    Call,
    Ended,
    RetellVoiceError,
    WavMicrophone,
    WavSpeaker,
)


@dataclass
class Outcome:
    """What became of a call.

    Attributes:
        heard: seconds of the agent.
        answers: times that the agent spoke.
        failure: None when it ended as it should.
    """

    heard: float = 0.0
    answers: int = 0
    failure: RetellVoiceError | None = None


async def hold(
    call_id: str, url: str, audio: AudioFormat, say: Path, into: Path, *, answers: int = 1
) -> Outcome:
    """Hold a call until the agent has spoken so many times."""
    outcome = Outcome()
    try:
        async with Call(
            call_id,
            url=url,
            audio=audio,
            microphone=WavMicrophone(say, audio.rate),
            speaker=WavSpeaker(into, audio.rate),
        ) as call:
            async for event in call:
                match event:
                    case AgentStopped():
                        outcome.answers += 1
                        if outcome.answers == answers:
                            await call.hang_up()
                    case Ended(error=error, statistics=statistics):
                        outcome.heard, outcome.failure = statistics.heard, error
    except RetellVoiceError as error:  # it could not be opened
        outcome.failure = error
    return outcome


async def main(url: str, call_ids: list[str], say: Path, rate: int) -> list[Outcome]:
    """Hold all calls at the same time."""
    audio = AudioFormat(rate=rate)
    outcomes = await asyncio.gather(
        *(
            hold(call_id, url, audio, say, Path(f"agent-{number}.wav"))
            for number, call_id in enumerate(call_ids, 1)
        )
    )
    for number, outcome in enumerate(outcomes, 1):
        print(f"call {number}: {outcome.failure or f'{outcome.heard:.1f} s heard'}")
    return outcomes


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Several calls at once that say the same.")
    parser.add_argument("call_ids", metavar="CALL_ID", nargs="+")
    parser.add_argument("url", metavar="URL")
    parser.add_argument("--say", type=Path, default="say.wav", help="WAV file (say.wav)")
    parser.add_argument("--rate", type=int, default=24000, help="of the calls, Hz (24000)")
    arguments = parser.parse_args()
    if not arguments.say.is_file():
        parser.error(f"there is no {arguments.say}: what the calls are to say (--say WAV)")
    with suppress(KeyboardInterrupt):  # it hangs up
        asyncio.run(main(**vars(arguments)))
