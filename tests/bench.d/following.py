"""The console while logs are written: alone, and in floods."""

import os, random, statistics, string, subprocess, sys, time

import corpus
from terminal import Terminal, say

LOG = "/var/log/nginx/error.log"
APPENDED, PRESSED, FLOOD_S = 60, 60, 20
# Of a burst, and of the program's start.
CALM_S = 6
LINE = ('{at} [error] 811#811: *5 upstream {word} while reading response header from upstream, client: 203.0.113.9, server: shop.example.com, '
        'request: "GET /cart HTTP/1.1", upstream: "http://127.0.0.1:8000/cart", host: "shop.example.com"\n')


def append(text):
    with open(LOG, "a") as file:
        file.write(text)


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * share))]


def appended(program):
    """Milliseconds from writing a line to its first bytes on the terminal."""
    pick = random.Random(corpus.SEED)
    terminal = Terminal([program], rows=100, columns=160)
    until = time.monotonic() + CALM_S
    while time.monotonic() < until:
        terminal.read(0.1)
    terminal.press("5")
    terminal.press("z")
    times = []
    for n in range(APPENDED):
        until = time.monotonic() + pick.uniform(0.8, 1.4)
        while time.monotonic() < until:
            terminal.read(until - time.monotonic())
        # Only cells that change are drawn: a word has no letter in common with the one before, which may have stood there.
        word = "".join(pick.choice(string.ascii_uppercase[n % 2 :: 2]) for _ in range(8))
        append(LINE.format(at=time.strftime("%Y/%m/%d %H:%M:%S"), word=word))
        took = terminal.seen(word.encode(), 3)
        times.append(3000 if took is None else took)
    terminal.close()
    return times


def flood(program, rate):
    """The console under so many lines a second."""
    writer = subprocess.Popen([sys.executable, __file__, "--write", str(rate), str(FLOOD_S + CALM_S + 4)])
    terminal = Terminal([program])
    until = time.monotonic() + CALM_S
    while time.monotonic() < until:
        terminal.read(0.05)
    before, began, resident = terminal.figures(), time.monotonic(), terminal.resident()
    size = frames = 0
    half = began + FLOOD_S / 2
    while time.monotonic() < half:
        got = terminal.read(half - time.monotonic())
        size, frames = size + len(got), frames + bool(got)
    passed, after = time.monotonic() - began, terminal.figures()
    grown = terminal.resident() - resident
    keys = []
    pick = random.Random(corpus.SEED)
    for n in range(PRESSED):
        pause = time.monotonic() + pick.uniform(0.05, 0.2)
        while time.monotonic() < pause:
            terminal.read(pause - time.monotonic())
        terminal.press("?")
        took = terminal.seen(b"KEYS" if n % 2 == 0 else b"CHECKLIST", 2)
        keys.append(2000 if took is None else took)
    terminal.close()
    writer.kill()
    writer.wait()
    os.truncate(LOG, 0)
    return {
        "cpu": (after["cpu"] - before["cpu"]) / passed * 100, "bytes": size / passed, "frames": frames / passed, "grown": grown,
        "keys": percentile(keys, 0.5), "keys99": percentile(keys, 0.99),
    }


def write(rate, seconds):
    """Appends lines of now at this rate."""
    lines = corpus.error_lines(1)
    texts = [next(lines)[19:] for _ in range(20_000)]
    began, written = time.monotonic(), 0
    with open(LOG, "a") as file:
        while (passed := time.monotonic() - began) < seconds:
            at = time.strftime("%Y/%m/%d %H:%M:%S")
            due = int(passed * rate)
            file.write("".join(at + texts[n % len(texts)] for n in range(written, due)))
            file.flush()
            written = due
            time.sleep(0.005)


def rows(program):
    """A table."""
    lines = ["The console while an nginx error log is written; 80x24.\n", "| what | unit | target | why502 |", "|---|---|--:|--:|"]

    def row(what, unit, target, figure, digits=1):
        miss = " (missed)" if target is not None and figure > target else ""
        lines.append(f"| {what} | {unit} | {'' if target is None else f'{target:g}'} | **{figure:.{digits}f}**{miss} |")

    say(f"{APPENDED} lines, one by one ...")
    times = appended(program)
    row("an appended line is on the screen, median", "ms", 10, statistics.median(times))
    row("the same, 99th percentile", "ms", 50, percentile(times, 0.99))
    for rate, cpu, answer in [(20_000, 3, 5), (200_000, None, 16)]:
        say(f"a flood of {rate:,} lines/s ...")
        figures = flood(program, rate)
        row(f"{rate:,} lines/s: CPU of one core", "%", cpu, figures["cpu"])
        row("the same: to the terminal", "bytes/s", 3000, figures["bytes"], 0)
        row("the same: writes to the terminal", "1/s", 4.5, figures["frames"], 2)
        row(f"the same: memory grows in {FLOOD_S // 2} s by", "MB", 2, figures["grown"], 2)
        row("the same: a key is answered, median", "ms", None, figures["keys"])
        row("the same: a key is answered, 99th percentile", "ms", answer, figures["keys99"])
    return "\n".join(lines)


if __name__ == "__main__":
    if sys.argv[1] == "--write":
        write(int(sys.argv[2]), float(sys.argv[3]))
