"""A load balancer or CDN in front: edge.py ADDRESS KIND TARGET. It passes requests on, and answers with its own page when that
fails, as KIND would: cloudflare, awselb, haproxy, plain."""

import http.client
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KIND, TARGET = sys.argv[2], sys.argv[3]
PAGES = {
    "cloudflare": (
        [("Server", "cloudflare"), ("CF-RAY", "8e5f0c1a2b3c4d5e-FRA")],
        '<html><head><title>shop.test | 502: Bad gateway</title></head><body><div id="cf-error-details">Bad gateway</div></body></html>',
    ),
    "awselb": (
        [("Server", "awselb/2.0")],
        "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n</body>\r\n</html>\r\n",
    ),
    "haproxy": (
        [],
        "<html><body><h1>502 Bad Gateway</h1>\nThe server returned an invalid or incomplete response.\n</body></html>\n",
    ),
    "plain": ([], "out of order\n"),
}


class Edge(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        try:
            peer = http.client.HTTPConnection(TARGET, timeout=2)
            peer.request("GET", self.path, headers={"Host": self.headers["Host"]})
            answer = peer.getresponse()
            status, headers, page = answer.status, [("Server", answer.getheader("Server", ""))], answer.read()
        except OSError:
            status, (headers, page) = 502, PAGES[KIND]
            page = page.encode()
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)


host, port = sys.argv[1].rsplit(":", 1)
ThreadingHTTPServer((host, int(port)), Edge).serve_forever()
