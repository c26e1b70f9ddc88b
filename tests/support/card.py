"""A real sound card without a sound card: a private PipeWire with a virtual microphone and speaker.

::

    play() ─▶ micfeed ─▶ loopback ─▶ vmic ─▶ the program under test ─▶ vspk ─▶ monitor ─▶ record()

Everything the program touches is real: PortAudio, ALSA, the sound server and its clock. No
kernel module is needed, and neither a sound server nor a configuration of yours is touched:
all of it lives in a temporary directory and ends with this process, also when it is killed.

As a program it gives a command such a card: ``python tests/support/card.py -- COMMAND …``.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from support.recorder import RATE, Recorder, Samples
from support.waits import run_ahead, stopped_on_purpose

_DAEMONS = ("dbus-daemon", "pipewire", "wireplumber", "pipewire-pulse")
PROGRAMS = (*_DAEMONS, "pactl", "pacat", "parec", "pw-cli", "setpriv")
PACKAGES = (
    "pipewire pipewire-bin pipewire-pulse pipewire-alsa wireplumber pulseaudio-utils "
    "libasound2-plugins dbus"
)

# Whatever ALSA configuration the machine has is left out.
_ALSA_CONF = """\
pcm.{name} {{ type {name} }}
ctl.{name} {{ type {name} }}
pcm.!default {{ type {default} }}
ctl.!default {{ type {default} }}
"""

_RAW = ("--raw", "--format=s16ne")
_SOON = ("--latency-msec=5", "-d")

# Runs a command and lets the kernel kill it when the thread that started it ends.
_WITH_US = ("setpriv", "--pdeathsig", "KILL", "--")


def missing_programs() -> list[str]:
    """Return the programs a card needs that this machine does not have."""
    return [name for name in PROGRAMS if shutil.which(name) is None]


class CardError(Exception):
    """The virtual card does not come up, or a tool of it fails; the text holds the logs' ends."""


class VirtualCard:
    """A context manager around the sound server; start it in a thread that outlives it.

    Args:
        quantum: samples (48 kHz) in a cycle of the server; 480 is 10 ms.
        timeout: seconds to wait for the card.

    Attributes:
        env: the environment in which a program finds this card and no other.
        is_ahead: what speaks into it and hears it runs ahead of other programs, where it may.
    """

    def __init__(self, *, quantum: int = 480, timeout: float = 20.0) -> None:
        self.env: dict[str, str] = {}
        self.is_ahead = False
        self._quantum = quantum
        self._timeout = timeout
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}
        self._tools: list[subprocess.Popen[bytes]] = []
        self._modules: dict[str, str] = {}
        self._private: dict[str, str] = {}
        self._dir = Path()

    def __enter__(self) -> VirtualCard:
        if missing := missing_programs():
            raise CardError(
                f"programs are missing: {', '.join(missing)}; "
                f"on Debian: apt install --no-install-recommends {PACKAGES}"
            )
        # Unix sockets have short names: not under a deep TMPDIR.
        self._dir = Path(tempfile.mkdtemp(prefix="card-", dir="/tmp"))
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # -- what a test does with it -------------------------------------------------------

    def environment(self, *, sink: str | None = None, source: str | None = None) -> dict[str, str]:
        """Return ``env`` with another default output or input (see ``plug``)."""
        env = dict(self.env)
        if sink is not None:
            env["PULSE_SINK"] = sink
        if source is not None:
            env["PULSE_SOURCE"] = source
        return env

    def through(
        self, default: str, name: str | None = None, *, sink: str | None = None
    ) -> dict[str, str]:
        """Return ``env`` with ALSA's plugin ``default`` as the default device, and ``name`` (or the
        same) as the only other; ``sink``: what they play to, see ``plug``."""
        conf = self._dir / f"{default}-{name}-{sink}.conf"
        text = _ALSA_CONF.format(name=name or default, default=default)
        if sink is not None:  # what PulseAudio's plugin finds in PULSE_SINK
            text = re.sub(
                r"^(pcm.* type pipewire)", rf'\1 playback_node "{sink}"', text, flags=re.M
            )
        conf.write_text(text)
        env = self.env if sink is None else self.environment(sink=sink)
        return env | {"ALSA_CONFIG_PATH": str(conf)}

    def run_ahead(self) -> None:
        """Let the sound server, and what speaks and hears from now on, run before all that is not
        real-time, where this user may."""
        self.is_ahead = True
        for daemon in self._daemons.values():
            run_ahead(daemon.pid, first=True)

    def play(
        self, samples: Samples, rate: int = RATE, into: str = "micfeed"
    ) -> subprocess.Popen[bytes]:
        """Speak into the virtual microphone; ``wait()`` on the result for the last sample."""
        words = ("--channels=1", f"--rate={rate}", "--latency-msec=200", "-d", into)
        # Not a pipe: as soon as that is closed, pacat spins until it has played all.
        with tempfile.TemporaryFile() as file:
            file.write(samples.tobytes())
            file.seek(0)
            return self._spawn(["pacat", *_RAW, *words], stdin=file)

    @contextlib.contextmanager
    def playing(self, samples: Samples, rate: int = RATE, into: str = "micfeed") -> Iterator[None]:
        """Speak into the virtual microphone for the length of the block, at most."""
        tool = self.play(samples, rate, into)
        try:
            yield
        finally:
            tool.kill()
            tool.wait()

    def record(self, sink: str = "vspk") -> Recorder:
        """Hear what comes out of a speaker, from the moment this returns."""
        tool = self._spawn(
            ["parec", *_RAW, "--channels=2", f"--rate={RATE}", *_SOON, f"{sink}.monitor"],
            stdout=subprocess.PIPE,
        )
        return Recorder(tool, self._timeout)

    def plug(self, sink: str, *, mono: bool = False, form_factor: str = "speaker") -> None:
        """Add another virtual speaker; the monitor of a mono one makes another microphone."""
        self._modules[sink] = self.pactl(
            "load-module",
            "module-null-sink",
            f"sink_name={sink}",
            f"channel_map={'mono' if mono else 'front-left,front-right'}",
            f"sink_properties=session.suspend-timeout-seconds=0 device.form_factor={form_factor}",
        ).strip()
        self._until(lambda: sink in self.nodes("sinks"), f"sink {sink}")

    def unplug(self, sink: str) -> None:
        """Take a speaker away that ``plug`` added."""
        self.pactl("unload-module", self._modules.pop(sink))
        self._until(lambda: sink not in self.nodes("sinks"), f"the end of sink {sink}")

    @contextlib.contextmanager
    def plugged(self, sink: str, **kind: Any) -> Iterator[str]:
        """``plug`` a speaker for the length of the block, or until it is unplugged in it."""
        self.plug(sink, **kind)
        try:
            yield sink
        finally:
            if sink in self._modules:
                self.unplug(sink)

    def kill(self, daemon: str = "pipewire-pulse") -> None:
        """End a daemon at once, as a crash would; see ``restart``."""
        process = self._daemons[daemon]
        process.kill()
        process.wait()

    def restart(self, daemon: str = "pipewire-pulse") -> None:
        """Start a daemon again that was killed."""
        self._daemon(self._private, daemon)
        self._until(self._complete, "the card")
        if self.is_ahead:
            run_ahead(self._daemons[daemon].pid, first=True)

    def let_ahead(self, pid: int) -> None:
        """Let what speaks or hears run ahead, too, if the sound server does."""
        if self.is_ahead:
            run_ahead(pid)

    def unplug_everything(self) -> None:
        """Take away every speaker and microphone, also the one that stands in for none."""
        for line in self.pactl("list", "short", "modules").splitlines():
            if "module-always-sink" in line:
                self.pactl("unload-module", line.split()[0])
        for name in ("vmic", "micfeed", "vspk"):
            subprocess.run(["pw-cli", "destroy", name], env=self.env, check=True)
        self._until(lambda: not self.nodes("sinks") + self.nodes("sources"), "the end of all")

    def freeze(self, daemon: str = "pipewire-pulse") -> None:
        """Stop a daemon without ending it: no sound passes and nothing is said about it."""
        process = self._daemons[daemon]
        stopped_on_purpose.add(process.pid)
        process.send_signal(signal.SIGSTOP)

    def pactl(self, *words: str) -> str:
        """Run ``pactl`` and return what it prints."""
        done = subprocess.run(
            ["pactl", *words],
            env=self.env,
            capture_output=True,
            text=True,
            check=False,
            timeout=self._timeout,
        )
        if done.returncode:
            raise CardError(f"pactl {' '.join(words)}: {done.stderr.strip()}")
        return done.stdout

    def nodes(self, kind: str) -> list[str]:
        """Return the names of the server's ``sinks`` or ``sources``, or of ``sink-inputs``."""
        listed: list[dict[str, Any]] = json.loads(self.pactl("-f", "json", "list", kind) or "[]")
        return [node.get("name", "") for node in listed]

    # -- how it is made ------------------------------------------------------------------

    def _start(self) -> None:
        home, run = self._dir / "home", self._dir / "run"
        conf = home / "config" / "pipewire" / "pipewire.conf.d"
        for folder in (home, run, conf):
            folder.mkdir(mode=0o700, parents=True)
        nodes = Path(__file__).with_name("card.conf").read_text()
        (conf / "card.conf").write_text(nodes.replace("@QUANTUM@", str(self._quantum)))
        # The pulse plugin, not PipeWire's own: when PipeWire ends, that one hangs PortAudio.
        (home / "asound.conf").write_text(_ALSA_CONF.format(name="pulse", default="pulse"))
        given = {k: v for k, v in os.environ.items() if not k.startswith(("PULSE_", "PIPEWIRE_"))}
        self.env = given | {
            "XDG_RUNTIME_DIR": str(run),
            "ALSA_CONFIG_PATH": str(home / "asound.conf"),
            "PULSE_SERVER": f"unix:{run}/pulse/native",
            "PULSE_COOKIE": str(home / "cookie"),
            "PULSE_RUNTIME_PATH": str(run / "pulse"),
        }
        self._private = {
            "HOME": str(home),
            "XDG_CONFIG_HOME": str(home / "config"),
            "XDG_STATE_HOME": str(home / "state"),
            "XDG_CACHE_HOME": str(home / "cache"),
        }
        bus = run / "bus"
        self.env["DBUS_SESSION_BUS_ADDRESS"] = f"unix:path={bus}"
        self._daemon(
            self._private, "dbus-daemon", "--session", "--nofork", f"--address=unix:path={bus}"
        )
        self._until(bus.exists, "the message bus")
        self._daemon(self._private, "pipewire")
        self._until((run / "pipewire-0").exists, "pipewire")
        self._daemon(self._private, "wireplumber")
        self._daemon(self._private, "pipewire-pulse")
        self._until((run / "pulse" / "native").exists, "pipewire-pulse")
        self._until(self._complete, "the card")
        self._until(self._is_default, "the card as the default")

    def _complete(self) -> bool:
        try:
            return {"vspk", "micfeed"} <= set(self.nodes("sinks")) and "vmic" in self.nodes(
                "sources"
            )
        except CardError:
            return False  # the server does not answer yet

    def _is_default(self) -> bool:
        try:
            self.pactl("set-default-sink", "vspk")
            self.pactl("set-default-source", "vmic")
        except CardError:
            return False  # the session manager has not come so far
        info = json.loads(self.pactl("-f", "json", "info"))
        return (info["default_sink_name"], info["default_source_name"]) == ("vspk", "vmic")

    def _until(self, true: Any, what: str) -> None:
        deadline = time.monotonic() + self._timeout
        while not true():
            for name, process in self._daemons.items():
                if process.poll() is not None:
                    raise CardError(f"{name} ended ({process.returncode})\n{self._logs()}")
            if time.monotonic() > deadline:
                raise CardError(f"{what} did not come in {self._timeout:g} s\n{self._logs()}")
            time.sleep(0.02)  # a poll with a deadline

    def _logs(self) -> str:
        logs = sorted(self._dir.glob("*.log"))
        return "\n".join(f"{log.stem}: {log.read_text(errors='replace')[-400:]}" for log in logs)

    def _daemon(self, private: dict[str, str], *command: str) -> None:
        with (self._dir / f"{command[0]}.log").open("wb") as log:
            self._daemons[command[0]] = subprocess.Popen(
                [*_WITH_US, *command],
                env=self.env | private,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the command, not for its card
            )

    def _spawn(self, command: list[str], **pipes: Any) -> subprocess.Popen[bytes]:
        with (self._dir / f"{command[0]}.log").open("ab") as log:
            tool = subprocess.Popen(
                [*_WITH_US, *command],
                env=self.env,
                stderr=log,
                start_new_session=True,
                **pipes,
            )
        self.let_ahead(tool.pid)
        self._tools = [t for t in self._tools if t.poll() is None] + [tool]
        return tool

    def close(self) -> None:
        """End every process this card started and remove its files; safe to call twice."""
        for process in [*self._tools, *reversed(self._daemons.values())]:
            if process.poll() is None:
                process.terminate()
                process.send_signal(signal.SIGCONT)
            try:
                process.wait(2.0)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            stopped_on_purpose.discard(process.pid)
        self._tools.clear()
        self._daemons.clear()
        if self._dir != Path():
            shutil.rmtree(self._dir, ignore_errors=True)


def main() -> int:
    """Run a command in the environment of a virtual card and return its exit code."""
    words = sys.argv[1:]
    if words[:1] == ["--"]:
        words = words[1:]
    if not words:
        print("usage: card.py -- COMMAND [ARGUMENT…]", file=sys.stderr)
        return 2
    # A polite kill must end the card as well.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        with VirtualCard() as card:
            command = subprocess.Popen([*_WITH_US, *words], env=card.env)
            while True:
                try:
                    return command.wait()
                except KeyboardInterrupt:
                    continue  # the command has had it too; the card outlives it
    except (CardError, OSError) as error:
        print(f"card.py: {error}", file=sys.stderr)
        return 3


if __name__ == "__main__":
    sys.exit(main())
