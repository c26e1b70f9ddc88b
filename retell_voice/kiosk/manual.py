"""What ``--help`` says about the kiosk's commands. Rich renders it."""

from __future__ import annotations

from retell_voice.program.codes import codes
from retell_voice.program.failure import EXIT_CODES

_ENDED = {
    0: "a signal ended it, after hanging up",
    1: "a defect of this software, or something that only a restart fixes",
    2: EXIT_CODES[2],
}
_TOLD = {
    0: "done",
    1: EXIT_CODES[1],
    2: f"{EXIT_CODES[2]}, or the kiosk refuses",
    4: "no kiosk is running here, or it does not answer",
}

ABOUT = """\
Run an unattended device: press, talk; it hangs up and waits for the next press.

Without a command, this runs a kiosk, as 'kiosk run' does; 'kiosk run --help' lists its options.

Example:
  retell-voice kiosk --agent AGENT_ID"""
RUN = """\
Run a kiosk: microphone and speaker stay open, a press starts a call, and it recovers from \
failures by itself. It runs until a signal ends it; SIGHUP rereads the config file.

Calls come from --agent, with an API key from systemd (LoadCredential=retell-api-key:…), \
--api-key-file or RETELL_API_KEY; or from --call-command or --call-url.

Examples:
  retell-voice kiosk --agent AGENT_ID --input USB --output USB
  retell-voice kiosk --config /etc/retell-voice/kiosk.toml
  retell-voice kiosk call; retell-voice kiosk status

Its own settings also come from RETELL_VOICE_KIOSK_… and the section \\[kiosk] of the config \
file.""" + codes(_ENDED)
STATUS = """\
Show the status of the kiosk running on this machine.

Examples:
  retell-voice kiosk status
  retell-voice kiosk status --json""" + codes(_TOLD)
CALL = "Make the kiosk call, and wait until the call is up; it never ends a call." + codes(
    {**_TOLD, 0: "a call is up", 6: "there is no call; the message says why"}
)
HANG_UP = "Make the kiosk hang up." + codes(_TOLD)
MUTE = "Mute the kiosk's microphone, or unmute it with --off." + codes(_TOLD)
VOLUME = "Set the kiosk's volume in percent; +10 and -10 change it by that much." + codes(_TOLD)
RELOAD = "Make the kiosk reread its config file; a current call goes on unchanged." + codes(_TOLD)
_DONE = {
    0: "done, or shown",
    1: EXIT_CODES[1],
    2: "it cannot be done; the message says why",
}
INSTALL = """\
Install the kiosk as a systemd service: systemd starts it at boot, watches it and restarts it, \
whatever ends it.

A system unit runs as its own user, retell-voice, with no more rights than it needs. Its config \
file is /etc/retell-voice/config.toml, its API key /etc/credstore/retell-api-key; only root has \
to be able to read that.

Examples:
  retell-voice kiosk install --dry-run
  sudo /opt/retell-voice/bin/retell-voice kiosk install
  retell-voice kiosk install --user""" + codes(_DONE)
DOCTOR = """\
Check what a kiosk needs on its machine: the service, groups and keys, buttons, lamps and the \
broker, power supply, Wi-Fi, clock and disk. Each line says pass, warn or fail, and what to do.

'retell-voice doctor' checks sound and network.

Examples:
  retell-voice kiosk doctor
  sudo /opt/retell-voice/bin/retell-voice kiosk doctor --json""" + codes(
    {0: "no check failed", 1: EXIT_CODES[1], 2: "a check failed, or the config file is unusable"}
)
UNINSTALL = """\
Remove the service that 'kiosk install' created. Config file, keys, figures and the user stay.

Examples:
  retell-voice kiosk uninstall --dry-run
  sudo /opt/retell-voice/bin/retell-voice kiosk uninstall""" + codes(_DONE)
LOGS = """\
Show the kiosk's last calls, one line each: figures, not what was said.

Its other messages are in the journal: journalctl -u retell-voice-kiosk

Examples:
  retell-voice kiosk logs
  retell-voice kiosk logs --calls 100 --json
  retell-voice kiosk logs --follow""" + codes(
    {**_TOLD, 2: f"{EXIT_CODES[2]}, or the kiosk cannot keep its calls"}
)
