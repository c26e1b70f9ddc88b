"""Chooses the echo control in the near end's path, and keeps the choice right.

::

    devices ─▶ choose_for ─▶ open_control ─▶ EchoStage ─▶ NearEnd
                ▲ the sound server

A device that was switched, or came back as another, is examined again: ``auto`` may choose
differently for it, and every canceller has to adapt to the room again. Calls and clears change
nothing.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from retell_voice.devices.files import NullMicrophone, NullSpeaker, WavMicrophone, WavSpeaker
from retell_voice.devices.portaudio import sound_server
from retell_voice.devices.portaudio.lookup import SERVERS
from retell_voice.devices.ports import Microphone, Speaker
from retell_voice.devices.streams.echo_stage import EchoStage
from retell_voice.devices.streams.near_end import NearEnd
from retell_voice.devices.streams.output import Output
from retell_voice.echo.choice import Choice, Method, choose, open_control
from retell_voice.echo.ports import EchoControl, EchoMeasures
from retell_voice.echo.system import EchoCancelled, SoundDevice, cancels_echo
from retell_voice.echo.webrtc import installed
from retell_voice.errors import ConfigError

Echo = Method | str | Callable[[int], EchoControl]
"""A method, or its name, or a function that makes your own echo control for a rate in Hz."""

_FILES = NullMicrophone, WavMicrophone, NullSpeaker, WavSpeaker
_THROUGH_PULSE = ("pulse", "default")
"""Devices that respect ``PULSE_SOURCE`` and ``PULSE_SINK``."""


class EchoPath:
    """Installs echo control in a near end's path and keeps it right.

    Args:
        echo: the requested echo control.
        near_end, output: the two streams.
        noise_suppression, gain: WebRTC's noise suppression and automatic gain.

    Raises:
        ValueError: unknown method.
    """

    def __init__(
        self,
        echo: Echo,
        near_end: NearEnd,
        output: Output,
        *,
        noise_suppression: bool = False,
        gain: bool = False,
    ) -> None:
        self._make = None if isinstance(echo, str) else echo
        self._asked = _method(echo) if isinstance(echo, str) else Method.OFF
        self._near_end = near_end
        self._output = output
        self._options = {"noise_suppression": noise_suppression, "gain": gain}
        self.rest(True)
        self._changing = threading.Lock()
        self._stage: EchoStage | None = None
        self._name = ""
        self._choice = Choice(self._asked, "not looked at yet")

    @property
    def choice(self) -> Choice | None:
        """The method in use, and why; None with your own echo control."""
        return self._choice if self._make is None else None

    @property
    def name(self) -> str:
        """Its name, for people: ``off``, ``webrtc``, or that of your own."""
        return self._choice.method.value if self._make is None else self._name

    def rest(self, may_rest: bool) -> None:
        """Let it rest while nothing is played, or have it work throughout, as a call needs."""
        # Less noise and even levels are wanted in silence, too; your own may do anything.
        is_ours = self._make is None and not any(self._options.values())
        self._may_rest = may_rest and is_ours

    def woken(self) -> None:
        """Note that devices which have rested begin anew; the room is the same."""
        if (stage := self._stage) is not None:
            stage.woken()

    def measures(self) -> EchoMeasures:
        """Return what is known about the echo so far."""
        stage = self._stage
        return EchoMeasures() if stage is None else stage.measures()

    def prepare(self, microphone: Microphone, speaker: Speaker) -> None:
        """Choose for these devices, before they are opened. May take a second.

        Raises:
            ConfigError: the requested method is not available, or not at the microphone's rate.
        """
        with self._changing:
            if self._make is not None:
                self._use(self._make(self._near_end.rate))
                return
            choice = choose_for(self._asked, microphone, speaker)
            if choice.devices is not None:
                _go_through(choice.devices, microphone, speaker)
            self._open(choice)

    def changed(self, microphone: Microphone, speaker: Speaker) -> None:
        """Start over: one of these was switched or has come back. May take a second."""
        with self._changing:
            if self._asked is Method.AUTO:
                choice = choose_for(self._asked, microphone, speaker)
                if choice.method is not self._choice.method:
                    self._open(choice)
                    return
                self._choice = choice
            if self._stage is not None:
                self._stage.reset()

    def _open(self, choice: Choice) -> None:
        try:
            control = open_control(choice.method, self._near_end.rate, **self._options)
        except ValueError as error:  # a microphone at 96 kHz
            hint = "use another microphone or rate, or no echo control"
            control, choice = None, self._without(choice, ConfigError(f"{error}", hint))
        except ConfigError as error:  # installed, but fails to load
            control, choice = None, self._without(choice, error)
        self._choice = choice
        self._use(control)

    def _without(self, choice: Choice, error: ConfigError) -> Choice:
        """Return the choice to do nothing, unless what failed was requested explicitly."""
        if self._asked is not Method.AUTO or choice.method is Method.OFF:
            raise error
        return Choice(Method.OFF, str(error), error.hint)

    def _use(self, control: EchoControl | None) -> None:
        near_end = self._near_end
        self._name = control.name if control else ""
        self._stage = (
            EchoStage(control, self._output.reference, near_end.rate, lambda: self._may_rest)
            if control
            else None
        )
        near_end.use_echo_control(self._stage)


def choose_for(asked: Method, microphone: Microphone, speaker: Speaker) -> Choice:
    """Return the method to use for two devices, whether open or not. May take a second.

    Raises:
        ConfigError: the requested method is not available.
    """
    server = None
    if asked in (Method.AUTO, Method.SYSTEM) and (_is_server(microphone) or _is_server(speaker)):
        server = sound_server.ask()
    return choose(
        asked,
        microphone=_described(microphone, server.microphone if server else None),
        speaker=_described(speaker, server.speaker if server else None),
        microphones=server.microphones if server else (),
        speakers=server.speakers if server else (),
        installed=installed() if asked in (Method.AUTO, Method.WEBRTC) else (),
    )


def is_file(device: Microphone | Speaker) -> bool:
    """Return whether a device is not in any room."""
    return isinstance(device, _FILES)


def _described(device: Microphone | Speaker, default: SoundDevice | None) -> SoundDevice | None:
    """Describe a device; ``default``: the sound server's own default."""
    if is_file(device):
        return None
    return default if default is not None and _is_server(device) else SoundDevice(device.name)


def _is_server(device: Microphone | Speaker) -> bool:
    return getattr(device, "host_api", "") == "ALSA" and device.name in SERVERS


def _go_through(pair: EchoCancelled, microphone: Microphone, speaker: Speaker) -> None:
    """Route devices not yet opened to the sound server's echo-cancelled ones."""
    ends = (
        (microphone, "PULSE_SOURCE", "--input", pair.microphone),
        (speaker, "PULSE_SINK", "--output", pair.speaker),
    )
    for device, variable, option, wanted in ends:
        if wanted is None or cancels_echo(SoundDevice(device.name)):
            continue
        if not (_is_server(device) and device.name in _THROUGH_PULSE):
            raise ConfigError(
                f"{device.name!r} does not go through the sound server's echo cancellation",
                f"use {option} pulse, or make {wanted.name!r} the system's default",
            )
        os.environ[variable] = wanted.name


def _method(name: str) -> Method:
    try:
        return Method(name)
    except ValueError:
        methods = ", ".join(Method)
        raise ValueError(f"echo is {name!r}, not one of {methods}") from None
