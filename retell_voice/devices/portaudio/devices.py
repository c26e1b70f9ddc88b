"""Microphones and speakers of this computer, through PortAudio.

Two streams, not one for both: a call needs no sample-exact coupling of its two directions, and
then one half can fail or be replaced alone.

::

    find_microphone ─▶ PortAudioMicrophone.start ─▶ [callback, see callbacks] ─▶ sink.write_rt
    find_speaker    ─▶ PortAudioSpeaker.start    ─▶ [callback, see callbacks] ◀─ source.fill_rt

``choosing`` says at each start which device that is, and ``opening`` opens one stream of it. A
default device that opens but does not call back within a second gives way to the next one.

When a device goes away, PortAudio calls ``finished_callback`` once, or does nothing at all (a
suspended sink), so whoever uses these devices should also check that blocks keep coming. A device
that is restarted may have come back with another index: it is looked up by name (a default device:
as the current default), and if that fails, PortAudio's list is refreshed, unless another stream is
open.

On a sound server a device can have two streams for a moment (``OpensTwice``): one that starts while
another runs takes over from it without a gap. There it can also rest (``CanRest``): a stream of
long blocks keeps the card running while the quick one is stopped, see ``resting``.
"""

from __future__ import annotations

import math
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from typing import Generic

from retell_voice.audio.format import AudioFormat
from retell_voice.devices.portaudio import library
from retell_voice.devices.portaudio.callbacks import End, Run, capture_callback, playout_callback
from retell_voice.devices.portaudio.choosing import Chosen
from retell_voice.devices.portaudio.library import portaudio
from retell_voice.devices.portaudio.lookup import DeviceInfo, Direction, is_shared, list_devices
from retell_voice.devices.portaudio.opening import OpenStream, open_stream, refused
from retell_voice.devices.portaudio.resting import BLOCK_SECONDS, Turns
from retell_voice.devices.ports import DeviceTraits, Latency, Sink, Source
from retell_voice.errors import DeviceError

__all__ = [
    "DeviceInfo",
    "PortAudioMicrophone",
    "PortAudioSpeaker",
    "find_microphone",
    "find_speaker",
    "list_devices",
    "open_devices",
]

_BLOCK_TIMEOUT = 0.5


class _Device(ABC, Generic[End]):
    """Common to both directions.

    Args:
        audio: format of the call, whose rate is used if the device has it.
        name: name of the device or part of it, None for the default one.
        host_api: its host API, if several have a device of that name; None for any.
        latency: seconds, or PortAudio's ``"low"`` or ``"high"``.
        block_ms: length of a callback's block; see ``suggest_block``.

    Raises:
        DeviceNotFound: there is no such device, or none at all.
        DeviceError: PortAudio is missing.
    """

    _direction: Direction
    _word: str

    def __init__(
        self,
        audio: AudioFormat,
        name: str | None = None,
        *,
        host_api: str | None = None,
        latency: float | str = "low",
        block_ms: float = 10.0,
    ) -> None:
        self._chosen = Chosen(self._direction, name, host_api, audio.rate)
        self._is_exact = self.rate == audio.rate
        self._suggested: float | str = latency
        self._least = latency
        self.suggest_block(block_ms)
        self._latency: float | None = None
        self._opening = self._opened = False
        self._streams: list[OpenStream[End]] = []
        self._turns: Turns | None = None  # of the two among these, while it rests
        self._lock = threading.Lock()  # held while those change

    @property
    def name(self) -> str:
        """The device's name."""
        return self._chosen.device.name

    @property
    def host_api(self) -> str:
        """The host API it belongs to."""
        return self._chosen.device.host_api

    @property
    def why(self) -> str:
        """Why this device was chosen, in words."""
        return self._chosen.device.why

    @property
    def rate(self) -> int:
        """Samples a second, Hz."""
        return self._chosen.rate

    @property
    def latency(self) -> float | None:
        """Seconds that PortAudio reported when it was last opened; None before, or if unknown."""
        return self._latency

    @property
    def traits(self) -> DeviceTraits:
        """What a call must know about it; see ``DeviceTraits``."""
        return DeviceTraits(
            block_timeout=_BLOCK_TIMEOUT,
            start_timeout=self._chosen.start_timeout,
            opens_twice=is_shared(self._chosen.device),
        )

    def suggest_latency(self, latency: Latency) -> None:
        """Open with this latency from the next start on: seconds, but never less than it was
        created with, or ``"low"`` for that."""
        own = self._least
        if isinstance(latency, str) or own == "high":
            self._suggested = own
        else:
            self._suggested = latency if isinstance(own, str) else max(own, latency)

    def suggest_block(self, block_ms: float) -> None:
        """Open with blocks of this length from the next start on: longer ones take less of the
        processor, and add to the latency."""
        self._block = max(1, round(self.rate * block_ms / 1000))

    def _open(self, end: End) -> None:
        if not self.traits.opens_twice:
            self._drop()
        try:
            self._open_once(end)
        except (DeviceError, portaudio().PortAudioError):
            # Devices plugged in since are not in PortAudio's list.
            if not (self._opened and library.refresh()):
                raise
            self._open_once(end)
        self._opened = True

    def _open_once(self, end: End) -> None:
        sd = portaudio()
        self._opening = True
        try:
            with library.in_use():
                self._chosen.look_again()
                run = Run(end, self._chosen.channels, self._block, self.rate)
                stream = self._made(run, self._block, self._callback(run))
                with self._lock:
                    self._streams.append(stream)
                stream.start()
                self._latency = run.latency or None
        except library.NoAnswer as error:
            library.leave_open_at_exit()
            self._drop(end)
            raise DeviceError(f"{self._word} {self.name!r}: {error}", error.hint) from None
        except (sd.PortAudioError, ValueError) as error:
            self._drop(end)
            self._chosen.was_refused()
            raise refused(self._word, self._chosen.device, self.rate, error) from error
        finally:
            self._opening = False

    def _made(self, run: Run[End], block: int, callback: Callable[..., None]) -> OpenStream[End]:
        """Open a stream, not yet started."""
        device, latency = self._chosen.device, self._suggested
        return open_stream(
            self._direction, device, run, block=block, latency=latency, callback=callback
        )

    # Resting; on one thread

    @property
    def is_resting(self) -> bool:
        """Whether long blocks pass."""
        return self._turns is not None

    def rest(self, wanted: Callable[[], bool]) -> None:
        """Pass long blocks; see ``CanRest``."""
        with self._lock:
            quick = self._streams[0] if len(self._streams) == 1 else None
        # Elsewhere, nothing is known of what a stream costs and how soon it starts again.
        if quick is None or not (self.host_api == "ALSA" and self.traits.opens_twice):
            return
        if not quick.run.calls:  # it has not worked yet
            return
        self._chosen.worked(quick.device)
        run = Run(quick.run.end, self._chosen.channels, block := self._long_block, self.rate)
        turns = Turns(quick.run, quick.native, run, wanted)
        self._opening = True
        try:
            with library.in_use():
                long = self._made(run, block, turns.guarded(self._callback(run)))
        except library.NoAnswer:
            library.leave_open_at_exit()
            return
        except Exception:  # there is no need to rest
            return
        finally:
            self._opening = False
        with self._lock:
            is_there = quick in self._streams
            if is_there:
                self._streams.append(long)
                self._turns = turns
        if not is_there or not turns.begin(long.native):
            self._drop_one(long)

    def wake(self) -> None:
        """Pass short blocks again; see ``CanRest``."""
        if (turns := self._turns) is None:
            return
        turns.end()
        with self._lock:
            resting = [each for each in self._streams if each.run is turns.long]
        for stream in resting:
            self._drop_one(stream)

    @property
    def _long_block(self) -> int:
        """A power of two, as sound servers pass on such cycles."""
        return 1 << round(math.log2(self.rate * BLOCK_SECONDS))

    @abstractmethod
    def _callback(self, run: Run[End]) -> Callable[..., None]:
        """Return the callback for PortAudio."""

    def stop(self) -> None:
        """Stop and close, within a second; safe to call twice, when ``start`` failed, and from
        another thread while it hangs."""
        if self._opening:
            library.leave_open_at_exit()
        self._drop()

    def stop_stream(self, end: Sink | Source) -> None:
        """Stop and close the stream that was started for ``end``; the other one goes on."""
        self._drop(end)

    def _drop(self, end: Sink | Source | None = None) -> None:
        """Close the streams of an end, or all."""
        with self._lock:
            closing = [each for each in self._streams if end is None or each.run.end is end]
        for stream in closing:
            self._drop_one(stream)

    def _drop_one(self, stream: OpenStream[End]) -> None:
        """Close a stream, unless it has been closed."""
        with self._lock:
            if self._turns is not None and stream.run in (self._turns.quick, self._turns.long):
                self._turns = None
            if stream in self._streams:
                self._streams.remove(stream)
            elif stream.run.stopping:
                return
            stream.run.stopping = True
        if stream.run.calls:
            self._chosen.worked(stream.device)
        else:
            self._chosen.was_mute(stream.device, stream.age)
        stream.close()


class PortAudioMicrophone(_Device[Sink]):
    """A microphone of this computer; see ``find_microphone``."""

    _direction = "input"
    _word = "microphone"

    @property
    def traits(self) -> DeviceTraits:
        """What a call must know about it; see ``DeviceTraits``."""
        # Without resampling, framing is only a copy: cheaper and sooner on its own thread than
        # waking another one.
        return replace(super().traits, never_silent=True, can_block=self._is_exact)

    def start(self, sink: Sink) -> None:
        """Open, and start pushing into ``sink``.

        Raises:
            DeviceError: it cannot be opened.
        """
        self._open(sink)

    def _callback(self, run: Run[Sink]) -> Callable[..., None]:
        return capture_callback(run)


class PortAudioSpeaker(_Device[Source]):
    """A speaker of this computer; see ``find_speaker``."""

    _direction = "output"
    _word = "speaker"

    def start(self, source: Source) -> None:
        """Open, and start pulling from ``source``.

        Raises:
            DeviceError: it cannot be opened.
        """
        self._open(source)

    def _callback(self, run: Run[Source]) -> Callable[..., None]:
        return playout_callback(run)


def find_microphone(audio: AudioFormat, name: str | None = None) -> PortAudioMicrophone:
    """Return the default microphone, or the one with that name or part of a name; not yet open.

    Raises:
        DeviceNotFound: there is none; the error lists what is available.
        DeviceError: PortAudio is missing.
    """
    return PortAudioMicrophone(audio, name)


def find_speaker(audio: AudioFormat, name: str | None = None) -> PortAudioSpeaker:
    """Return the default speaker, or the one with that name or part of a name; not yet open.

    Raises:
        DeviceNotFound: there is none; the error lists what is available.
        DeviceError: PortAudio is missing.
    """
    return PortAudioSpeaker(audio, name)


def open_devices(
    audio: AudioFormat,
    input: str | None = None,  # noqa: A002 - as the options are called
    output: str | None = None,
) -> tuple[PortAudioMicrophone, PortAudioSpeaker]:
    """Find both devices; see ``find_microphone`` and ``find_speaker``.

    Raises:
        DeviceNotFound: there is none; the error lists what is available.
        DeviceError: PortAudio is missing.
    """
    return find_microphone(audio, input), find_speaker(audio, output)
