"""Whole logs from end to end, on one core: what is the cause, with exact counts of each group."""

import os, shutil, statistics, subprocess, tempfile, time

import corpus
from terminal import say

MEGABYTES, RUNS = 300, 5


def peak(argv, stdin=None):
    """The highest peak of memory, in MB: read while it runs, since what wait4(2) tells begins with what our own fork had."""
    with open(stdin or os.devnull) as file:
        process = subprocess.Popen(argv, stdin=file, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        most = 0
        while process.poll() is None:
            with open(f"/proc/{process.pid}/status") as status:
                most = max([most] + [int(line.split()[1]) for line in status if line.startswith("VmHWM")])
            time.sleep(0.001)
    return most / 1024


def run(argv, stdin=None, fine=(0,)):
    """Seconds of wall clock on one core, median."""
    wall = []
    # A log larger than this one core reads needs no second run before it is in the page cache.
    for _ in range(RUNS):
        feed = subprocess.Popen(["cat", stdin], stdout=subprocess.PIPE) if stdin else None
        began = time.monotonic()
        process = subprocess.Popen(
            argv, stdin=feed.stdout if feed else subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            preexec_fn=lambda: os.sched_setaffinity(0, {max(os.sched_getaffinity(0))}),
        )
        process.wait()
        wall.append(time.monotonic() - began)
        assert process.returncode in fine, f"{argv} ended with {process.returncode}"
        if feed:
            feed.stdout.close()
            feed.wait()
    return statistics.median(wall)


def rows(program):
    """A table."""
    lines = [
        f"Logs of {MEGABYTES} MB, made by `tests/bench.d/corpus.py`, whole and on one core; the 30 literals of rg are those of its `LITERALS`.\n",
        "| log | why502 explain | MB/s | peak, MB | through a pipe, MB/s | peak, MB | rg -cF, 30 literals | lnav -n, count(*) | goaccess |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    with tempfile.TemporaryDirectory(prefix="why502-bench-") as folder:
        literals = os.path.join(folder, "literals")
        with open(literals, "w") as file:
            file.write("\n".join(corpus.LITERALS) + "\n")
        for kind, name in [("error", "nginx error log"), ("combined", "access log, combined"), ("ingress", "access log of ingress-nginx")]:
            path = os.path.join(folder, kind + ".log")
            say(f"making {name} ...")
            corpus.write(kind, path, MEGABYTES)
            # Else the kernel writes it to the disk beside whoever reads it first.
            os.sync()
            size = os.path.getsize(path) / 1e6
            say(f"reading {name} ...")
            ours, ours_peak = run([program, "explain", "--json", path]), peak([program, "explain", "--json", path])
            piped, piped_peak = run([program, "explain", "--json", "-"], stdin=path), peak([program, "explain", "--json", "-"], stdin=path)

            def peer(program, argv, fine=(0,)):
                if not shutil.which(program):
                    return ""
                theirs = run(argv, fine=fine)
                return f"{theirs:.2f} s (x{theirs / ours:.2g})"

            rg = peer("rg", ["rg", "-j1", "-cF", "-f", literals, path], fine=(0, 1))
            lnav = peer("lnav", ["lnav", "-n", "-c", ";SELECT count(*) FROM all_logs", path])
            goaccess = peer("goaccess", ["goaccess", path, "--log-format=COMBINED", "-o", os.path.join(folder, "out.json")]) if kind == "combined" else ""
            cells = [name, f"**{ours:.2f} s**", f"{size / ours:.0f}", f"{ours_peak:.1f}", f"{size / piped:.0f}", f"{piped_peak:.1f}", rg, lnav, goaccess]
            lines.append("| " + " | ".join(cells) + " |")
            os.remove(path)
    lines.append("\nIn parentheses: theirs by ours; above 1 we are faster. Targets: at least rg's speed, 6 times lnav's, 50 times goaccess', peak below 12 MB.")
    lines.append(f"Medians of {RUNS} runs; the log is in the page cache.")
    return "\n".join(lines)


if __name__ == "__main__":
    import sys

    print(rows(sys.argv[1]))
