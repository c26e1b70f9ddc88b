"""Settings of the parts of a kiosk: what calls, what it shows, home automation."""

# ruff: noqa: RUF009 - setting() makes fields, as dataclasses.field does

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar, NamedTuple
from urllib.parse import urlsplit

from retell_voice.secret import Secret
from retell_voice.settings.schema import Settings, Sourced, setting

CALLING, LAMPS, HOME = "What triggers a call", "Lamps", "Home automation (MQTT)"
WAKE_WORDS = ("okay_nabu", "hey_jarvis", "alexa", "hey_mycroft")
KEYS = {
    "esc": 1,
    "enter": 28,
    "space": 57,
    "mute": 113,
    "volumedown": 114,
    "volumeup": 115,
    "playpause": 164,
    "phone": 169,
    "micmute": 248,
}
"""Names of some keys, and their codes in Linux's input-event-codes.h."""
_LED_NAME = re.compile(r"[\w:.-]+")


class Line(NamedTuple):
    """A line of a GPIO chip, as text ``GPIO17``, ``17`` or a name that the chip gives it."""

    id: int | str

    @classmethod
    def read(cls, text: str) -> Line:
        """Return the line that a text means.

        Raises:
            ValueError: says what the text should be.
        """
        found = re.fullmatch(r"(?:gpio)?(\d{1,4})", text.strip(), re.IGNORECASE | re.ASCII)
        if found:
            return cls(int(found[1]))
        if not text.strip() or "\0" in text:
            raise ValueError("a line, such as GPIO17")
        return cls(text.strip())

    def __str__(self) -> str:
        return f"GPIO{self.id}" if isinstance(self.id, int) else self.id


class Lamp(NamedTuple):
    """A lamp at a GPIO line (``GPIO27``), or one of /sys/class/leds by its name (``ACT``)."""

    line: Line | None = None
    led: str = ""

    @classmethod
    def read(cls, text: str) -> Lamp:
        """Return the lamp that a text means.

        Raises:
            ValueError: says what the text should be.
        """
        text = text.strip()
        if _LED_NAME.fullmatch(text) is None or text.strip(".") == "":
            raise ValueError("a GPIO line, such as GPIO27, or a name below /sys/class/leds")
        line = Line.read(text)
        return cls(line=line) if isinstance(line.id, int) else cls(led=text)

    def __str__(self) -> str:
        return self.led if self.line is None else str(self.line)


class WakeWords(NamedTuple):
    """Words, and from which certainty on each is one; as text ``okay_nabu, alexa=0.9``."""

    words: tuple[tuple[str, float | None], ...]

    @classmethod
    def read(cls, text: str) -> WakeWords:
        """Return the words that a text means.

        Raises:
            ValueError: says what the text should be.
        """
        words: dict[str, float | None] = {}
        for each in text.split(","):
            name, mark, cutoff = (part.strip() for part in each.partition("="))
            try:
                value = float(cutoff) if mark else None
            except ValueError:
                value = -1.0
            if name not in WAKE_WORDS or not (value is None or 0 < value < 1) or name in words:
                raise ValueError(
                    f"NAME or NAME=THRESHOLD (0–1), in between commas; there are "
                    f"{', '.join(WAKE_WORDS)}"
                )
            words[name] = value
        return cls(tuple(words.items()))

    def __str__(self) -> str:
        return ", ".join(
            name if cutoff is None else f"{name}={cutoff:g}" for name, cutoff in self.words
        )


class Key(NamedTuple):
    """A key of an input device, as text its name, its code, or ``any``."""

    code: int | None

    @classmethod
    def read(cls, text: str) -> Key:
        """Return the key that a text means.

        Raises:
            ValueError: says what the text should be.
        """
        name = text.strip().lower().removeprefix("key_")
        if name == "any":
            return cls(None)
        if name.isascii() and name.isdecimal() and 0 < int(name) < 0x300:
            return cls(int(name))
        if name not in KEYS:
            raise ValueError(f"a code (evtest shows it), any, {', '.join(KEYS)}")
        return cls(KEYS[name])

    def __str__(self) -> str:
        names = {code: name for name, code in KEYS.items()}
        return "any" if self.code is None else names.get(self.code, str(self.code))


def _broker(text: str) -> str:
    try:
        parts = urlsplit(text)
        usable = bool(parts.hostname) and parts.port != 0 and not parts.username
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("mqtt://HOST or mqtts://HOST:PORT, without user and password")
    return text


def _topic(text: str) -> str:
    if not text or set(text) & set("+#\0"):
        raise ValueError("a topic of MQTT, without + and #")
    return text


def _id(text: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9_-]{1,64}", text) is None:
        raise ValueError("letters, digits, _ and -")
    return text


@dataclass(frozen=True, kw_only=True)
class KioskPartsSettings(Settings):
    """What a kiosk has around its calls; section ``[kiosk]`` of the file."""

    section: ClassVar[str] = "kiosk"

    button: Sourced[Line | None] = setting(
        None,
        "A push button on this line: GPIO17 is pin 11 of a Raspberry Pi's header. A press calls or "
        "hangs up; holding it mutes. Needs the extra 'kiosk-gpio'.",
        CALLING,
        kind=str,
        metavar="LINE",
        read=Line.read,
    )
    button_to: Sourced[str] = setting(
        "ground",
        "What the button connects its line to; the board's own resistor pulls the other way.",
        CALLING,
        choices=("ground", "power"),
        metavar="WHAT",
    )
    button_debounce: Sourced[int] = setting(
        10,
        "How long the line must be steady after a change.",
        CALLING,
        minimum=0,
        maximum=500,
        unit="ms",
        metavar="MS",
    )
    gpio_chip: Sourced[str | None] = setting(
        None,
        "Label or path of the GPIO chip for button and lamps. By default, that of a Raspberry Pi's "
        "header, or the only one.",
        CALLING,
        kind=str,
        metavar="CHIP",
    )
    input_device: Sourced[str | None] = setting(
        None,
        "A USB button, keyboard or speakerphone: its path in /dev/input/by-id, which stays the "
        "same when other devices are plugged in. Its keys reach no other program.",
        CALLING,
        kind=str,
        metavar="PATH",
    )
    input_key: Sourced[Key] = setting(
        Key(None),
        "The key that calls, by code or name. any: every key except the volume and mute keys, "
        "which keep their usual function.",
        CALLING,
        kind=str,
        metavar="KEY",
        read=Key.read,
    )
    long_press: Sourced[float] = setting(
        0.8,
        "Holding a button or key this long during a call mutes.",
        CALLING,
        minimum=0.2,
        maximum=10,
        unit="s",
        metavar="SECONDS",
    )
    wake_words: Sourced[WakeWords | None] = setting(
        None,
        f"Wake words, separated by commas: {', '.join(WAKE_WORDS)}. WORD=0.9 sets the threshold of "
        "that word. Needs the extra 'kiosk-wake-word'.",
        CALLING,
        kind=str,
        metavar="WORDS",
        read=WakeWords.read,
    )
    voice_activity: Sourced[str] = setting(
        "off",
        "Call when someone speaks. level judges by loudness alone, for quiet places; neural tells "
        "speech from other sounds, and needs the extra 'emulator-small'.",
        CALLING,
        choices=("off", "level", "neural"),
        metavar="WAY",
    )
    always_on: Sourced[bool] = setting(
        False, "Call again whenever a call has ended. Calls cost money all day.", CALLING
    )
    led: Sourced[Lamp | None] = setting(
        None,
        "A lamp that shows every state by how it blinks: a line (GPIO27) or a name in "
        "/sys/class/leds (ACT).",
        LAMPS,
        kind=str,
        metavar="LAMP",
        read=Lamp.read,
    )
    led_ready: Sourced[Lamp | None] = setting(
        None,
        "A lamp that is on when the kiosk is ready.",
        LAMPS,
        kind=str,
        metavar="LAMP",
        read=Lamp.read,
    )
    led_call: Sourced[Lamp | None] = setting(
        None,
        "A lamp for the call: it blinks while dialling, and slowly while the agent speaks.",
        LAMPS,
        kind=str,
        metavar="LAMP",
        read=Lamp.read,
    )
    led_muted: Sourced[Lamp | None] = setting(
        None,
        "A lamp that is on while you are muted.",
        LAMPS,
        kind=str,
        metavar="LAMP",
        read=Lamp.read,
    )
    led_error: Sourced[Lamp | None] = setting(
        None,
        "A lamp for problems: it blinks slowly without a network, and three times when something "
        "needs fixing.",
        LAMPS,
        kind=str,
        metavar="LAMP",
        read=Lamp.read,
    )
    led_to: Sourced[str] = setting(
        "ground",
        "What the other side of lamps on GPIO lines is connected to.",
        LAMPS,
        choices=("ground", "power"),
        metavar="WHAT",
    )
    mqtt_url: Sourced[str | None] = setting(
        None,
        "Broker to which the kiosk publishes its state and from which it takes commands; Home "
        "Assistant discovers it there. Needs the extra 'kiosk-mqtt'.",
        HOME,
        kind=str,
        prefixes=("mqtt://", "mqtts://"),
        metavar="URL",
        read=_broker,
    )
    mqtt_user: Sourced[str | None] = setting(
        None, "User name at the broker.", HOME, kind=str, metavar="NAME"
    )
    mqtt_password: Sourced[str | None] = setting(
        None,
        "Password at the broker, a secret; without it, systemd's credential "
        "'retell-mqtt-password'.",
        HOME,
        kind=Secret,
        is_option=False,
    )
    mqtt_name: Sourced[str] = setting(
        "Voice kiosk", "What Home Assistant calls the kiosk.", HOME, metavar="NAME"
    )
    mqtt_id: Sourced[str | None] = setting(
        None,
        "Part of the kiosk's topics, different for each kiosk. By default, derived from the "
        "machine's id.",
        HOME,
        kind=str,
        metavar="ID",
        read=_id,
    )
    mqtt_discovery: Sourced[str] = setting(
        "homeassistant",
        "Topic under which Home Assistant looks for devices.",
        HOME,
        metavar="TOPIC",
        read=_topic,
    )
