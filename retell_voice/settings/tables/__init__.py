"""The settings themselves: one table a command, one row a setting.

``retell_voice.settings.schema`` has the machinery.
"""

from retell_voice.settings.schema import Settings
from retell_voice.settings.tables.call import CallSettings, RegisterSettings
from retell_voice.settings.tables.emulator import EmulatorSettings
from retell_voice.settings.tables.talk import TalkSettings

SECTIONS: dict[str, type[Settings]] = {
    each.section: each for each in (TalkSettings, EmulatorSettings)
}
"""Sections of the file, the top level first; what ``register`` has, ``talk`` has too."""

__all__ = ["SECTIONS", "CallSettings", "EmulatorSettings", "RegisterSettings", "TalkSettings"]
