"""A link that takes its time: link.py NETNS MILLISECONDS HERE THERE. A tun device in this network, another one in that namespace, and
each packet is carried over after so many milliseconds. netem is not in every kernel; this needs only tun."""

import ctypes
import fcntl
import os
import struct
import subprocess
import sys
import threading
import time

NETNS, DELAY, HERE, THERE = sys.argv[1], float(sys.argv[2]) / 1000, sys.argv[3], sys.argv[4]
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 1, 0x1000
CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)


def device(address, peer):
    fd = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH", b"far0", IFF_TUN | IFF_NO_PI))
    subprocess.check_call(["ip", "address", "add", address, "peer", peer, "dev", "far0"])
    subprocess.check_call(["ip", "link", "set", "far0", "up"])
    return fd


def enter(path):
    fd = os.open(path, os.O_RDONLY)
    if libc.setns(fd, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")
    os.close(fd)


def carry(source, target):
    waiting, ready = [], threading.Condition()

    def deliver():
        while True:
            with ready:
                ready.wait_for(lambda: waiting)
                due, packet = waiting.pop(0)
            time.sleep(max(0.0, due - time.monotonic()))
            os.write(target, packet)

    threading.Thread(target=deliver, daemon=True).start()
    while True:
        packet = os.read(source, 65536)
        with ready:
            waiting.append((time.monotonic() + DELAY, packet))
            ready.notify()


# The first descriptor keeps the first namespace: each device stays in the one where it was made.
near = device(HERE, THERE)
enter(f"/run/netns/{NETNS}")
far = device(THERE, HERE)
threading.Thread(target=carry, args=(near, far), daemon=True).start()
carry(far, near)
