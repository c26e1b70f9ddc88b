"""The first signal asks, handlers come and go."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

import pytest

from retell_voice.program.signals import Interrupts

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="os.kill ends the process there")


def nothing() -> None:
    pass


async def test_the_first_signal_asks() -> None:
    asked = asyncio.Event()
    with Interrupts(nothing) as interrupts:
        assert (interrupts.received, interrupts.exit_code) == (None, 0)
        interrupts.ask(asyncio.get_running_loop(), asked.set)
        os.kill(os.getpid(), signal.SIGINT)
        async with asyncio.timeout(5):
            await asked.wait()
        assert (interrupts.received, interrupts.exit_code) == (signal.SIGINT, 0)


async def test_a_signal_from_before_is_not_forgotten() -> None:
    asked = asyncio.Event()
    with Interrupts(nothing) as interrupts:
        os.kill(os.getpid(), signal.SIGTERM)
        interrupts.ask(asyncio.get_running_loop(), asked.set)
        async with asyncio.timeout(5):
            await asked.wait()
        assert interrupts.exit_code == 143


async def test_what_has_been_done_is_not_asked_again() -> None:
    asked, again = asyncio.Event(), asyncio.Event()
    with Interrupts(nothing) as interrupts:
        interrupts.ask(asyncio.get_running_loop(), asked.set)
        os.kill(os.getpid(), signal.SIGINT)
        async with asyncio.timeout(5):
            await asked.wait()
        interrupts.forget()
        interrupts.ask(asyncio.get_running_loop(), again.set)
        await asyncio.sleep(0)
        assert not again.is_set()
        os.kill(os.getpid(), signal.SIGTERM)  # the program would end if it were the second
        async with asyncio.timeout(5):
            await again.wait()
        assert interrupts.exit_code == 143


def test_handlers_are_put_back_and_what_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    interrupt = signal.getsignal(signal.SIGINT)
    try:
        with Interrupts(nothing) as interrupts:
            assert signal.getsignal(signal.SIGINT) != interrupt
            os.kill(os.getpid(), signal.SIGHUP)
        assert interrupts.received is None
        assert signal.getsignal(signal.SIGINT) is interrupt
    finally:
        signal.signal(signal.SIGHUP, before)
