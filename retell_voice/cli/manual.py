"""What ``--help`` says about each command: purpose, examples, exit codes. Rich renders it."""

from __future__ import annotations

from retell_voice.program.codes import codes, codes_of
from retell_voice.program.failure import EXIT_CODES
from retell_voice.program.interrupt import INTERRUPTED

_CALL = codes(EXIT_CODES)
ABOUT = (
    """\
Talk to a Retell voice agent: your microphone, its voice.

Without an account, against the built-in emulator:
  retell-voice talk --local

With one of your agents; RETELL_API_KEY is set:
  retell-voice talk --agent AGENT

With a call that was registered, over the Audio WebSocket:
  retell-voice talk --url wss://your-server/audio-websocket CALL_ID

Files:
  config.toml         'config path' prints where it is, 'config init' writes one

Environment:
  RETELL_VOICE_…      any option: RETELL_VOICE_RATE=16000 is --rate 16000
  RETELL_VOICE_DEBUG  1 shows tracebacks of errors, as --debug does
  RETELL_API_KEY      the key to make calls and look them up
  NO_COLOR            no colours, unless it is empty"""
    + _CALL
)
_KEY = """

The API key comes from RETELL_API_KEY, else api_key in the config file, else the system keyring \
(keyring set retell-voice api-key; needs the extra 'keyring')."""
TALK = (
    """\
Hold a spoken conversation with a voice agent.

Ctrl-C hangs up; Ctrl-C again exits at once. On the live screen, m mutes you, + and - change the \
agent's volume, d the microphone or the speaker, and ? lists all keys.

Examples:
  retell-voice talk --local
  retell-voice talk --llm ws://localhost:8080/llm-websocket
  retell-voice talk --agent 'Front desk' --dynamic-variable name=Ann
  your-server-creates-it | retell-voice talk --web-call -
  retell-voice talk --url wss://host/audio-websocket --rate 16000 CALL_ID
  retell-voice register --agent AGENT | retell-voice talk -
  retell-voice talk --local --input-file me.wav --output-file agent.wav --json
  espeak-ng --stdout Hello | retell-voice talk --local --input-file -
  retell-voice talk --local --record calls
  retell-voice talk --dialect twilio --url ws://localhost:8765/ws

With --dialect, a server may check the phone provider's secret, such as Twilio's auth token: set \
RETELL_VOICE_AUTH_TOKEN, or auth_token in the config file. On the live screen, t opens the keypad.

Every option except the last panel's, --metadata and --dynamic-variable can also be set in the \
config file (rate = 16000) and in the environment (RETELL_VOICE_RATE=16000). The command line \
overrides the environment, which overrides the file.

With an API key, the call is looked up when it is over, to show why it ended, its latency, cost \
and analysis."""
    + _KEY
    + _CALL
)
REGISTER = (
    """\
Register a call with an agent and print its call_id, to be joined soon.

The call_id is a secret: whoever has it can join the call.

Examples:
  retell-voice register --agent AGENT | retell-voice talk -
  retell-voice register --agent AGENT --metadata order=17 --json"""
    + _KEY
    + codes_of("the call is registered", 4, 7, INTERRUPTED)
)
_SHOWN = """

On a pipe: one line each, columns separated by tabs. --json: as Retell's REST API returns them."""
AGENTS = (
    """\
List the agents of your account: name, agent_id, last change, and which version each tag points to.

Examples:
  retell-voice agents
  retell-voice agents desk
  retell-voice agents --json"""
    + _SHOWN
    + _KEY
    + codes_of("they are listed", 4, 7, INTERRUPTED)
)
CALLS = (
    """\
List the calls of your account, the latest first: when, how long, with which agent, how it ended, \
cost and analysis.

Until a call is over, only the end of its call_id is shown, since whoever has all of it can join. \
The end is enough for the other commands. --json shows the whole call_id.

Examples:
  retell-voice calls --limit 5
  retell-voice calls --agent 'Front desk' --since 1d --reason user_hangup
  retell-voice calls --status ongoing"""
    + _SHOWN
    + _KEY
    + codes_of("they are listed", 4, 7, INTERRUPTED)
)
CALL = (
    """\
Show everything about one call: why it ended, latency, cost, analysis, recording, transcript.

Whoever has the recording's URL can listen to it. --json: as Retell's REST API returns it.

Examples:
  retell-voice call last
  retell-voice call 61e5 --wait
  retell-voice call last --json | jq .transcript_object"""
    + _KEY
    + codes_of("it is shown", 4, 7, INTERRUPTED)
)
MONITOR = (
    """\
Print what is said in an ongoing call, with tool calls and transitions, as it happens. It ends \
with the call, or with Ctrl-C; the call is not affected.

The API key needs write permission for calls, and at most five monitors may watch a call at once. \
A broken connection is reopened. With --json: one object per line: transcript, turn, \
node_transition, monitor_changed, call_ended.

Examples:
  retell-voice monitor last
  retell-voice monitor 61e5 --json"""
    + _KEY
    + codes(
        {0: "the call is over, or you pressed Ctrl-C"}
        | {code: EXIT_CODES[code] for code in (1, 2, 4)}
        | {5: "the server does not allow monitoring this call, or the call is not ongoing"}
        | {6: "the connection was lost, and could not be reopened"}
        | {code: EXIT_CODES[code] for code in (7, 143)}
    )
)
_LISTENER = codes(
    {0: "the call is over, or you have left"}
    | {code: EXIT_CODES[code] for code in (1, 2, 3, 4)}
    | {5: "the gateway did not let you in"}
    | {code: EXIT_CODES[code] for code in (6, 7, INTERRUPTED, 143)}
)
LISTEN = (
    """\
Hear a call that is going on, both voices, and see what is said. Nobody in it notices, and Ctrl-C \
leaves it as it is.

On a terminal, t and Enter take the call over: your microphone is opened, and the caller talks to \
you instead of to the agent, for good.

The API key needs the permission to write calls. It takes the extra 'retell'.

Examples:
  retell-voice listen last
  retell-voice listen 61e5 --output-file heard.wav
  retell-voice listen last --record calls"""
    + _KEY
    + _LISTENER
)
TAKE_OVER = (
    """\
Take the agent's place in a call that is going on: the caller talks to you, for good. You are \
asked first. Use headphones or the extra 'echo': otherwise your microphone picks up the caller.

m and Enter mute you, and again let you be heard. Ctrl-C ends the call.

Examples:
  retell-voice take-over last
  retell-voice take-over 61e5 --yes --echo half-duplex"""
    + _KEY
    + _LISTENER
)
STOP = (
    """\
End an ongoing call, for everybody in it.

Examples:
  retell-voice stop 61e5
  retell-voice stop last"""
    + _KEY
    + codes_of("it has been stopped", 4, 7, INTERRUPTED)
)
EMULATOR = """\
Emulate Retell's servers: REST API, webhooks, web calls (WebRTC) and the Audio WebSocket.

Its agent is a parrot: it greets you, listens, repeats what you said, and stops when you talk \
over it. Needs no account and no network. With --llm, your custom LLM server answers: the \
emulator transcribes the caller, connects to your server and speaks its answers. Each line you \
type is then a user turn; if there is no caller, a silent one is created.

Examples:
  retell-voice emulator
  retell-voice emulator --llm ws://localhost:8080/llm-websocket
  retell-voice emulator --scenario interruption.toml

If RETELL_VOICE_EMULATOR_AUTH_TOKEN is set, phone providers must sign their WebSocket requests.

Settings also come from RETELL_VOICE_EMULATOR_… and the section \\[emulator] of the config \
file.""" + codes_of("Ctrl-C stopped it", 143)
SWARM = """\
Hold many calls at once with one voice server, and say how fast its agent answers.

Each caller says the same recording and is timed by what it hears: from the end of an utterance to \
the agent's first sound. It stops by itself, and dials no more calls than this machine carries on \
time. Without an input file a recorded caller speaks.

With --agent each caller makes a web call, or with --transport websocket a call on the Audio \
WebSocket. Without it the call_ids are made up, for a server that lets any in (emulator \
--accept-any), or, with --dialect, {} in the URL stands for another text in each call.

Examples:
  retell-voice swarm --calls 50 --dialect twilio --url ws://localhost:8765/ws
  retell-voice swarm --agent agent_… --calls 20 --page swarm.html
  retell-voice swarm --url ws://localhost:8090/audio-websocket
  retell-voice swarm --calls 500 --dask tcp://host:8786 --url wss://agent/ws

Results of several runs or machines can be added up: --json has the histograms themselves \
(HdrHistogram). Needs the extra 'swarm'.""" + codes(
    {
        0: "all calls were held; also when Ctrl-C ended them and none had failed",
        **{code: EXIT_CODES[code] for code in (1, 2, 4, 5)},
        6: "some calls failed or were left out, or all failed in different ways",
        7: EXIT_CODES[7],
    }
)
DEVICES = """\
List microphones and speakers: host API, channels, rates, and which is the default and why.

On a pipe: one line each, columns separated by tabs.

Examples:
  retell-voice devices
  retell-voice devices --json
  retell-voice devices | cut -f 2""" + codes_of("they are listed", 3)
_FAILED_FIRST = {
    0: "nothing failed",
    1: EXIT_CODES[1],
    2: "system or config failed first; or an option cannot be used",
    3: "sound failed first",
    4: "the server was not reached",
    5: "it did not answer as a call server",
    6: "a web call had no audio",
    7: "the REST API refused the API key, or has no such agent",
}
DOCTOR = """\
Check everything a call needs and say how to fix it: Python and its packages, the config file, \
sound, the network path to the server, and your account.

You are asked to speak for a few seconds, then three chimes are played and listened for. The \
server is asked for a call that does not exist, and the REST API for the agents of the API key: no \
call of yours is spent. --only call makes one, a web call of a second or two, and says how far it \
gets: token, relays, gateway, UDP, audio. With --no-sound nothing is \
played, and a missing microphone or speaker is only a warning.

Each line says pass, warn or fail, with what to do about it below.

Examples:
  retell-voice doctor
  retell-voice doctor --only network --url wss://your-server/audio-websocket
  retell-voice doctor --only account --only call --agent 'Front desk'
  retell-voice doctor --no-sound --json""" + codes(_FAILED_FIRST)
REPORT = """\
Write a page about a recorded call. It plays the sound along a timeline of both voices, answers, \
interruptions, jitter buffer and latencies; click a line of the transcript to hear it. Two calls \
are shown side by side, on the same time axis.

FILE is a directory written by talk --record, its events.jsonl, or the output of talk --json, \
which has no sound. The page is a single HTML file that loads nothing from elsewhere; sound that \
is too long for it (about 17 minutes, 45 with retell-voice\\[files]) is played from the recording.

Examples:
  retell-voice report --open calls/2026-01-31T12-00-00
  retell-voice report calls/2026-01-31T12-00-00 calls/2026-02-01T09-30-00
  retell-voice report call.jsonl --output call.html --png call.png""" + codes_of(
    "the page is written"
)
SHOW = """\
Show every setting, its value and where it came from: the command line, the environment, the \
config file or the default. Secrets are masked.

Takes the options of talk, to show their effect. With --json: an array of objects with key, value \
and source, all of them text.

Examples:
  retell-voice config show
  retell-voice config show --rate 16000 --json""" + codes_of("they are shown")
INIT = """\
Write a config file with every setting, its meaning and its default, for you to edit.

Only you can read it, since it may hold secrets. An existing file is kept unless --force is given.

Examples:
  retell-voice config init
  retell-voice config init my.toml; retell-voice talk --config my.toml --local""" + codes_of(
    "it is written; its path is printed"
)
