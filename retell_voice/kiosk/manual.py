"""What ``--help`` says of the kiosk's commands. Rich reads it."""

from __future__ import annotations

from retell_voice.program.codes import codes
from retell_voice.program.failure import EXIT_CODES

_ENDED = {
    0: "a signal ended it, after hanging up",
    1: "a defect of this software, or something that only a new start cures",
    2: EXIT_CODES[2],
}
_TOLD = {0: "it is done", 1: EXIT_CODES[1], 2: EXIT_CODES[2], 4: "no kiosk runs, or it refuses"}

ABOUT = """\
A device that nobody looks after: press, talk, it hangs up and waits again.

Without a command it runs one, as 'kiosk run' does."""
RUN = """\
Run a kiosk: microphone and speaker stay open, each press is a call, and whatever goes wrong is \
waited for or tried again. It runs until a signal ends it; SIGHUP reads the config file anew.

Who is called: --agent, with an API key that systemd hands over (LoadCredential=\
retell-api-key:…), that --api-key-file holds, or that RETELL_API_KEY is; or whatever \
--call-command or --call-url come to.

Examples:
  retell-voice kiosk --agent AGENT_ID --echo auto
  retell-voice kiosk --config /etc/retell-voice/kiosk.toml
  retell-voice kiosk call; retell-voice kiosk status

Settings of its own also from RETELL_VOICE_KIOSK_… and section \\[kiosk] of the \
config file.""" + codes(_ENDED)
STATUS = """\
Show how the kiosk is that runs on this machine.

Examples:
  retell-voice kiosk status
  retell-voice kiosk status --json""" + codes(_TOLD)
CALL = "Have the kiosk call, as a press does." + codes(_TOLD)
HANG_UP = "Have the kiosk hang up." + codes(_TOLD)
MUTE = "Mute the kiosk's microphone, or unmute it with --off." + codes(_TOLD)
VOLUME = "Set how loud the kiosk is, percent; +10 and -10 change it." + codes(_TOLD)
RELOAD = "Have the kiosk read its config file anew; a call that is up goes on as it is." + codes(
    _TOLD
)
_DONE = {0: "it is done, or shown", 1: EXIT_CODES[1], 2: "it cannot be installed: why is told"}
INSTALL = """\
Install the kiosk as a service of systemd, which starts it at boot, watches over it and starts it \
again whatever ends it.

As a unit of the system it runs as a user of its own, retell-voice, who can do no more than it \
takes. Its config file is /etc/retell-voice/config.toml, its API key \
/etc/credstore/retell-api-key, which only root need be able to read.

Examples:
  retell-voice kiosk install --dry-run
  sudo /opt/retell-voice/bin/retell-voice kiosk install
  retell-voice kiosk install --user""" + codes(_DONE)
DOCTOR = """\
Look at what a kiosk needs of its machine: the service, groups and keys, buttons, lamps and the \
broker, power supply, Wi-Fi, clock and disk. Each line says pass, warn or fail, and what to do.

'retell-voice doctor' looks at sound and network.

Examples:
  retell-voice kiosk doctor
  sudo /opt/retell-voice/bin/retell-voice kiosk doctor --json""" + codes(
    {0: "nothing failed", 1: EXIT_CODES[1], 2: "something failed, or the config file does"}
)
UNINSTALL = """\
Remove the service that 'kiosk install' has made. Config file, keys, figures and the user stay.

Examples:
  retell-voice kiosk uninstall --dry-run
  sudo /opt/retell-voice/bin/retell-voice kiosk uninstall""" + codes(_DONE)
LOGS = """\
Show the kiosk's last calls, a line each: figures, no words.

What else it has to say is in the journal: journalctl -u retell-voice-kiosk

Examples:
  retell-voice kiosk logs
  retell-voice kiosk logs --calls 100 --json
  retell-voice kiosk logs --follow""" + codes(_TOLD)
