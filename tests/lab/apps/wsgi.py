"""The same small site for gunicorn. SITE_MODE: ok, exit (the worker ends while it holds the request), or hang (no answer for a minute)."""

import os
import time

MODE = os.environ.get("SITE_MODE", "ok")


def application(environ, start_response):
    if MODE == "exit":
        os._exit(1)
    if MODE == "hang":
        time.sleep(60)
    known = environ["PATH_INFO"] in ("/", "/cart")
    body = b"<h1>shop</h1>\n" if known else b"no such page\n"
    start_response("200 OK" if known else "404 Not Found", [("Content-Type", "text/html"), ("Content-Length", str(len(body)))])
    return [body]
