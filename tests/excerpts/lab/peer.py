"""An upstream that misbehaves in one way: `peer.py MODE ADDRESS PORT`. What no real application does on demand."""

import select
import socket
import struct
import sys
import threading
import time

mode, address, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
began = time.time()
OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n"


def serve(conn):
    request = conn.recv(65536)
    if mode == "reset":
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    elif mode == "recycle":
        # A worker that retires after so many requests: it closes an idle connection on which the next request is on its way.
        for _ in range(9):
            conn.sendall(OK.replace(b"Connection: close\r\n", b""))
            if not select.select([conn], [], [], 5)[0]:
                break
            last = conn.recv(65536) if _ < 8 else b""
            if _ < 8 and not last:
                break
    elif mode == "silent":
        time.sleep(600)
    elif mode == "slow":
        time.sleep(0.2 if b"/fast" in request or b"/health" in request else 600)
        conn.sendall(OK)
    elif mode == "busy":
        time.sleep(2.5)
        conn.sendall(OK)
    elif mode == "warning":
        conn.sendall(b"HTTP/1.1 200 OK\r\nDeprecated: session_start() expects\r\n<b>Warning</b> undefined index cart in /srv/shop/app.php on line 12\r\n\r\nok\n")
    elif mode == "smtp":
        conn.sendall(b"220 mail.internal ESMTP Postfix\r\n")
    elif mode == "bad-gateway":
        page = b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>openresty</center>\r\n</body>\r\n</html>\r\n"
        conn.sendall(b"HTTP/1.1 502 Bad Gateway\r\nServer: openresty\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(page) + page)
    elif mode == "no-health" and b"/healthz" in request and time.time() > began + 2:
        conn.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    elif mode == "cookies":
        cookies = b"".join(b"Set-Cookie: sess_%d=%s; path=/; HttpOnly\r\n" % (n, b"eyJpdiI6Ik" * 60) for n in range(9))
        conn.sendall(b"HTTP/1.1 200 OK\r\n" + cookies + b"Content-Length: 3\r\nConnection: close\r\n\r\nok\n")
    elif mode == "large":
        conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 60000000\r\nConnection: close\r\n\r\n")
        for _ in range(60):
            conn.sendall(b"x" * 1_000_000)
    elif mode == "limited":
        conn.sendall(OK.replace(b"200 OK", b"503 Service Unavailable"))
    else:
        conn.sendall(OK)
    conn.close()


def guarded(conn):
    try:
        serve(conn)
    except OSError:
        pass


listener = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind((address, port))
listener.listen(512)
while True:
    conn, _ = listener.accept()
    threading.Thread(target=guarded, args=(conn,), daemon=True).start()
