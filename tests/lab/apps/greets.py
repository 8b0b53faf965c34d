"""Greets whoever connects, and hangs up on what it does not understand: greets.py ADDRESS FILE."""

import socketserver
import sys

GREETING = open(sys.argv[2], "rb").read()


class Greets(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.settimeout(2)
        self.request.sendall(GREETING)
        try:
            self.request.recv(65536)
        except OSError:
            return


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True


host, port = sys.argv[1].rsplit(":", 1)
Server((host, int(port)), Greets).serve_forever()
