"""A microphone and a speaker in use, each kept supplied; others take over from them.

::

    microphone ─▶ [Supervisor] ─▶ NearEnd
    speaker    ◀─ [Supervisor] ◀─ Output      brings it back when it is lost

    switch: others start aside ─▶ audio passes ─▶ they take over ─▶ the old ones play out and stop

A switch changes both or nothing: the old ones go on until audio has passed through each new one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack

from retell_voice.devices.files import NullMicrophone, NullSpeaker
from retell_voice.devices.ports import Microphone, Speaker, check_device
from retell_voice.devices.streams.convert import as_microphone, as_speaker
from retell_voice.devices.streams.near_end import NearEnd
from retell_voice.devices.streams.notices import Post
from retell_voice.devices.streams.output import Output
from retell_voice.devices.upkeep.gates import CaptureGate, PlayoutGate
from retell_voice.devices.upkeep.supervisor import Supervisor
from retell_voice.errors import DeviceError
from retell_voice.events import DeviceChanged

_SWITCH_SECONDS = 1.0
"""Seconds that stopping waits for a device that is just taking over."""


class Pair:
    """Two devices and who keeps them supplied; ``near`` and ``far`` are to be started one by one.

    Args:
        microphone, speaker: the devices to begin with; properly made, see ``check_device``.
        near_end, output: their streams, whose rates stay as they are.
        can_block: the near end counts on a microphone whose ``write_rt`` may take its time.
        device_timeout: seconds that a lost device may stay away; see ``Supervisor``.
        post: takes what the supervisors tell, and a ``DeviceChanged`` for each device switched.

    Raises:
        DeviceError: a device's traits have the wrong type.
    """

    def __init__(
        self,
        microphone: Microphone,
        speaker: Speaker,
        near_end: NearEnd,
        output: Output,
        *,
        can_block: bool,
        device_timeout: float,
        post: Post,
    ) -> None:
        self.microphone = microphone
        """The microphone in use."""
        self.speaker = speaker
        """The speaker in use."""
        self._near_end = near_end
        self._output = output
        self._can_block = can_block
        self._device_timeout = device_timeout
        self._post = post
        self.near = self._near_supervisor(microphone)
        """Keeps the near end supplied."""
        self.far = self._far_supervisor(speaker)
        """Keeps the far end supplied."""
        self._aside: list[Supervisor] = []  # those of devices about to take over
        self._retired_starts = 0
        self._has_ended = False
        self._switching = threading.Lock()  # held while devices take over

    @property
    def openings(self) -> int:
        """Times that a device's stream was opened, both sides together."""
        supervisors = (self.near, self.far, *self._aside)
        return self._retired_starts + sum(each.starts for each in supervisors)

    @property
    def away(self) -> str:
        """Which devices are lost and why, one line; empty while both are there."""
        return "; ".join(filter(None, (self.near.trouble, self.far.trouble)))

    def switch(
        self,
        microphone: Microphone | None,
        speaker: Speaker | None,
        then: Callable[[Microphone, Speaker], None],
    ) -> None:
        """Replace the devices in use, None for no change; then stop the old ones.

        Blocks for as long as the devices take to open and to close.

        ``then``: called with the devices in use, once one has been replaced and before the old ones
        are stopped.

        Raises:
            DeviceError: one cannot be opened or passes no audio, or they are being stopped; nothing
                has changed then.
        """
        with self._switching, ExitStack() as failing:
            far = near = None
            if speaker is not None and speaker is not self.speaker:
                check_device(speaker, "speaker")
                far = self._far_supervisor(speaker)
            if microphone is not None and microphone is not self.microphone:
                check_device(microphone, "microphone")
                near = self._near_supervisor(microphone)
            # The microphone last: nothing it hears meanwhile is sent.
            self._aside = [each for each in (far, near) if each is not None]
            failing.callback(self._aside.clear)
            for supervisor in self._aside:
                if self._has_ended:
                    raise DeviceError("the devices are closed: they cannot be switched")
                supervisor.start_aside()
                failing.callback(supervisor.stop)
            failing.pop_all()
            replaced = []
            if far is not None and speaker is not None:
                far.take_over(self.far)
                replaced.append(self.far)
                self.far, self.speaker = far, speaker
                self._post(DeviceChanged(side="far_end", state="changed", name=speaker.name))
            if near is not None and microphone is not None:
                near.take_over(self.near)
                replaced.append(self.near)
                self.near, self.microphone = near, microphone
                self._post(DeviceChanged(side="near_end", state="changed", name=microphone.name))
            self._aside.clear()
            if replaced:
                then(self.microphone, self.speaker)
            for supervisor in replaced:
                self._retired_starts += supervisor.starts
                supervisor.retire()

    def end(self) -> None:
        """Switch no more."""
        self._has_ended = True

    def stop(self) -> None:
        """Stop both, independently, and any that would take over; safe to call twice. Blocks."""
        self.end()
        for supervisor in (self.near, self.far, *self._aside):
            supervisor.end()
        alone = self._switching.acquire(timeout=_SWITCH_SECONDS)
        with ExitStack() as stack:
            if alone:
                stack.callback(self._switching.release)
            for supervisor in (*self._aside, self.far, self.near):
                stack.callback(supervisor.stop)

    def _near_supervisor(self, microphone: Microphone) -> Supervisor:
        rate = self._near_end.rate
        return Supervisor(
            "near_end",
            as_microphone(microphone, rate, can_block=self._can_block, lost=self._near_lost),
            NullMicrophone(rate),
            new_gate=lambda tell: CaptureGate(self._near_end, tell),
            post=self._post,
            device_timeout=self._device_timeout,
        )

    def _far_supervisor(self, speaker: Speaker) -> Supervisor:
        rate = self._output.rate
        return Supervisor(
            "far_end",
            as_speaker(speaker, rate),
            NullSpeaker(rate),
            new_gate=lambda tell: PlayoutGate(self._output, tell),
            post=self._post,
            device_timeout=self._device_timeout,
        )

    def _near_lost(self, samples: int) -> None:
        """Runs on: a relay's thread."""
        self._near_end.lost += samples
