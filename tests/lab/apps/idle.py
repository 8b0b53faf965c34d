"""A small site that closes idle connections: idle.py HOST PORT MILLISECONDS. It answers GET and POST at once, and keeps the
connection until nothing came for so long; then it needs 10 ms to clean up (IDLE_LATE: as many as that), and closes. What came in that
time is lost, as in any server whose event loop is busy when its timer fires.

IDLE_HEADER=1: it announces the time, in seconds, as node does. IDLE_FAILS=N: each N-th request is closed without an answer.
"""

import itertools
import os
import re
import socket
import sys
import threading
import time

host, port, idle = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]) / 1000
late = int(os.environ.get("IDLE_LATE", "10")) / 1000
fails = int(os.environ.get("IDLE_FAILS", "0"))
numbers = itertools.count(1)
announced = f"Keep-Alive: timeout={int(idle)}\r\n" if os.environ.get("IDLE_HEADER") else ""
page = b"<h1>shop</h1>\n"
answer = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n{announced}Content-Length: {len(page)}\r\n\r\n".encode() + page


def request(stream, buffer):
    """One request with its body; None: the peer is gone."""
    while b"\r\n\r\n" not in buffer:
        more = stream.recv(65536)
        if not more:
            return None
        buffer += more
    head, _, rest = buffer.partition(b"\r\n\r\n")
    length = next((int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
    while len(rest) < length:
        more = stream.recv(65536)
        if not more:
            return None
        rest += more
    return head, rest[length:]


def serve(stream):
    buffer = b""
    with stream:
        while True:
            stream.settimeout(idle)
            try:
                got = request(stream, buffer)
            except (TimeoutError, ConnectionError):
                time.sleep(late)
                return
            if got is None:
                return
            head, buffer = got
            if not re.match(rb"[A-Z]+ \S+ HTTP/1\.[01]\r?\n", head + b"\r\n"):
                stream.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                return
            if fails and next(numbers) % fails == 0:
                return
            stream.sendall(answer)
            if b"connection: close" in head.lower():
                return


listener = socket.create_server((host, port), backlog=128)
while True:
    stream, _ = listener.accept()
    threading.Thread(target=serve, args=(stream,), daemon=True).start()
