"""A decoy: cache.py HOST PORT speaks as redis does, an inline text protocol, and knows nothing of HTTP."""

import socketserver
import sys


class Cache(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            word = line.split()[:1]
            if word == [b"PING"]:
                self.wfile.write(b"+PONG\r\n")
            elif word in ([b"GET"], [b"HEAD"], [b"POST"], [b"Host:"]):
                # redis hangs up on these: a browser was made to speak to it (CVE-2016-10517's cross-protocol scripting).
                return
            else:
                self.wfile.write(b"-ERR unknown command\r\n")


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True


Server((sys.argv[1], int(sys.argv[2])), Cache).serve_forever()
