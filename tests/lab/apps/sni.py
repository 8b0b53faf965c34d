"""A small site over TLS that refuses whoever does not send its name: sni.py PORT CERTIFICATE NAME."""
import http.server
import ssl
import sys

port, certificate, name = int(sys.argv[1]), sys.argv[2], sys.argv[3]


class Site(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        page = b"<h1>shop</h1>\n"
        self.send_response(200)
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_):
        pass


def by_name(_socket, wanted, _context):
    return None if wanted == name else ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *_):
        pass

    def finish_request(self, request, address):
        # Here, so that one slow handshake does not hold up the others.
        super().finish_request(context.wrap_socket(request, server_side=True), address)


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(f"{certificate}.chain.pem", f"{certificate}.key")
context.sni_callback = by_name
Server(("127.0.0.1", port), Site).serve_forever()
