# shellcheck shell=bash
# Words about what servers say of themselves.

# busy_clients COUNT URL: clients that wait for their answers in the background.
busy_clients() {
    local count=$1 url=$2
    for _ in $(seq "$count"); do curl -s -o /dev/null --max-time 120 "$url" & done
}

# direct_clients COUNT HOST PORT: clients of the application itself, without a gateway between, that send a request and wait.
direct_clients() {
    local count=$1 host=$2 port=$3
    setsid $PYTHON -c '
import socket, sys, time
held = []
for _ in range(int(sys.argv[1])):
    one = socket.create_connection((sys.argv[2], int(sys.argv[3])))
    one.sendall(b"GET / HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n" if sys.argv[4] == "http"
                else b"\x00\x2b\x00\x00\x0e\x00REQUEST_METHOD\x03\x00GET\x09\x00PATH_INFO\x01\x00/\x04\x00HOST\x00\x00")
    held.append(one)
time.sleep(600)' "$count" "$host" "$port" "${DIRECT:-http}" </dev/null >/dev/null 2>&1 &
}

# queue_longer_than NUMBER SOCKET: whether more connections wait there to be accepted. SOCKET: a path, or ADDRESS:PORT.
queue_longer_than() {
    case $2 in
        /*) [ "$(ss -Hlxn src "$2" | awk '{print $3}')" -gt "$1" ] ;;
        *) [ "$(ss -Hltn src "$2" | awk '{print $2}')" -gt "$1" ] ;;
    esac
}

# uwsgi_app ADDRESS MODE [OPTION...]: uWSGI with two workers.
uwsgi_app() {
    local address=$1 mode=$2; shift 2
    SITE_MODE=$mode as_app /usr/bin/uwsgi --plugin python3 --master --processes 2 --socket "$address" --wsgi-file wsgi.py \
        --pidfile /run/app/uwsgi.pid "$@"
    wait_for "uwsgi on $address" listening "$address"
}

# uwsgi_site ADDRESS [LINE...]: a site on port 80 that passes everything on by uwsgi.
uwsgi_site() {
    local address=$1; shift
    site <<CONF
server {
    listen 80 default_server;
    listen [::]:80 default_server;
    server_name shop.test;
    $(printf '%s\n    ' "$@")
    location / {
        include uwsgi_params;
        uwsgi_pass $address;
    }
}
CONF
}

# revocation_list AUTHORITY NAME [LEAF...]: $TLS/NAME.pem, the list of this authority, with these certificates on it. Its end in CRL_UNTIL.
revocation_list() {
    local issuer=$1 name=$2 leaf as; shift 2
    as=(-config $TLS/db/ca.conf -cert "$TLS/$issuer.pem" -keyfile "$TLS/$issuer.key")
    : >$TLS/db/index.txt
    for leaf in "$@"; do openssl ca "${as[@]}" -revoke "$TLS/$leaf.pem" 2>$TLS/db/said || { cat $TLS/db/said >&2; return 1; }; done
    openssl ca "${as[@]}" -gencrl -out "$TLS/$name.pem" -crl_lastupdate "$(date -u -d '-40 days' +%Y%m%d%H%M%SZ)" \
        -crl_nextupdate "$(date -u -d "${CRL_UNTIL:-+40 days}" +%Y%m%d%H%M%SZ)" 2>$TLS/db/said || { cat $TLS/db/said >&2; return 1; }
}

# nginx_on HOST ADDRESS LINE...: nginx on another host; the lines stand in its only server block. (Its files lie here, under its name.)
nginx_on() {
    local where=$1 address=$2; shift 2
    mkdir -p "/etc/nginx-$where" "/var/lib/nginx-$where"
    cat >"/etc/nginx-$where/nginx.conf" <<CONF
user www-data;
pid /run/nginx-$where.pid;
error_log /var/log/nginx/$where-error.log;
events { worker_connections 512; }
http {
    access_log off;
    client_body_temp_path /var/lib/nginx-$where/body;
    proxy_temp_path /var/lib/nginx-$where/proxy;
    fastcgi_temp_path /var/lib/nginx-$where/fastcgi;
    uwsgi_temp_path /var/lib/nginx-$where/uwsgi;
    scgi_temp_path /var/lib/nginx-$where/scgi;
    server {
        listen $address;
        $(printf '%s\n        ' "$@")
    }
}
CONF
    on "$where" nginx -c "/etc/nginx-$where/nginx.conf"
    wait_for "nginx on $where" listening_on "$where" "$address"
}

# socks_proxy [OPTION...]: microsocks on 127.0.0.1:1080; with `-u NAME -P WORD` it wants these.
socks_proxy() {
    as_app microsocks -i 127.0.0.1 -p 1080 "$@"
    wait_for "microsocks" listening 127.0.0.1:1080
}

# dante ACTION: danted on 127.0.0.1:1080, whose rules pass or block every request.
dante() {
    cat >/etc/danted-lab.conf <<CONF
logoutput: /var/log/danted.log
internal: 127.0.0.1 port = 1080
external: lo
clientmethod: none
socksmethod: none
user.unprivileged: nobody
client pass { from: 0/0 to: 0/0 }
socks $1 { from: 0/0 to: 0/0 }
CONF
    danted -D -f /etc/danted-lab.conf -p /run/danted-lab.pid
    wait_for "danted" listening 127.0.0.1:1080
}

# tiny_proxy [LINE...]: tinyproxy on 127.0.0.1:3128.
tiny_proxy() {
    printf 'Port 3128\nListen 127.0.0.1\nTimeout 10\nLogFile "/var/log/tinyproxy.log"\n' >/etc/tinyproxy-lab.conf
    printf '%s\n' "$@" >>/etc/tinyproxy-lab.conf
    tinyproxy -c /etc/tinyproxy-lab.conf
    wait_for "tinyproxy" listening 127.0.0.1:3128
}

# far_host NAME MILLISECONDS: one more host, 10.0.3.2, behind a link that carries each packet so much later. This host is 10.0.3.1 there.
far_host() {
    mkdir -p /run/netns
    ip netns add "$1"
    on "$1" ip link set lo up
    setsid $PYTHON /srv/app/link.py "$1" "$2" 10.0.3.1 10.0.3.2 </dev/null >>/var/log/app.log 2>&1 &
    wait_for "the link to $1" far_refuses
}
far_refuses() {
    $PYTHON -c 'import socket
try: socket.create_connection(("10.0.3.2", 9), 1)
except ConnectionRefusedError: pass'
}
