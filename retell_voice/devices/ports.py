"""What hardware must implement to take part in a call.

A microphone *pushes* into a ``Sink``; a speaker *pulls* from a ``Source``. Each does so from one
thread of its own, at its own pace and in blocks of any size; the speaker's pace is the clock of
the whole playout. Rates may differ from the call's and from each other; the call resamples.

::

    # Raw s16le from and to anything readable and writable: a UART, a pipe, a driver.

    class PipeMicrophone:
        name, rate, latency = "pipe", 16000, None

        def __init__(self, file):
            self._file = file

        def start(self, sink):
            self._running = True
            threading.Thread(target=self._run, args=(sink,), daemon=True).start()

        def stop(self):
            self._running = False

        def _run(self, sink):
            while self._running and (data := self._file.read(640)):  # 20 ms, as they come
                sink.write_rt(np.frombuffer(data, "<i2"))
            sink.finished()


    class PipeSpeaker:
        name, rate, latency = "pipe", 16000, None

        def __init__(self, file):
            self._file = file

        def start(self, source):
            self._running = True
            threading.Thread(target=self._run, args=(source,), daemon=True).start()

        def stop(self):
            self._running = False

        def _run(self, source):
            block = np.zeros(320, np.int16)
            while self._running:
                source.fill_rt(block)
                self._file.write(block.tobytes())  # takes as long as the block plays

A lost device is stopped, then restarted every second, on a worker thread, until it works.

A device that differs from the defaults of ``DeviceTraits`` says so in an attribute ``traits``. One
that can be opened with more or less latency is an ``AdjustableLatency``: while it has gaps, it is
reopened with more, and with less once they stop. One that ``OpensTwice`` needs no pause for that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from retell_voice.audio.format import HIGHEST_RATE, LOWEST_RATE, Samples
from retell_voice.errors import DeviceError, show

Latency = float | Literal["low"]
"""Seconds, or the least the device supports."""


class Sink(Protocol):
    """Takes what a microphone hears. None of these methods blocks or raises."""

    def write_rt(self, samples: Samples, delay: float = 0.0, xrun: bool = False) -> None:
        """Runs on: the device's callback thread. Take samples, shape (n,), mono int16.

        They are copied before this returns. ``delay``: seconds since ``samples[0]`` was spoken,
        0.0 if unknown. ``xrun``: the device lost audio before these. Samples of another type or
        shape end the call with a ``DeviceLost``, as ``Ended.error``.
        """

    def finished(self) -> None:
        """Report that nothing more will come (a file that ended). The call goes on in silence."""

    def lost(self, why: str, final: bool = False) -> None:
        """Report that the device is gone; ``why`` is one line for people.

        ``final``: it will not come back and must not be started again; the call ends.
        """


class Source(Protocol):
    """Supplies a speaker with samples. None of these methods blocks or raises."""

    def fill_rt(self, out: Samples, delay: float = 0.0, xrun: bool = False) -> None:
        """Runs on: the device's callback thread. Fill ``out``, shape (n,), mono int16.

        It gets the next samples to play. ``delay``: seconds until ``out[0]`` is heard.
        ``xrun``: the device ran out of samples before this. An ``out`` of another type or shape
        ends the call, as above.
        """

    def lost(self, why: str, final: bool = False) -> None:
        """Report that the device is gone; ``why`` is one line for people.

        ``final``: it will not come back and must not be started again; the call ends.
        """


@runtime_checkable
class Microphone(Protocol):
    """A source of near-end audio."""

    @property
    def name(self) -> str:
        """Shown to people."""

    @property
    def rate(self) -> int:
        """Samples a second that it delivers."""

    @property
    def latency(self) -> float | None:
        """Seconds from sound to ``write_rt``, None when unknown."""

    def start(self, sink: Sink) -> None:
        """Open, and start pushing into ``sink``.

        Raises:
            DeviceError: it cannot be opened.
        """

    def stop(self) -> None:
        """Stop and close; safe to call twice, after ``start`` failed, and from another thread while
        it hangs. ``start`` may be called again afterwards."""


@runtime_checkable
class Speaker(Protocol):
    """A sink of far-end audio; it pulls for the whole call, silence included."""

    @property
    def name(self) -> str:
        """Shown to people."""

    @property
    def rate(self) -> int:
        """Samples a second that it plays."""

    @property
    def latency(self) -> float | None:
        """Seconds from ``fill_rt`` to sound, None when unknown."""

    def start(self, source: Source) -> None:
        """Open, and start pulling from ``source``.

        Raises:
            DeviceError: it cannot be opened.
        """

    def stop(self) -> None:
        """Stop and close; safe to call twice, after ``start`` failed, and from another thread while
        it hangs. ``start`` may be called again afterwards."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceTraits:
    """What a call must know about a device beyond its methods.

    Hardware states it in an attribute or property ``traits``, which is read at every start;
    without one, the defaults apply.

    Attributes:
        block_timeout: seconds without a block after which the device counts as lost.
        start_timeout: seconds that the first block after ``start`` may take; never less than
            ``block_timeout``.
        never_silent: this microphone delivers pure digital zeros only while it is muted somewhere;
            people are told when it does.
        can_block: this microphone's ``write_rt`` may take the time to resample and encode, a few
            tens of microseconds; the call then needs no thread for that.
        opens_twice: a second stream can be opened while the first one runs; see ``OpensTwice``.
    """

    block_timeout: float = 2.0
    start_timeout: float = 2.0
    never_silent: bool = False
    can_block: bool = False
    opens_twice: bool = False


DEFAULT_TRAITS = DeviceTraits()


def traits_of(device: object) -> DeviceTraits:
    """Return a device's ``traits``, or the defaults.

    Raises:
        DeviceError: its ``traits`` have the wrong type.
    """
    traits = getattr(device, "traits", DEFAULT_TRAITS)
    if not isinstance(traits, DeviceTraits):
        kind = type(device).__name__
        raise DeviceError(f"{kind}.traits is {show(traits)}, not a DeviceTraits")
    return traits


def check_device(device: object, what: Literal["microphone", "speaker"]) -> None:
    """Check that this is a proper microphone or speaker, before anything relies on it.

    Raises:
        DeviceError: it is not; says what is missing or wrong, and of which class.
    """
    if isinstance(device, type):
        raise DeviceError(
            f"{what}: {device.__name__} is a class, not a device", f"make one: {device.__name__}(…)"
        )
    kind = type(device).__name__
    missing = [each for each in ("name", "rate", "latency") if not hasattr(device, each)]
    missing += [each for each in ("start", "stop") if not callable(getattr(device, each, None))]
    if missing:
        raise DeviceError(
            f"{what}: {kind} has no {', '.join(missing)}",
            "retell_voice.devices.ports says what hardware must implement",
        )
    rate = getattr(device, "rate", None)
    if isinstance(rate, bool) or not isinstance(rate, int):
        raise DeviceError(f"{what}: {kind}.rate is {show(rate)}, not a whole number of Hz")
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise DeviceError(f"{what}: {kind}.rate is {rate}, outside {LOWEST_RATE}–{HIGHEST_RATE} Hz")


@runtime_checkable
class AdjustableLatency(Protocol):
    """A device that can be opened with more or less latency."""

    def suggest_latency(self, latency: Latency) -> None:
        """Open with this latency from the next ``start`` on."""


@runtime_checkable
class AdjustableBlocks(Protocol):
    """A device that can be opened with longer or shorter blocks."""

    def suggest_block(self, block_ms: float) -> None:
        """Open with blocks of this length from the next ``start`` on."""


@runtime_checkable
class OpensTwice(Protocol):
    """A device that can have two streams for a moment, if its ``traits`` say so.

    To change its latency it is then not stopped first: ``start`` is called while it runs and opens
    a second stream for another end, and the first is stopped once audio passes.
    """

    def stop_stream(self, end: Sink | Source) -> None:
        """Stop and close the stream that was started for ``end``; the other one goes on."""


@runtime_checkable
class CanRest(Protocol):
    """A device that takes less of the processor while nobody is in a hurry.

    While it rests, blocks are about 0.1 s long, and late. Both methods may take a while, and
    neither raises; one thread calls them. A device that cannot rest just now goes on as it is; one
    that fails to wake reports that it is lost.
    """

    @property
    def is_resting(self) -> bool:
        """Whether it rests, or is about to."""

    def rest(self, wanted: Callable[[], bool]) -> None:
        """Rest, until it is woken or stopped.

        ``wanted``: tells whether that is still wanted; any thread may ask. Once it says no, it
        always will: no more long blocks pass then, and ``wake`` follows at once.
        """

    def wake(self) -> None:
        """Be as quick as before, if it rests."""
