"""A lost device does not end the call: a stand-in takes its place until it is back.

::

    device ───▶ Gate ─┐
                      ├─▶ bridge          of all gates, one is open
    stand-in ─▶ Gate ─┘

The stand-in keeps time in the device's place, so that the conversation stays live: in place of the
microphone it sends silence, in place of the speaker it pulls the agent's audio and drops it as if
it had been heard.

The table in ``states`` says what to do and when. This module carries it out: quick actions on the
thread where something happens, tasks that may take a while (opening a device, which may hang) on
the supervisor's own thread, which exists only while there is something to do.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Literal

from retell_voice.devices.ports import AdjustableLatency, DeviceTraits, OpensTwice
from retell_voice.devices.upkeep.gates import Gate
from retell_voice.devices.upkeep.latency import LatencySteps
from retell_voice.devices.upkeep.rests import Rests
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
WORDS: dict[Side, str] = {"near_end": "microphone", "far_end": "speaker"}

Post = Callable[[DeviceChanged | LatencyChanged | DeviceLost], None]
"""Takes notices, on any thread; neither blocks nor raises."""


class Supervisor:
    """Keeps one side supplied.

    Args:
        side: which one.
        device: the device.
        stand_in: takes its place while it is lost; must not fail.
        new_gate: makes a gate to the bridge of this side.
        post: takes ``DeviceChanged``, ``LatencyChanged`` and, once for each loss that lasts longer
            than ``device_timeout``, ``DeviceLost``.
        device_timeout: seconds; 0: a lost device is neither waited for nor restarted.
        timing: all other times.

    Raises:
        DeviceError: the device's traits have the wrong type.
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
        self._is_adjustable = isinstance(device, AdjustableLatency)  # costly: not at each look
        self._tasks = Tasks(
            device,
            new_gate=lambda: new_gate(self._lost),
            suggested=lambda: self._steps.suggested,
            timing=timing,
        )
        self._errands = Errands("retell-voice supervisor")
        self._rests = Rests(device, self._errands)
        self._lock = threading.Lock()  # held while the state and the gate in place change
        self._state = State.IDLE
        self._gate = self._tasks.gate  # the one in place
        self._deadline = 0.0
        self._why = ""
        self._flowed = 0  # blocks that had passed when someone last asked
        self._told_loss = 0  # number of the last loss reported by a DeviceLost
        self._absence = 0, 0.0  # number of a loss, and when it was first seen
        self._watched: tuple[Gate, Watchdog] | None = None
        self._change: tuple[Literal["gaps", "calm"], float | None] | None = None  # not yet reported
        self.losses = 0
        """Times the device was lost."""
        self.breaks = 0
        """Times its audio was interrupted, by a loss or by reopening."""

    @property
    def starts(self) -> int:
        """Times the device was started, whether or not it worked."""
        return self._tasks.starts

    @property
    def traits(self) -> DeviceTraits:
        """The device's, as it stated them at its last start."""
        return self._tasks.traits

    @property
    def at_work(self) -> bool:
        """Whether the device itself is in use."""
        return self._state not in LOST_STATES

    @property
    def trouble(self) -> str:
        """Why the device is not in use, one line; empty if it is."""
        return "" if self.at_work else f"{self._words} lost: {self._why}"

    @property
    def raised(self) -> bool:
        """Whether the device has more than its minimum latency."""
        return self._steps.raised

    # What is asked of it, on other threads

    def start(self) -> None:
        """Start the device for the first time, unless it has been stopped by then.

        Raises:
            DeviceError: it cannot be opened.
            DeviceLost: it reported at once that it is lost, and is not waited for.
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
        """Start the device while another is in use, and wait until it works.

        Raises:
            DeviceError: it cannot be opened, or delivers no block; it is stopped then.
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
        """Replace another device, which is finished, with this one, started aside."""
        other.end()
        other._gate.leave(self._timing.leave)
        self._happens(Event.TAKE_OVER)

    def retire(self) -> None:
        """Stop once another has taken over and everything queued has been heard."""
        time.sleep(max(self._tasks.drain, self._timing.least_drain))
        self.stop()

    def end(self) -> None:
        """Start stopping; returns at once."""
        if self._happens(Event.END):
            self._rests.forget()
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
        """Start reopening the device unchanged; a pause of some tens of milliseconds."""
        self._happens(Event.REOPEN)

    @property
    def is_resting(self) -> bool:
        """Whether the device rests, or is about to; see ``CanRest``."""
        return self._rests.is_resting

    def rest(self) -> None:
        """Have a device that works rest, if it can. Returns at once. Runs on: watch thread."""
        gate = self._gate
        if self._state is State.WORKING:
            self._rests.begin(gate)

    def wake(self) -> bool:
        """Have it rest no more, and return whether it did. Returns at once; some milliseconds later
        it is as quick as ever. Runs on: any thread."""
        return self._rests.end(self._gate)

    def flows(self) -> bool:
        """Return whether the device works, and audio has passed since this was last asked."""
        blocks, before = self._gate.blocks, self._flowed
        self._flowed = blocks
        return blocks != before and self._state is State.WORKING

    def look(self, now: float, *, pause: bool = False) -> None:
        """Notice a device that stopped silently, stays away for too long or has gaps.

        ``now``: seconds. ``pause``: a gap would go unnoticed now. Cheap; called several times a
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
            self._steps.restarted(now)
        ended = gate.thread_has_ended()
        if self._watched[1].look(now, gate.blocks):
            if state is State.REOPENING:
                gate.lost("it failed to reopen")
            elif gate.has_finished:
                self._happens(Event.FINISHED, gate)
            else:
                why = ", as its thread has ended" if ended else ""
                gate.lost(f"no audio has passed for {timeout:g} s{why}" if gate.blocks else MUTE)
        elif self.is_resting:
            pass  # long blocks are late, and show little
        elif self._rests.has_rested:
            self._rests.has_rested = False
            self._steps.resumed(now, gate.xruns)
        elif (
            state is State.WORKING
            and self._is_adjustable
            and self._steps.look(now, gate.xruns, pause=pause)
        ):
            self._change = "calm" if self._steps.went_down else "gaps", self._device.latency
            twice = self._tasks.traits.opens_twice and isinstance(self._device, OpensTwice)
            self._happens(Event.STEP_BESIDE if twice else Event.STEP, gate)

    # What happens, on any thread

    def _lost(self, gate: Gate) -> None:
        """Handle a lost device. Runs on: any thread; waits at most for a gate to close."""
        self._happens(self._loss(gate), gate)

    def _loss(self, gate: Gate) -> Event:
        return Event.LOST_FOR_GOOD if gate.final or not self._device_timeout else Event.LOST

    def _happens(self, event: Event, gate: Gate | None = None) -> bool:
        """Do what the table says; return whether the event is in it.

        ``gate``: the one the event is about. If another one is in place by now, it is too late.
        """
        with self._lock:
            if gate is not None and gate is not self._gate:
                return False
            known = (self._state, event) in TABLE
            self._step(event)
            # What has just taken its place may already have been lost.
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
        """Do a quick action. The lock is held."""
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
        """Close the current gate; return the new one, now current and still closed."""
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
