"""A site that speaks SCGI: scgi.py ADDRESS. What is no netstring is hung up on, as flup does."""

import socketserver
import sys


class Scgi(socketserver.StreamRequestHandler):
    def handle(self):
        length = b""
        while True:
            byte = self.rfile.read(1)
            if byte == b":":
                break
            if not byte.isdigit():
                return
            length += byte
        self.rfile.read(int(length) + 1)
        self.wfile.write(b"Status: 200 OK\r\nContent-Type: text/html\r\n\r\n<h1>shop</h1>\n")


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True


host, port = sys.argv[1].rsplit(":", 1)
Server((host, int(port)), Scgi).serve_forever()
