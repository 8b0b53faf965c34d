"""A container of the AJP 1.3 connector: ajp.py ADDRESS [MODE]. MODE: ok answers 200 to each request; hang answers the connector's ping
(CPing) and nothing else. After "The Apache Tomcat Connectors: AJP protocol reference".
"""

import socketserver
import struct
import sys
import time

MODE = sys.argv[2] if len(sys.argv) > 2 else "ok"
BODY = b"<h1>shop</h1>\n"


def packet(content):
    return b"AB" + struct.pack(">H", len(content)) + content


def text(value):
    return struct.pack(">H", len(value)) + value + b"\0"


class Container(socketserver.StreamRequestHandler):
    def handle(self):
        while True:
            begin = self.rfile.read(4)
            if len(begin) < 4 or begin[:2] != b"\x12\x34":
                return
            content = self.rfile.read(struct.unpack(">H", begin[2:])[0])
            if content[:1] == b"\x0a":  # CPing
                self.wfile.write(packet(b"\x09"))
            elif content[:1] == b"\x02":  # Forward Request
                if MODE == "hang":
                    time.sleep(3600)
                length = struct.pack(">H", len(BODY))
                headers = b"\x04" + struct.pack(">H", 200) + text(b"OK") + b"\0\1" + b"\xa0\x03" + text(str(len(BODY)).encode())
                self.wfile.write(packet(headers) + packet(b"\x03" + length + BODY + b"\0") + packet(b"\x05\x01"))


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True


host, port = sys.argv[1].rsplit(":", 1)
Server((host, int(port)), Container).serve_forever()
