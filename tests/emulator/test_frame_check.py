"""What a client is told of its frames."""

import pytest
from support.callers import join

from retell_voice.audio.format import AudioFormat
from retell_voice.emulator import Emulator, Session
from retell_voice.emulator.frame_check import FrameCheck
from retell_voice.emulator.server_events import CallerFrames

RATE = 16000


@pytest.mark.parametrize(
    ("frames", "told"),
    [
        ([20, 250, 20, 19], []),  # the last may be short
        ([5.3, 5.3, 5.3], ["one is 5.3 ms long; Retell takes 20–250 ms"]),
        ([1000, 300], ["one is 1000 ms long; Retell takes 20–250 ms"]),
        ([251, 300, 1000], ["one is 251 ms long; Retell takes 20–250 ms"]),
        ([0, 20, 0], []),
    ],
)
def test_frames_of_a_length_that_retell_does_not_take(frames: list[float], told: list[str]) -> None:
    check, now, said = FrameCheck(RATE), 0.0, []
    for ms in frames:
        said += check.take(round(ms * RATE / 1000), now)
        now += ms / 1000
    assert said == told


def test_audio_that_comes_before_its_time() -> None:
    check = FrameCheck(RATE)
    for number in range(500):  # in time, then a second's burst after a stall, then in time
        now = 9.0 if 400 <= number < 450 else number / 50
        assert check.take(RATE // 50, now) == []
    said = [each for _ in range(200) for each in check.take(RATE // 50, 10.0)]
    assert said == ["they come faster than real time, 1.0 s too early"]


async def test_a_client_is_told_once_and_the_call_goes_on() -> None:
    async def agent(session: Session) -> None:
        heard = 0
        async for samples in session:
            heard += len(samples)
            if heard >= RATE * 3:
                return

    async with Emulator(agent=agent) as emulator:
        call = emulator.register(AudioFormat(rate=RATE))
        async with join(emulator, call) as client:
            for _ in range(300):
                await client.send(bytes(320))
            await client.wait_closed()
        await call.wait()
    told = [str(each) async for each in emulator.events if isinstance(each, CallerFrames)]
    assert told == [
        "the caller's frames: one is 10 ms long; Retell takes 20–250 ms",
        "the caller's frames: they come faster than real time, 1.0 s too early",
    ]
