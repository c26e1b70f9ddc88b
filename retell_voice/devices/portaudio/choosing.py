"""Which device is opened, from one start to the next.

One requested by name is looked up by that name again each time. A default one is looked up as the
current default: but if it never passed any audio, another one is tried, and so on through all that
there are; then it begins anew, with more patience. One that has ever worked is not passed over.
"""

from __future__ import annotations

from dataclasses import replace

from retell_voice.devices.portaudio import library
from retell_voice.devices.portaudio.lookup import (
    Direction,
    Found,
    best_settings,
    channels_at,
    instead_of,
    resolve,
)
from retell_voice.devices.ports import DEFAULT_TRAITS

_START_TIMEOUT = DEFAULT_TRAITS.start_timeout
_DEFAULT_START_TIMEOUT = 1.0
"""Less than for a device requested by name: the next one may work."""


class Chosen:
    """The device to open.

    Args:
        direction: which way its audio goes.
        name: name of the device or part of it, None for the default one.
        host_api: its host API, if several have a device of that name; None for any.
        rate: samples a second, used if the device has them.

    Raises:
        DeviceNotFound: there is no such device, or none at all.
        DeviceError: PortAudio is missing.
    """

    def __init__(
        self, direction: Direction, name: str | None, host_api: str | None, rate: int
    ) -> None:
        with library.in_use():
            self.device = resolve(direction, name, host_api)
            self.rate, self.channels = best_settings(direction, self.device, rate)
        self.start_timeout = _DEFAULT_START_TIMEOUT if name is None else _START_TIMEOUT
        """Seconds that its first block may take."""
        self._direction: Direction = direction
        self._is_default = name is None
        self._has_worked: set[tuple[str, str]] = set()  # names and host APIs
        self._mute: list[Found] = []  # default devices that never passed any audio

    def look_again(self) -> None:
        """Look the device up, with its current index; the rate stays, as the call relies on it.

        Raises:
            DeviceNotFound: it is gone, or there is none at all.
        """
        if not self._is_default:
            device = resolve(self._direction, self.device.name, self.device.host_api)
            self.device = replace(device, why=self.device.why)
            return
        device = self._default()
        if device.name != self.device.name:
            self.channels = channels_at(self._direction, device, self.rate) or self.channels
        self.device = device

    def worked(self, device: Found) -> None:
        """Note that audio has passed through a device."""
        self._has_worked.add((device.name, device.host_api))

    def was_mute(self, device: Found, seconds: float) -> None:
        """Note that a device was open for so long, and no audio has passed."""
        if seconds >= self.start_timeout:
            self._pass_over(device)

    def was_refused(self) -> None:
        """Note that the device did not open: no reason to look further, unless that has begun."""
        if self._mute:
            self._pass_over(self.device)

    def _pass_over(self, device: Found) -> None:
        """Try another default device next, unless this one has ever worked."""
        if self._is_default and (device.name, device.host_api) not in self._has_worked:
            self._mute.append(device)

    def _default(self) -> Found:
        if not self._mute:
            return resolve(self._direction, None)
        if other := instead_of(self._mute, self._direction, self.rate):
            return other
        self._mute.clear()  # none was any better: maybe one is just slow
        self.start_timeout = _START_TIMEOUT
        return resolve(self._direction, None)
