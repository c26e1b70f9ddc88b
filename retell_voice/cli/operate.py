"""Keys work a call: what they want is done to it, and shown."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from typing import Protocol

from retell_voice.call import Call
from retell_voice.cli.controls import Controls, HangUp, Repaint, press
from retell_voice.cli.keys import Key
from retell_voice.cli.view import View
from retell_voice.events import CallState


class _Shows(Protocol):
    def control(self, controls: Controls, *, anew: bool = False) -> None: ...


class Operator:
    """Holds the controls of a call; all of it on the event loop.

    Args:
        controls: as they are at the beginning.
        output: shows them.
        view: returns what is known of the call now.
    """

    def __init__(self, controls: Controls, output: _Shows, view: Callable[[], View]) -> None:
        self._controls = controls
        self._output = output
        self._view = view
        self._call: Call | None = None
        self._release: asyncio.TimerHandle | None = None  # of the space bar
        self._is_hanging_up = False
        output.control(controls)

    def begin(self, call: Call) -> None:
        """Work this call, which has been opened."""
        self._call = call
        self._apply()

    def press(self, key: Key) -> None:
        """Do what a key wants."""
        view = self._view()
        self._controls, command = press(self._controls, key, view.at, len(view.said))
        self._apply()
        self._output.control(self._controls, anew=isinstance(command, Repaint))
        # As Ctrl-C does, whatever the call is about to do. A key repeats where it is held: the
        # second time is Ctrl-C's alone.
        if isinstance(command, HangUp) and not self._is_hanging_up:
            self._is_hanging_up = True
            signal.raise_signal(signal.SIGINT)

    def _apply(self) -> None:
        call, controls = self._call, self._controls
        if call is None or call.state is CallState.ENDED:
            return
        now = self._view().at
        call.muted = controls.silent(now)
        call.volume = controls.volume / 100
        if controls.muted and not call.muted:
            if self._release is not None:
                self._release.cancel()
            loop = asyncio.get_running_loop()
            self._release = loop.call_later(controls.held_until - now, self._apply)
