#!/usr/bin/python3
"""The cost of looking at the host: a quiet one with a gateway and two pools of workers, and one that has nothing to spare.

Alone, against any build: WHY502=PATH unshare --pid --mount --net --fork --mount-proc --kill-child tests/bench.d/host.py
"""

import os, shutil, socket, subprocess, sys, tempfile, time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from terminal import Terminal, say

# Each a master with this many workers, as php-fpm and gunicorn are.
POOLS, WORKERS = (8201, 8202), 8
BUSY = 16
CONFIG = """
worker_processes 2;
error_log %(folder)s/error.log;
pid %(folder)s/nginx.pid;
events { worker_connections 1024; }
http {
  access_log %(folder)s/access.log;
  server { listen 127.0.0.1:8099; location / { proxy_pass http://127.0.0.1:8201; } location /b/ { proxy_pass http://127.0.0.1:8202; } }
}
"""


def pool(port):
    """A master and its workers, which share a listener."""
    listener = socket.create_server(("127.0.0.1", port), backlog=128)

    def serve():
        while True:
            stream, _ = listener.accept()
            with stream:
                if stream.recv(4096):
                    stream.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n")

    master = os.fork()
    if master == 0:
        # What the bench tells, and where its table goes, is no log of an application.
        for inherited in (1, 2):
            os.dup2(os.open(os.devnull, os.O_WRONLY), inherited)
        for _ in range(WORKERS):
            if os.fork() == 0:
                serve()
        while True:
            time.sleep(3600)
    listener.close()
    return master


def cost(argv):
    terminal = Terminal(argv)
    try:
        return terminal.idle()
    finally:
        terminal.close()


def rows(program):
    folder = tempfile.mkdtemp(prefix="why502-host-")
    os.chmod(folder, 0o755)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for port in POOLS:
        pool(port)
    config = os.path.join(folder, "nginx.conf")
    with open(config, "w") as file:
        file.write(CONFIG % {"folder": folder})
    nginx = subprocess.Popen(["nginx", "-c", config, "-g", "daemon off;"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(0.5)
    screens = {"why502": [program, "--config", config]}
    screens |= {name: [name] for name in ("htop", "btop", "btm") if shutil.which(name)}
    out = [f"| a gateway and {len(POOLS)} x {WORKERS} workers | " + " | ".join(screens) + " |", "|---|" + "--:|" * len(screens)]

    def told(what, key, digits, found):
        out.append(f"| {what} | " + " | ".join(f"{figures[key]:.{digits}f}" for figures in found) + " |")

    say("the cost of looking at a quiet host ...")
    quiet = [cost(argv) for argv in screens.values()]
    told("quiet: CPU, % of one core (0.2)", "cpu", 2, quiet)
    told("quiet: wake-ups a second (8)", "wakeups", 1, quiet)
    told("quiet: private memory, MB (12)", "anon", 1, quiet)
    told("quiet: resident, MB (20)", "rss", 1, quiet)
    say("the same on a busy one ...")
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"], start_new_session=True) for _ in range(BUSY)]
    pressed = [cost(argv) for argv in screens.values()]
    told(f"beside {BUSY} busy processes: CPU, % of one core", "cpu", 2, pressed)
    told(f"beside {BUSY} busy processes: wake-ups a second", "wakeups", 1, pressed)
    for process in busy:
        process.kill()
        process.wait()
    nginx.terminate()
    nginx.wait()
    return "\n".join(out)


if __name__ == "__main__":
    print(rows(os.path.abspath(os.environ["WHY502"])))
