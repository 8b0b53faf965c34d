#!/usr/bin/python3
"""Probes: one against curl and a bare socket, a round of many, and what a whole `check` costs.

Alone, against any build: WHY502=PATH unshare --pid --mount --net --fork --mount-proc --kill-child tests/bench.d/probing.py
"""

import collections, json, os, re, shutil, socket, statistics, subprocess, sys, tempfile, threading, time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from terminal import Terminal, say

RUNS, PROCESSES, SOCKETS = 7, 30, 300
POOLS = (1, 10, 100, 1000)
# Bare connects a second, and as many may come at once (DESIGN.md, promise 3); the console is given so many seconds for a pool.
CAP, BURST, PATROL_S = 50, 50, 60
PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
PORT = 8100
REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n"
CONFIG = """
worker_processes 1;
error_log %s/error.log;
pid %s/nginx.pid;
events { worker_connections 1024; }
http {
  access_log %s/access.log;
  upstream many { %s }
  server { listen 127.0.0.1:8099; location / { proxy_pass http://many; } }
}
"""


def serve():
    """An application on all addresses of loopback."""
    listener = socket.create_server(("0.0.0.0", PORT), backlog=512)

    def answer(stream):
        with stream:
            if stream.recv(4096):
                stream.sendall(ANSWER)

    def accept():
        while True:
            threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return listener


def bare():
    """Milliseconds of connect, GET and answer over a socket of this process."""
    began = time.perf_counter()
    with socket.create_connection(("127.0.0.1", PORT)) as stream:
        stream.sendall(REQUEST)
        while stream.recv(4096):
            pass
    return (time.perf_counter() - began) * 1e3


def curl():
    began = time.perf_counter()
    subprocess.run(["curl", "-s", "-o", "/dev/null", f"http://127.0.0.1:{PORT}/"], check=False)
    return (time.perf_counter() - began) * 1e3


def message(line):
    """One line of a recording; the last may be cut in the middle."""
    try:
        return json.loads(line)
    except ValueError:
        return {}


def check(program, config, record):
    """Wall and CPU in milliseconds, peak memory in MB, and the probes with their times: (begin of the run to report, ms each)."""
    began = time.perf_counter()
    child = subprocess.Popen([program, "check", "--json", "--config", config, "--record", record], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, _, used = os.wait4(child.pid, 0)
    wall = (time.perf_counter() - began) * 1e3
    probes = []
    for line in open(record):
        seen = message(line).get("seen")
        probe = seen.get("probe") if isinstance(seen, dict) else None
        if probe:
            at = message(line)["at"]["run_ms"]
            probes.append((at, probe["job"]["probe"], probe["job"]["address"], probe["phases"]["total"]))
    return wall, (used.ru_utime + used.ru_stime) * 1e3, used.ru_maxrss / 1024, probes


def shell(config):
    """What a person runs by hand, one after the other. `None`: not all of it is installed."""
    commands = [["curl", "-s", "-o", "/dev/null", f"http://127.0.0.1:{PORT}/"], ["dig", "+short", "+time=1", "+tries=1", "localhost"], ["ss", "-ltnp"], ["nginx", "-t", "-c", config]]
    if not all(shutil.which(command[0], path=PATH) for command in commands):
        return None
    script = "; ".join(" ".join(command) + " >/dev/null 2>&1" for command in commands)
    began = time.perf_counter()
    subprocess.run(["sh", "-c", script], check=False, env={**os.environ, "PATH": PATH})
    return (time.perf_counter() - began) * 1e3


def patrol(program, config, record, count):
    """The console over a large pool: seconds until each server was connected to once, how many were in the fullest second, and the
    peak of memory in MB."""
    terminal = Terminal([program, "--config", config, "--record", record])
    reached, until = {}, time.monotonic() + PATROL_S
    while time.monotonic() < until and len(reached) < count:
        terminal.read(0.5)
        reached = {}
        for line in open(record) if os.path.exists(record) else ():
            seen = message(line).get("seen")
            probe = seen.get("probe") if isinstance(seen, dict) else None
            if probe and probe["job"]["probe"] == "upstream":
                reached.setdefault(probe["job"]["address"], message(line)["at"]["run_ms"])
    status = open(f"/proc/{terminal.pid}/status").read()
    peak, now = (int(re.search(rf"^{name}:\s+(\d+)", status, re.M)[1]) / 1024 for name in ("VmHWM", "VmRSS"))
    terminal.close()
    seconds = collections.Counter(at // 1000 for at in reached.values())
    return len(reached), (max(reached.values()) - min(reached.values())) / 1e3, max(seconds.values()), now, peak


def rows(program):
    folder = tempfile.mkdtemp(prefix="why502-probing-")
    os.chmod(folder, 0o755)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    listener = serve()
    out = ["| probes | unit | target | why502 |", "|---|---|--:|--:|"]

    def row(what, unit, target, figure, digits=0):
        miss = " (missed)" if target is not None and figure > target else ""
        out.append(f"| {what} | {unit} | {'' if target is None else f'{target:g}'} | **{figure:.{digits}f}**{miss} |")

    say("one probe ...")
    process = statistics.median(curl() for _ in range(PROCESSES))
    out.append(f"| connect and GET: a curl process | ms |  | {process:.2f} |")
    out.append(f"| connect and GET: a bare socket (Python) | ms |  | {statistics.median(bare() for _ in range(SOCKETS)):.2f} |")
    by_hand = None
    for count in POOLS:
        say(f"a round over {count} ...")
        config = os.path.join(folder, f"{count}.conf")
        servers = " ".join(f"server 127.0.{n // 250 + 1}.{n % 250 + 1}:{PORT};" for n in range(count))
        with open(config, "w") as file:
            file.write(CONFIG % (folder, folder, folder, servers))
        nginx = subprocess.Popen(["nginx", "-c", config, "-g", "daemon off;"], stderr=subprocess.DEVNULL)
        began = time.monotonic()
        while subprocess.run(["curl", "-sf", "-o", "/dev/null", "http://127.0.0.1:8099/"], check=False).returncode != 0:
            assert time.monotonic() - began < 30, "the gateway is not healthy"
            time.sleep(0.05)
        if by_hand is None:
            times = [shell(config) for _ in range(RUNS)]
            by_hand = statistics.median(times) if None not in times else None
            if by_hand is not None:
                out.append(f"| by hand: curl, dig, ss and nginx -t in turn | ms |  | {by_hand:.0f} |")
        found = [check(program, config, os.path.join(folder, f"{count}.{run}.jsonl")) for run in range(RUNS if count < 100 else 2)]
        wall, cpu, resident = (statistics.median(run[at] for run in found) for at in range(3))
        rounds, singles, reached = [], [], 0
        for run in found:
            first = {}
            for at, kind, address, took in run[3]:
                if kind == "upstream":
                    first.setdefault(address, (at - took, at))
                    singles.append(took)
            reached = len(first)
            rounds.append(max(end for _, end in first.values()) - min(begin for begin, _ in first.values()))
        if count == 1:
            row("connect and GET: one probe, in the process", "ms", None, statistics.median(singles), 2)
        few = count <= 10
        row(f"`check` over {count:,} servers, {reached} tried: wall", "ms", 300 if few else None, wall)
        row("the same: its first round of them", "ms", round(1.5 * process, 1) if few else None, statistics.median(rounds), 1)
        row("the same: CPU", "ms", None, cpu)
        row("the same: CPU for each probe", "ms", None, cpu / max(len(found[-1][3]), 1), 2)
        row("the same: peak of memory", "MB", 40, resident, 1)
        if count == POOLS[-1]:
            say(f"the console over {count} ...")
            tried, seconds, most, now, peak = patrol(program, config, os.path.join(folder, "patrol.jsonl"), count)
            row(f"the console over {count:,} servers, {tried:,} tried: until each was", "s", count / CAP, seconds, 1)
            row("the same: new ones in the fullest second", "1/s", CAP + BURST, most)
            row("the same: resident then", "MB", 40, now, 1)
            row("the same: peak of memory", "MB", None, peak, 1)
        nginx.terminate()
        nginx.wait()
    listener.close()
    out.append("\nThe target of a first round is one and a half curl processes. A pool beyond the first burst is tried by bare connects within the cap of")
    out.append(f"{CAP} a second; `check` tries 128 servers of a pool at most, the console all.")
    return "\n".join(out)


if __name__ == "__main__":
    print(rows(os.path.abspath(os.environ["WHY502"])))
