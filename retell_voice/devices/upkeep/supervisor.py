"""A device that is lost does not end the call: something takes its place until it is back.

::

    device ───▶ Gate ─┐
                      ├─▶ bridge          of all gates, one is open
    stand-in ─▶ Gate ─┘

The stand-in keeps time in the device's place, so that the conversation stays live: instead of the
microphone silence goes out, instead of the speaker the agent's words are pulled and dropped as if
they had been heard.

What to do and when is the table in ``states``. This carries it out: what is quick on the thread on
which something happens, what may take a while (a device that opens, or hangs) on one thread of the
supervisor's own, which is there only while there is something to do.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Literal

from retell_voice.devices.ports import AdjustableLatency, OpensTwice
from retell_voice.devices.upkeep.gates import Gate
from retell_voice.devices.upkeep.latency import LatencySteps
from retell_voice.devices.upkeep.states import (
    LOST_STATES,
    TABLE,
    WATCHED_STATES,
    Action,
    Event,
    State,
    Task,
    step,
)
from retell_voice.devices.upkeep.tasks import DEFAULT_TIMING, MUTE, Device, Tasks, Timing
from retell_voice.devices.upkeep.watchdog import Watchdog
from retell_voice.errors import DeviceError, DeviceLost, RetellVoiceError
from retell_voice.events import DeviceChanged, LatencyChanged
from retell_voice.threads.errands import Errands

Side = Literal["near_end", "far_end"]
_UNKNOWN = threading.Thread()
WORDS: dict[Side, str] = {"near_end": "microphone", "far_end": "speaker"}

Post = Callable[[DeviceChanged | LatencyChanged | DeviceLost], None]
"""Takes what there is to be told, on any thread; neither blocks nor raises."""


class Supervisor:
    """Keeps one side supplied.

    Args:
        side: which one.
        device: the device.
        stand_in: takes its place while it is lost; must not fail.
        new_gate: makes a gate to the bridge of this side.
        post: takes ``DeviceChanged``, ``LatencyChanged`` and, once for each loss that lasts for
            longer than ``device_timeout``, ``DeviceLost``.
        device_timeout: seconds; 0: no device is waited for, and none started again.
        timing: of everything else.

    Raises:
        DeviceError: the device states traits of another type.
    """

    def __init__(
        self,
        side: Side,
        device: Device,
        stand_in: Device,
        *,
        new_gate: Callable[[Callable[[Gate], None]], Gate],
        post: Post,
        device_timeout: float,
        timing: Timing = DEFAULT_TIMING,
    ) -> None:
        self._side = side
        self._device = device
        self._stand_in = stand_in
        self._new_gate = new_gate
        self._post = post
        self._device_timeout = device_timeout
        self._timing = timing
        self._steps = LatencySteps()
        self._tasks = Tasks(
            device,
            new_gate=lambda: new_gate(self._lost),
            suggested=lambda: self._steps.suggested,
            timing=timing,
        )
        self._errands = Errands("retell-voice supervisor")
        self._lock = threading.Lock()  # held while the state and the gate in place change
        self._state = State.IDLE
        self._gate = self._tasks.gate  # the one in place
        self._deadline = 0.0
        self._why = ""
        self._told_loss = 0  # number of the last loss that a DeviceLost told of
        self._absence = 0, 0.0  # number of a loss, and when it was first looked at
        self._watched: tuple[Gate, Watchdog] | None = None
        self._thread: threading.Thread | None = None  # that the watched gate's blocks come on
        self._change: tuple[Literal["gaps", "calm"], float | None] | None = None  # not yet told
        self.losses = 0
        """Times the device was lost."""
        self.breaks = 0
        """Times that, or because it was opened again, what it plays or hears was not continuous."""

    @property
    def starts(self) -> int:
        """Times the device was started, whether or not it worked."""
        return self._tasks.starts

    @property
    def at_work(self) -> bool:
        """Whether the device itself is in its place."""
        return self._state not in LOST_STATES

    @property
    def trouble(self) -> str:
        """Why the device is not in its place, one line; empty when it is."""
        return "" if self.at_work else f"{self._words} lost: {self._why}"

    @property
    def raised(self) -> bool:
        """Whether the device was given more latency than its least."""
        return self._steps.raised

    # What is asked of it, on other threads

    def start(self) -> None:
        """Start the device for the first time; not at all if it has been stopped by then.

        Raises:
            DeviceError: it cannot be opened.
            DeviceLost: it said at once that it is lost, and is not waited for.
        """
        if not self._happens(Event.START):
            return
        try:
            self._start_first()
        except BaseException:
            self._happens(Event.REFUSED)
            raise
        self._happens(Event.OPENED)
        if self._state is State.GONE:
            raise DeviceLost(self.trouble)

    def start_aside(self) -> None:
        """Start the device while another has its place, and wait until it works.

        Raises:
            DeviceError: it cannot be opened, or not a block comes from it; it is stopped then.
        """
        gate = self._gate
        self._happens(Event.PROBE)
        try:
            self._start_first()
            if not self._tasks.delivers(gate):
                raise DeviceError(f"{self._words}: {gate.why or MUTE}")
        except BaseException:
            self._happens(Event.REFUSED)
            self.stop()
            raise
        self._happens(Event.DELIVERED)

    def take_over(self, other: Supervisor) -> None:
        """Put the device, started aside, in the place of another's, which is done for."""
        other.end()
        other._gate.leave(self._timing.leave)
        self._happens(Event.TAKE_OVER)

    def retire(self) -> None:
        """Stop once another has taken over and what the device was given has been heard."""
        time.sleep(max(self._tasks.drain, self._timing.least_drain))
        self.stop()

    def end(self) -> None:
        """Begin to stop; returns at once."""
        if self._happens(Event.END):
            self._deadline = time.monotonic() + self._timing.stop
            self._tasks.stopping.set()

    def stop(self) -> None:
        """Stop whatever is running; safe to call twice. Blocks for seconds if a device hangs."""
        self.end()
        self._errands.join(max(0.0, self._deadline - time.monotonic()))
        with self._lock:
            self._gate.close()
        try:
            self._device.stop()
        finally:
            self._stand_in.stop()

    def open_again(self) -> None:
        """Begin to open the device again, as it is; a pause of some tens of milliseconds."""
        self._happens(Event.REOPEN)

    def look(self, now: float, *, pause: bool = False) -> None:
        """Notice a device that stopped without a word, stays away for too long or has gaps.

        ``now``: seconds. ``pause``: a gap would not be noticed now. Cheap; called several times a
        second, on one thread.
        """
        if self._state in LOST_STATES:
            if self._absence[0] != self.losses:
                self._absence = self.losses, now
            elif now - self._absence[1] >= self._device_timeout:
                self._happens(Event.OVERDUE)
        elif self._state in WATCHED_STATES:
            self._watch(now, pause)

    def _watch(self, now: float, pause: bool) -> None:
        gate, state, timeout = self._gate, self._state, self._tasks.traits.block_timeout
        if self._watched is None or self._watched[0] is not gate:
            self._watched = gate, Watchdog(timeout, self._tasks.start_timeout)
            self._thread = None
            self._steps.restarted(now)
        if self._thread is None and gate.thread:
            # None of Python's: a callback of some library, of which nothing is known.
            threads = (each for each in threading.enumerate() if each.ident == gate.thread)
            self._thread = next(threads, _UNKNOWN)
        if self._watched[1].look(now, gate.blocks):
            if state is State.REOPENING:
                gate.lost("it failed to reopen")
            elif gate.has_finished:
                self._happens(Event.FINISHED, gate)
            else:
                thread = self._thread
                ended = thread not in (None, _UNKNOWN) and thread and not thread.is_alive()
                why = ", as its thread has ended" if ended else ""
                gate.lost(f"no audio has passed for {timeout:g} s{why}" if gate.blocks else MUTE)
        elif (
            state is State.WORKING
            and isinstance(self._device, AdjustableLatency)
            and self._steps.look(now, gate.xruns, pause=pause)
        ):
            self._change = "calm" if self._steps.went_down else "gaps", self._device.latency
            twice = self._tasks.traits.opens_twice and isinstance(self._device, OpensTwice)
            self._happens(Event.STEP_BESIDE if twice else Event.STEP, gate)

    # What happens, on any thread

    def _lost(self, gate: Gate) -> None:
        """Do what is to be done about a lost device. Runs on: any thread; it waits for a gate to
        close at most."""
        self._happens(self._loss(gate), gate)

    def _loss(self, gate: Gate) -> Event:
        return Event.LOST_FOR_GOOD if gate.final or not self._device_timeout else Event.LOST

    def _happens(self, event: Event, gate: Gate | None = None) -> bool:
        """Do what the table says; return whether the event has a place in it.

        ``gate``: the device's that it is about. If another one is in place by now it is too late.
        """
        with self._lock:
            if gate is not None and gate is not self._gate:
                return False
            known = (self._state, event) in TABLE
            self._step(event)
            # What has just come into place may have been lost before.
            while self._gate.why is not None and (self._state, self._loss(self._gate)) in TABLE:
                self._step(self._loss(self._gate))
            return known

    def _step(self, event: Event) -> None:
        before = self._gate
        self._state, steps = step(self._state, event)
        for each in steps:
            if isinstance(each, Task):
                self._errands.run(partial(self._carry_out, each, before))
            else:
                self._do(each)

    def _carry_out(self, task: Task, gate: Gate) -> None:
        """Runs on: its own thread."""
        result = self._tasks.carry_out(task, gate)
        if result is not None:
            self._happens(result)

    def _do(self, action: Action) -> None:
        """Do what is quick. The lock is held."""
        match action:
            case Action.OPEN:
                self._gate.is_open = True
            case Action.ENTER:
                self._gate.enter()
            case Action.SHUT:
                self._gate.close()
            case Action.STAND_IN:
                self._put(self._new_gate(lambda _: None)).is_open = True
                self._stand_in.start(self._gate)
            case Action.RENEW:
                self.breaks += 1
                self._put(self._tasks.renew()).enter()
            case Action.CROSS:
                self.breaks += 1
                self._put(self._tasks.gate).enter()
            case Action.RETURN:
                self._put(self._tasks.gate).is_open = True
                self._stand_in.stop()
            case _:
                self._tell(action)

    def _put(self, gate: Gate) -> Gate:
        """Close the gate in place; return this one, which is in place now and still closed."""
        self._gate.close()
        self._gate = gate
        return gate

    def _tell(self, action: Action) -> None:
        why = self._why
        match action:
            case Action.TELL_LOST:
                self._why, self._tasks.refusal = self._gate.why or self._tasks.refusal, ""
                self.losses += 1
                self.breaks += 1
                self._post(self._changed("lost", self._why))
            case Action.TELL_BACK:
                self._post(self._changed("back"))
            case Action.TELL_LATENCY if self._change is not None:
                (reason, old), self._change = self._change, None
                new = self._device.latency
                self._post(LatencyChanged(side=self._side, why=reason, old=old, new=new))
            case Action.TELL_OVERDUE:
                self._tell_end(f"{why}; it did not come back within {self._device_timeout:g} s")
            case Action.TELL_GONE:
                self._tell_end(why)

    def _tell_end(self, why: str) -> None:
        if self._told_loss != self.losses:
            self._told_loss = self.losses
            refusal = self._tasks.refusal
            hint = f"the last attempt: {refusal}" if refusal else ""
            self._post(DeviceLost(f"{self._words} lost: {why}", hint))

    def _changed(self, state: Literal["lost", "back"], why: str = "") -> DeviceChanged:
        return DeviceChanged(side=self._side, state=state, name=self._device.name, why=why)

    def _start_first(self) -> None:
        try:
            self._tasks.start(self._gate)
        except RetellVoiceError:
            raise
        except Exception as error:
            raise DeviceError(f"{self._words} failed to start: {error!r}") from error

    @property
    def _words(self) -> str:
        return f"{WORDS[self._side]} {self._device.name!r}"
