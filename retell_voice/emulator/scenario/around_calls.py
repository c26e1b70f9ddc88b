"""Parses what a scenario says of the time before a call and after it. Pure.

``[[request]]``: what goes wrong before it begins; ``after_call``: what there is once it is over.
"""

from __future__ import annotations

from typing import cast

from retell_voice.emulator.after_call import NOTHING_MADE_UP, AfterCall
from retell_voice.emulator.request_faults import ANSWERS, KINDS, RequestFault, RequestKind
from retell_voice.emulator.scenario.table import Table

_MOST_TIMES = 1000
_LONGEST = 3600.0  # seconds


def parse_request_faults(table: Table) -> tuple[RequestFault, ...]:
    """Return what goes wrong, one for each request, in order; none if it is not there."""
    if "request" not in table:
        return ()
    faults: list[RequestFault] = []
    for number, body in enumerate(table.tables("request"), 1):
        with Table(f"{table.where}, request {number}", body) as read:
            faults += [_fault(read)] * read.whole("times", 1, _MOST_TIMES, "times", 1)
    return tuple(faults)


def parse_after_call(table: Table) -> AfterCall:
    """Return what ``after_call`` says that calls have once they are over."""
    if "after_call" not in table:
        return NOTHING_MADE_UP
    with table.table("after_call") as read:
        try:
            return AfterCall(
                recording_url=read.text("recording_url", "") or None,
                public_log_url=read.text("public_log_url", "") or None,
                call_analysis=read.table("call_analysis").json_body()
                if "call_analysis" in read
                else None,
            )
        except ValueError as error:
            raise read.wrong(f"call_analysis: {error}") from None


def _fault(read: Table) -> RequestFault:
    kind = cast(RequestKind, read.choice("kind", KINDS))
    given = [name for name in ("status", "answer", "delay_seconds") if name in read]
    if not given or {"status", "answer"} <= set(given):
        raise read.wrong("it needs a status, an answer or delay_seconds, not both of the first")
    has_status = "status" in read
    for name in ("message", "retry_after_seconds"):
        if name in read and not has_status:
            raise read.wrong(f"{name} goes with a status")
    return RequestFault(
        kind=kind,
        status=read.whole("status", 400, 599) if has_status else None,
        message=read.text("message", ""),
        retry_after=(
            read.number("retry_after_seconds", 0, _LONGEST, "seconds")
            if "retry_after_seconds" in read
            else None
        ),
        answer=read.choice("answer", tuple(ANSWERS[kind])) if "answer" in read else "",
        delay=read.number("delay_seconds", 0, _LONGEST, "seconds", 0),
    )
