"""Calls that do not come about: what was opened for them is closed, and no file is touched."""

import asyncio
import threading
from pathlib import Path

import pytest
from support.calls import Flaky, assert_nothing_runs, calling, listen

from retell_voice.devices.audio_io import AudioIO
from retell_voice.devices.files import NullMicrophone, NullSpeaker, WavSpeaker
from retell_voice.engine.call import Call
from retell_voice.errors import AudioFormatError, ConnectError, DeviceError, DeviceLost
from retell_voice.events import CallState


async def test_a_device_that_cannot_be_opened_stops_the_call_before_it_begins() -> None:
    speaker = Flaky("busy")
    with pytest.raises(DeviceError, match="busy"):
        async with calling(listen, speaker=speaker):
            pass
    assert speaker.stops


async def test_devices_are_closed_when_the_server_is_not_reached() -> None:
    speaker = Flaky("")
    call = Call("c", url="ws://no-such-host.invalid", microphone=NullMicrophone(), speaker=speaker)
    with pytest.raises(ConnectError):
        async with call:
            pass
    assert speaker.stops
    assert call.state is CallState.ENDED


async def test_cancelling_while_connecting_closes_the_devices() -> None:
    reached = asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached.set()
        await reader.read()
        writer.close()
        await writer.wait_closed()
        gone.set()

    gone = asyncio.Event()
    speaker = Flaky("")
    async with await asyncio.start_server(handler, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        call = Call("c", url=url, microphone=NullMicrophone(), speaker=speaker)
        opening = asyncio.create_task(call.__aenter__())
        await reached.wait()
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        await gone.wait()
    assert speaker.stops


async def test_a_device_that_hangs_while_it_opens_does_not_hold_a_cancelled_call(
    monkeypatch,
) -> None:
    monkeypatch.setattr("retell_voice.threads.detached._HANG_SECONDS", 0.01)
    opening, stopped = threading.Event(), threading.Event()

    class Hangs(NullSpeaker):
        def start(self, source) -> None:
            opening.set()
            stopped.wait()

        def stop(self) -> None:
            stopped.set()

    async def enter() -> None:
        async with calling(listen, speaker=Hangs(8000)):
            raise AssertionError("it cannot be open")

    entering = asyncio.create_task(enter())
    await asyncio.to_thread(opening.wait, 10)
    entering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await entering
    assert stopped.is_set()


async def test_a_device_lost_before_the_call_is_up_is_told_with_its_own_words() -> None:
    class Gone(NullSpeaker):
        def start(self, source) -> None:
            super().start(source)
            source.lost("it was unplugged")

    with pytest.raises(DeviceLost, match="it was unplugged"):
        async with calling(listen, speaker=Gone(8000), device_timeout=0):
            pass
    assert_nothing_runs()


async def test_a_call_that_does_not_come_about_writes_no_file(tmp_path: Path) -> None:
    path = tmp_path / "precious.wav"
    path.write_bytes(b"precious")
    with pytest.raises(ConnectError):
        async with Call(
            "c",
            url="ws://no-such-host.invalid",
            microphone=NullMicrophone(),
            speaker=WavSpeaker(path, 8000),
        ):
            pass
    assert path.read_bytes() == b"precious"


async def test_the_format_is_checked_before_anything_is_opened() -> None:
    with pytest.raises(AudioFormatError, match="19 ms"):
        Call("c", frame_ms=19)


async def test_a_borrowed_audio_io_has_its_own_echo_control() -> None:
    io = AudioIO(NullMicrophone(), NullSpeaker())
    for given in ({"echo": "off"}, {"noise_suppression": True}, {"automatic_gain": True}):
        with pytest.raises(TypeError, match="has its own echo control"):
            Call("call", audio=io, **given)


async def test_a_call_that_is_not_open_says_so() -> None:
    call = Call("c")
    assert call.state is CallState.CONNECTING
    for use in (lambda: call.muted, lambda: call.microphone, call.statistics):
        with pytest.raises(RuntimeError, match="not open"):
            use()
    with pytest.raises(RuntimeError, match="not open"):
        await call.hang_up()
