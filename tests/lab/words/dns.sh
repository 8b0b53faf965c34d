# shellcheck shell=bash
# The words of names: name servers that say what a scenario wants. See lib.sh for the manners.

# name_server IP OPTION...: a name server at IP, port 53, that knows the hosts given as dnsmasq's options, and of .internal nothing
# else. Its process is $NAME_SERVER. Not --no-daemon: it would then serve one TCP client at a time, and nginx keeps its connection open.
name_server() {
    local ip=$1; shift
    dnsmasq --no-resolv --no-hosts --keep-in-foreground --log-facility=- --user=root --listen-address="$ip" --bind-interfaces --local=/internal/ \
        --local-ttl=1 --pid-file= "$@" >>/var/log/app.log 2>&1 &
    NAME_SERVER=$!
    wait_for "a name server at $ip" ss_udp "$ip:53"
}
name_server_stop() { kill "$NAME_SERVER"; wait_for "the name server to end" gone "$NAME_SERVER"; }

# odd_name_server IP RCODE|silent: a name server at IP that answers each question with this code (2 SERVFAIL, 3 NXDOMAIN, 5 REFUSED), or
# takes it and says nothing.
odd_name_server() {
    $PYTHON - "$1" "$2" >>/var/log/app.log 2>&1 <<'PY' &
import socket, sys
ip, code = sys.argv[1:]
one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
one.bind((ip, 53))
while True:
    question, client = one.recvfrom(4096)
    if code == "silent" or len(question) < 12:
        continue
    end = question.index(b"\0", 12) + 5
    one.sendto(question[:2] + bytes([0x81, 0x80 | int(code), 0, 1, 0, 0, 0, 0, 0, 0]) + question[12:end], client)
PY
    wait_for "a name server at $1" ss_udp "$1:53"
}

# host_asks IP...: the name servers of /etc/resolv.conf.
host_asks() { printf 'nameserver %s\n' "$@" >/etc/resolv.conf; }

# by_variable RESOLVER...: a site on port 80 that asks these name servers for app.internal at run time, and passes on to its port 8000.
by_variable() {
    site <<CONF
server {
    listen 80 default_server;
    server_name shop.test;
    resolver $*;
    resolver_timeout 2s;
    set \$app app.internal;
    location / { proxy_pass http://\$app:8000; }
}
CONF
}

# answers ADDRESS STATUS: a server of somebody else's that answers every request with this status. Its process is $APP.
answers() {
    as_app $PYTHON -c '
import http.server, sys
host, port, status = sys.argv[1].rsplit(":", 1) + sys.argv[2:]
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(int(status))
        self.send_header("Content-Length", "0")
        self.end_headers()
http.server.ThreadingHTTPServer((host, int(port)), Page).serve_forever()' "$1" "$2"
    wait_for "a server on $1" listening "$1"
}

# unbound_server IP LINE...: unbound at IP with these lines of its `server:` clause, and what follows it. It knows no root servers.
unbound_server() {
    local ip=$1; shift
    {
        printf 'server:\n  interface: %s\n  do-daemonize: no\n  chroot: ""\n  username: ""\n  pidfile: ""\n  use-syslog: no\n' "$ip"
        printf '  do-not-query-localhost: no\n  module-config: "iterator"\n  root-hints: "/dev/null"\n'
        printf '%s\n' "$@"
    } >/etc/unbound-lab.conf
    unbound -d -c /etc/unbound-lab.conf >>/var/log/app.log 2>&1 &
    wait_for "unbound at $ip" ss_udp "$ip:53"
}

# flaky_name_server IP ADDRESS N HOW: a name server at IP that knows ADDRESS for every name, with a TTL of a second, but answers of N
# questions one with HOW: `silent`, a code, or another address.
flaky_name_server() {
    $PYTHON - "$@" >>/var/log/app.log 2>&1 <<'PY' &
import socket, sys
ip, address, every, how = sys.argv[1:]
one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
one.bind((ip, 53))
count = 0
while True:
    question, client = one.recvfrom(4096)
    if len(question) < 12:
        continue
    end = question.index(b"\0", 12) + 5
    kind = int.from_bytes(question[end - 4:end - 2], "big")
    count += kind == 1
    odd = kind == 1 and count % int(every) == 0
    if odd and how == "silent":
        continue
    code = int(how) if odd and how.isdigit() else 0
    records = b""
    if kind == 1 and not code:
        ip4 = socket.inet_aton(how if odd and not how.isdigit() else address)
        records = b"\xc0\x0c\0\x01\0\x01\0\0\0\x01\0\x04" + ip4
    head = question[:2] + bytes([0x81, 0x80 | code, 0, 1, 0, 1 if records else 0, 0, 0, 0, 0])
    one.sendto(head + question[12:end] + records, client)
PY
    wait_for "a name server at $1" ss_udp "$1:53"
}
