"""A small site: site.py ADDRESS [MODE]. ADDRESS as nginx writes it: 127.0.0.1:8000, [::1]:8000, unix:/run/app/app.sock.

MODE says what happens to a request:
  ok        GET / is 200 after 5 ms, /slow after 1.5 s, /poll after an hour, anything else 404
  401 301   that status, with what belongs to it
  close     closes without an answer             reset     the same, by RST
  partial   half of a header, then closes        exit      the process ends while it holds the request
  other     200 with the page of another program (a decoy)
  hang      takes the request and never answers   slow     GET / is 200 after 0.7 s
  big       200 with 9 KiB of cookies             bad-header  a header line without a colon
  garbage   no status line at all                 deaf     listens, and accepts nothing
  large     200 with 40 KiB, all in one write
SITE_TLS: a file with certificate and key; the site then speaks TLS.
"""

import os
import socket
import ssl
import struct
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer

MODE = sys.argv[2] if len(sys.argv) > 2 else "ok"


class Site(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "site/1"

    def do_GET(self):
        if MODE == "close":
            self.close_connection = True
        elif MODE == "reset":
            # Linger 0: close() sends RST instead of FIN (socket(7)).
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            raise ConnectionAbortedError
        elif MODE == "partial":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/ht")
            self.close_connection = True
        elif MODE == "exit":
            os._exit(1)
        elif MODE == "401":
            self.answer(401, b"who are you?\n", ("WWW-Authenticate", 'Basic realm="shop"'))
        elif MODE == "301":
            self.answer(301, b"", ("Location", "/shop/"))
        elif MODE == "other":
            self.answer(200, b"# TYPE build_info gauge\nbuild_info 1\n")
        elif MODE == "hang":
            time.sleep(3600)
        elif MODE == "big":
            cookies = [("Set-Cookie", f"part{i}={'x' * 1000}; Path=/") for i in range(9)]
            self.answer(200, b"<h1>shop</h1>\n", *cookies)
        elif MODE == "bad-header":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nWarning use of undefined constant\r\nContent-Type: text/html\r\n\r\nshop\n")
            self.close_connection = True
        elif MODE == "large":
            body = b"<h1>shop</h1>" * 3000
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        elif MODE == "garbage":
            self.wfile.write(b"Traceback (most recent call last):\n  File \"shop.cgi\", line 3\n")
            self.close_connection = True
        elif self.path == "/poll":
            time.sleep(3600)
        elif self.path.split("?")[0] in ("/", "/slow", "/cart", "/api/"):
            time.sleep(1.5 if self.path.startswith("/slow") else 0.7 if MODE == "slow" else 0.005)
            self.answer(200, b"<h1>shop</h1>\n")
        else:
            self.answer(404, b"no such page\n")

    do_HEAD = do_POST = do_GET

    def answer(self, status, body, *headers):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def address_string(self):
        # Unix sockets have no peer address.
        return self.client_address[0] if self.client_address else "unix"


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 0 if MODE == "deaf" else 128

    def server_bind(self):
        # Not HTTPServer's own, which asks the DNS for the host's name.
        TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]

    def handle_error(self, request, client_address):
        sys.stderr.write(f"error: {sys.exc_info()[1]!r}\n")


class Unix(Server):
    address_family = socket.AF_UNIX

    def server_bind(self):
        if os.path.exists(self.server_address):
            os.unlink(self.server_address)
        self.socket.bind(self.server_address)
        os.chmod(self.server_address, int(os.environ.get("SOCKET_MODE", "666"), 8))
        self.server_name, self.server_port = "unix", 0


class Six(Server):
    address_family = socket.AF_INET6

    def server_bind(self):
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        super().server_bind()


address = sys.argv[1]
if address.startswith("unix:"):
    server = Unix(address.removeprefix("unix:"), Site)
else:
    host, port = address.rsplit(":", 1)
    kind = Six if host.startswith("[") else Server
    server = kind((host.strip("[]"), int(port)), Site)
if "SITE_TLS" in os.environ:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(os.environ["SITE_TLS"])
    # The handshake in the thread of its connection: one that speaks no TLS must not hold up the others.
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
if MODE == "deaf":
    time.sleep(3600)
server.serve_forever()
