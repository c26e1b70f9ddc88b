"""The settings themselves: one table a program, one row a setting.

Programs share rows by inheritance: a row belongs to the section of the class that declares it.
``retell_voice.settings.schema`` has the machinery.
"""

from retell_voice.settings.schema import Setting, Settings, table
from retell_voice.settings.tables.call import (
    AccountSettings,
    AgentCallSettings,
    CallSettings,
    ListenSettings,
    LookupSettings,
    RegisterSettings,
    RegistrationSettings,
)
from retell_voice.settings.tables.emulator import EmulatorSettings
from retell_voice.settings.tables.kiosk import KioskSettings
from retell_voice.settings.tables.sound import SoundSettings
from retell_voice.settings.tables.talk import TalkSettings

SECTIONS: dict[str, type[Settings]] = {
    each.section: each for each in (TalkSettings, EmulatorSettings, KioskSettings)
}
"""Sections of the file, the top level first; what ``register`` has, ``talk`` has too."""


def rows_of(section: str) -> dict[str, Setting]:
    """Return the settings that stand in a section of the file, by name; none of an unknown one."""
    rows = table(SECTIONS[section]) if section in SECTIONS else {}
    return {name: row for name, row in rows.items() if row.section == section}


__all__ = [
    "SECTIONS",
    "AccountSettings",
    "AgentCallSettings",
    "CallSettings",
    "EmulatorSettings",
    "KioskSettings",
    "ListenSettings",
    "LookupSettings",
    "RegisterSettings",
    "RegistrationSettings",
    "SoundSettings",
    "TalkSettings",
    "rows_of",
]
