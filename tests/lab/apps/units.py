"""systemd's side of D-Bus, as far as it is asked: the state of units, given as JSON. What it answers is of the shape that
org.freedesktop.systemd1(5) documents; the bus itself is a real one.

    units.py '{"app.service": {"ActiveState": "failed", ...}}'
"""
import json
import sys

import dbus
import dbus.mainloop.glib
import dbus.service
from gi.repository import GLib

UNSIGNED = {"NRestarts", "MainPID", "ExecMainPID"}
TIMES = {"StateChangeTimestampMonotonic", "ExecMainExitTimestampMonotonic"}
OF_SERVICE = {"Result", "NRestarts", "MainPID", "ExecMainPID", "ExecMainCode", "ExecMainStatus", "ExecMainExitTimestampMonotonic"}


def path_of(name):
    plain = (c if c.isascii() and c.isalnum() else f"_{ord(c):02x}" for c in name)
    return "/org/freedesktop/systemd1/unit/" + "".join(plain)


def value(key, plain):
    if key in TIMES:
        return dbus.UInt64(plain)
    if key in UNSIGNED:
        return dbus.UInt32(plain)
    return dbus.Boolean(plain) if isinstance(plain, bool) else dbus.Int32(plain) if isinstance(plain, int) else plain


class Manager(dbus.service.Object):
    @dbus.service.method("org.freedesktop.systemd1.Manager", in_signature="as", out_signature="a(ssssssouso)")
    def ListUnitsFiltered(self, states):
        return [
            (name, name, unit["LoadState"], unit["ActiveState"], unit["SubState"], "", path_of(name), 0, "", "/")
            for name, unit in UNITS.items()
            if unit["ActiveState"] in states
        ]


class Unit(dbus.service.Object):
    def __init__(self, bus, name, unit):
        super().__init__(bus, path_of(name))
        self.unit = {"Id": name, "LoadState": "loaded", "UnitFileState": "enabled", "NeedDaemonReload": False, **unit}

    @dbus.service.method("org.freedesktop.DBus.Properties", in_signature="s", out_signature="a{sv}")
    def GetAll(self, interface):
        service = interface.endswith(".Service")
        return {key: value(key, plain) for key, plain in self.unit.items() if (key in OF_SERVICE) == service}


UNITS = json.loads(sys.argv[1])
dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
bus = dbus.SystemBus()
name = dbus.service.BusName("org.freedesktop.systemd1", bus)
objects = [Manager(bus, "/org/freedesktop/systemd1")] + [Unit(bus, name, unit) for name, unit in UNITS.items()]
GLib.MainLoop().run()
