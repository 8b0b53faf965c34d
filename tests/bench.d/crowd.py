#!/usr/bin/python3
"""The cost of looking at a host with 10,000 processes and 50,000 sockets, beside the peers that are installed.

Alone, against any build: WHY502=PATH unshare --pid --mount --net --fork --mount-proc --kill-child python3 tests/bench.d/crowd.py
"""

import os, resource, shutil, socket, subprocess, sys, tempfile, time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from host import CONFIG, POOLS, cost, pool
from terminal import say

PROCESSES, SOCKETS = 10_000, 50_000
# Connections to one listener: below the ports that the kernel gives out for one destination.
EACH = 5_000


def crowd():
    """Processes that do nothing, each a program of its own."""
    nothing = {0: os.open("/dev/null", os.O_RDWR)}
    sleep = shutil.which("sleep")
    return [
        os.posix_spawn(sleep, ["sleep", "86400"], {}, file_actions=[(os.POSIX_SPAWN_DUP2, nothing[0], number) for number in (0, 1, 2)])
        for _ in range(PROCESSES)
    ]


def sockets(number):
    """A process that holds both ends of so many connections to a listener of its own."""
    ready, told = os.pipe()
    pid = os.fork()
    if pid == 0:
        # The hard limit of a login is often little more than this.
        resource.setrlimit(resource.RLIMIT_NOFILE, (2 * EACH + 100, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        listener = socket.create_server((f"127.0.1.{number + 1}", 9000), backlog=1024)
        held = [listener]
        for _ in range(EACH):
            near = socket.create_connection(listener.getsockname())
            held += [near, listener.accept()[0]]
        os.write(told, b"x")
        while True:
            time.sleep(3600)
    os.close(told)
    assert os.read(ready, 1) == b"x", "the sockets could not be had"
    return pid


def rows(program):
    folder = tempfile.mkdtemp(prefix="why502-crowd-")
    os.chmod(folder, 0o755)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for port in POOLS:
        pool(port)
    config = os.path.join(folder, "nginx.conf")
    with open(config, "w") as file:
        file.write(CONFIG % {"folder": folder})
    nginx = subprocess.Popen(["nginx", "-c", config, "-g", "daemon off;"], stderr=subprocess.DEVNULL)
    say(f"{SOCKETS:,} sockets and {PROCESSES:,} processes ...")
    pids = [*map(sockets, range(SOCKETS // 2 // EACH)), *crowd()]
    screens = {"why502": [program, "--config", config]}
    screens |= {name: [name] for name in ("htop", "btm", "btop") if shutil.which(name)}
    found = [cost(argv) for argv in screens.values()]
    out = [f"| {PROCESSES:,} processes, {SOCKETS:,} sockets | " + " | ".join(screens) + " |", "|---|" + "--:|" * len(screens)]
    for what, key, digits in [
        ("CPU, % of one core (3)", "cpu", 2), ("wake-ups a second", "wakeups", 1), ("private memory, MB", "anon", 1), ("resident, MB (40)", "rss", 1),
    ]:
        out.append(f"| {what} | " + " | ".join(f"{figures[key]:.{digits}f}" for figures in found) + " |")
    for pid in pids:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
    nginx.terminate()
    nginx.wait()
    return "\n".join(out)


if __name__ == "__main__":
    print(rows(os.path.abspath(os.environ["WHY502"])))
