# shellcheck shell=bash
# The words of shares, pools and kept connections. See lib.sh for the manners.

# idle_app PORT MILLISECONDS: an app that closes connections which are idle for so long; see apps/idle.py.
idle_app() {
    as_app $PYTHON idle.py 127.0.0.1 "$1" "$2"
    wait_for "an app on port $1" listening "127.0.0.1:$1"
}

# pool LINE...: a site on port 80 that passes everything to the pool made of these lines, over connections that are used again.
# With POOL_LINES: more lines in the location.
pool() {
    site <<CONF
upstream shop {
    $(printf '%s\n    ' "$@")
}
server {
    listen 80 default_server;
    server_name shop.test;
    location / {
        proxy_pass http://shop;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host \$host;
        ${POOL_LINES:-}
    }
}
CONF
}

# posting URL MILLISECONDS: users who send a POST each so many milliseconds, give or take 10, until the host ends: eight, or as many
# as it takes for a chance each tenth of a second where the pause is long. Returns
# when some of them have failed; with POSTING_FINE=1 after fifty requests. POSTING_EACH: how many they send over one connection.
# POSTING_USERS: how many they are; the more, the sooner somebody else takes an idle connection that one of them left.
# POSTING_BURST: how many they send in a row before each pause, one by default.
posting() {
    POSTING_FINE=${POSTING_FINE:-} POSTING_EACH=${POSTING_EACH:-100} POSTING_USERS=${POSTING_USERS:-} POSTING_BURST=${POSTING_BURST:-1} $PYTHON - "$1" "$2" >/var/log/posting.log 2>&1 <<'PY' &
import http.client, os, random, sys, threading, time, urllib.parse
url, pause = urllib.parse.urlsplit(sys.argv[1]), int(sys.argv[2]) / 1000
def user():
    while True:
        try:
            link = http.client.HTTPConnection(url.hostname, url.port or 80, timeout=10)
            for number in range(1, int(os.environ["POSTING_EACH"]) + 1):
                link.request("POST", url.path, body=b"a=1", headers={"User-Agent": "Mozilla/5.0 Firefox/130.0"})
                response = link.getresponse()
                response.read()
                print(response.status, flush=True)
                if number % int(os.environ["POSTING_BURST"]) == 0:
                    time.sleep(pause + random.uniform(-0.01, 0.01))
        except OSError:
            time.sleep(0.1)
for _ in range(int(os.environ["POSTING_USERS"] or max(8, round(pause * 12)))):
    threading.Thread(target=user).start()
PY
    if [ -n "${POSTING_FINE:-}" ]; then wait_for "requests" fifty; else wait_for "requests that fail" three_fail; fi
}
# One may be told from bad luck by nobody.
three_fail() { [ "$(grep -c '^50' /var/log/posting.log)" -ge 3 ]; }
fifty() { [ "$(wc -l </var/log/posting.log)" -ge 50 ]; }
