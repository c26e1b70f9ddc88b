"""From TOML to steps: what can be said, and what people are told when it cannot be read."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retell_voice.audio.format import AudioFormat, Encoding
from retell_voice.emulator.after_call import AfterCall
from retell_voice.emulator.gateway.path import Network
from retell_voice.emulator.request_faults import RequestFault
from retell_voice.emulator.scenario import STEP_KINDS, Scenario, load_scenario, parse_scenario
from retell_voice.emulator.scenario.bad_messages import BAD_MESSAGES
from retell_voice.emulator.scenario.steps import (
    BadMessage,
    BadNetwork,
    Clear,
    Close,
    Delivery,
    Drop,
    DropControl,
    HalfOpen,
    Recording,
    Repeat,
    Reset,
    Send,
    SendMetadata,
    Speak,
    Stall,
    StepAction,
    Together,
    Tone,
    Update,
    Wait,
    Words,
)
from retell_voice.errors import ConfigError
from retell_voice.events import Utterance, Word


def deeds(text: str) -> list[StepAction]:
    return [step.action for step in parse_scenario(text).steps]


def action(step: str) -> StepAction:
    (one,) = deeds(f"[[step]]\n{step}")
    return one


def complaint(text: str) -> tuple[str, str]:
    with pytest.raises(ConfigError) as caught:
        parse_scenario(text, "a.toml")
    return str(caught.value), caught.value.hint


def test_a_scenario_says_what_it_is_and_what_happens() -> None:
    scenario = parse_scenario(
        """
        name = "an interruption"
        description = "the user talks over the agent"
        seed = 7
        audio = {encoding = "mulaw", rate = 8000}

        [[step]]
        say = "Hello there, this goes on for a while."
        [[step]]
        wait = {user_speaks = true, at_most_seconds = 10}
        [[step]]
        clear = true
        """
    )
    assert (scenario.name, scenario.description, scenario.seed) == (
        "an interruption",
        "the user talks over the agent",
        7,
    )
    assert [(step.number, step.name, step.details) for step in scenario.steps] == [
        ("1", "say", "'Hello there, this goes on for a while.'"),
        ("2", "wait", "user_speaks, at_most_seconds 10"),
        ("3", "clear", ""),
    ]
    assert [step.action for step in scenario.steps] == [
        Speak(source=Words("Hello there, this goes on for a while.")),
        Wait(condition="user_speaks", at_most=10),
        Clear(),
    ]
    assert scenario.formats == "mulaw 8000 Hz"


@pytest.mark.parametrize(
    ("audio", "fits", "formats"),
    [
        ("", (True, True, True), "any"),
        ('audio = {encoding = "mulaw"}', (False, False, True), "mulaw"),
        ("audio = {rate = 8000}", (True, False, True), "8000 Hz"),
    ],
)
def test_a_scenario_can_be_for_calls_of_a_format(
    audio: str, fits: tuple[bool, ...], formats: str
) -> None:
    scenario = parse_scenario(f"{audio}\n[[step]]\nclear = true")
    calls = AudioFormat(rate=8000), AudioFormat(rate=16000), AudioFormat(Encoding.MULAW, 8000)
    assert tuple(map(scenario.fits, calls)) == fits
    assert scenario.formats == formats


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('say = "Hi"', Speak(source=Words("Hi"))),
        ('play = "a.wav"\ntext = "Hi"', Speak(source=Recording(Path("a.wav")), text="Hi")),
        ("tone = {seconds = 2}", Speak(source=Tone(2, 440, -12))),
        ("tone = {hz = 1000, seconds = 0.5, dbfs = -3}", Speak(source=Tone(0.5, 1000, -3))),
        ("silence = {seconds = 1}", Speak(source=Tone(1))),
        ("metadata = {a = [1, 2.5, true]}", SendMetadata({"a": [1, 2.5, True]})),
        ("metadata = 'text'", SendMetadata("text")),
        ("send = {text = 'pong'}", Send("pong")),
        ("send = {hex = '00 fF'}", Send(b"\x00\xff")),
        ("close = true", Close(1000, "", "agent_hangup")),
        ("close = {code = 1011, reason = 'no'}", Close(1011, "no", "error_unknown")),
        (
            "close = {code = 4000, disconnection_reason = 'machine_detected'}",
            Close(4000, "", "machine_detected"),
        ),
        ("bad_message = 'invalid_json'", BadMessage("invalid_json", 1 << 20)),
        ("bad_message = 'huge_text'\nmebibytes = 17", BadMessage("huge_text", 17 << 20)),
        ("stall = {seconds = 2}", Stall(2, "sending")),
        ("stall = {seconds = 2, stops = 'reading'}", Stall(2, "reading")),
        ("half_open = true", HalfOpen()),
        ("reset = true", Reset()),
        ("drop = true", Drop()),
        ("update = {turn = 'agent'}", Update(None, "agent", forced=False)),
        (
            "update = {forced = true, transcript = [{role = 'user', content = 'Hi there',"
            " words = [{word = 'Hi', start_seconds = 0, end_seconds = 0.5}]}]}",
            Update((Utterance("user", "Hi there", (Word("Hi", 0.0, 0.5),)),), None, forced=True),
        ),
    ],
)
def test_what_a_step_can_do(text: str, expected: StepAction) -> None:
    assert action(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("seconds = 1.5", Wait(condition="seconds", amount=1.5)),
        ("user_stops = true", Wait(condition="user_stops")),
        ("microphone_seconds = 2", Wait(condition="microphone_seconds", amount=2)),
        ("microphone_frames = 10", Wait(condition="microphone_frames", amount=10)),
        ("text = 'go'", Wait(condition="text", text="go")),
        ("digits = '4?#'", Wait(condition="digits", text="4?#")),
        ("ping = true", Wait(condition="ping")),
        ("heard = true", Wait(condition="heard")),
        (
            "caller_leaves = true, at_most_seconds = 5, otherwise = 'go_on'",
            Wait(condition="caller_leaves", at_most=5, go_on=True),
        ),
    ],
)
def test_what_can_be_waited_for(text: str, expected: Wait) -> None:
    assert action(f"wait = {{{text}}}") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("pace = 0.5", Delivery(pace=0.5)),
        ("jitter_ms = 80", Delivery(pace=1, jitter_ms=80)),
        ("burst_seconds = 2\npace = 4", Delivery(pace=4, burst_seconds=2)),
        ("chunk_ms = 1", Delivery(chunk_ms=1)),
        ("chunk_bytes = 333", Delivery(chunk_bytes=333)),
    ],
)
def test_how_audio_can_be_sent(text: str, expected: Delivery) -> None:
    for sound in (
        "say = 'Hi'",
        "play = 'a.wav'",
        "tone = {seconds = 1}",
        "silence = {seconds = 1}",
    ):
        speak = action(f"{sound}\n{text}\nalignment = 'forced'")
        assert isinstance(speak, Speak)
        assert speak.delivery == expected


def test_steps_can_hold_steps() -> None:
    scenario = parse_scenario(
        """
        [[step]]
        repeat = 3
          [[step.step]]
          together = true
          step = [{clear = true}, {say = "Hi"}]
        [[step]]
        repeat = "forever"
        step = [{wait = {seconds = 1}}]
        """
    )
    first, second = scenario.steps
    assert isinstance(first.action, Repeat)
    assert first.action.times == 3
    (together,) = first.action.steps
    assert isinstance(together.action, Together)
    assert [step.number for step in together.action.steps] == ["1.1.1", "1.1.2"]
    assert isinstance(second.action, Repeat)
    assert second.action.times is None


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("[[step]", "a.toml: not TOML: Expected ']]'", ""),
        ("", "a.toml: step is missing", ""),
        ("step = 3", "a.toml: step must be a list of [[step]], not 3", ""),
        ("step = [3]", "a.toml, step 1: it must be a table, like {key = 1}, not 3", ""),
        ("step = []", "a.toml: there is no [[step]]", ""),
        ("nam = 'x'\nstep = [{clear = true}]", "a.toml: unknown key 'nam'", "did you mean name?"),
        ("seed = 1.5\nstep = [{clear = true}]", "a.toml: seed must be a whole number, not 1.5", ""),
        (
            "audio = {encoding = 'opus'}\nstep = [{clear = true}]",
            "a.toml, audio: encoding: 'opus' is not one of s16le, mulaw",
            "known: s16le, mulaw",
        ),
        (
            "audio = {rate = 96000}\nstep = [{clear = true}]",
            "a.toml, audio: rate: 96000 is outside 8000–48000 Hz",
            "",
        ),
        ("step = [{clear = true}, {}]", "a.toml, step 2: it is empty", "known: "),
        (
            "step = [{sya = 'x'}]",
            "a.toml, step 1: unknown kind of step: 'sya'",
            "did you mean say?",
        ),
        (
            "step = [{say = 'x', clear = true}]",
            "a.toml, step 1: it does more than one thing: say, clear",
            "one per step",
        ),
        (
            "step = [{say = 'x', pase = 1}]",
            "a.toml, step 1: unknown key 'pase'",
            "did you mean pace?",
        ),
        ("step = [{say = 7}]", "a.toml, step 1: say must be text, not 7", ""),
        ("step = [{say = ''}]", "a.toml, step 1: say must not be empty", ""),
        (
            "step = [{say = 'x', pace = true}]",
            "a.toml, step 1: pace must be a number, not True",
            "",
        ),
        (
            "step = [{say = 'x', pace = nan}]",
            "a.toml, step 1: pace: nan is outside 0–100 times real time",
            "",
        ),
        (
            "step = [{say = 'x', chunk_ms = 1, chunk_bytes = 1}]",
            "a.toml, step 1: chunk_ms and chunk_bytes exclude each other",
            "",
        ),
        (
            "step = [{wait = 2}]",
            "a.toml, step 1, wait: it must be a table, like {key = 1}, not 2",
            "",
        ),
        (
            "step = [{wait = {heard = true, ping = true}}]",
            "a.toml, step 1, wait: it needs one of seconds, user_speaks, user_stops, "
            "microphone_seconds, microphone_frames, text, digits, ping, heard, caller_leaves; "
            "it has ping, heard",
            "",
        ),
        (
            "step = [{wait = {digits = '4a'}}]",
            "a.toml, step 1, wait: digits: '4a' is not 1–100 of 0123456789*#",
            "? stands for any of them",
        ),
        (
            "step = [{wait = {heard = false}}]",
            "a.toml, step 1, wait: heard can only be true",
            "leave it out otherwise",
        ),
        (
            "step = [{wait = {seconds = 1, at_most_seconds = 1}}]",
            "a.toml, step 1, wait: unknown key 'at_most_seconds'",
            "did you mean ",
        ),
        (
            "step = [{wait = {ping = true, otherwise = 'goon'}}]",
            "a.toml, step 1, wait: otherwise: 'goon' is not one of fail, go_on",
            "did you mean go_on?",
        ),
        (
            "step = [{metadata = 1979-05-27}]",
            "a.toml, step 1: metadata contains a date, a time",
            "",
        ),
        (
            "step = [{metadata = {a = [inf]}}]",
            "a.toml, step 1: metadata contains a date, a time, nan or inf",
            "",
        ),
        (
            "step = [{update = {transcript = [{role = 'agnt', content = ''}]}}]",
            "a.toml, step 1, update, transcript line 1: role: 'agnt' is not one of agent, user",
            "did you mean agent?",
        ),
        (
            "step = [{update = {transcript = [{role = 'user', content = '', words = [{}]}]}}]",
            "a.toml, step 1, update, transcript line 1, word 1: start_seconds is missing",
            "",
        ),
        ("step = [{send = {}}]", "a.toml, step 1, send: it needs one of text, hex", ""),
        (
            "step = [{send = {hex = '0'}}]",
            "a.toml, step 1, send: hex must be pairs of digits",
            "",
        ),
        (
            "step = [{bad_message = 'wrong_jsn'}]",
            "a.toml, step 1: bad_message: 'wrong_jsn' is not one of invalid_json,",
            "did you mean wrong_json?",
        ),
        (
            "step = [{bad_message = 'bad_frame', mebibytes = 1}]",
            "a.toml, step 1: unknown key 'mebibytes'",
            "",
        ),
        (
            "step = [{close = {code = 1006}}]",
            "a.toml, step 1, close: code: 1006 cannot be sent",
            "1000, 1008, 1011 or 3000–4999 can",
        ),
        (
            f"step = [{{close = {{reason = '{'é' * 62}'}}}}]",
            "a.toml, step 1, close: reason is longer than the 123 bytes that a close frame holds",
            "",
        ),
        (
            "step = [{reset = true}, {clear = true}]",
            "a.toml: step 2 is never reached: the reset before it ends the call",
            "",
        ),
        (
            "step = [{repeat = 'forever', step = [{clear = true}]}, {clear = true}]",
            "a.toml: step 2 is never reached: the repeat before it ends the call",
            "",
        ),
        (
            "step = [{repeat = 2, step = [{close = true}, {clear = true}]}]",
            "a.toml, step 1: step 1.2 is never reached: the close before it ends the call",
            "",
        ),
        ("step = [{repeat = 0, step = [{clear = true}]}]", "a.toml, step 1: repeat: 0 is out", ""),
        ("step = [{repeat = 2}]", "a.toml, step 1: step is missing", ""),
        (
            "step = [{together = true, step = [{wait = {heard = true}}]}]",
            "a.toml, step 1: step 1.1, wait, takes time: not allowed in here",
            "",
        ),
        (
            "step = [{together = true, step = [{say = 'x', pace = 1}]}]",
            "a.toml, step 1: step 1.1, say, takes time: not allowed in here",
            "",
        ),
        (
            "step = [" + "{repeat = 2, step = [" * 12 + "{clear = true}" + "]}" * 12 + "]",
            "a.toml, step 1.1.1.1.1.1.1.1.1: steps within steps, more than 8 deep",
            "",
        ),
        ("a = " + "[" * 5000, "a.toml: nested too deeply", ""),
    ],
)
def test_complaints_name_step_and_key_and_what_to_do(text: str, message: str, hint: str) -> None:
    said, hinted = complaint(text)
    assert said.startswith(message)
    assert "\n" not in said
    assert hinted.startswith(hint)


def test_a_file_is_named_after_itself_and_its_recordings_lie_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "first.toml"
    path.write_text("[[step]]\nclear = true", "utf-8")
    scenario = load_scenario(path)
    assert (scenario.name, scenario.folder) == ("first", tmp_path)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    with pytest.raises(ConfigError, match=r"a\.toml: No such file"):
        load_scenario(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"a\.toml: not a text file in UTF-8"):
        load_scenario(path)


@given(st.text())
def test_any_text_is_a_scenario_or_a_complaint(text: str) -> None:
    _read(text)


def _inline(table: dict[str, str]) -> str:
    return "{" + ", ".join(f"{key} = {value}" for key, value in table.items()) + "}"


_KEYS = [
    *STEP_KINDS,
    *("seconds", "hz", "dbfs", "text", "hex", "pace", "chunk_ms", "chunk_bytes", "alignment"),
    *("jitter_ms", "burst_seconds", "user_speaks", "microphone_frames", "at_most_seconds"),
    *("transcript", "turn", "forced", "role", "content", "words", "word", "start_seconds"),
    *("code", "reason", "disconnection_reason", "stops", "mebibytes", "otherwise"),
    *("step", "name", "audio", "encoding", "rate", "seed", "Name"),
]
_VALUES: Any = st.recursive(
    st.sampled_from(["true", "false", "0", "1", "-1", "1.5", "nan", "inf", "1" * 5000, "''"])
    | st.sampled_from(["'agent'", "'forever'", "'reading'", "1979-05-27", "'00 ff'", "'é'"])
    | st.sampled_from([f"'{kind}'" for kind in BAD_MESSAGES]),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]")
        | st.dictionaries(st.sampled_from(_KEYS), inner, max_size=3).map(_inline)
    ),
    max_leaves=8,
)


@settings(max_examples=500)
@given(
    st.lists(st.dictionaries(st.sampled_from(_KEYS), _VALUES, min_size=1, max_size=3), max_size=4),
    st.dictionaries(st.sampled_from(["name", "seed", "audio", "nam"]), _VALUES, max_size=2),
)
def test_any_toml_is_a_scenario_or_a_complaint(
    steps: list[dict[str, str]], head: dict[str, str]
) -> None:
    lines = [f"{key} = {value}" for key, value in head.items()]
    _read("\n".join([*lines, f"step = [{', '.join(map(_inline, steps))}]"]))


def _read(text: str) -> None:
    said = ""
    try:
        assert isinstance(parse_scenario(text), Scenario)
    except ConfigError as error:
        said = str(error)
    assert "\n" not in said


# -- web calls -------------------------------------------------------------------------------------


def test_what_is_done_to_the_packets_of_a_web_call() -> None:
    assert action("network = {}") == BadNetwork(Network(), "both")
    said = "network = {loss = 0.1, lost_in_a_row = 3, delay_ms = 20, jitter_ms = 5, reorder = 1"
    assert action(f"{said}, duplicate = 0.5, direction = 'to_caller'}}") == BadNetwork(
        Network(loss=0.1, lost_in_a_row=3, delay_ms=20, jitter_ms=5, reorder=1, duplicate=0.5),
        "to_caller",
    )
    assert action("drop_control = true") == DropControl()


@pytest.mark.parametrize(
    ("step", "says"),
    [
        ("network = {loss = 1.1}", "loss: 1.1 is outside 0–1"),
        ("network = {lost_in_a_row = 0}", "lost_in_a_row: 0 is outside"),
        ("network = {delay_ms = -1}", "delay_ms: -1 is outside"),
        ("network = {direction = 'up'}", "direction: 'up' is not one of"),
        ("network = {los = 0.1}", "unknown key 'los'"),
        ("drop_control = 1", "drop_control can only be true"),
    ],
)
def test_a_network_there_is_not(step: str, says: str) -> None:
    assert says in complaint(f"[[step]]\n{step}")[0]


STEP = "\n[[step]]\nclear = true\n"


def test_requests_that_go_wrong_come_before_the_steps() -> None:
    assert parse_scenario(STEP).request_faults == ()
    faults = parse_scenario(
        """
        [[request]]
        kind = "create"
        status = 429
        message = "slow down"
        retry_after_seconds = 1.5
        times = 2
        [[request]]
        kind = "join"
        answer = "no_opus"
        delay_seconds = 1
        """
        + STEP
    ).request_faults
    refused = RequestFault(kind="create", status=429, message="slow down", retry_after=1.5)
    assert faults == (
        refused,
        refused,
        RequestFault(kind="join", answer="no_opus", delay=1.0),
    )


def test_what_there_is_after_a_call() -> None:
    assert parse_scenario(STEP).after_call == AfterCall()
    text = """
        [after_call]
        recording_url = "https://a/r.wav"
        call_analysis = {call_summary = "s", in_voicemail = false, custom_analysis_data = {a = 1}}
        """
    assert parse_scenario(text + STEP).after_call == AfterCall(
        recording_url="https://a/r.wav",
        call_analysis={
            "call_summary": "s",
            "in_voicemail": False,
            "custom_analysis_data": {"a": 1},
        },
    )


@pytest.mark.parametrize(
    ("after", "says"),
    [
        ("recording_url = 1", "recording_url must be text"),
        ("log_url = 'x'", "unknown key 'log_url'"),
        ("call_analysis = 'good'", "call_analysis: it must be a table"),
        ("call_analysis = {user_sentiment = 'sour'}", "user_sentiment must be one of Negative,"),
        ("call_analysis = {call_successful = 1}", "call_successful must be true or false"),
        ("call_analysis = {mood = 1}", "mood is not one of call_summary,"),
        ("call_analysis = {call_summary = 1999-01-01}", "contains a date"),
    ],
)
def test_what_there_cannot_be_after_a_call(after: str, says: str) -> None:
    words = complaint(f"[after_call]\n{after}{STEP}")[0]
    assert says in words
    assert words.startswith("a.toml, after_call")


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        ("kind = 'create'", "it needs a status, an answer or delay_seconds"),
        ("kind = 'create'\nstatus = 500\nanswer = 'livekit'", "not both"),
        ("kind = 'cook'\nstatus = 500", "kind: 'cook' is not one of"),
        ("status = 500", "kind is missing"),
        ("kind = 'join'\nstatus = 200", "status: 200 is outside"),
        ("kind = 'join'\nanswer = 'livekit'", "answer: 'livekit' is not one of"),
        ("kind = 'join'\nanswer = 'no_opus'\nmessage = 'x'", "message goes with a status"),
        ("kind = 'join'\nstatus = 500\ntimes = 0", "times: 0 is outside"),
        ("kind = 'join'\nstatus = 500\nwhen = 'now'", "unknown key 'when'"),
    ],
)
def test_a_request_there_is_not(request_: str, says: str) -> None:
    words = complaint(f"[[request]]\n{request_}{STEP}")[0]
    assert says in words
    assert words.startswith("a.toml, request 1")
