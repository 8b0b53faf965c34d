"""Since when: the beginning of an outage in a log of 10 GB, found from `why502 check` on a gateway that writes it."""

import datetime, json, os, shutil, statistics, subprocess, tempfile, time

from terminal import say

GIGABYTES, SICK_S, RUNS, CHUNK = 10, 2700, 5, 97
LINE = (
    '203.0.113.%d - - [@] "GET /item/%d HTTP/1.1" %d 157 "-" "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) '
    'Chrome/120.0 Safari/537.36"\n'
)


def write(path, end):
    """97 requests a second up to `end`; one fails, and in the last 45 minutes nine of ten."""
    healthy = "".join(LINE % (n % 250, n, 502 if n == 0 else 200) for n in range(CHUNK))
    sick = "".join(LINE % (n % 250, n, 502 if n % 10 else 200) for n in range(CHUNK))
    seconds = (GIGABYTES << 30) // len(healthy)
    with open(path, "w", buffering=1 << 22) as file:
        for second in range(end - seconds, end):
            stamp = datetime.datetime.fromtimestamp(second, datetime.timezone.utc).strftime("%d/%b/%Y:%H:%M:%S +0000")
            file.write((sick if second >= end - SICK_S else healthy).replace("@", stamp))
    return end - SICK_S


def rows(program):
    """A sentence. Inside the throw-away host, whose nginx serves."""
    folder = tempfile.mkdtemp(prefix="why502-bench-")
    try:
        if shutil.disk_usage(folder).free < (GIGABYTES + 2) << 30:
            return f"No room for a log of {GIGABYTES} GB: its onset was not measured."
        say(f"making a log of {GIGABYTES} GB ...")
        path = os.path.join(folder, "access.log")
        os.chmod(folder, 0o755)
        began = write(path, int(time.time()))
        with open("/etc/nginx/sites-enabled/shop", "a") as file:
            file.write(f"access_log {path};\n")
        subprocess.run(["nginx", "-s", "reload"], check=True)
        # The old workers are gone when the new ones are all there are; the log is in the page cache, as far as that holds it.
        time.sleep(1)
        say("looking for the onset ...")
        took, found, read = [], None, 0
        for run in range(RUNS):
            record = os.path.join(folder, f"{run}.jsonl")
            subprocess.run([program, "check", "--record", record], stdout=subprocess.DEVNULL)
            looked = None
            for line in open(record):
                message = json.loads(line)
                seen = message.get("seen")
                onset = seen.get("onset") if isinstance(seen, dict) else None
                if onset and onset["source"] == path:
                    looked, found, read = message["at"]["run_ms"], onset, onset["read_bytes"]
            assert looked is not None, "no onset was told"
            took.append(looked)
        return (
            f"Since when, in an access log of {os.path.getsize(path) / (1 << 30):.1f} GB: told {statistics.median(took)} ms after the start of `check` "
            f"(target 100 with a warm cache), {found['second'] - began} s from the truth (told: within {found['uncertainty_s']} s), by reading {read / 1e6:.1f} MB."
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
