"""Asks an endpoint of the owner's for a call."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from retell_voice.errors import ConfigError, ConnectError, KeyRefused, RestError, TooManyRequests
from retell_voice.net.culprit import find_culprit
from retell_voice.net.exchange import Answer, exchange
from retell_voice.net.http import error_words, retry_after
from retell_voice.protocol.lenient import load_json
from retell_voice.secret import Secret, hiding

_SECONDS = 10.0


async def post(url: str, body: str, token: str | None) -> str:
    """Post a JSON object and return the body that comes back, a secret.

    Args:
        url: where; a redirect is not followed, as it might lead the token elsewhere.
        body: JSON.
        token: a bearer token, a secret; None: none is sent.

    Raises:
        ConfigError: it cannot be asked for.
        ConnectError: it was not reached.
        KeyRefused, TooManyRequests, RestError: what it answered.
    """
    host = urlsplit(url).netloc.rpartition("@")[2]
    headers = {} if token is None else {"Authorization": Secret(f"Bearer {token}")}
    try:
        answer = await exchange("POST", url, body=body.encode(), headers=headers, timeout=_SECONDS)
    except OSError as error:  # one about a certificate is a ValueError, too
        why = await find_culprit(error, url, _SECONDS)
        raise ConnectError(f"network: {why.words}", why.hint, temporary=True) from None
    except ValueError as error:
        raise ConfigError(f"endpoint {host}: {error}") from None
    if 200 <= answer.status < 300:
        return answer.text
    raise _refusal(answer, host, hiding((token or "",)))


def _refusal(answer: Answer, host: str, hide: Callable[[str], str]) -> RestError:
    try:
        said = hide(error_words(load_json(answer.text)))
    except ValueError:
        said = ""
    words = f"endpoint {host}: it answered {answer.status} {said[:200]}".rstrip()
    match answer.status:
        case 401 | 403:
            hint = "check the credential retell-call-token"
            return KeyRefused(words, hint, status=answer.status)
        case 429:
            wait = retry_after(answer.headers.get("retry-after", ""))
            return TooManyRequests(words, status=429, retry_after=wait)
    return RestError(words, status=answer.status)
