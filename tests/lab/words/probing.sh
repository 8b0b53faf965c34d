# shellcheck shell=bash
# The words of servers that are something else than the gateway thinks. See lib.sh for the manners.

# greets ADDRESS GREETING: a server that speaks first, and hangs up on what it does not understand. GREETING: escapes of printf %b.
greets() {
    printf '%b' "$2" >"/srv/app/greeting-${1##*:}"
    as_app $PYTHON greets.py "$1" "/srv/app/greeting-${1##*:}"
    wait_for "a greeting on $1" listening "$1"
}

# ajp_app ADDRESS [MODE]: a container that speaks AJP. MODE: tests/lab/apps/ajp.py.
ajp_app() {
    as_app $PYTHON ajp.py "$1" "${2:-ok}"
    wait_for "AJP on $1" listening "$1"
}

# polls ADDRESS N MS: N clients that wait for an answer of the application's /poll; returns when they have waited for so long.
polls() {
    $PYTHON - "$1" "$2" "$3" >>/var/log/app.log 2>&1 <<'PY' &
import socket, sys, time
host, port = sys.argv[1].rsplit(":", 1)
held = [socket.create_connection((host, int(port))) for _ in range(int(sys.argv[2]))]
for one in held:
    one.sendall(b"GET /poll HTTP/1.1\r\nHost: a\r\n\r\n")
time.sleep(int(sys.argv[3]) / 1000)
open("/run/polls", "w").close()
time.sleep(3600)
PY
    wait_for "clients that poll" test -e /run/polls
}
