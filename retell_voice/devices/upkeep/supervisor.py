"""A device that is lost does not end the call: something takes its place until it is back.

::

    device ───▶ Gate ─┐
                      ├─▶ bridge          of all gates, one is open
    stand-in ─▶ Gate ─┘

    working ──lost──▶ stand-in, the device is started again every second ──▶ working
                         └─▶ after too long: DeviceLost, which ends the call

The stand-in keeps time in the device's place, so that the conversation stays live: instead of
the microphone silence goes out, instead of the speaker the agent's words are pulled and dropped
as if they had been heard.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Literal, Protocol

from retell_voice.devices.ports import AdjustableLatency, traits_of
from retell_voice.devices.streams.notices import Post
from retell_voice.devices.upkeep.gates import Gate
from retell_voice.devices.upkeep.latency import LatencySteps
from retell_voice.devices.upkeep.watchdog import Watchdog
from retell_voice.errors import DeviceError, DeviceLost
from retell_voice.events import DeviceChanged, Event, LatencyChanged

Side = Literal["near_end", "far_end"]
WORDS: dict[Side, str] = {"near_end": "microphone", "far_end": "speaker"}

RETRY_SECONDS = 1.0
"""From one attempt to start a lost device to the next."""
_MUTE = "it opens, but no audio passes"
_STOP_SECONDS = 1.5
_POLL_SECONDS = 0.01
_LEAST_DRAIN_SECONDS, _DRAIN_SECONDS = 0.05, 0.3


class _Device(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def latency(self) -> float | None: ...
    def start(self, gate: Any, /) -> None: ...
    def stop(self) -> None: ...


class Supervisor:
    """Keeps one side of a call supplied.

    Args:
        side: which one.
        device: the device.
        stand_in: takes its place while it is lost; must not fail.
        new_gate: makes a gate to the bridge of this side.
        post: takes ``DeviceChanged``, ``LatencyChanged`` and, when all device_timeout is gone,
            ``DeviceLost``.
        device_timeout: seconds that a lost device may stay away.
    """

    def __init__(
        self,
        side: Side,
        device: _Device,
        stand_in: _Device,
        *,
        new_gate: Callable[[Callable[[Gate], None]], Gate],
        post: Post,
        device_timeout: float,
    ) -> None:
        self._side = side
        self._device = device
        self._stand_in = stand_in
        self._new_gate = new_gate
        self._post = post
        self._device_timeout = device_timeout
        self._steps = LatencySteps()

        self._gate = self._new_gate(self._lost)  # the open one
        self._away: str | None = None  # why the device is not there
        self._away_since: float | None = None
        self._given_up = self._is_aside = False
        self._opening = False  # anew
        self._covered: SimpleQueue[bool] = SimpleQueue()  # whether it may come back
        self._refusal = ""
        self._started = float("-inf")
        self._stopping = threading.Event()
        self._handing = threading.Lock()  # held while gates change; never by a callback
        self._deadline = 0.0
        self._thread: threading.Thread | None = None
        self._watched: tuple[Gate, Watchdog] | None = None
        self.starts = 0
        self.losses = 0
        """Times the device was lost."""
        self.breaks = 0
        """Times that, or because it was opened anew, what it plays or hears was not continuous."""

    @property
    def at_work(self) -> bool:
        """Whether the device itself is in its place."""
        return self._away is None

    @property
    def trouble(self) -> str:
        return "" if self._away is None else f"{self._words} lost: {self._away}"

    @property
    def raised(self) -> bool:
        """Whether the device was given more latency than its least."""
        return self._steps.raised

    @property
    def _timeout(self) -> float:
        return traits_of(self._device).block_timeout

    @property
    def _start_timeout(self) -> float:
        traits = traits_of(self._device)
        return max(traits.block_timeout, traits.start_timeout)

    @property
    def _words(self) -> str:
        return f"{WORDS[self._side]} {self._device.name!r}"

    def start(self) -> None:
        """Start the device for the first time; not at all if it has been stopped by then.

        Raises:
            DeviceError: it cannot be opened.
            DeviceLost: it said at once that it is lost, and is not waited for.
        """
        self._started = time.monotonic()
        gate = self._gate
        if self._stopping.is_set():
            return
        gate.is_open = True
        self.starts += 1
        self._device.start(gate)
        if self._stopping.is_set():  # while it hung
            self._device.stop()
        if gate.why is not None and (gate.final or not self._device_timeout):
            raise DeviceLost(f"{self._words} lost: {gate.why}")

    def start_aside(self) -> None:
        """Start the device while another has its place, and wait until it is at work.

        Raises:
            DeviceError: it cannot be opened, or not a block comes from it; it is stopped then.
        """
        self._started = time.monotonic()
        self._is_aside = True
        gate = self._gate
        try:
            self.starts += 1
            self._device.start(gate)
            # Stopped while it opened: whoever did so found nothing to stop.
            if self._stopping.is_set() or not self._delivers(gate):
                raise DeviceError(f"{self._words}: {gate.why or _MUTE}")
        except BaseException:
            self.stop()
            raise

    def take_over(self, other: Supervisor) -> None:
        """Put the device, started aside, in the place of another's, which is done for."""
        other.end()
        with other._handing:
            other._gate.leave()
        with self._handing:
            if not self._stopping.is_set():
                self._gate.enter()
        self._is_aside = False
        if self._gate.why is not None:
            self._lost(self._gate)

    def retire(self) -> None:
        """Stop once another has taken over and what the device was given has been heard."""
        time.sleep(min(max(self._device.latency or 0.0, _LEAST_DRAIN_SECONDS), _DRAIN_SECONDS))
        self.stop()

    def end(self) -> None:
        """Begin to stop; returns at once."""
        if not self._stopping.is_set():
            self._deadline = time.monotonic() + _STOP_SECONDS
            self._stopping.set()

    def stop(self) -> None:
        """Stop whatever is running; safe to call twice. Blocks for seconds if a device hangs."""
        self.end()
        if self._thread is not None:
            with contextlib.suppress(RuntimeError):  # it is only just being started
                self._thread.join(max(0.0, self._deadline - time.monotonic()))
        try:
            self._device.stop()
        finally:
            self._stand_in.stop()

    def look(self, now: float, *, pause: bool = False) -> None:
        """Notice a device that stopped without a word, stays away for too long or has gaps.

        ``now``: seconds. ``pause``: a gap would not be noticed now. Cheap; called in the rhythm
        of a frame, on one thread.
        """
        gate, away = self._gate, self._away
        if away is not None:
            if self._away_since is None:
                self._away_since = now
            elif now - self._away_since >= self._device_timeout:
                self._give_up(f"{away}; it did not come back within {self._device_timeout:g} s")
            return
        self._away_since = None
        if self._watched is None or self._watched[0] is not gate:
            self._watched = gate, Watchdog(self._timeout, self._start_timeout)
            self._steps.restarted(now)
        if self._watched[1].look(now, gate.blocks):
            if self._opening:
                gate.lost("it does not open anew")
            elif gate.has_finished:
                self._begin(self._retire, gate)
            else:
                gate.lost(f"no audio has passed for {self._timeout:g} s" if gate.blocks else _MUTE)
        elif (
            isinstance(self._device, AdjustableLatency)
            and not self._opening
            and self._steps.look(now, gate.xruns, pause=pause)
        ):
            self._begin(self._change_latency, gate)

    def open_again(self) -> None:
        """Begin to open the device anew, as it is; a pause of some tens of milliseconds."""
        if self._away is None and not self._opening:
            self._begin(self._open_anew, self._gate)

    # Any thread, then the keeper's own

    def _lost(self, gate: Gate) -> None:
        """Start what is to be done about a lost device. Runs on: any thread; never blocks."""
        if gate is self._gate and not self._is_aside:
            self._begin(self._cover if self._opening else self._replace, gate)

    def _begin(self, work: Callable[[Gate], object], gate: Gate) -> None:
        if not self._stopping.is_set() and gate.claim():
            self._thread = threading.Thread(
                target=work, args=(gate,), name="retell-voice keeper", daemon=True
            )
            with contextlib.suppress(RuntimeError):  # the interpreter is ending
                self._thread.start()

    def _change_latency(self, gate: Gate) -> None:
        if isinstance(self._device, AdjustableLatency):
            self._device.suggest_latency(self._steps.suggested)
        old = self._device.latency
        if self._open_anew(gate):
            why: Literal["gaps", "calm"] = "calm" if self._steps.went_down else "gaps"
            now = self._device.latency
            self._tell(LatencyChanged(side=self._side, why=why, old=old, new=now))

    def _open_anew(self, gate: Gate) -> bool:
        """Stop the device and start it; return whether it opened. A pause of tens of ms."""
        gate.close()
        # What the device was given before is still to be heard.
        if self._stopping.wait(min(self._device.latency or 0.0, _DRAIN_SECONDS)):
            return False
        self._started = time.monotonic()
        self.breaks += 1
        new = self._new_gate(self._lost)
        self._opening = True  # what is lost now is covered, and not started by another thread
        if self._hand_over(new):
            try:
                self._device.stop()
                self.starts += 1
                self._device.start(new)
            except Exception as error:
                new.lost(str(error))
        is_covered = not new.claim()
        self._opening = False
        if self._stopping.is_set():
            self._device.stop()
        elif is_covered:
            self._recover(self._covered.get())
        else:
            new.give_back()
            if new.why is not None and new.claim():  # meanwhile, and nobody took care of it
                self._replace(new)
        return new.why is None

    def _retire(self, gate: Gate) -> None:  # noqa: ARG002 - the one that _begin claimed
        """Let silence take the place of a device that has finished: no loss, and no return."""
        stand_in = self._new_gate(self._lost)
        if self._hand_over(stand_in):
            self._stand_in.start(stand_in)

    def _replace(self, gate: Gate) -> None:
        self._recover(self._stand_in_for(gate))

    def _cover(self, gate: Gate) -> None:
        """Let the stand-in take the place of a device that another thread opens anew."""
        self._covered.put(self._stand_in_for(gate))

    def _stand_in_for(self, gate: Gate) -> bool:
        """Let the stand-in take the place of the device; return whether it may come back."""
        why = gate.why or ""
        self._away = why
        self.losses += 1
        self.breaks += 1
        self._tell(self._changed("lost", why))
        if gate.final or not self._device_timeout:
            self._give_up(why)
        stand_in = self._new_gate(self._lost)
        if not self._hand_over(stand_in):
            return False
        self._stand_in.start(stand_in)
        if self._stopping.is_set():
            self._stand_in.stop()
            return False
        return self._device_timeout > 0 and not gate.final

    def _recover(self, may_return: bool) -> None:
        """Stop the device; if it may return, start it every second until it is at work again."""
        self._device.stop()
        if not may_return:
            return
        while (back := self._started_again()) is None:
            if self._stopping.is_set():
                return
        # Lost again before it was known to be in its place, and nobody took care of it?
        if back.why is not None and back.claim():
            self._replace(back)

    def _started_again(self) -> Gate | None:
        """Try once, when it is time to; return the device's new gate if it is at work again."""
        if self._stopping.wait(max(0.0, self._started + RETRY_SECONDS - time.monotonic())):
            return None
        self._started = time.monotonic()
        gate = self._new_gate(self._lost)
        try:
            self.starts += 1
            self._device.start(gate)
        except Exception as error:  # hardware may raise anything, and may work a second later
            self._refusal = str(error)
        else:
            if self._delivers(gate) and self._hand_over(gate):
                self._stand_in.stop()
                self._away = None
                self._tell(self._changed("back", ""))
                return gate
        self._device.stop()
        return None

    def _delivers(self, gate: Gate) -> bool:
        """Wait for the device's first block: some open, and never say a word."""
        deadline = time.monotonic() + self._start_timeout
        while not gate.blocks and gate.why is None and time.monotonic() < deadline:
            if self._stopping.wait(_POLL_SECONDS):
                return False
        return gate.blocks > 0 and gate.why is None

    def _hand_over(self, gate: Gate) -> bool:
        """Close the gate that is open and open this one; not when all is over."""
        with self._handing:
            self._gate.close()
            self._gate = gate
            gate.is_open = not self._stopping.is_set()
            return gate.is_open

    def _changed(self, state: Literal["lost", "back"], why: str) -> DeviceChanged:
        return DeviceChanged(side=self._side, state=state, name=self._device.name, why=why)

    def _tell(self, event: Event) -> None:
        """Post an event, unless another device has taken over or all is over."""
        if not self._stopping.is_set():
            self._post(event)

    def _give_up(self, why: str) -> None:
        if self._given_up or self._stopping.is_set():
            return
        self._given_up = True
        hint = f"the last attempt: {self._refusal}" if self._refusal else ""
        self._post(DeviceLost(f"{self._words} lost: {why}", hint))
