"""A real broker of MQTT: mosquitto, on a port of its own."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from support.needed import needed

CERTIFICATES = Path(__file__).parent.parent / "doctor" / "certificates"
_PATIENCE = 20.0


class Broker:
    """Runs within its context; can be killed and started again.

    Args:
        user, password: the only ones it takes; without them it takes everyone.
        certificate: one of ``CERTIFICATES``; empty: it speaks no TLS.
    """

    def __init__(self, user: str = "", password: str = "", *, certificate: str = "") -> None:
        self._program = needed("mosquitto", "mosquitto")
        self._user, self._password = user, password
        self._process: subprocess.Popen[bytes] | None = None
        self._directory = tempfile.TemporaryDirectory(prefix="mosquitto-")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self._certificate = certificate
        # Certificates are for names.
        self.url = (
            f"mqtts://localhost:{self.port}" if certificate else f"mqtt://127.0.0.1:{self.port}"
        )

    def start(self) -> None:
        directory = Path(self._directory.name)
        config = f"listener {self.port} 127.0.0.1\npersistence false\n"
        if self._certificate:
            for name in (self._certificate, "key.pem"):
                shutil.copy(CERTIFICATES / name, directory)
            config += f"certfile {directory / self._certificate}\n"
            config += f"keyfile {directory / 'key.pem'}\n"
        if self._user:
            passwords = directory / "passwords"
            passwords.write_text(f"{self._user}:{self._password}\n")
            passwords.chmod(0o600)
            tool = needed("mosquitto_passwd", "mosquitto")
            subprocess.run([tool, "-U", passwords], check=True, capture_output=True)
            config += f"allow_anonymous false\npassword_file {passwords}\n"
        else:
            config += "allow_anonymous true\n"
        # Started as root it becomes another user, who could not read our files.
        (directory / "mosquitto.conf").write_text(f"{config}user root\n")
        self._process = subprocess.Popen(
            [self._program, "-c", directory / "mosquitto.conf"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until = time.monotonic() + _PATIENCE
        while time.monotonic() < until:
            assert self._process.poll() is None, "mosquitto does not start"
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
        raise AssertionError("mosquitto does not listen")

    def kill(self) -> None:
        """As when its machine loses power."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Answer nothing, and keep every connection."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Answer again."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end(signal.SIGKILL)
        self._directory.cleanup()

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(_PATIENCE)
            self._process = None
