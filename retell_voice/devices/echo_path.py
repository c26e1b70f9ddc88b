"""Chooses the echo control in the near end's path, and keeps the choice right.

::

    devices ─▶ choose_for ─▶ open_control ─▶ EchoStage ─▶ NearEnd
                ▲ the sound server

``auto`` asks the sound server beside all else that opens a call: dialling takes longer. A device
that was switched, or came back as another, is examined again: ``auto`` may choose differently for
it, and every canceller has to adapt to the room again. Calls and clears change nothing.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from retell_voice.devices.files import NullMicrophone, NullSpeaker, WavMicrophone, WavSpeaker
from retell_voice.devices.portaudio import sound_server
from retell_voice.devices.portaudio.lookup import SERVERS
from retell_voice.devices.portaudio.sound_server import SoundServer
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

_ANSWER_SECONDS = 1.5
"""Seconds that the sound server has for its answer; it mostly takes 0.03."""

_FILES = NullMicrophone, WavMicrophone, NullSpeaker, WavSpeaker
_THROUGH_PULSE = ("pulse", "default")
"""Devices that respect ``PULSE_SOURCE`` and ``PULSE_SINK``."""


class EchoPath:
    """Installs echo control in a near end's path and keeps it right.

    Args:
        echo: the requested echo control; None: ``auto`` for this computer's own devices, else off.
        near_end, output: the two streams.
        noise_suppression, gain: WebRTC's noise suppression and automatic gain.

    Raises:
        ValueError: unknown method.
    """

    def __init__(
        self,
        echo: Echo | None,
        near_end: NearEnd,
        output: Output,
        *,
        noise_suppression: bool = False,
        gain: bool = False,
    ) -> None:
        self._make = echo if callable(echo) else None
        self._own = echo is not None  # hardware of one's own is no reason to do nothing
        self._asked = Method.AUTO if echo is None else Method.OFF
        if isinstance(echo, str):
            self._asked = _method(echo)
        self._near_end = near_end
        self._output = output
        self._options = {"noise_suppression": noise_suppression, "gain": gain}
        self.rest(True)
        self._changing = threading.Lock()
        self._asking: threading.Thread | None = None  # the last to ask: whose answer counts
        self._stage: EchoStage | None = None
        self._installing = threading.Lock()
        self.is_paused = False
        """Whether the near end passes by it, see ``pause``."""
        self._name = ""
        self._choice = Choice(self._asked, "not looked at yet")

    @property
    def choice(self) -> Choice | None:
        """The method in use, and why; None with your own echo control.

        Until the devices are open it may still be ``AUTO``.
        """
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

    def pause(self) -> None:
        """Take it out of the near end's path until ``woken``: nothing is played any more, and no
        call is up. What is known of the room is kept."""
        with self._installing:
            if self._stage is not None and self._may_rest and not self.is_paused:
                self.is_paused = True
                self._near_end.use_echo_control(None)
                self._output.records = False

    def woken(self) -> None:
        """Be there again, and note that the times of both streams begin anew; the room is the same.
        Runs on: any thread."""
        with self._installing:
            if (stage := self._stage) is None:
                return
            stage.woken()
            if self.is_paused:
                self.is_paused = False
                self._output.reference.resume()
                self._output.records = True
                self._near_end.use_echo_control(stage)

    def measures(self) -> EchoMeasures:
        """Return what is known about the echo so far."""
        stage = self._stage
        return EchoMeasures() if stage is None else stage.measures()

    def prepare(self, microphone: Microphone, speaker: Speaker) -> None:
        """Choose for these devices, before they are opened.

        ``system`` may take a second; ``auto`` alone asks the sound server on a thread, see
        ``settle``, with noise suppression or automatic gain at once.

        Raises:
            ConfigError: the requested method is not available, or not at the microphone's rate.
        """
        with self._changing:
            if self._make is not None:
                self._use(self._make(self._near_end.rate))
                return
            asked = self._asked_for(microphone, speaker)
            # What WebRTC's own options lack must be told before anything is dialled.
            may_wait = asked is Method.AUTO and not any(self._options.values())
            if may_wait and _asks(asked, microphone, speaker):
                self._ask(microphone, speaker)
                return
            choice = choose_for(asked, microphone, speaker)
            if choice.devices is not None:
                _go_through(choice.devices, microphone, speaker)
            self._open(choice)

    def settle(self, microphone: Microphone, speaker: Speaker) -> None:
        """Wait until the choice has been made; without the sound server if that does not answer.
        Takes a second and a half at most."""
        asking = self._asking
        if asking is None:
            return
        asking.join(_ANSWER_SECONDS)
        with self._changing:
            if self._asking is asking:
                self._asking = None
                self._open(choose_for(Method.AUTO, microphone, speaker, ask=lambda: None))

    def changed(self, microphone: Microphone, speaker: Speaker) -> None:
        """Start over: one of these has been switched. May take a second."""
        with self._changing:
            self._start_over()
            if self._asked is Method.AUTO:
                self._change_to(
                    choose_for(self._asked_for(microphone, speaker), microphone, speaker)
                )

    def came_back(self, microphone: Microphone, speaker: Speaker) -> None:
        """Start over: one of these has come back. Never takes long: where only the sound server
        knows what it is, that is asked on a thread."""
        with self._changing:
            self._start_over()
            if self._asked is Method.AUTO:
                asked = self._asked_for(microphone, speaker)
                if _asks(asked, microphone, speaker):
                    self._ask(microphone, speaker)
                else:
                    self._change_to(choose_for(asked, microphone, speaker))

    def _start_over(self) -> None:
        self._asking = None
        if self._stage is not None:
            self._stage.reset()

    def _asked_for(self, microphone: Microphone, speaker: Speaker) -> Method:
        theirs = self._own or (_is_computers(microphone) and _is_computers(speaker))
        return self._asked if theirs else Method.OFF

    def _ask(self, microphone: Microphone, speaker: Speaker) -> None:
        """Choose on a thread; its answer counts unless another is asked for meanwhile."""
        choosing = partial(self._choose, microphone, speaker)
        self._asking = threading.Thread(target=choosing, name="retell-voice echo", daemon=True)
        self._asking.start()

    def _choose(self, microphone: Microphone, speaker: Speaker) -> None:
        """Runs on: a thread of its own."""
        with suppress(Exception):  # ``settle`` tries again, and raises it
            choice = choose_for(Method.AUTO, microphone, speaker)
            with self._changing:
                if self._asking is threading.current_thread():  # and not too late
                    self._change_to(choice)
                    self._asking = None

    def _change_to(self, choice: Choice) -> None:
        if choice.method is self._choice.method:
            self._choice = choice
        else:
            self._open(choice)

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
        stage = (
            EchoStage(control, self._output.reference, near_end.rate, lambda: self._may_rest)
            if control
            else None
        )
        with self._installing:
            self._stage, self.is_paused, self._output.records = stage, False, True
            near_end.use_echo_control(stage)


def choose_for(
    asked: Method,
    microphone: Microphone,
    speaker: Speaker,
    *,
    ask: Callable[[], SoundServer | None] | None = None,
) -> Choice:
    """Return the method to use for two devices, whether open or not. May take a second.

    ``ask``: asks the sound server; None: ``sound_server.ask``.

    Raises:
        ConfigError: the requested method is not available.
    """
    server = (ask or sound_server.ask)() if _asks(asked, microphone, speaker) else None
    return choose(
        asked,
        microphone=_described(microphone, server.microphone if server else None),
        speaker=_described(speaker, server.speaker if server else None),
        microphones=server.microphones if server else (),
        speakers=server.speakers if server else (),
        installed=installed() if asked in (Method.AUTO, Method.WEBRTC) else (),
        has_server=server is not None,
    )


def check_method(name: str, microphone: Microphone, speaker: Speaker) -> None:
    """See that a method can be had with two devices, whether open or not. May take a second.

    Raises:
        ConfigError: it is not available.
        ValueError: unknown method.
    """
    choice = choose_for(_method(name), microphone, speaker)
    if choice.devices is not None:
        _ends(choice.devices, microphone, speaker)


def _asks(asked: Method, microphone: Microphone, speaker: Speaker) -> bool:
    """Return whether only the sound server can tell: it is what PortAudio plays through."""
    if asked not in (Method.AUTO, Method.SYSTEM) or not (
        _is_server(microphone) or _is_server(speaker)
    ):
        return False
    return asked is Method.SYSTEM or not (is_file(microphone) or is_file(speaker))


def is_file(device: Microphone | Speaker) -> bool:
    """Return whether a device is not in any room."""
    return isinstance(device, _FILES)


def _described(device: Microphone | Speaker, default: SoundDevice | None) -> SoundDevice | None:
    """Describe a device; ``default``: the sound server's own default."""
    if is_file(device):
        return None
    return default if default is not None and _is_server(device) else SoundDevice(device.name)


def _is_computers(device: Microphone | Speaker) -> bool:
    """Return whether a device is one of this computer's own, and not hardware of the program's."""
    return hasattr(device, "host_api")


def _is_server(device: Microphone | Speaker) -> bool:
    return getattr(device, "host_api", "") == "ALSA" and device.name in SERVERS


def _go_through(pair: EchoCancelled, microphone: Microphone, speaker: Speaker) -> None:
    """Route devices not yet opened to the sound server's echo-cancelled ones."""
    os.environ.update(_ends(pair, microphone, speaker))


def _ends(pair: EchoCancelled, microphone: Microphone, speaker: Speaker) -> dict[str, str]:
    """Return the variables that route them there; raises ``ConfigError`` if nothing does."""
    routes: dict[str, str] = {}
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
        routes[variable] = wanted.name
    return routes


def _method(name: str) -> Method:
    try:
        return Method(name)
    except ValueError:
        methods = ", ".join(Method)
        raise ValueError(f"echo is {name!r}, not one of {methods}") from None
