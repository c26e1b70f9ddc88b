"""The sections of the config file, and the table of each: all settings there are."""

from retell_voice.settings.schema import Setting, Settings, table
from retell_voice.settings.tables.emulator import EmulatorSettings
from retell_voice.settings.tables.kiosk import KioskSettings
from retell_voice.settings.tables.talk import TalkSettings

SECTIONS: dict[str, type[Settings]] = {
    each.section: each for each in (TalkSettings, EmulatorSettings, KioskSettings)
}
"""Sections of the file, the top level first; ``talk`` includes everything ``register`` has."""


def rows_of(section: str) -> dict[str, Setting]:
    """Return the settings of a section of the file, by name; none for an unknown section."""
    rows = table(SECTIONS[section]) if section in SECTIONS else {}
    return {name: row for name, row in rows.items() if row.section == section}
