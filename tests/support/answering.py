"""A TCP server that gives one answer to every request, whole or not."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def answering(answer: bytes, *, in_pieces: bool = False, stays_open: bool = True) -> Iterator[int]:
    """A TCP server that answers every request with this, and may leave the connection open."""
    over = threading.Event()

    def serve(peer: socket.socket) -> None:
        with peer, contextlib.suppress(OSError):
            request = b""
            while b"\r\n\r\n" not in request:
                if not (data := peer.recv(4096)):
                    return  # who only asked what this speaks
                request += data
            for piece in (
                [answer[n : n + 7] for n in range(0, len(answer), 7)] if in_pieces else [answer]
            ):
                peer.sendall(piece)
            if stays_open:
                over.wait(30)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                peer, _ = listening.accept()
                each = threading.Thread(target=serve, args=(peer,))
                threads.append(each)
                each.start()

    threads = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threads.append(threading.Thread(target=accept))
        threads[0].start()
        yield listening.getsockname()[1]
        over.set()
        listening.shutdown(socket.SHUT_RDWR)
    for each in threads:
        each.join()
