"""Incidents behind HAProxy, Caddy, Varnish, lighttpd and Squid."""

import time

from incidents_nginx import NXDOMAIN, PAGES, PEER
from kit import excerpt, wrap

DEFAULTS = """
global
    log 127.0.0.1:514 local0
    maxconn 2000
defaults
    mode http
    log global
    option httplog
    option dontlognull
    timeout connect 2s
    timeout client 20s
    timeout server {server}
    timeout queue {queue}
    retries 1
frontend www
    bind *:80
    default_backend {backend}
"""


def haproxy(lab, backend, servers, server="3s", queue="1s", iso=False, tag=None):
    lab.syslog(iso=iso)
    lab.file("/etc/haproxy/haproxy.cfg", DEFAULTS.format(server=server, queue=queue, backend=backend) + f"backend {backend}\n{servers}\n")
    lab.spawn("haproxy -db -f /etc/haproxy/haproxy.cfg", tag=tag or "haproxy")
    lab.listening(80)


def caddy(lab, site, tag="caddy"):
    lab.file("/etc/caddy/Caddyfile", "{\n    admin off\n    auto_https off\n}\n:80 {\n    log\n" + site + "\n}\n")
    lab.spawn("caddy run --config /etc/caddy/Caddyfile --adapter caddyfile", tag=tag, env={"HOME": "/root", "XDG_DATA_HOME": "/root/data", "XDG_CONFIG_HOME": "/root/config"})
    lab.listening(80)


@excerpt("34-haproxy-server-down", host="lb1")
def haproxy_down(lab):
    for address in ("10.0.3.11", "10.0.3.12"):
        lab.host_at(address)
    haproxy(lab, "shop", "    option httpchk GET /healthz\n    server app1 10.0.3.11:8080 check inter 500ms fall 2\n    server app2 10.0.3.12:8080 check inter 500ms fall 2")
    lab.get("/")
    lab.said("has no server available", "/var/log/haproxy.log")
    lab.gets(PAGES)
    return lab.prompt("tail -n 20 /var/log/haproxy.log")


@excerpt("35-haproxy-health-check-404", host="lb1")
def haproxy_check(lab):
    lab.host_at("10.0.3.11")
    lab.spawn(f"{PEER} no-health 10.0.3.11 8080")
    lab.listening(8080, "10.0.3.11")
    haproxy(lab, "api", "    option httpchk GET /healthz\n    server api1 10.0.3.11:8080 check inter 700ms fall 2", iso=True)
    lab.gets(PAGES[:3])
    lab.said("has no server available", "/var/log/haproxy.log")
    lab.gets(PAGES)
    return lab.prompt("tail -n 20 /var/log/haproxy.log")


@excerpt("47-haproxy-backend-dies")
def haproxy_dies(lab):
    lab.file("/srv/api/server.js", "require('http').createServer((req, res) => { if (req.url.startsWith('/api')) { JSON.parse('{'); } res.end('ok\\n'); }).listen(3000, '127.0.0.1');\n")
    haproxy(lab, "node", "    server n1 127.0.0.1:3000")
    for _ in range(2):
        child = lab.spawn("node server.js", cwd="/srv/api", tag="node")
        lab.listening(3000)
        lab.get("/")
        lab.get("/api/v1/basket")
        child.wait()
        child.reader.join()
    return lab.prompt("tail -n 8 /var/log/haproxy.log") + lab.journal("node")


@excerpt("48-haproxy-invalid-response")
def haproxy_invalid(lab):
    lab.spawn(f"{PEER} warning 127.0.0.1 8080")
    lab.listening(8080)
    haproxy(lab, "legacy", "    server l1 127.0.0.1:8080")
    lab.gets(PAGES)
    return lab.cat("/var/log/haproxy.log", last=6)


@excerpt("49-haproxy-queue-full", host="lb1")
def haproxy_queue(lab):
    lab.spawn(f"{PEER} busy 127.0.0.1 8080")
    lab.listening(8080)
    haproxy(lab, "shop", "    server app1 127.0.0.1:8080 maxconn 2", server="10s")
    lab.crowd(18, path="/sale/{n}", pause=0.05)
    return lab.prompt("tail -n 15 /var/log/haproxy.log")


@excerpt("50-haproxy-server-timeout")
def haproxy_timeout(lab):
    lab.spawn(f"{PEER} silent 127.0.0.1 8080")
    lab.listening(8080)
    haproxy(lab, "erp", "    server erp1 127.0.0.1:8080", server="2s", iso=True)
    lab.crowd(4, path="/erp/run/{n}", pause=0.2)
    return lab.prompt("grep ' 504 ' /var/log/haproxy.log")


@excerpt("51-caddy-refused", first_pid=12)
def caddy_refused(lab):
    caddy(lab, "reverse_proxy 127.0.0.1:5000")
    lab.gets(PAGES[:3])
    lab.note("web", "panic: failed to open database: unable to open database file: no such file or directory")
    lab.note("web", "")
    lab.note("web", "goroutine 1 [running]:")
    lab.note("web", "main.main()")
    lab.note("web", "\t/src/cmd/web/main.go:41 +0x1d4")
    lab.gets(PAGES[:2])
    return "docker compose logs\n" + lab.compose("caddy", "web")


@excerpt("55-caddy-certificate-for-another-name")
def caddy_authority(lab):
    crt, key = lab.certificate("/etc/ssl/private/unifi", name="unifi.lan")
    lab.spawn(f"openssl s_server -quiet -accept 127.0.0.1:8443 -cert {crt} -key {key} -www", log="/dev/null")
    lab.listening(8443)
    caddy(lab, "reverse_proxy https://localhost:8443")
    lab.gets(PAGES[:3])
    return lab.journal("caddy")


@excerpt("56-caddy-no-such-host", first_pid=12)
def caddy_no_host(lab):
    lab.file("/run/dns.py", NXDOMAIN)
    lab.spawn("python3 /run/dns.py", log="/dev/null")
    time.sleep(0.5)
    caddy(lab, "reverse_proxy 2fauth:8000")
    lab.gets(PAGES[:3], timeout=30)
    return "".join(line + "\n" for _, _, _, line in lab.lines(["caddy"]) if '"error"' in line)


@excerpt("57-caddy-https-to-plain-http")
def caddy_plain(lab):
    lab.spawn(f"{PEER} ok 127.0.0.1 9443")
    lab.listening(9443)
    caddy(lab, "reverse_proxy https://127.0.0.1:9443")
    lab.gets(PAGES[:3])
    return wrap(lab.docker("caddy"), 118)


def varnish(lab, vcl):
    lab.file("/etc/varnish/default.vcl", "vcl 4.1;\n" + vcl)
    lab.sh("mkdir -p /run/varnish; chmod 777 /run/varnish")
    lab.spawn("varnishd -F -a 0.0.0.0:80 -f /etc/varnish/default.vcl -n /run/varnish -s malloc,16m", tag="varnishd")
    lab.listening(80)
    lab.spawn("varnishlog -n /run/varnish -g request -q 'FetchError or BerespStatus >= 500 or RespStatus >= 500' -w /dev/null", log="/dev/null")
    lab.spawn("varnishlog -n /run/varnish -g request", log="/var/log/varnish/varnish.txt")
    lab.spawn("varnishncsa -n /run/varnish", log="/var/log/varnish/varnishncsa.log")
    time.sleep(1)


@excerpt("58-varnish-backend-refused", host="cache1")
def varnish_refused(lab):
    varnish(lab, 'backend default { .host = "127.0.0.1"; .port = "8080"; }')
    lab.gets(PAGES[:2])
    time.sleep(1.2)
    return lab.prompt("true").replace("true", "varnishlog -g request -q 'RespStatus >= 500'") + lab.cat("/var/log/varnish/varnish.txt") + lab.prompt("tail -2 /var/log/varnish/varnishncsa.log")


@excerpt("59-varnish-first-byte-timeout", host="cache1")
def varnish_timeout(lab):
    lab.spawn(f"{PEER} silent 127.0.0.1 8080")
    lab.listening(8080)
    varnish(lab, 'backend default { .host = "127.0.0.1"; .port = "8080"; .first_byte_timeout = 2s; }')
    lab.gets(["/admin/report"])
    time.sleep(1.2)
    return "\n".join(line for line in lab.cat("/var/log/varnish/varnish.txt").splitlines() if "Header" not in line or "Host" in line)


@excerpt("60-lighttpd-fastcgi-refused")
def lighttpd_refused(lab):
    lab.file("/etc/lighttpd/lighttpd.conf", 'server.modules = ("mod_proxy", "mod_accesslog", "mod_fastcgi")\nserver.document-root = "/var/www"\nserver.port = 80\nserver.errorlog = "/var/log/lighttpd-error.log"\naccesslog.filename = "/var/log/lighttpd-access.log"\n$HTTP["url"] =~ "^/" { fastcgi.server = ("/" => (("socket" => "/run/php/php7.4-fpm.sock", "check-local" => "disable"))) }\n')
    lab.spawn("lighttpd -D -f /etc/lighttpd/lighttpd.conf", tag="lighttpd")
    lab.listening(80)
    lab.gets(PAGES[:4], pause=1.1)
    return lab.prompt("tail -n 8 /var/log/lighttpd-error.log") + lab.prompt("tail -n 4 /var/log/lighttpd-access.log")


@excerpt("61-squid-origin-resets", host="rev1")
def squid_dead(lab):
    lab.host_at("10.0.3.21")
    lab.spawn(f"{PEER} reset 10.0.3.21 8080")
    lab.listening(8080, "10.0.3.21")
    lab.file("/etc/squid/squid.conf", "http_port 80 accel defaultsite=shop.example.com\ncache_peer 10.0.3.21 parent 8080 0 no-query originserver name=app\nhttp_access allow all\ncache_effective_user proxy\ncache_log /var/log/squid/cache.log\naccess_log stdio:/var/log/squid/access.log\npid_filename /run/squid.pid\nconnect_timeout 2 seconds\nvisible_hostname rev1\ncache deny all\nshutdown_lifetime 1 seconds\n")
    lab.sh("chown proxy /var/log/squid; mkdir -p /run/squid; chown proxy /run /run/squid")
    lab.spawn("squid -N -f /etc/squid/squid.conf", log="/dev/null")
    lab.listening(80)
    lab.gets(PAGES)
    time.sleep(1)
    return lab.prompt("tail -n 14 /var/log/squid/cache.log") + lab.prompt("tail -n 5 /var/log/squid/access.log")
