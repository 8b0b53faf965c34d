# shellcheck shell=bash
# The words of HAProxy: its configuration, its syslog, start, reload, stop. See lib.sh for the manners.

# haproxy_config < TEXT: Debian's own global and defaults sections, and these behind them. HAPROXY_GLOBAL and HAPROXY_DEFAULTS: lines
# for either; HAPROXY_WITHOUT: what of Debian's is left out (extended regular expression).
haproxy_config() {
    {
        cat <<'CONF'
global
	log /dev/log	local0
	log /dev/log	local1 notice
	chroot /var/lib/haproxy
	stats socket /run/haproxy/admin.sock mode 660 level admin
	stats timeout 30s
	user haproxy
	group haproxy
	daemon

CONF
        printf '\t%s\n' "${HAPROXY_GLOBAL:-}"
        cat <<'CONF'

defaults
	log	global
	mode	http
	option	httplog
	option	dontlognull
        timeout connect 5000
        timeout client  50000
        timeout server  50000
CONF
        printf '\t%s\n' "${HAPROXY_DEFAULTS:-}"
        cat
    } | grep -vE "${HAPROXY_WITHOUT:-^no such line$}" >/etc/haproxy/haproxy.cfg
}

# haproxy_proxy SERVER...: one frontend on port 80 that passes everything on; each word is what follows `server aN`.
haproxy_proxy() {
    local number=0 one
    {
        printf 'frontend www\n\tbind *:80\n\tdefault_backend shop\nbackend shop\n'
        printf '\t%s\n' "${HAPROXY_BACKEND:-}"
        for one in "$@"; do
            number=$((number + 1))
            printf '\tserver a%d %s\n' "$number" "$one"
        done
    } | haproxy_config
}

# haproxy_syslog: what Debian's rsyslog does with HAProxy's lines: a socket in its chroot, lines as RSYSLOG_TraditionalFileFormat.
haproxy_syslog() {
    mkdir -p /var/lib/haproxy/dev
    rm -f /var/lib/haproxy/dev/log
    install -m 640 -o root -g adm /dev/null /var/log/haproxy.log
    $PYTHON - >>/var/log/app.log 2>&1 <<'PY' &
import os, re, socket
listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
listener.bind("/var/lib/haproxy/dev/log")
os.chmod("/var/lib/haproxy/dev/log", 0o666)
out = open("/var/log/haproxy.log", "ab", buffering=0)
while True:
    line = listener.recv(65536)
    # `<134>Nov 20 23:36:30 haproxy[157]: ...`: the priority goes, the host comes.
    line = re.sub(rb"^<\d+>(.{15}) ", rb"\1 gw1 ", line).rstrip(b"\n\0")
    out.write(line + b"\n")
PY
    wait_for "syslog" test -S /var/lib/haproxy/dev/log
}

# haproxy_start: as the service does, a master with a worker, until port 80 takes connects. HAPROXY_FILES: other files and folders.
haproxy_start() {
    mkdir -p /run/haproxy
    [ -S /var/lib/haproxy/dev/log ] || haproxy_syslog
    # shellcheck disable=SC2086
    setsid haproxy -Ws ${HAPROXY_FILES:--f /etc/haproxy/haproxy.cfg} -p /run/haproxy.pid -S /run/haproxy-master.sock </dev/null >>/var/log/haproxy-stderr.txt 2>&1 &
    HAPROXY=$!
    wait_for "haproxy on port 80" listening 0.0.0.0:80
}
haproxy_stop() { kill -TERM "$HAPROXY"; wait_for "haproxy to stop" gone "$HAPROXY"; }
haproxy_kill() {
    # shellcheck disable=SC2046
    kill -9 "$HAPROXY" $(pgrep -P "$HAPROXY")
    wait_for "haproxy to die" not_listening 0.0.0.0:80
}
# haproxy_reload: until a worker of the new configuration serves.
haproxy_reload() {
    local before
    before=$(pgrep -n -P "$HAPROXY")
    kill -USR2 "$HAPROXY"
    wait_for "a new worker" haproxy_newer_than "$before"
}
haproxy_newer_than() { [ "$(pgrep -n -P "$HAPROXY")" != "$1" ]; }
# haproxy_reload_fails: a reload that the configuration does not stand: the worker of before goes on.
haproxy_reload_fails() {
    kill -USR2 "$HAPROXY"
    wait_for "a failed reload" grep -q 'ALERT' /var/log/haproxy-stderr.txt
}

# haproxy_says COMMAND: to its stats socket.
haproxy_says() {
    $PYTHON - "$1" <<'PY'
import socket, sys
one = socket.socket(socket.AF_UNIX)
one.connect("/run/haproxy/admin.sock")
one.sendall(sys.argv[1].encode() + b"\n")
while data := one.recv(65536):
    sys.stdout.write(data.decode())
PY
}
# haproxy_down NAME: until it holds this server for down.
haproxy_down() { wait_for "$1 to be down" haproxy_holds_down "$1"; }
haproxy_holds_down() { haproxy_says "show stat" | grep "^${1/\//,}," | grep -q ',DOWN,'; }

# haproxy_old_outage AGE COUNT: an outage that ended AGE ago, in its log.
haproxy_old_outage() {
    local i stamp clf
    stamp=$(date -d "-$1" '+%b %e %H:%M:%S')
    clf=$(date -d "-$1" '+%d/%b/%Y:%H:%M:%S.120')
    for ((i = 0; i < $2; i++)); do
        echo "$stamp gw1 haproxy[811]: 203.0.113.9:5449$i [$clf] www shop/a1 0/0/-1/-1/3002 503 217 - - SC-- 1/1/0/0/3 0/0 \"GET /cart?id=$i HTTP/1.1\"" >>/var/log/haproxy.log
    done
    echo "$stamp gw1 haproxy[811]: Server shop/a1 is DOWN, reason: Layer4 connection problem, info: \"Connection refused\", check duration: 0ms. 0 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue." >>/var/log/haproxy.log
}
# two_workers: one of the configuration before, and one of this one.
two_workers() { [ "$(pgrep -c -P "$HAPROXY")" -ge 2 ]; }
