"""The command line: what it prints, its exit codes, and no traceback for a user's mistake."""

import asyncio
import io
import json
import re
import signal
import subprocess
import sys
from datetime import datetime, timezone
from xml.etree import ElementTree

import httpx
import pytest
from twilio.request_validator import RequestValidator
from websockets.sync.client import connect

from flowstorm_channel import __version__
from flowstorm_channel.cli import example, main
from flowstorm_channel.codecs import MsgpackCodec
from flowstorm_channel.contrib.asgi import ChannelApp
from flowstorm_channel.events import BinaryEvent, ReadyEvent
from flowstorm_channel.testing.alexa import AlexaPeer
from flowstorm_channel.testing.google import GooglePeer
from flowstorm_channel.twilio.audio import mulaw_of
from flowstorm_channel.values import AudioFileType, ClientConfig, ResponseItem, SttEncoding
from tests.test_contrib_websockets import in_a_thread


def call(*arguments, typed="", timeout=20):
    """Run the command as a process."""
    return subprocess.run(
        [sys.executable, "-m", "flowstorm_channel", *arguments],
        input=typed,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


@pytest.fixture
def talk(monkeypatch, capsys):
    """Run `talk` in this process, which starts sooner."""

    def run(*arguments, typed=""):
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        code = main(["talk", *arguments])
        printed = capsys.readouterr()
        return subprocess.CompletedProcess(arguments, code, printed.out, printed.err)

    return run


@pytest.fixture
def typed(monkeypatch):
    """Give a command run in this process its standard input."""

    def give(data):
        class Stdin:
            buffer = io.BytesIO(data)

        monkeypatch.setattr(sys, "stdin", Stdin)

    return give


# ------------------------------------------------------------ in general


def test_it_tells_its_version_and_its_commands(capsys):
    with pytest.raises(SystemExit) as left:
        main(["--version"])
    assert left.value.code == 0
    assert capsys.readouterr().out == f"flowstorm-channel {__version__}\n"
    with pytest.raises(SystemExit):
        main(["--help"])
    printed = capsys.readouterr().out
    for command in ("demo", "serve", "talk", "decode", "states"):
        assert re.search(rf"^ +{command} +\w", printed, re.MULTILINE)


@pytest.mark.parametrize("arguments", [[], ["dance"], ["serve", "--port", "x"], ["states", "everybody"]])
def test_wrong_calls_exit_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 2
    assert "usage: flowstorm-channel" in capsys.readouterr().err


def test_a_reader_that_has_had_enough_is_no_failure():
    command = f"{sys.executable} -m flowstorm_channel states -f json | head -c 1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=20, check=False)
    assert (done.stdout, done.stderr) == ("{", "")


# ------------------------------------------------------------ demo


def test_the_demo_draws_a_whole_conversation(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "110")
    assert main(["demo"]) == 0
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    for seen in (
        "Init key=demo",
        "Recognized “a story” final",
        "client: TurnInterruptedEvent(number=2, reason='input')",
        "server: TurnInterruptedEvent(number=2, reason='input')",
        "Recognized “#silence” final",
        "Response session ended",
        "close 1000",
        "Socket V2: HTTP requests",
        "PUT: Input “#intro”",
        "GET: RecognizedInput “a shorter” interim",
        "GET: end",
        "PUT: RecognizedInput “a shorter one” final",
        "PUT: Response session ended",
    ):
        assert seen in printed
    for state in ("Open", "Sleeping", "Listening", "Processing", "Responding", "Closed"):
        assert state in printed
    last = printed.rstrip().splitlines()[-1]
    assert re.fullmatch(r"\d+ messages, no network, 21\.0 seconds on a clock that was moved by hand\.", last)


def test_the_demo_shows_bytes_and_fits_its_terminal(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["demo", "--bytes"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any('{"type":"Init","key":"demo"' in line for line in lines)
    arrows = [line for line in lines if "──" in line]
    assert max(map(len, arrows)) <= 80


def test_colours_are_for_terminals(capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    main(["demo"])
    assert "\x1b[" in capsys.readouterr().out
    monkeypatch.setenv("NO_COLOR", "1")
    main(["demo"])
    assert "\x1b[" not in capsys.readouterr().out


# ------------------------------------------------------------ decode


def test_decode_reads_frames_and_says_what_is_wrong(typed, capsys):
    typed(
        b'{"type":"Ready"}\n\n'
        b'{"type":"Response","response":{"items":[{},{"ttsConfig":'
        b'{"provider":"G","locale":"en","gender":"X","name":"n"}}]}}\n'
        b"{\n"
        b'{"type":"Dance","with":["me"]}\n'
        b'{"type":"Binary","data":"AAAA"}\n'
    )
    assert main(["decode"]) == 1
    assert capsys.readouterr().out.splitlines()[:2] == [
        "1: Ready()",
        "3: response.items[1].ttsConfig.gender: 'X' is not one of Male, Female",
    ]


def test_decode_without_a_fault_exits_with_0(typed, capsys):
    typed(b'{"type":"Ready"}\n{"type":"Dance","with":["me"]}\n')
    assert main(["decode"]) == 0
    assert capsys.readouterr().out == "1: Ready()\n2: Dance(data={'type': 'Dance', 'with': ['me']})\n"


def test_decode_writes_what_this_library_would_send(typed, capsys):
    typed(b'{ "type": "SessionStartEvent", "sessionId": "s" }')
    assert main(["decode", "--json"]) == 0
    assert capsys.readouterr().out == '{"type":"SessionStarted","sessionId":"s"}\n'


def test_decode_reads_streams(typed, capsys):
    typed(b'[{"type":"Ready"}, {"type":\n"Log"}]')
    assert main(["decode", "--stream"]) == 0
    assert capsys.readouterr().out == "1: Ready()\n2: Log()\n"
    typed(b'{"type":"Ready"}{"type":"Log"')
    assert main(["decode", "--stream"]) == 1
    assert capsys.readouterr().out.startswith("1: Ready()\n2: ")


def test_decode_reads_msgpack(typed, capsys):
    packed = [MsgpackCodec().encode(event) for event in (ReadyEvent(), BinaryEvent(data=b"abc"))]
    typed(b"".join(packed))
    assert main(["decode", "--msgpack"]) == 0
    assert capsys.readouterr().out == "1: Ready()\n2: Binary(data=<3 bytes>)\n"
    typed(b"\n".join(each.hex(" ").encode() for each in packed) + b"\nxyz\nc0\n")
    assert main(["decode", "--hex"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["1: Ready()", "2: Binary(data=<3 bytes>)"]
    assert lines[2].startswith("3: not hexadecimal")
    assert lines[3].startswith("4: ")


# ------------------------------------------------------------ states


def test_states_prints_the_tables(capsys):
    assert main(["states"]) == 0
    assert "stateDiagram-v2" in capsys.readouterr().out
    assert main(["states", "server", "--format", "dot"]) == 0
    assert capsys.readouterr().out.startswith("digraph")
    assert main(["states", "-f", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["version"] == 1


# ------------------------------------------------------------ talk


def test_talk_says_what_comes_through_the_pipe():
    with in_a_thread(ChannelApp(example.dialogue)) as address:
        done = call("talk", f"ws://{address}", typed="hello\nimage\ncommand\nstop\nonce more\n")
    assert (done.stderr, done.returncode) == ("", 0)
    lines = [line for line in done.stdout.splitlines() if not line.startswith("session ")]
    assert lines[:4] == [
        "< Hello! I repeat what you say.",
        f"< {example._HELP}",
        "< You said: hello",
        "< A wave.",
    ]
    assert lines[4].startswith("  [image data:image/svg+xml")
    assert lines[5:] == [
        "# suggestions {'suggestions': ['image', 'long', 'stop']}",
        "< Choose one of these.",
        "< Goodbye.",
        "the session has ended",
        "< You said: once more",
    ]


def test_talk_over_http_is_the_same(talk):
    with in_a_thread(ChannelApp(example.dialogue)) as address:
        done, other = (
            talk(f"{scheme}://{address}", typed="hello\nimage\ncommand\nstop\nonce more\n")
            for scheme in ("ws", "http")
        )
    assert (done.stderr, done.returncode) == (other.stderr, other.returncode) == ("", 0)
    said, also_said = (
        [line for line in each.stdout.splitlines() if not line.startswith("session ")]
        for each in (done, other)
    )
    assert said == also_said


def test_talk_over_http_shows_what_went_wrong(talk):
    async def authorise(init):
        return f"{init.key} is not welcome"

    with in_a_thread(ChannelApp(example.dialogue, authorise=authorise)) as address:
        done = talk(f"http://{address}/client", "--key", "nobody", "--msgpack", typed="hello\n")
        lost = talk(f"http://{address}/elsewhere", typed="hello\n")
    assert done.returncode == lost.returncode == 1
    assert "! nobody is not welcome" in done.stdout
    assert "HTTP 403; is the path right?" in done.stderr
    assert "HTTP 404; is the path right?" in lost.stderr


def test_talk_in_msgpack_without_introduction(talk):
    with in_a_thread(ChannelApp(example.dialogue)) as address:
        done = talk(f"ws://{address}/socket", "--msgpack", "--no-intro", "--verbose", typed="\n/quit\n")
    assert done.returncode == 0
    assert "< I heard nothing. Are you still there?" in done.stdout
    assert "ReadyEvent()" in done.stdout


def test_talk_shows_errors_and_keeps_to_one_line_about_them(talk):
    async def authorise(init):
        return f"{init.key} is not welcome"

    with in_a_thread(ChannelApp(example.dialogue, authorise=authorise)) as address:
        done = talk(f"ws://{address}/socket", "--key", "nobody", typed="hello\n")
    assert done.returncode == 1
    assert "! nobody is not welcome" in done.stdout
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("url", "code", "said"),
    [
        ("ftp://127.0.0.1:1/", 2, "expected an address such as ws://"),
        ("nonsense", 2, "expected an address such as ws://"),
        ("ws://", 2, "expected an address such as ws://"),
        ("ws://127.0.0.1:99999/socket", 2, "expected an address such as ws://"),
        ("ws://[::1/socket", 2, "expected an address such as ws://"),
        ("ws://127.0.0.1:1", 1, "no connection to ws://127.0.0.1:1/socket"),
        ("http://127.0.0.1:1", 1, "no connection to http://127.0.0.1:1/client"),
    ],
)
def test_talk_to_nobody_says_so_in_one_line(talk, url, code, said):
    done = talk(url)
    assert done.returncode == code
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_talk_refuses_a_language_that_is_none(capsys):
    assert main(["talk", "ws://127.0.0.1:1", "--locale", "!!"]) == 2
    assert "expected a language" in capsys.readouterr().err


def test_talk_hints_at_a_wrong_path(talk):
    with in_a_thread(ChannelApp(example.dialogue)) as address:
        done = talk(f"ws://{address}/elsewhere")
    assert done.returncode == 1
    assert "HTTP 403; is the path right?" in done.stderr


def test_a_peer_cannot_steer_the_terminal(talk, typed, capsys):
    async def dialogue(_):
        yield "\x1b[2Jgone\x07 Grüße"

    with in_a_thread(ChannelApp(dialogue)) as address:
        done = talk(f"ws://{address}/socket", "--no-intro", typed="hello\n/help\n")
    assert "< \\x1b[2Jgone\\x07 Grüße\n" in done.stdout
    assert "/interrupt stops the answer" in done.stdout
    typed(b'{"type":"\\u001b[31mFoo"}')
    assert main(["decode"]) == 0
    assert "\x1b" not in capsys.readouterr().out


# ------------------------------------------------------------ serve


def started(*arguments):
    """Start a server as a process; gives it and the line it prints."""
    server = subprocess.Popen(
        [sys.executable, "-m", "flowstorm_channel", "serve", "--port", "0", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    return server, server.stdout.readline()


def test_serve_prints_where_and_talks(talk):
    server, line = started("--verbose")
    with server:
        here = r"127\.0\.0\.1:\d+"
        found = re.fullmatch(
            rf"Listening on http://{here}/ \(a page to talk to\), "
            rf"(ws://{here}/socket) and (http://{here}/client) \(Ctrl\+C stops it\)\n",
            line,
        )
        done = call("talk", found[1], typed="hello\n")
        over_http = talk(found[2], typed="hello\n")
        server.send_signal(signal.SIGINT)
        out, err = server.communicate(timeout=20)
    assert "< You said: hello" in done.stdout
    assert "< You said: hello" in over_http.stdout
    assert "Input: InputEvent(input=Input(" in out
    assert err == ""
    assert server.returncode in (0, 130, -signal.SIGINT)


def test_serve_can_leave_out_the_page():
    server, line = started("--no-page")
    with server:
        with httpx.Client(base_url=url_of(line), trust_env=False) as client:
            assert client.get("/").status_code == 404
        server.send_signal(signal.SIGINT)
        server.communicate(timeout=20)
    assert "a page to talk to" not in line


def test_serve_takes_your_dialogue(talk, tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text("async def dialogue(turn):\n    yield 'Mine.'\n")
    monkeypatch.chdir(tmp_path)
    server, line = started("mine:dialogue")
    with server:
        done = talk(line.split()[2], "--no-intro", typed="hello\n")
        server.terminate()
        server.communicate(timeout=20)
    assert "< Mine." in done.stdout


@pytest.mark.parametrize("name", ["no_such_module:dialogue", "json:no_such_function", "json", "json:loads"])
def test_serve_of_a_dialogue_that_is_not_there(name, capsys):
    assert main(["serve", name]) == 2
    assert capsys.readouterr().err.startswith(f"flowstorm-channel: {name}: ")


def test_serve_where_one_cannot_listen(capsys):
    with pytest.raises(SystemExit):
        main(["serve", "--port", "70000"])
    assert main(["serve", "--host", "203.0.113.1", "--port", "0"]) == 1
    assert capsys.readouterr().err.count("cannot listen on") == 1


@pytest.mark.parametrize(
    ("command", "module", "needed"),
    [
        (["serve"], "uvicorn", "server"),
        (["talk", "ws://127.0.0.1:1"], "websockets.asyncio.client", "websockets"),
        (["talk", "http://127.0.0.1:1"], "httpx", "httpx"),
    ],
)
def test_what_is_not_installed_is_named(command, module, needed, capsys, monkeypatch):
    for name in list(sys.modules):
        if name.startswith("flowstorm_channel.contrib."):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    assert main(command) == 1
    assert f"pip install 'flowstorm-channel[{needed}]'" in capsys.readouterr().err


# ------------------------------------------------------------ the example's recogniser


def test_the_example_hears_speech_and_its_end():
    class Microphone:
        config = ClientConfig(stt_sample_rate=1000)
        encoding = SttEncoding.LINEAR16

        def __init__(self, *blocks):
            self.blocks = list(blocks)

        def __aiter__(self):
            return self

        async def __anext__(self):
            if not self.blocks:
                raise StopAsyncIteration
            return self.blocks.pop(0)

    async def heard(*blocks):
        return [each async for each in example.recogniser(Microphone(*blocks))]

    loud, quiet = b"\x00\x20" * 100, bytes(200)
    spoken = asyncio.run(heard(quiet, *[loud] * 5, loud[:1], loud[1:], *[quiet] * 8))
    assert spoken[-1] == ("0.6 seconds of speech", True)
    assert spoken[:-1] == [("…", False)] * len(spoken[:-1])
    assert asyncio.run(heard(*[quiet] * 20)) == []


# ------------------------------------------------------------ serve: platforms


def url_of(line):
    """The address of HTTP in the line that is printed first."""
    return re.search(r"http://[\d.]+:\d+", line)[0]


def test_serve_tries_out_all_platforms():
    """A call that goes on is closed as politely as any conversation."""
    start = {
        "streamSid": "MZ1",
        "callSid": "CA1",
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
    }
    frames = [{"event": "connected"}, {"event": "start", "streamSid": "MZ1", "start": start}]
    server, line = started("--allow-unsigned", "google,alexa, twilio")
    with server:
        url = url_of(line)
        alexa, google = AlexaPeer(lambda: datetime.now(timezone.utc)), GooglePeer("3")
        with httpx.Client(base_url=url, trust_env=False) as client:
            for peer in (alexa, google):
                head, body = peer.launch()
                answer = client.request(head.method, head.url, headers=list(head.headers), content=body)
                heard = peer.take(answer.status_code, answer.content)
                assert heard.speech.startswith("Hello! I repeat what you say.")
            answer = client.post("/call", data={"CallSid": "CA1"})
            (stream,) = ElementTree.fromstring(answer.content)[0]
            assert stream.get("url").startswith("wss://127.0.0.1:")
        with connect(url.replace("http:", "ws:") + "/call", proxy=None) as socket:
            for frame in frames:
                socket.send(json.dumps(frame))
            assert json.loads(socket.recv())["event"] == "media"
            server.send_signal(signal.SIGINT)
            assert all(json.loads(message)["event"] in ("media", "mark") for message in socket)
            assert socket.close_code == 1001
        out, err = server.communicate(timeout=20)
    assert (out, err) == ("", "flowstorm-channel: requests are NOT verified: alexa, google, twilio\n")


def test_serve_offers_the_page_and_says_how_platforms_are_answered():
    server, line = started()
    with server:
        with httpx.Client(base_url=url_of(line), trust_env=False) as client:
            assert client.get("/").status_code == 200
            for path in ("/alexa", "/google", "/call"):
                answer = client.post(path, content=b"{}")
                assert answer.status_code == 503
                assert answer.text.startswith("not configured: ")
        server.send_signal(signal.SIGINT)
        assert server.communicate(timeout=20) == ("", "")


def test_serve_verifies_requests(monkeypatch):
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", "12345")
    public = "https://voice.example.com"
    server, line = started("--alexa", "one", "--alexa", "two", "--google", "project", "--twilio", public)
    with server:
        form = {"CallSid": "CA1"}
        signature = RequestValidator("12345").compute_signature(f"{public}/call", form)
        with httpx.Client(base_url=url_of(line), trust_env=False) as client:
            for path, status in (("/alexa", 400), ("/google", 403), ("/call", 403)):
                assert client.post(path, content=b"{}").status_code == status
            answer = client.post("/call", data=form, headers={"X-Twilio-Signature": signature})
            assert f'url="wss://{public[8:]}/call"' in answer.text
        server.send_signal(signal.SIGINT)
        _, err = server.communicate(timeout=20)
    assert "NOT verified" not in err


@pytest.mark.parametrize("names", ["alexa,cortana", "", "Alexa", "alexa;google"])
def test_serve_knows_three_platforms(names, capsys):
    with pytest.raises(SystemExit) as left:
        main(["serve", "--allow-unsigned", names])
    assert left.value.code == 2
    *_, reason = capsys.readouterr().err.splitlines()
    assert "--allow-unsigned" in reason
    for name in ("alexa", "google", "twilio"):
        assert name in reason
    assert "_platforms" not in reason


@pytest.mark.parametrize(
    ("arguments", "token", "said"),
    [
        (["--twilio", "https://voice.example.com"], None, "TWILIO_AUTH_TOKEN"),
        (["--twilio", "https://voice.example.com"], "", "TWILIO_AUTH_TOKEN"),
        (["--twilio", "voice.example.com"], "12345", "voice.example.com"),
        (["--twilio", "http://voice.example.com"], "12345", "http://voice.example.com"),
        (["--alexa", ""], None, "skill"),
        (["--google", ""], None, "project"),
    ],
    ids=["no token", "an empty token", "no address", "no TLS", "no skill", "no project"],
)
def test_serve_refuses_what_could_answer_nobody(arguments, token, said, capsys, monkeypatch):
    monkeypatch.delenv("TWILIO_AUTH_TOKEN", raising=False)
    if token is not None:
        monkeypatch.setenv("TWILIO_AUTH_TOKEN", token)
    assert main(["serve", "--port", "0", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("flowstorm-channel: ")
    assert said in printed.err
    assert printed.err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "package"),
    [(["--alexa", "x"], "cryptography"), (["--alexa", "x"], "certifi"), (["--google", "x"], "cryptography")],
    ids=["alexa", "alexa's roots", "google"],
)
def test_serve_names_what_verifying_needs(arguments, package, capsys, monkeypatch):
    for name in [package, *(each for each in sys.modules if each.startswith(f"{package}."))]:
        monkeypatch.setitem(sys.modules, name, None)
    assert main(["serve", "--port", "0", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "pip install 'flowstorm-channel[verify]'" in printed.err
    assert printed.err.count("\n") == 1


# ------------------------------------------------------------ the example on the phone


@pytest.mark.parametrize("encoding", ["LINEAR16", "MULAW"])
def test_the_example_hears_both_encodings(encoding):
    class Microphone:
        config = ClientConfig(stt_sample_rate=8000)

        def __init__(self, *blocks):
            self.encoding = SttEncoding[encoding]
            self.blocks = iter(blocks)

        def __aiter__(self):
            return self

        async def __anext__(self):
            try:
                return next(self.blocks)
            except StopIteration:
                raise StopAsyncIteration from None

    def block(sample):
        pcm = sample.to_bytes(2, "little", signed=True) * 160
        return mulaw_of(pcm) if encoding == "MULAW" else pcm

    async def heard(*blocks):
        return [each async for each in example.recogniser(Microphone(*blocks))]

    spoken = asyncio.run(heard(*[block(0)] * 10, *[block(8000)] * 50, *[block(0)] * 50))
    assert spoken[-1] == ("1.0 seconds of speech", True)
    assert len(spoken) == 11


@pytest.mark.parametrize(("kind", "size"), [("mulaw", 3 * 1200), ("wav", 44 + 3 * 2400), ("mp3", 0)])
def test_the_example_speaks_in_beeps(kind, size):
    item = ResponseItem(text="one two three")
    audio = asyncio.run(example.voice(item, ClientConfig(tts_file_type=AudioFileType(kind))))
    assert len(audio) == size
    assert audio.startswith(b"RIFF") == (kind == "wav")
