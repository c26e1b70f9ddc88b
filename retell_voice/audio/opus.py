"""The Opus codec (libopus): mono, at the rate of the device, with concealment and FEC.

libopus comes with ``pip install 'retell-voice[webrtc]'``; otherwise the system's is used. It is
loaded when the first encoder or decoder is created.
"""

from __future__ import annotations

import ctypes
from ctypes.util import find_library
from functools import lru_cache
from typing import Any

import numpy as np

from retell_voice.audio.format import Samples
from retell_voice.errors import ConfigError
from retell_voice.extras import how_to_install

RATES = (8000, 12000, 16000, 24000, 48000)
"""Rates that libopus supports, Hz."""
CLOCK = 48000
"""Units of an Opus stream's RTP timestamp a second, whatever the rate (RFC 7587)."""
_LONGEST = 0.12
"""Seconds in the longest packet."""
_LARGEST = 1275
"""Bytes in the largest packet of one frame."""
_APPLICATION_VOIP = 2048
_SET_BITRATE, _SET_COMPLEXITY, _SET_INBAND_FEC = 4002, 4010, 4012
_SET_PACKET_LOSS_PERC, _SET_DTX, _RESET_STATE = 4014, 4016, 4028
_COMPLEXITY = 5
"""Out of 10: half the CPU of the highest, for a difference hardly audible in speech."""
_SILK_FRAMES = {480: 1, 960: 1, 1920: 2, 2880: 3}
_CELT_FROM = 16
"""The first configuration without SILK, the layer that carries FEC."""


def packet_duration(payload: bytes) -> int:
    """Return the duration of an Opus packet, in units of its RTP timestamp (1/48000 s).

    Raises:
        ValueError: it is not an Opus packet.
    """
    frames = 0
    if payload:
        code = payload[0] & 3
        if code < 3:
            frames = min(code + 1, 2)
        elif len(payload) > 1:
            frames = payload[1] & 0x3F
    duration = frames * _frame_duration(payload[0]) if frames else 0
    if not 0 < duration <= _LONGEST * CLOCK:
        raise ValueError("not an Opus packet")
    return duration


def has_redundancy(payload: bytes) -> bool:
    """Return whether an Opus packet also contains the frame before it (in-band FEC).

    For packets of several frames the answer may be wrongly True.
    """
    if len(payload) < 2 or payload[0] >> 3 >= _CELT_FROM:
        return False
    if payload[0] & 3:
        return True
    # A SILK frame begins with its voice activity, one bit per 20 ms, then the FEC flag; for
    # stereo again for the side channel (RFC 6716, 4.2.3).
    flags = _SILK_FRAMES[_frame_duration(payload[0])]
    mid = payload[1] >> (7 - flags) & 1
    side = payload[1] >> (6 - 2 * flags) & 1 if payload[0] & 4 else 0
    return bool(mid or side)


class OpusDecoder:
    """Decodes an Opus stream to mono.

    Args:
        rate: samples a second, one of ``RATES``.

    Raises:
        ConfigError: libopus is not available.
        ValueError: not one of ``RATES``.
    """

    def __init__(self, rate: int) -> None:
        _check(rate)
        library = _libopus_with_gil()
        size = _function(library, "opus_decoder_get_size", ctypes.c_int)(1)
        self._state = ctypes.create_string_buffer(size)
        self._decode = _function(
            library,
            "opus_decode",
            *(ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int32),
            *(ctypes.c_void_p, ctypes.c_int, ctypes.c_int),
        )
        self._ctl = _function(library, "opus_decoder_ctl", ctypes.c_void_p, ctypes.c_int)
        self._unit = rate // 400  # 2.5 ms
        self._samples = np.zeros(round(_LONGEST * rate), np.int16)
        self._pointer = self._samples.ctypes.data
        init = _function(library, "opus_decoder_init", ctypes.c_void_p, ctypes.c_int, ctypes.c_int)
        if init(self._state, rate, 1):
            raise ConfigError("libopus made no decoder")

    def decode(self, payload: bytes) -> Samples:
        """Return the samples of a packet, shape (n,), valid until the next call.

        Raises:
            ValueError: it is not an Opus packet.
        """
        if not payload:  # libopus would conceal
            raise ValueError("an empty packet")
        return self._run(payload, len(self._samples), fec=False)

    def conceal(self, count: int) -> Samples:
        """Return ``count`` samples, at most 120 ms, to conceal missing audio."""
        count = min(count, len(self._samples))
        return self._run(None, self._whole(count), fec=False)[:count]

    def recover(self, following: bytes, count: int) -> Samples | None:
        """Return the ``count`` samples before a packet, at most 120 ms, from its FEC.

        What FEC does not cover is concealed. None: it carries no FEC.
        """
        if not has_redundancy(following):
            return None
        count = min(count, len(self._samples))
        try:
            return self._run(following, self._whole(count), fec=True)[-count:]
        except ValueError:
            return None

    def reset(self) -> None:
        """Forget everything decoded so far."""
        self._ctl(self._state, _RESET_STATE)

    def _whole(self, count: int) -> int:
        return -(-count // self._unit) * self._unit

    def _run(self, payload: bytes | None, room: int, *, fec: bool) -> Samples:
        size = len(payload) if payload else 0
        count = self._decode(self._state, payload, size, self._pointer, room, fec)
        if count < 0:
            raise ValueError("not an Opus packet")
        return self._samples[:count]


class OpusEncoder:
    """Encodes speech, mono: VoIP, variable bit rate, in-band FEC, no DTX.

    Args:
        rate: samples a second, one of ``RATES``.
        bitrate: bits per second during speech.
        expected_loss: percent of the packets; the higher, the more bits FEC takes.

    Raises:
        ConfigError: libopus is not available.
        ValueError: not one of ``RATES``.
    """

    def __init__(self, rate: int, *, bitrate: int = 32000, expected_loss: int = 10) -> None:
        _check(rate)
        library = _libopus()
        size = _function(library, "opus_encoder_get_size", ctypes.c_int)(1)
        self._state = ctypes.create_string_buffer(size)
        self._encode = _function(
            library,
            "opus_encode",
            *(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_int32),
        )
        self._packet = ctypes.create_string_buffer(_LARGEST)
        init = _function(library, "opus_encoder_init", ctypes.c_void_p, *(ctypes.c_int,) * 3)
        if init(self._state, rate, 1, _APPLICATION_VOIP):
            raise ConfigError("libopus made no encoder")
        set_ = _function(library, "opus_encoder_ctl", ctypes.c_void_p, ctypes.c_int)
        for request, value in (
            (_SET_BITRATE, bitrate),
            (_SET_COMPLEXITY, _COMPLEXITY),
            (_SET_INBAND_FEC, 1),
            (_SET_PACKET_LOSS_PERC, expected_loss),
            (_SET_DTX, 0),
        ):
            if set_(self._state, request, ctypes.c_int(value)):
                raise ValueError(f"libopus does not take {value} for {request}")

    def encode(self, samples: Samples) -> bytes:
        """Encode samples, shape (n,), as a packet: 2.5, 5, 10, 20, 40 or 60 ms.

        Raises:
            ValueError: any other number of samples.
        """
        samples = np.ascontiguousarray(samples, np.int16)
        pointer = samples.ctypes.data
        size = self._encode(self._state, pointer, len(samples), self._packet, _LARGEST)
        if size < 0:
            raise ValueError(f"Opus has no packet of {len(samples)} samples")
        return self._packet.raw[:size]


def _frame_duration(toc: int) -> int:
    """Return the length of a frame, in 1/48000 s, from the first byte of a packet."""
    config = toc >> 3
    if config < 12:
        return (480, 960, 1920, 2880)[config & 3]
    return (480, 960)[config & 1] if config < _CELT_FROM else 120 << (config & 3)


def _check(rate: int) -> None:
    if rate not in RATES:
        raise ValueError(f"Opus has no rate of {rate} Hz")


@lru_cache(maxsize=1)
def _libopus() -> ctypes.CDLL:
    try:
        from opuslib_next.api import libopus  # noqa: PLC0415 - an extra
    except (ImportError, OSError, RuntimeError):
        name = find_library("opus")
        try:
            if name:
                return ctypes.CDLL(name)
        except OSError:
            pass
        raise ConfigError(
            "web calls need libopus, which is not installed", how_to_install("webrtc")
        ) from None
    found: ctypes.CDLL = libopus
    return found


@lru_cache(maxsize=1)
def _libopus_with_gil() -> ctypes.PyDLL:
    """Return libopus, to be called without letting go of the GIL.

    Decoding takes 40 µs, getting the GIL back may take far longer.
    """
    library = _libopus()
    return ctypes.PyDLL(library._name, handle=library._handle)


def _function(library: ctypes.CDLL, name: str, *arguments: Any) -> Any:
    """Return a private function object of libopus, so that nobody else's prototype changes."""
    function = library[name]
    function.argtypes = arguments
    function.restype = ctypes.c_int
    return function
