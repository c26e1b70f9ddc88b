"""Chromium, headless: a WebRTC peer that nobody here has written, and how pages look to people.

::

    async with Chromium(samples) as browser:
        page = await browser.open()
        answer = await page.run("await call(arguments[0])", {"x": 1})

Its microphone is a recording, over and over. Pages are empty, served on 127.0.0.1, which makes them
trusted, unless a test names one; what they do is JavaScript that a test runs in them, over the
DevTools protocol.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import re
import shutil
import signal
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import pytest
from websockets.asyncio.client import ClientConnection, connect

from retell_voice.audio.format import Samples
from retell_voice.devices.files import WavWriter

RATE = 48000
"""Of the recording that its microphone is, Hz."""

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_WITH_US = ("setpriv", "--pdeathsig", "KILL") if shutil.which("setpriv") else ()
"""Ends a process with the one that started it, also when that is killed."""
_START = 60.0  # seconds
_LISTENING = re.compile(rb"DevTools listening on (ws://\S+)")
_PAGE = b"<!doctype html><title>a web call</title><body></body>"
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    "--remote-debugging-port=0",
)
_FAKE = "--use-fake-device-for-media-stream"


def find() -> str | None:
    """Return the path of Chromium, or of what is made of it; None if there is none."""
    return next((path for name in _NAMES if (path := shutil.which(name))), None)


class Page:
    """One page.

    Attributes:
        faults: what it has complained of: exceptions, errors on the console, what it did not get.
        requests: the URLs it has asked for, by number.
    """

    def __init__(self, browser: Chromium, session: str) -> None:
        self._browser = browser
        self._session = session
        self.faults: list[str] = []
        self.requests: dict[str, str] = {}

    async def watch(self) -> None:
        """Note faults and requests from now on."""
        for domain in ("Runtime", "Log", "Network"):
            await self._browser.send(f"{domain}.enable", {}, self._session)

    async def resize(self, width: int, height: int = 800) -> None:
        """Be as wide as that, in pixels."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        await self._browser.send("Emulation.setDeviceMetricsOverride", size, self._session)

    async def go(self, url: str) -> None:
        """Go to a URL, and wait until it has been loaded."""
        # Its answer comes once the page is there.
        await self._browser.send("Page.navigate", {"url": url}, self._session)
        await self.run(
            "while (document.readyState !== 'complete')"
            " await new Promise((done) => setTimeout(done, 5));"
        )

    def hear(self, method: str, told: dict[str, Any]) -> None:
        """Note an event of the DevTools protocol."""
        match method:
            case "Network.requestWillBeSent":
                self.requests[told["requestId"]] = told["request"]["url"]
            case "Network.loadingFailed" if not told.get("canceled"):
                self.faults.append(f"{self.requests[told['requestId']]}: {told['errorText']}")
            case "Runtime.exceptionThrown":
                self.faults.append(str(told["exceptionDetails"]))
            case "Log.entryAdded" if told["entry"]["level"] == "error":
                self.faults.append(told["entry"]["text"])
            case "Runtime.consoleAPICalled" if told["type"] in ("error", "assert"):
                self.faults.append(str(told["args"]))

    async def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send it a command of the DevTools protocol; return its result."""
        return await self._browser.send(method, parameters, self._session)

    async def press(self, key: str) -> None:
        """Press a key and let go of it."""
        text = {"text": key} if len(key) == 1 else {}
        await self.send("Input.dispatchKeyEvent", type="keyDown", key=key, **text)
        await self.send("Input.dispatchKeyEvent", type="keyUp", key=key)

    async def run(self, code: str, argument: Any = None, within: float = 30.0) -> Any:
        """Run the body of an async function of ``argument``; return what it returns.

        Raises:
            AssertionError: it threw something.
        """
        expression = f"(async (argument) => {{ {code} }})({json.dumps(argument)})"
        wanted = {"expression": expression, "awaitPromise": True, "returnByValue": True}
        async with asyncio.timeout(within):
            answer = await self._browser.send("Runtime.evaluate", wanted, self._session)
        if (thrown := answer.get("exceptionDetails")) is not None:
            raise AssertionError(thrown.get("exception", {}).get("description", thrown["text"]))
        return answer["result"].get("value")


class Chromium:
    """A browser; an async context manager.

    Args:
        microphone: what its microphone hears, again and again: shape (n,), at ``RATE``; None: it
            has none, or that of the card.
        env: its environment, with a sound card in it to play on; None: ours, and it is mute.
        flags: more of its command line.
    """

    def __init__(
        self,
        microphone: Samples | None = None,
        *,
        env: Mapping[str, str] | None = None,
        flags: Sequence[str] = (),
    ) -> None:
        self._microphone = microphone
        self._env = env
        self._flags = flags
        self._folder = Path(tempfile.mkdtemp(prefix="chromium-"))
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._pages: dict[str, Page] = {}
        self._process: asyncio.subprocess.Process
        self._socket: ClientConnection
        self._server: asyncio.Server
        self._reading: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        found = find()
        if found is None:
            if os.environ.get("CI") == "true":
                pytest.fail("there is no Chromium, and in CI there must be")
            pytest.skip("there is no Chromium")
        flags = [*_FLAGS, *self._flags]
        if self._env is None:
            flags.append("--mute-audio")
        if self._microphone is not None:
            wav = self._folder / "microphone.wav"
            with contextlib.closing(WavWriter(wav, RATE)) as writer:
                writer.write(self._microphone)
            flags += [_FAKE, f"--use-file-for-fake-audio-capture={wav}"]
        self._server = await asyncio.start_server(_serve, "127.0.0.1", 0)
        self._process = await asyncio.create_subprocess_exec(
            *_WITH_US,
            found,
            *flags,
            f"--user-data-dir={self._folder / 'profile'}",
            "about:blank",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env=self._env,
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(_START):
                url = await self._listening()
                self._socket = await connect(url, max_size=None, compression=None)
        except BaseException:
            await self._end()
            raise
        self._reading.append(asyncio.create_task(self._read()))
        return self

    async def __aexit__(self, *_: object) -> None:
        with contextlib.suppress(Exception):
            async with asyncio.timeout(5):
                await self.send("Browser.close")
                await self._process.wait()
        await self._socket.close()
        await self._end()

    async def _end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()
        for each in self._reading:
            each.cancel()
        await asyncio.gather(*self._reading, return_exceptions=True)
        self._server.close()
        await self._server.wait_closed()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def pid(self) -> int:
        """The browser's process; there are others below it."""
        return self._process.pid

    async def open(self, address: str = "", *, watched: bool = False) -> Page:
        """Open a page; without an address an empty one, of an origin of its own.

        Args:
            address: its URL.
            watched: note what it complains of and asks for, from the beginning.
        """
        port = self._server.sockets[0].getsockname()[1]
        target = await self.send("Target.createTarget", {"url": "about:blank"})
        attached = await self.send(
            "Target.attachToTarget", {"targetId": target["targetId"], "flatten": True}
        )
        page = self._pages[attached["sessionId"]] = Page(self, attached["sessionId"])
        if watched:
            await page.watch()
        await page.go(address or f"http://127.0.0.1:{port}/")
        return page

    async def send(
        self, method: str, parameters: dict[str, Any] | None = None, session: str | None = None
    ) -> dict[str, Any]:
        """Send a command of the DevTools protocol; return its result."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters or {}}
        if session is not None:
            message["sessionId"] = session
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        await self._socket.send(json.dumps(message))
        found = await answer
        assert "error" not in found, found
        result: dict[str, Any] = found["result"]
        return result

    async def _listening(self) -> str:
        assert self._process.stderr is not None
        said = []
        async for line in self._process.stderr:
            said.append(line)
            if (found := _LISTENING.match(line)) is not None:
                self._reading.append(asyncio.create_task(_discard(self._process.stderr)))
                return found[1].decode()
        raise AssertionError(f"Chromium did not start: {b''.join(said).decode()[-2000:]}")

    async def _read(self) -> None:
        async for text in self._socket:
            message = json.loads(text)
            if (page := self._pages.get(message.get("sessionId", ""))) and "method" in message:
                page.hear(message["method"], message["params"])
            answer = self._answers.pop(message.get("id", 0), None)
            if answer is not None and not answer.done():
                answer.set_result(message)
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(AssertionError("Chromium is gone"))


async def _discard(stream: asyncio.StreamReader) -> None:
    while await stream.read(65536):
        pass


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(_PAGE)}"
        writer.write(f"{head}\r\nConnection: close\r\n\r\n".encode() + _PAGE)
        await writer.drain()
    writer.close()
