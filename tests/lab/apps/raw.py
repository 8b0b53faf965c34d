"""Answers every request with the same bytes: raw.py ADDRESS FILE."""

import socketserver
import sys

ANSWER = open(sys.argv[2], "rb").read()


class Raw(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.settimeout(2)
        try:
            self.request.recv(65536)
        except OSError:
            return
        self.request.sendall(ANSWER)


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True


host, port = sys.argv[1].rsplit(":", 1)
Server((host, int(port)), Raw).serve_forever()
