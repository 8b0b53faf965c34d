# shellcheck shell=bash
# What was changed, and when: the times of files can be set, and logs of package managers and of cron are composed in the format
# that their manuals give.

# served [LOG]: requests that were served from 20 to 3 minutes ago, composed in nginx's access log or another combined one: it worked before.
served() {
    local i
    for ((i = 1200; i > 180; i -= 10)); do
        echo "203.0.113.9 - - [$(date -d "-$i seconds" '+%d/%b/%Y:%H:%M:%S %z')] \"GET / HTTP/1.1\" 200 157 \"-\" \"Mozilla/5.0\""
    done >>"${1:-/var/log/nginx/access.log}"
}

# aged PATH...: as if nothing there had been changed for days.
aged() { find "$@" -depth -exec touch -h -d '3 days ago' {} +; }

# a_git COMMAND...: git in the application's directory, whoever owns it.
a_git() {
    HOME=/root git -C /srv/app -c safe.directory='*' -c user.name='Bob Ho' -c user.email=bob@shop.test -c init.defaultBranch=main "$@" \
        >>/var/log/app.log 2>&1
}

# upgraded AGE PACKAGE OLD NEW: a line of dpkg's log, and a run of apt.
upgraded() {
    local at
    at=$(date -d "-$1" '+%F %T')
    {
        echo "$at startup archives unpack"
        echo "$at upgrade $2:amd64 $3 $4"
        echo "$at status half-configured $2:amd64 $4"
        echo "$at status installed $2:amd64 $4"
    } >>/var/log/dpkg.log
    mkdir -p /var/log/apt
    printf '\nStart-Date: %s  %s\nCommandline: /usr/bin/unattended-upgrade\nUpgrade: %s:amd64 (%s, %s)\nEnd-Date: %s  %s\n' \
        "${at% *}" "${at#* }" "$2" "$3" "$4" "${at% *}" "${at#* }" >>/var/log/apt/history.log
}

# syslogged FILE AGE TEXT: a line of a syslog daemon's file.
syslogged() { echo "$(LC_ALL=C date -d "-$2" '+%b %e %T') gw1 $3" >>"/var/log/$1"; }

# systemd_says JSON: a real system bus on which the units have this state.
systemd_says() {
    mkdir -p /run/dbus /run/systemd/system
    cat >/run/dbus/lab.conf <<'CONF'
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path=/run/dbus/system_bus_socket</listen>
  <policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/></policy>
</busconfig>
CONF
    dbus-daemon --config-file=/run/dbus/lab.conf --nofork --nopidfile >>/var/log/app.log 2>&1 &
    wait_for "the system bus" test -S /run/dbus/system_bus_socket
    $PYTHON /srv/app/units.py "$1" >>/var/log/app.log 2>&1 &
    wait_for "systemd's name" dbus-send --system --print-reply --dest=org.freedesktop.systemd1 /org/freedesktop/systemd1 \
        org.freedesktop.systemd1.Manager.ListUnitsFiltered array:string:failed
}

# ago SECONDS: microseconds of the monotonic clock so long ago.
ago() { awk -v ago="$1" '{ printf "%.0f", ($1 - ago) * 1000000 }' /proc/uptime; }
