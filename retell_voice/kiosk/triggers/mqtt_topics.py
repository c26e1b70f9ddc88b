"""What a kiosk says over MQTT and what it is told. Pure: topics and payloads, no connection.

::

    retell-voice/ID/availability    online, offline (its will)       retained
    retell-voice/ID/state           {"state": "idle", "muted": "OFF", "volume": 100, …}   retained
    retell-voice/ID/call            call, hang up, press          ◀─ wishes
    retell-voice/ID/mute            ON, OFF, toggle               ◀─
    retell-voice/ID/volume          0–200, +10, -10               ◀─

Home Assistant finds the device by one retained message, ``homeassistant/device/ID/config``.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from retell_voice.kiosk.ports import (
    Look,
    Pressed,
    TriggerEvent,
    WantsCall,
    WantsHangUp,
    WantsMute,
    WantsVolume,
)
from retell_voice.kiosk.states import State

ONLINE, OFFLINE = "online", "offline"
COMMANDS = ("call", "mute", "volume")
SOURCE = "MQTT"
_MACHINE_ID = Path("/etc/machine-id")
_LONGEST = 64  # bytes of a wish; anything longer is none


def machine_id(path: Path = _MACHINE_ID) -> str:
    """Return what tells this machine from others, and does not tell its secret id."""
    try:
        text = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        text = ""
    return hashlib.sha256(f"retell-voice {text}".encode()).hexdigest()[:12]


class Topics:
    """The topics of one kiosk.

    Args:
        id_: its id.
        discovery: below which topic Home Assistant looks.
    """

    def __init__(self, id_: str, discovery: str) -> None:
        self.id = id_
        self.base = f"retell-voice/{id_}"
        self.availability = f"{self.base}/availability"
        self.state = f"{self.base}/state"
        self.commands = tuple(f"{self.base}/{each}" for each in COMMANDS)
        self.config = f"{discovery}/device/{id_}/config"
        self.birth = f"{discovery}/status"
        """Where Home Assistant says that it has started, and knows nothing any more."""

    def event(self, topic: str, payload: bytes) -> TriggerEvent | None:
        """Return what a message wants, None where it is no wish."""
        if topic not in self.commands or len(payload) > _LONGEST:
            return None
        text = " ".join(payload.decode("utf-8", "replace").lower().replace("_", " ").split())
        match topic.rpartition("/")[2]:
            case "call":
                return {
                    "call": WantsCall(SOURCE),
                    "hang up": WantsHangUp(SOURCE),
                    "press": Pressed(SOURCE),
                }.get(text)
            case "mute":
                wanted = {"on": True, "off": False, "toggle": None}
                return WantsMute(SOURCE, wanted[text]) if text in wanted else None
            case "volume":
                return _volume(text)
        return None

    def discovery(self, name: str, version: str) -> str:
        """Return the message by which Home Assistant finds the kiosk, as JSON."""

        def part(kind: str, key: str, label: str, **more: Any) -> dict[str, Any]:
            return {"p": kind, "uniq_id": f"{self.id}_{key}", "name": label, **more}

        def seen(key: str) -> dict[str, Any]:
            return {"stat_t": self.state, "val_tpl": f"{{{{ value_json.{key} }}}}"}

        call, mute, volume = self.commands
        parts = {
            "state": part(
                "sensor",
                "state",
                "State",
                dev_cla="enum",
                ops=[each.value for each in State],
                ic="mdi:phone-classic",
                **seen("state"),
            ),
            "why": part(
                "sensor", "why", "Problem", ent_cat="diagnostic", ic="mdi:alert", **seen("why")
            ),
            "calls": part(
                "sensor", "calls", "Calls", ent_cat="diagnostic", ic="mdi:counter", **seen("calls")
            ),
            "call": part("button", "call", "Call", cmd_t=call, pl_prs="call", ic="mdi:phone"),
            "hang_up": part(
                "button", "hang_up", "Hang up", cmd_t=call, pl_prs="hang up", ic="mdi:phone-hangup"
            ),
            "mute": part(
                "switch", "mute", "Mute", cmd_t=mute, ic="mdi:microphone-off", **seen("muted")
            ),
            "volume": part(
                "number",
                "volume",
                "Volume",
                cmd_t=volume,
                min=0,
                max=200,
                step=5,
                unit_of_meas="%",
                ic="mdi:volume-high",
                **seen("volume"),
            ),
        }
        about = {"name": "retell-voice", "sw": version}
        device = {"ids": [self.id], "name": name, "mf": "retell-voice", "sw": version}
        whole = {"dev": device, "o": about, "cmps": parts, "avty_t": self.availability, "qos": 1}
        return json.dumps(whole)


def state(look: Look) -> str:
    """Return how a kiosk looks, as JSON."""
    return json.dumps(
        {
            "state": look.state.value,
            "muted": "ON" if look.muted else "OFF",
            "speaking": "ON" if look.speaking else "OFF",
            "volume": look.volume,
            "why": look.why[:250],  # Home Assistant's states are not longer
            "calls": look.calls,
        }
    )


def _volume(text: str) -> WantsVolume | None:
    found = re.fullmatch(r"([+-]?)(\d{1,3})(?:\.0+)?", text, re.ASCII)
    if found is None or int(found[2]) > 200:
        return None
    percent = int(found[1] + found[2])
    return WantsVolume(SOURCE, percent, relative=bool(found[1]))
