#!/usr/bin/python3
"""The console at the end of a line: when it stands there, how soon a key is answered, what goes over the line, and how it leaves.

Alone, against any build: WHY502=PATH unshare --pid --mount --net --uts --fork --mount-proc --kill-child python3 tests/bench.d/line.py
"""

import os, random, shutil, signal, statistics, subprocess, sys, time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import following
from terminal import Terminal, say

# What stands at the end of a full screen, in its last line.
FULL = {"why502": b"command", "htop": b"Quit", "lnav": b"View Help"}
# A key and what shows that it was answered, and one that leads back.
KEYS = {"why502": [("?", b"KEYS"), ("?", b"CHECKLIST")], "htop": [("h", b"Press any key"), (" ", b"Quit")]}
STARTS, PRESSED, BUSY = 15, 60, 8
LOG, LOG_BYTES = "/var/log/nginx/access.log", 300 << 20
# What a first pass takes, and what a start is.
CALM_S, START_S = 6, 3
FLOOD, STUCK_S = 20_000, 3
# What gives a terminal back: its screen and its cursor.
RESTORED = (b"\x1b[?1049l", b"\x1b[?25h")
WAYS = [("q", None), ("\x03", None)] + [(None, number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)]
# Down a list and up again.
WALK = "j" * 10 + "k" * 10
# A line of 256 kbit/s with 80 ms there and back.
DELAY_S, BYTES_S = 0.04, 32_000


def first_frame(argv, sign):
    """Milliseconds until the end of the first full screen was there."""
    times = []
    for _ in range(STARTS):
        terminal = Terminal(argv)
        text = b""
        while sign not in text and time.monotonic() - terminal.began < 10:
            text += terminal.read(1)
        times.append((time.monotonic() - terminal.began) * 1000)
        terminal.close()
    return statistics.median(times)


def calm(terminal, seconds):
    until = time.monotonic() + seconds
    size = 0
    while time.monotonic() < until:
        size += len(terminal.read(until - time.monotonic()))
    return size


def start_bytes(argv):
    terminal = Terminal(argv)
    size = calm(terminal, START_S)
    terminal.close()
    return size


def keys(argv, pairs):
    """Milliseconds for each key, and how many had no answer."""
    terminal, times, missed = Terminal(argv), [], 0
    pick = random.Random(1)
    calm(terminal, CALM_S)
    for number in range(PRESSED):
        calm(terminal, pick.uniform(0.1, 0.3))
        key, sign = pairs[number % 2]
        terminal.press(key)
        took = terminal.seen(sign, 2)
        missed += took is None
        times.append(2000 if took is None else took)
    terminal.close()
    return statistics.median(times), following.percentile(times, 0.99), missed


def slow(terminal, key):
    """Milliseconds until the last byte of the answer to a key is there, over the slow line; `None`: there is none."""
    began = time.monotonic()
    time.sleep(DELAY_S)
    terminal.press(key)
    size, last = 0, None
    free = time.monotonic()
    while got := terminal.read(0.04):
        # It is sent when what is before it was.
        free = max(free, time.monotonic()) + len(got) / BYTES_S
        size, last = size + len(got), free + DELAY_S
    return None if last is None else (last - began) * 1000


def over_a_slow_line(argv, walk):
    """Milliseconds for a key of this walk, median."""
    terminal, times = Terminal(argv), []
    pick = random.Random(1)
    calm(terminal, CALM_S if argv[0] != "cat" else 0.5)
    for key in walk:
        calm(terminal, pick.uniform(0.3, 0.6))
        times.append(slow(terminal, key) or 2000)
    terminal.close()
    return statistics.median(times)


def stuck(program):
    """Bytes that follow at once after a link took nothing for a while, under a flood."""
    writer = subprocess.Popen([sys.executable, following.__file__, "--write", str(FLOOD), str(CALM_S + STUCK_S + 4)])
    terminal = Terminal([program])
    calm(terminal, CALM_S)
    time.sleep(STUCK_S)
    size = 0
    while got := terminal.read(0.02):
        size += len(got)
    terminal.close()
    writer.kill()
    writer.wait()
    os.truncate(following.LOG, 0)
    return size


def leaving(program):
    """Milliseconds until the terminal is given back, the longest of all ways out."""
    worst = 0
    for key, number in WAYS:
        for _ in range(3):
            terminal = Terminal([program])
            calm(terminal, 1)
            began, text = time.monotonic(), b""
            if key:
                terminal.press(key)
            else:
                os.kill(terminal.pid, number)
            while not all(sign in text for sign in RESTORED) and time.monotonic() - began < 2:
                text += terminal.read(0.5)
            worst = max(worst, (time.monotonic() - began) * 1000)
            terminal.close()
    return worst


def rows(program):
    """A table."""
    screens = {"why502": [program]}
    screens |= {name: argv for name, argv in [("htop", ["htop"]), ("lnav", ["lnav", LOG])] if shutil.which(name)}
    out = ["The console at the end of a line; 80x24.\n", "| what | unit | target | " + " | ".join(screens) + " |", "|---|---|--:|" + "--:|" * len(screens)]

    def row(what, unit, target, digits, figures):
        told = [f"{figures[name]:.{digits}f}" if figures.get(name) is not None else "" for name in screens]
        miss = " (missed)" if target is not None and figures["why502"] > target else ""
        out.append(f"| {what} | {unit} | {'' if target is None else f'{target:g}'} | " + " | ".join([f"**{told[0]}**{miss}", *told[1:]]) + " |")

    say("first frames ...")
    row("first full frame", "ms", 10, 1, {name: first_frame(argv, FULL[name]) for name, argv in screens.items()})
    size = os.path.getsize(LOG)
    with open(LOG, "rb") as file:
        # No more of it: the time of a start has a fork of this program in it, which is the longer the more memory this has.
        text = file.read(1 << 20)
    text = text[: text.rindex(b"\n") + 1]
    with open(LOG, "ab") as file:
        for _ in range(LOG_BYTES // len(text)):
            file.write(text)
    row("the same with a log of 300 MB", "ms", 10, 1, {"why502": first_frame([program], FULL["why502"])})
    os.truncate(LOG, size)
    row(f"a start of {START_S} s: to the terminal", "bytes", 6000, 0, {name: start_bytes(argv) for name, argv in screens.items()})
    say("keys ...")
    answered = {name: keys(screens[name], pairs) for name, pairs in KEYS.items() if name in screens}
    row("a key is answered, median", "ms", 0.6, 2, {name: found[0] for name, found in answered.items()})
    row("the same, 99th percentile", "ms", 5, 2, {name: found[1] for name, found in answered.items()})
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"], start_new_session=True) for _ in range(BUSY)]
    answered = {name: keys(screens[name], pairs) for name, pairs in KEYS.items() if name in screens}
    for process in busy:
        process.kill()
        process.wait()
    row(f"beside {BUSY} busy processes: keys without an answer, of {PRESSED}", "", 0, 0, {name: found[2] for name, found in answered.items()})
    row("the same: a key is answered, 99th percentile", "ms", None, 1, {name: found[1] for name, found in answered.items()})
    say("slow and stuck lines ...")
    bare = over_a_slow_line(["cat"], "xy" * 10)
    row("80 ms and 256 kbit/s: a key, ten rows down and up, by what a bare program takes", "", 1.15, 2, {"why502": over_a_slow_line([program], WALK) / bare})
    row(f"a link stuck for {STUCK_S} s under {FLOOD:,} lines/s: old output that follows", "KB", 25, 1, {"why502": stuck(program) / 1000})
    row("the terminal is given back, the longest of all ways out", "ms", 20, 1, {"why502": leaving(program)})
    return "\n".join(out)


if __name__ == "__main__":
    print(rows(os.path.abspath(os.environ["WHY502"])))
