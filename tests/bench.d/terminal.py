"""A program on a terminal of its own, and what it costs."""

import fcntl, os, pty, re, select, signal, struct, subprocess, sys, termios, time

# A first pass and its burst of probes are over by then.
SETTLE_S, IDLE_S = 15, 20


def say(*words):
    print(*words, file=sys.stderr, flush=True)


def kilobytes(pid, name):
    """A figure of a process's memory; 0 where it has ended meanwhile."""
    try:
        with open(f"/proc/{pid}/status") as status:
            found = re.search(rf"^{name}:\s+(\d+)", status.read(), re.M)
    except OSError:
        found = None
    return int(found[1]) / 1024 if found else 0


class Terminal:
    """A program on a terminal, of 80x24 unless told otherwise."""

    def __init__(self, argv, rows=24, columns=80):
        # The clock starts before the fork, and the size is there before the program.
        main, inner = pty.openpty()
        fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            argv, stdin=inner, stdout=inner, stderr=inner, start_new_session=True,
            env={"PATH": os.environ["PATH"], "TERM": "xterm-256color", "LC_ALL": "C.UTF-8", "HOME": "/media"},
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(inner)
        self.main, self.pid = main, self.process.pid

    def read(self, seconds):
        if not select.select([self.main], [], [], max(0, seconds))[0]:
            return b""
        try:
            return os.read(self.main, 1 << 16)
        except OSError:
            return b""

    def idle(self):
        until = time.monotonic() + SETTLE_S
        while time.monotonic() < until:
            self.read(until - time.monotonic())
        before, began, size, writes = self.figures(), time.monotonic(), 0, 0
        until = began + IDLE_S
        while time.monotonic() < until:
            got = self.read(until - time.monotonic())
            size, writes = size + len(got), writes + bool(got)
        passed, after = time.monotonic() - began, self.figures()
        anonymous = {pid: kilobytes(pid, "RssAnon") for pid in self.own()}
        return {
            "cpu": (after["cpu"] - before["cpu"]) / passed * 100,
            # What its helpers map of files is the same program, mapped once more.
            "rss": kilobytes(self.pid, "VmRSS") + sum(anonymous.values()) - anonymous[self.pid], "anon": sum(anonymous.values()),
            "bytes": size / passed, "writes": writes / passed,
            "wakeups": (after["wakeups"] - before["wakeups"]) / passed,
        }

    def own(self):
        """The program's process and those that it started, which live."""
        all, new = [], [self.pid]
        while new:
            all += new
            children = [f"/proc/{pid}/task/{task}/children" for pid in new for task in os.listdir(f"/proc/{pid}/task")]
            new = [int(child) for path in children for child in open(path).read().split()]
        return all

    def figures(self):
        """Seconds of CPU of all own processes, those that ended included, and how often a thread of theirs went to sleep."""
        wakeups, cpu, ticks = 0, 0, os.sysconf("SC_CLK_TCK")
        for pid in self.own():
            fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
            cpu += sum(map(int, fields[13:15])) / ticks
            for task in os.listdir(f"/proc/{pid}/task"):
                try:
                    text = open(f"/proc/{pid}/task/{task}/status").read()
                    # In nanoseconds; stat counts ticks of 10 ms, which is too coarse for what is idle.
                    cpu += int(open(f"/proc/{pid}/task/{task}/schedstat").read().split()[0]) / 1e9
                    wakeups += int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", text, re.M)[1])
                except OSError:
                    pass
        return {"cpu": cpu, "wakeups": wakeups}

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 5
        while self.process.poll() is None and time.monotonic() < deadline:
            self.read(0.02)
        self.process.kill()
        self.process.wait()
        os.close(self.main)

    def press(self, key):
        os.write(self.main, key.encode())

    def seen(self, sign, seconds=10):
        """Milliseconds until these bytes come; None: they don't."""
        began, text = time.monotonic(), b""
        while time.monotonic() - began < seconds:
            text = text[-4096:] + self.read(0.5)
            if sign in text:
                return (time.monotonic() - began) * 1000
        return None

    def resident(self):
        """Megabytes."""
        return int(re.search(r"^VmRSS:\s+(\d+)", open(f"/proc/{self.pid}/status").read(), re.M)[1]) / 1024
