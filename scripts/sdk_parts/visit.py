"""What one release of Retell's SDK makes of the emulator; runs in a process of its own.

``python visit.py FOLDER API_URL KEY ENDED``: the SDK is in FOLDER, ENDED is the call_id of a call
that is over. Every answer is checked against the release's own schema, strictly. Prints JSON:
what was done, and what went wrong.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import httpx

_AUDIO = {"audio_websocket_protocol": "web", "audio_encoding": "s16le", "sample_rate": 24000}


class _Visit:
    def __init__(self, retell: Any, url: str, key: str, ended: str) -> None:
        self.retell, self.ended = retell, ended
        self.client = retell.Retell(
            api_key=key,
            base_url=url,
            max_retries=0,
            # The old ones make theirs with arguments that httpx no longer has.
            http_client=httpx.Client(base_url=url, timeout=10),
            _strict_response_validation=True,
        )
        self.done: list[str] = []
        self.wrong: list[str] = []

    def run(self) -> None:
        registered = self._try("register", self._register)
        if registered is not None:
            self._try("get registered", lambda: self.client.call.retrieve(registered))
        self._try("get ended", lambda: self.client.call.retrieve(self.ended))
        self._try("list", self._list)
        self._try("create web call", self._create)
        for name, method, arguments in (
            ("register phone call", "register_phone_call", {"agent_id": "agent_1"}),
            ("update", "update", {"call_id": self.ended, "metadata": {"a": 1}}),
            ("listen", "listen_live", {"call_id": self.ended}),
            ("delete", "delete", {"call_id": self.ended}),
        ):
            ask = getattr(self.client.call, method, None)
            if ask is not None:
                self._try(name, partial(ask, **arguments), refused=("listen",))
        self._try("agents", self._agents)

    def _try(
        self, name: str, ask: Callable[[], Any], refused: Iterable[str] = ("create web call",)
    ) -> Any:
        try:
            answer = ask()
        except self.retell.APIStatusError as error:
            if name in refused and error.status_code in (422, 501):
                self.done.append(f"{name}: {error.status_code}")
            else:
                self.wrong.append(f"{name}: {error}")
        except Exception as error:
            self.wrong.append(f"{name}: {type(error).__name__}: {error}"[:600])
        else:
            self.done.append(name)
            return answer
        return None

    def _register(self) -> str:
        if hasattr(self.client.call, "register"):
            given: dict[str, Any] = {**_AUDIO, "agent_id": "agent_1", "metadata": {"a": 1}}
            return str(self.client.call.register(**given).call_id)
        body = {**_AUDIO, "agent_id": "agent_1"}
        return str(self.client.post("/register-call", body=body, cast_to=object)["call_id"])

    def _create(self) -> Any:
        create = getattr(self.client.call, "create_web_call", None)
        return create and create(agent_id="agent_1", metadata={"a": 1})

    def _list(self) -> None:
        """All calls, one of them, those after it; and as this release filters them."""
        listing = self.client.call.list
        everything = _items(listing(sort_order="ascending"))
        (first,) = _items(listing(sort_order="ascending", limit=1))
        assert first.call_id == everything[0].call_id
        names = set(_parameters(listing))
        if "pagination_key" in names:
            page = listing(sort_order="ascending", limit=1)
            key = getattr(page, "pagination_key", None) or first.call_id
            rest = _items(listing(sort_order="ascending", pagination_key=key))
            assert [each.call_id for each in rest] == [each.call_id for each in everything[1:]]
        criteria: dict[str, Any] = {"agent_id": ["agent_1"]}
        if hasattr(page if "pagination_key" in names else everything, "items"):
            criteria = {"agent": [{"agent_id": "agent_1"}]}
        found = _items(listing(filter_criteria=criteria))
        assert found
        assert {each.agent_id for each in found} == {"agent_1"}

    def _agents(self) -> None:
        agents = _items(self.client.agent.list())
        assert agents
        self.client.agent.retrieve(agents[0].agent_id)


def _items(answer: Any) -> list[Any]:
    return list(answer if isinstance(answer, list) else answer.items or ())


def _parameters(function: Any) -> Iterable[str]:
    return list(function.__code__.co_varnames) if hasattr(function, "__code__") else ()


def main() -> None:
    """Visit, and print what became of it."""
    folder, url, key, ended = sys.argv[1:]
    sys.path.insert(0, folder)
    import retell  # noqa: PLC0415 - the one in that folder

    visit = _Visit(retell, url, key, ended)
    visit.run()
    answer = {"version": retell.__version__, "done": visit.done, "wrong": visit.wrong}
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
