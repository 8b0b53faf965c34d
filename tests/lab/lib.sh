# shellcheck shell=bash
# The words in which scenarios are written. Addresses are nginx's own: 127.0.0.1:8000, [::1]:8000, unix:/run/app/app.sock.
#
# Everything here returns when what it started can be used (or is gone), and fails after WAIT_S: scenarios never sleep.

WAIT_S=60
PYTHON=/usr/bin/python3
PHP_FPM=$(compgen -G '/usr/sbin/php-fpm[0-9]*' | sort -V | tail -n 1 || true)
# Debian's name of the version that is installed, 8.2: it stands in paths and socket names.
PHP=${PHP_FPM##*php-fpm}

# wait_for WHAT COMMAND...: until the command succeeds.
wait_for() {
    local what=$1 until=$((SECONDS + WAIT_S)); shift
    until "$@" >/dev/null 2>&1; do
        if [ $SECONDS -ge $until ]; then
            echo "lab: waited ${WAIT_S} s for: $what" >&2
            tail -n 5 /var/log/app.log /var/log/nginx/error.log >&2 2>/dev/null || true
            return 1
        fi
        sleep 0.02
    done
}

gone() { ! kill -0 "$@"; }

# suspend PID: stops a process and its children by a signal, itself first: what has been stopped has no child more. What listens need not
# have one yet.
suspend() {
    wait_for "children of $1" pgrep -P "$1"
    kill -STOP "$1"
    # shellcheck disable=SC2046 # a list of process ids
    kill -STOP $(pgrep -P "$1")
}

# at_least TIMES PATTERN FILE: as for the end of who is started again and again.
at_least() { [ "$(grep -c -- "$2" "$3")" -ge "$1" ]; }

# listening ADDRESS: whether somebody listens there; passive, so that no app sees a connection.
listening() {
    case $1 in
        unix:*) ss -Hlxn | grep -qF " ${1#unix:} " ;;
        *:*) ss -Hltn | awk '{print $4}' | grep -qxF -e "$1" -e "*:${1##*:}" -e "0.0.0.0:${1##*:}" ;;
        *) echo "lab: $1 is not an address" >&2; return 1 ;;
    esac
}

not_listening() { ! listening "$1"; }

# as_app COMMAND...: in the background as the application's user, detached, with its output in /var/log/app.log.
as_app() {
    (cd /srv/app && exec setsid setpriv --reuid=1500 --regid=1500 --clear-groups "$@") </dev/null >>/var/log/app.log 2>&1 &
    APP=$!
}

# app KIND ADDRESS [MODE]: starts an application and waits until it listens. Its process is $APP.
# KIND: python, node, gunicorn (umask by GUNICORN_UMASK, more options by GUNICORN_OPTIONS), php (FPM pool, socket by PHP_LISTEN_OWNER
# and PHP_LISTEN_MODE, more settings by PHP_SETTINGS).
# MODE: what it does with a request, see tests/lab/apps; default `ok`.
app() {
    local kind=$1 address=$2 mode=${3:-ok}
    case $kind in
        python) as_app $PYTHON site.py "$address" "$mode" ;;
        node) as_app node site.js "$address" "$mode" ;;
        gunicorn)
            # shellcheck disable=SC2086 # words
            SITE_MODE=$mode as_app /usr/bin/gunicorn --workers 2 --bind "$address" --umask "${GUNICORN_UMASK:-0}" \
                --pid "/run/app/gunicorn.pid" ${GUNICORN_OPTIONS:-} wsgi:application ;;
        php) php_pool "$address" "$mode" ;;
        *) echo "lab: no such kind of app: $kind" >&2; return 1 ;;
    esac
    wait_for "$kind on $address" listening "$address"
}

# supervised KIND ADDRESS MODE: the same, started again whenever it ends, as a service manager does after 100 ms.
supervised() {
    local kind=$1 address=$2 mode=$3 run
    case $kind in
        python) run="$PYTHON site.py" ;;
        node) run="node site.js" ;;
        *) echo "lab: no supervisor for $kind" >&2; return 1 ;;
    esac
    as_app bash -c "while :; do $run '$address' '$mode'; sleep 0.1; done"
    wait_for "$kind on $address" listening "$address"
}

php_pool() {
    local listen=${1#unix:}
    mkdir -p /run/php
    chown www-data:www-data /run/php
    cat >"/etc/php/$PHP/fpm/pool.d/www.conf" <<CONF
[www]
user = app
group = app
listen = $listen
listen.owner = ${PHP_LISTEN_OWNER:-www-data}
listen.group = ${PHP_LISTEN_OWNER:-www-data}
listen.mode = ${PHP_LISTEN_MODE:-0660}
pm = static
pm.max_children = 2
env[SITE_MODE] = $2
${PHP_SETTINGS:-}
CONF
    "$PHP_FPM" --daemonize
    APP=$(cat "/run/php/php$PHP-fpm.pid")
}

# app_stop: the last app ends in an orderly way. app_kill: at once, with all of its workers.
app_stop() { kill "$APP"; wait_for "the app to end" gone "$APP"; }
app_kill() {
    local all
    # None of its children may be born behind our back.
    kill -STOP "$APP"
    all="$APP $(pgrep -P "$APP" || true)"
    # shellcheck disable=SC2086 # a list of process ids
    kill -9 $all
    # shellcheck disable=SC2086
    for pid in $all; do wait_for "process $pid to end" gone "$pid"; done
}

# site [NAME] < CONFIG: the only site of Debian's nginx, or one more. enable as a2ensite's cousin does: by symlink.
site() {
    local name=${1:-shop}
    rm -f /etc/nginx/sites-enabled/default
    cat >"/etc/nginx/sites-available/$name"
    ln -sf "../sites-available/$name" "/etc/nginx/sites-enabled/$name"
}

# proxy TARGET [LINE...]: a site on port 80 that passes everything on; TARGET is the argument of proxy_pass.
proxy() {
    local target=$1; shift
    site <<CONF
server {
    listen 80 default_server;
    listen [::]:80 default_server;
    server_name shop.test;
    $(printf '%s\n    ' "$@")
    location / {
        proxy_pass $target;
        include proxy_params;
    }
}
CONF
}

# php_site ADDRESS: a site on port 80 with PHP, as Debian's own default site suggests it.
php_site() {
    site <<CONF
server {
    listen 80 default_server;
    listen [::]:80 default_server;
    server_name shop.test;
    root /srv/www;
    index index.php;
    location / { try_files \$uri /index.php\$is_args\$args; }
    location ~ \.php\$ {
        include snippets/fastcgi-php.conf;
        fastcgi_pass $1;
    }
}
CONF
}

# nginx_start [OPTION...]: as the service does (daemon with master and workers), until port 80 answers to connects.
nginx_start() {
    nginx "$@"
    wait_for "nginx on port 80" listening 0.0.0.0:80
}
# The master's own file tells the pid; it is gone once the master is.
nginx_stop() { nginx -s quit; wait_for "nginx to stop" not_listening 0.0.0.0:80; wait_for "its pid file to go" test ! -e /run/nginx.pid; }
# As the OOM killer or an operator's kill -9 does: workers too, and the pid file stays.
nginx_kill() {
    local master
    master=$(cat /run/nginx.pid)
    # shellcheck disable=SC2046
    kill -9 "$master" $(pgrep -P "$master")
    wait_for "nginx to die" not_listening 0.0.0.0:80
}

# certificate FILE: a self-signed certificate of shop.test with its key, in one file.
certificate() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=shop.test \
        -keyout "$1.key" -out "$1" 2>/dev/null
    cat "$1.key" >>"$1"
    chmod 644 "$1"
}

# fill ADDRESS N: N clients that connect and wait, so that the accept queue of an app that accepts nothing is full.
fill() {
    $PYTHON - "$1" "$2" >>/var/log/app.log 2>&1 <<'PY' &
import socket, sys, time
address, count = sys.argv[1], int(sys.argv[2])
held = []
for _ in range(count):
    unix = address.startswith("unix:")
    one = socket.socket(socket.AF_UNIX if unix else socket.AF_INET)
    one.setblocking(False)
    host, _, port = address.rpartition(":")
    one.connect_ex(address.removeprefix("unix:") if unix else (host, int(port)))
    held.append(one)
time.sleep(3600)
PY
    wait_for "a full queue at $1" queue_full "$1"
}
queue_full() { ss -Hltxn | awk -v at="${1#unix:}" '$5 == at && $3 > $4 { found = 1 } END { exit !found }'; }

# dns LINE...: a name server on 127.0.0.1 that knows the hosts given as dnsmasq's options, and of .internal nothing else.
dns() {
    dnsmasq --no-resolv --no-hosts --no-daemon --user=root --listen-address=127.0.0.1 --bind-interfaces --local=/internal/ "$@" \
        >>/var/log/app.log 2>&1 &
    wait_for "a name server" ss_udp 127.0.0.1:53
}
ss_udp() { ss -Hlun | awk '{print $4}' | grep -qxF "$1"; }

# nginx_reload: by the master's signal, until workers with the new configuration serve.
nginx_reload() {
    local master before
    master=$(cat /run/nginx.pid)
    before=$(pgrep -P "$master" | sort | tr '\n' ' ')
    kill -HUP "$master"
    wait_for "new workers" new_workers "$master" "$before"
}
new_workers() {
    local pid
    for pid in $(pgrep -P "$1"); do
        case " $2" in *" $pid "*) return 1 ;; esac
    done
    pgrep -P "$1" >/dev/null
}

# later: file times and the starts of processes are compared in whole seconds; what comes next is younger beyond doubt.
later() { sleep 2.1; }

# address IP/LEN: one more address of this host.
address() { ip address add "$1" dev lo; }

# status URL: what a client gets: a status, or `refused`, `empty` (closed without an answer), `timeout`, `curl-N`.
status() {
    local code rc=0
    code=$(curl --silent --output /dev/null --max-time 15 --noproxy '*' --write-out '%{http_code}' "$1") || rc=$?
    case $rc in
        0) echo "$code" ;;
        7) echo refused ;;
        28) echo timeout ;;
        52) echo empty ;;
        *) echo "curl-$rc" ;;
    esac
}

# users URL N: N requests of ordinary users, whatever comes of them.
users() {
    local i
    for ((i = 0; i < $2; i++)); do
        curl --silent --output /dev/null --max-time 15 --noproxy '*' -A 'Mozilla/5.0 (X11; Linux x86_64) Firefox/130.0' "$1" || true
    done
}

# hang_up URL N: N clients that close after 0.3 s without waiting for the answer: 499 in nginx's log.
hang_up() {
    local i
    for ((i = 0; i < $2; i++)); do
        curl --silent --output /dev/null --max-time 0.3 --noproxy '*' "$1" || true
    done
}

# old_outage AGE COUNT: an outage that ended AGE (as `date -d` understands it, "10 minutes") ago, in both of nginx's logs.
old_outage() {
    local i error access
    error=$(date -d "-$1" '+%Y/%m/%d %H:%M:%S')
    access=$(date -d "-$1" '+%d/%b/%Y:%H:%M:%S %z')
    for ((i = 0; i < $2; i++)); do
        echo "$error [error] 811#811: *$((1000 + i)) connect() failed (111: Connection refused) while connecting to upstream, client: 203.0.113.9, server: shop.test, request: \"GET /cart?id=$i HTTP/1.1\", upstream: \"http://127.0.0.1:8000/cart?id=$i\", host: \"shop.test\"" >>/var/log/nginx/error.log
        echo "203.0.113.9 - - [$access] \"GET /cart?id=$i HTTP/1.1\" 502 157 \"-\" \"Mozilla/5.0\"" >>/var/log/nginx/access.log
    done
}
