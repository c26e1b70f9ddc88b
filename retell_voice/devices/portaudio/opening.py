"""Opens and closes one stream of PortAudio, and says in plain words why one does not open."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Any, Generic

from retell_voice.devices.portaudio import library
from retell_voice.devices.portaudio.callbacks import End, Run
from retell_voice.devices.portaudio.library import portaudio
from retell_voice.devices.portaudio.lookup import Direction, Found
from retell_voice.devices.portaudio.spinning import guard
from retell_voice.errors import DeviceError

_GONE = "it was unplugged, or the sound server ended"


@dataclass(frozen=True, slots=True, eq=False)
class OpenStream(Generic[End]):
    """What belongs to one stream, from opening to closing."""

    run: Run[End]
    device: Found
    began: float
    native: Any  # sounddevice's

    @property
    def age(self) -> float:
        """Seconds since it was opened."""
        return monotonic() - self.began

    def start(self) -> None:
        """Have it call back.

        Raises:
            NoAnswer: it hangs.
            PortAudioError: sounddevice's.
        """
        guard().watch(self.run)
        library.start(self.native)

    def close(self) -> None:
        """Stop and close it, within a second."""
        library.close(self.native, partial(guard().forget, self.run))


def open_stream(
    direction: Direction,
    device: Found,
    run: Run[End],
    *,
    block: int,
    latency: float | str,
    callback: Callable[..., None],
) -> OpenStream[End]:
    """Open a stream, not yet started.

    Args:
        direction, device: which device, which way.
        run: the state of its callbacks; gives rate and channels, and gets the latency.
        block: samples in one block.
        latency: seconds, or PortAudio's ``"low"`` or ``"high"``.
        callback: PortAudio's.

    Raises:
        NoAnswer: it hangs.
        PortAudioError: sounddevice's; see ``refused``.
        ValueError: sounddevice does not take these settings.
    """
    sd = portaudio()
    stream_type = sd.RawInputStream if direction == "input" else sd.RawOutputStream
    library.enter()  # until the stream is closed

    def open_() -> Any:
        try:
            with library.in_turn():
                return stream_type(
                    device=device.index,
                    samplerate=run.rate,
                    channels=run.channels,
                    dtype="int16",
                    blocksize=block,
                    latency=latency,
                    callback=callback,
                    finished_callback=lambda: run.lost(_GONE),
                )
        except BaseException:
            library.leave()
            raise

    native = library.within(library.OPEN_SECONDS, open_, library.close)
    run.latency = float(native.latency)
    return OpenStream(run, device, monotonic(), native)


def refused(word: str, device: Found, rate: int, error: Exception) -> DeviceError:
    """Explain in plain words why a device did not open; ``word``: what it is."""
    text = str(error.args[0]).removeprefix("Error ").split(": ", 1)[-1] if error.args else ""
    if len(error.args) > 2:  # the host API's error, as (index, code, text)
        text = f"{text} ({error.args[2][-1]})"
    lower = text.lower()
    if "sample rate" in lower:
        hint = f"it does not support {rate} Hz; try another rate: `retell-voice devices`"
    elif "permission" in lower:
        hint = "no permission: join the group `audio`, or allow it in the privacy settings"
    elif "busy" in lower or "unavailable" in lower:
        hint = (
            "another program may be using it, or the sound server is gone; close it, or try another"
        )
    else:
        hint = "try another one: `retell-voice devices` lists them"
    return DeviceError(f"{word} {device.name!r} failed to open: {text or 'no reason given'}", hint)
