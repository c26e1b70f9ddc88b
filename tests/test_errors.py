import pickle
import re
import traceback

from retell_voice import errors
from retell_voice.errors import RetellVoiceError, TooManyRequests


def test_the_tree_in_the_docstring_is_the_tree_in_the_code() -> None:
    drawn = {name: int(code) for name, code in re.findall(r"── (\w+) +(\d)", errors.__doc__ or "")}
    kinds = [RetellVoiceError]
    for kind in kinds:
        kinds.extend(kind.__subclasses__())
    here = {k.__name__: k.exit_code for k in kinds[1:] if k.__module__ == errors.__name__}
    assert drawn == here


def test_a_traceback_shows_the_hint() -> None:
    *_, line, hint = traceback.format_exception(RetellVoiceError("no sound", "plug it in"))
    assert (line, hint) == ("retell_voice.errors.RetellVoiceError: no sound\n", "plug it in\n")
    assert len(traceback.format_exception(RetellVoiceError("no sound"))) == 1


def test_an_error_that_another_process_met_is_whole() -> None:
    error = TooManyRequests("server: too many", "wait", status=429, retry_after=3.0)
    same = pickle.loads(pickle.dumps(error))
    assert isinstance(same, TooManyRequests)
    assert (str(same), same.hint, same.status, same.retry_after) == (
        *("server: too many", "wait", 429, 3.0),
    )
