import io
import os
import subprocess
import sys
import textwrap

from retell_voice.devices.portaudio.stderr import native_stderr_silenced


def run(program):
    """Run a program whose stderr is a pipe, and return what comes out of it."""
    prelude = """
        import logging, os, sys, threading
        from retell_voice.devices.portaudio.stderr import native_stderr_silenced

        def native(text):
            os.write(2, text.encode() + b"\\n")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(prelude) + textwrap.dedent(program)],
        check=False,
        capture_output=True,
        text=True,
        timeout=20,
    )
    return done.stderr


def test_only_what_python_says_is_heard():
    said = run("""
        native("before")
        with native_stderr_silenced():
            native("ALSA lib: chatter")
            print("ours", file=sys.stderr)
            logging.warning("logged")
            print(sys.stderr.isatty(), sys.stderr.encoding, file=sys.stderr)
        native("after")
        print("and ours", file=sys.stderr)
    """)
    assert said == "before\nours\nWARNING:root:logged\nFalse utf-8\nafter\nand ours\n"


def test_threads_and_tracebacks_are_heard():
    said = run("""
        with native_stderr_silenced():
            thread = threading.Thread(target=lambda: 1 / 0)
            thread.start()
            thread.join()
            raise ValueError("the end")
    """)
    assert "ZeroDivisionError" in said
    assert said.endswith("ValueError: the end\n")


def test_chatter_can_be_kept(tmp_path):
    log = tmp_path / "log"
    said = run(f"""
        with native_stderr_silenced({str(log)!r}):
            native("chatter")
    """)
    assert said == ""
    assert log.read_text() == "chatter\n"


def test_only_what_python_says_is_heard_after_a_stream_that_hangs():
    said = run("""
        from retell_voice.devices.portaudio import library

        with native_stderr_silenced():
            library.enter()
            native("chatter")
        native("more of it")
        print("ours", file=sys.stderr)
        logging.warning("logged")
        raise ValueError("the end")
    """)
    assert said.startswith("ours\nWARNING:root:logged\nTraceback")
    assert said.endswith("ValueError: the end\n")


def test_a_handler_that_outlives_it_still_speaks():
    said = run("""
        with native_stderr_silenced():
            logging.basicConfig()
        logging.warning("late")
    """)
    assert said == "WARNING:root:late\n"


def test_a_stand_in_for_stderr_is_left_alone(monkeypatch):
    for stand_in in (io.StringIO(), None):
        monkeypatch.setattr(sys, "stderr", stand_in)
        before = os.fstat(2)
        with native_stderr_silenced():
            assert sys.stderr is stand_in
            assert os.fstat(2) == before
