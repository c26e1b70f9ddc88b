"""Several calls at once in one program: python examples/several_calls.py URL CALL_ID…

Each call says what is in a WAV file and writes what the agent says into another one; a test of a
server under load, for example. With `asyncio.TaskGroup` one call that cannot be opened would end
all of them, so each keeps its own failure.
"""

import asyncio
import sys
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


async def main(url: str, *call_ids: str) -> list[Outcome]:
    """Hold all calls at the same time."""
    audio = AudioFormat()
    outcomes = await asyncio.gather(
        *(
            hold(call_id, url, audio, Path("say.wav"), Path(f"agent-{number}.wav"))
            for number, call_id in enumerate(call_ids, 1)
        )
    )
    for number, outcome in enumerate(outcomes, 1):
        print(f"call {number}: {outcome.failure or f'{outcome.heard:.1f} s heard'}")
    return outcomes


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
