"""Normal logs: what every healthy gateway says. None of them holds a reason for a 502."""

import os
import re
import time

from incidents_apache import apache
from incidents_apps import PROXY
from incidents_balancers import caddy, haproxy
from incidents_nginx import FASTCGI, PAGES, PEER
from kit import excerpt, fill, wrap

SCANS = ["/.env", "/wp-login.php", "/.git/config", "/vendor/phpunit/phpunit/src/Util/PHP/eval-stdin.php", "/phpmyadmin/index.php", "/favicon.ico", "/robots.txt", "/cgi-bin/luci"]


@excerpt("70-quiet-scans-for-what-is-not-there")
def scans(lab):
    lab.file("/var/www/index.html", "hello\n")
    lab.nginx(server="root /var/www; location ~ /\\.ht { deny all; }")
    lab.gets(SCANS + ["/", "/.htaccess"], client="198.51.100.23", ua="Mozilla/5.0 zgrab/0.x")
    return lab.prompt("tail -n 20 /var/log/nginx/error.log /var/log/nginx/access.log")


@excerpt("71-quiet-reload-and-logrotate")
def reload(lab):
    lab.spawn(f"{PEER} ok 127.0.0.1 8000")
    lab.listening(8000)
    lab.nginx(server=PROXY, error_level="notice")
    lab.gets(PAGES[:2])
    lab.sh("kill -HUP $(cat /run/nginx.pid)")
    time.sleep(0.6)
    lab.gets(PAGES[:2])
    lab.sh("kill -USR1 $(cat /run/nginx.pid)")
    time.sleep(0.5)
    return lab.cat("/var/log/nginx/error.log")


@excerpt("72-quiet-clients-hang-up")
def hang_up(lab):
    lab.spawn(f"{PEER} busy 127.0.0.1 8000")
    lab.listening(8000)
    lab.nginx(server=PROXY, error_level="info")
    lab.crowd(4, path="/suggest?q={n}", timeout=0.5)
    lab.gets(["/suggest?q=shoes"])
    time.sleep(1)
    return lab.prompt("tail -n 8 /var/log/nginx/error.log") + lab.prompt("tail -n 6 /var/log/nginx/access.log")


@excerpt("73-quiet-php-deprecations")
def deprecations(lab):
    lab.fpm(script="<?php error_reporting(E_ALL); $s = null; echo strlen($s); echo $undefined; echo 'ok';", pool="php_admin_flag[log_errors] = on\nphp_admin_flag[display_errors] = off")
    lab.nginx(server=FASTCGI)
    lab.gets(PAGES[:4])
    return lab.prompt("tail -n 8 /var/log/nginx/error.log /var/log/nginx/access.log")


@excerpt("74-quiet-gunicorn-recycles-workers", first_pid=7)
def recycles(lab):
    lab.file("/srv/shop/wsgi.py", "def app(environ, start):\n    start('200 OK', [('Content-Length', '3')])\n    return [b'ok\\n']\n")
    child = lab.spawn("gunicorn --bind 127.0.0.1:8000 --workers 2 --max-requests 6 --max-requests-jitter 3 --access-logfile - wsgi:app", cwd="/srv/shop", tag="web")
    lab.listening(8000)
    lab.nginx(server=PROXY, container=True, name="_")
    lab.gets(PAGES * 2, pause=0.3)
    child.send_signal(1)
    time.sleep(2)
    lab.get("/")
    return lab.compose("web", "nginx")


@excerpt("75-quiet-tls-scanners")
def tls_scanners(lab):
    crt, key = lab.certificate("/etc/ssl/private/shop", name="shop.example.com")
    lab.spawn(f"{PEER} ok 127.0.0.1 8000")
    lab.listening(8000)
    lab.nginx(listen="443 ssl", server=f"ssl_certificate {crt}; ssl_certificate_key {key}; ssl_protocols TLSv1.2 TLSv1.3; {PROXY}", error_level="info")
    for options in ("-tls1 -cipher ALL:@SECLEVEL=0", "-tls1_2 -cipher RC4-MD5:AES128-SHA256", "-tls1_1 -cipher ALL:@SECLEVEL=0", "-tls1_3 -groups X448"):
        lab.sh(f"echo | timeout 3 openssl s_client -connect 127.0.0.1:443 {options}", check=False)
    lab.get("/", port=443)
    lab.sh("printf '\\003\\000\\000\\023\\016\\340' | timeout 1 nc 127.0.0.1 443 || true", check=False)
    lab.sh("curl -sk https://127.0.0.1/ -o /dev/null")
    return lab.prompt("tail -n 12 /var/log/nginx/error.log") + lab.prompt("tail -n 4 /var/log/nginx/access.log")


@excerpt("76-quiet-apache-graceful-restart")
def apache_graceful(lab):
    lab.file("/var/www/index.html", "hello\n")
    apache(lab, "")
    lab.gets(PAGES[:1] * 3)
    lab.sh("kill -USR1 $(cat /run/apache2/apache2.pid)")
    time.sleep(1.5)
    lab.gets(PAGES[:1] * 2)
    return lab.prompt("tail /var/log/apache2/error.log /var/log/apache2/access.log")


@excerpt("77-quiet-apache-scans")
def apache_scans(lab):
    lab.file("/var/www/index.html", "hello\n")
    os.makedirs("/var/www/files")
    lab.file("/var/www/private/a", "x")
    apache(lab, "<Directory /var/www/private>\nRequire all denied\n</Directory>\n<Directory /var/www>\nOptions -Indexes\n</Directory>\nAddHandler cgi-script .cgi", modules=["mpm_event", "authz_core", "autoindex", "dir", "mime", "alias", "setenvif"])
    lab.gets(["/", "/private/a", "/cgi-bin/.%2e/.%2e/bin/sh", "/%ff", *SCANS[:4], "/server-status"], client="198.51.100.23", ua="Expanse, a Palo Alto Networks company")
    lab.get("/", version="9.1", client="198.51.100.23")
    lab.get("/", host="a b", client="198.51.100.23")
    return lab.cat("/var/log/apache2/error.log") + lab.cat("/var/log/apache2/access.log")


@excerpt("78-quiet-haproxy-traffic", host="lb1")
def haproxy_traffic(lab):
    for address in ("10.0.3.11", "10.0.3.12"):
        lab.host_at(address)
        lab.spawn(f"{PEER} busy {address} 8080" if address.endswith("12") else f"{PEER} ok {address} 8080")
        lab.listening(8080, address)
    haproxy(lab, "shop", "    server app1 10.0.3.11:8080 check inter 2s\n    server app2 10.0.3.12:8080 check inter 2s", server="10s")
    lab.gets(PAGES[:4])
    lab.get("/search", timeout=0.4)
    lab.get("/search", timeout=0.4)
    lab.sh("printf 'GET / HTTP/1.1\\r\\nHost: x\\r\\nbad header\\r\\n\\r\\n' | timeout 1 nc 127.0.0.1 80 || true", check=False)
    lab.sh("printf '\\026\\003\\001\\002' | timeout 1 nc 127.0.0.1 80 || true", check=False)
    time.sleep(3)
    return lab.prompt("tail -n 20 /var/log/haproxy.log")


@excerpt("79-quiet-caddy-starts", first_pid=10)
def caddy_starts(lab):
    lab.spawn(f"{PEER} ok 127.0.0.1 5000")
    lab.listening(5000)
    caddy(lab, "reverse_proxy 127.0.0.1:5000")
    lab.gets(PAGES[:3])
    return lab.compose("caddy")


@excerpt("80-quiet-varnish")
def varnish_quiet(lab):
    from incidents_balancers import varnish
    lab.spawn(f"{PEER} ok 127.0.0.1 8080")
    lab.listening(8080)
    varnish(lab, 'backend default { .host = "127.0.0.1"; .port = "8080"; .probe = { .url = "/"; .interval = 1s; } }')
    lab.gets(PAGES)
    time.sleep(1.2)
    return lab.journal("varnishd") + lab.prompt("tail -n 6 /var/log/varnish/varnishncsa.log") + lab.cat("/var/log/varnish/varnish.txt", first=70)


@excerpt("81-quiet-lighttpd")
def lighttpd_quiet(lab):
    lab.file("/var/www/index.html", "hello\n")
    lab.file("/etc/lighttpd/lighttpd.conf", 'server.modules = ("mod_accesslog")\nserver.document-root = "/var/www"\nindex-file.names = ("index.html")\nserver.port = 80\nserver.errorlog = "/var/log/lighttpd-error.log"\naccesslog.filename = "/var/log/lighttpd-access.log"\n')
    child = lab.spawn("lighttpd -D -f /etc/lighttpd/lighttpd.conf", tag="lighttpd")
    lab.listening(80)
    lab.gets(["/", *SCANS], pause=0.05)
    child.terminate()
    child.wait()
    lab.spawn("lighttpd -D -f /etc/lighttpd/lighttpd.conf", tag="lighttpd")
    lab.listening(80)
    lab.gets(["/"] * 2, pause=0.6)
    return lab.prompt("cat /var/log/lighttpd-error.log") + lab.prompt("tail /var/log/lighttpd-access.log")


@excerpt("82-quiet-squid-starts")
def squid_quiet(lab):
    lab.host_at("10.0.3.21")
    lab.spawn(f"{PEER} ok 10.0.3.21 8080")
    lab.listening(8080, "10.0.3.21")
    lab.file("/etc/squid/squid.conf", "http_port 80 accel defaultsite=shop.example.com\ncache_peer 10.0.3.21 parent 8080 0 no-query originserver name=app\nhttp_access allow all\ncache_effective_user proxy\ncache_log /var/log/squid/cache.log\naccess_log stdio:/var/log/squid/access.log\npid_filename /run/squid.pid\nvisible_hostname rev1\nshutdown_lifetime 1 seconds\n")
    lab.sh("chown proxy /var/log/squid; mkdir -p /run/squid; chown proxy /run /run/squid")
    lab.spawn("squid -N -f /etc/squid/squid.conf", log="/dev/null")
    lab.listening(80)
    lab.gets(PAGES)
    time.sleep(0.5)
    return lab.prompt("tail -n 40 /var/log/squid/cache.log") + lab.prompt("tail -n 6 /var/log/squid/access.log")


@excerpt("83-quiet-php-fpm-restart")
def fpm_restart(lab):
    lab.fpm()
    lab.nginx(server=FASTCGI)
    lab.gets(PAGES[:3])
    lab.sh("kill -USR2 $(cat /run/php/php8.2-fpm.pid)")
    time.sleep(1.5)
    lab.gets(PAGES[:3])
    return lab.prompt("tail -n 25 /var/log/php8.2-fpm.log") + lab.prompt("tail -n 3 /var/log/nginx/access.log")


@excerpt("84-quiet-journal-of-a-night")
def journal_night(lab):
    for tag, pid, line in (
        ("CRON", 18211, "pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)"),
        ("CRON", 18212, "(root) CMD (   cd / && run-parts --report /etc/cron.hourly)"),
        ("CRON", 18211, "pam_unix(cron:session): session closed for user root"),
        ("sshd", 18230, "Invalid user admin from 198.51.100.23 port 51144"),
        ("sshd", 18230, "Connection closed by invalid user admin 198.51.100.23 port 51144 [preauth]"),
        ("sshd", 18233, "error: kex_exchange_identification: Connection closed by remote host"),
        ("systemd", 1, "Starting logrotate.service - Rotate log files..."),
        ("systemd", 1, "logrotate.service: Deactivated successfully."),
        ("systemd", 1, "Finished logrotate.service - Rotate log files."),
        ("systemd", 1, "Reloading nginx.service - A high performance web server and a reverse proxy server..."),
        ("systemd", 1, "Reloaded nginx.service - A high performance web server and a reverse proxy server."),
        ("systemd", 1, "Starting certbot.service - Certbot..."),
        ("systemd", 1, "certbot.service: Deactivated successfully."),
        ("systemd", 1, "Finished certbot.service - Certbot."),
        ("systemd", 1, "certbot.service: Consumed 1.021s CPU time."),
        ("dhclient", 611, "DHCPACK of 10.0.3.4 from 10.0.3.1"),
    ):
        lab.note(tag, line, pid)
        time.sleep(0.2)
    return lab.prompt("true").replace("true", "journalctl --since 03:00 --no-pager") + lab.journal()


@excerpt("85-quiet-kernel-messages")
def kernel_messages(lab):
    for line in (
        "EXT4-fs (vda1): mounted filesystem 5c1d8f0e-8f2c-4a53-9a7a-1f0f6a1d2b11 ro with ordered data mode. Quota mode: none.",
        "virtio_net virtio0 ens3: renamed from eth0",
        "[UFW BLOCK] IN=ens3 OUT= MAC=52:54:00:12:34:56:52:54:00:00:00:01:08:00 SRC=198.51.100.23 DST=203.0.113.9 LEN=40 TOS=0x00 PREC=0x00 TTL=241 ID=54321 PROTO=TCP SPT=41522 DPT=23 WINDOW=65535 RES=0x00 SYN URGP=0 ",
        "[UFW BLOCK] IN=ens3 OUT= MAC=52:54:00:12:34:56:52:54:00:00:00:01:08:00 SRC=198.51.100.77 DST=203.0.113.9 LEN=44 TOS=0x00 PREC=0x00 TTL=239 ID=11807 PROTO=TCP SPT=50901 DPT=3389 WINDOW=1024 RES=0x00 SYN URGP=0 ",
        "perf: interrupt took too long (2513 > 2500), lowering kernel.perf_event_max_sample_rate to 79500",
        "TCP: request_sock_TCP: Possible SYN flooding on port 25. Sending cookies.  Check SNMP counters.",
        "docker0: port 1(veth2f1c0aa) entered forwarding state",
    ):
        lab.note("kernel", line)
        time.sleep(0.1)
    return lab.journal("kernel")


@excerpt("86-quiet-uwsgi")
def uwsgi_quiet(lab):
    lab.file("/srv/shop/wsgi.py", "def application(environ, start):\n    start('200 OK', [('Content-Type', 'text/html')])\n    return [b'ok\\n']\n")
    child = lab.spawn("uwsgi --plugin python3 --socket 127.0.0.1:3031 --master --processes 2 --uid www-data --wsgi-file wsgi.py", cwd="/srv/shop", log="/var/log/uwsgi.log")
    lab.listening(3031)
    lab.said("spawned uWSGI worker 2", "/var/log/uwsgi.log")
    lab.nginx(server="location / { include uwsgi_params; uwsgi_pass 127.0.0.1:3031; }")
    lab.gets(PAGES)
    child.send_signal(1)
    time.sleep(2)
    lab.gets(PAGES[:2])
    return fill(lab.cat("/var/log/uwsgi.log"), 100)


@excerpt("87-quiet-api-with-client-errors", first_pid=11)
def api_client_errors(lab):
    lab.file("/srv/api/main.py", "async def app(scope, receive, send):\n    if scope['type'] != 'http':\n        message = await receive()\n        await send({'type': message['type'] + '.complete'})\n        return\n    status = 404 if 'old' in scope['path'] else 422 if 'order' in scope['path'] else 200\n    await send({'type': 'http.response.start', 'status': status, 'headers': []})\n    await send({'type': 'http.response.body', 'body': b'ok'})\n")
    lab.spawn("python3 -m uvicorn --host 127.0.0.1 --port 8000 main:app", cwd="/srv/api", tag="api")
    lab.listening(8000)
    lab.nginx(server=PROXY, container=True, name="_")
    lab.gets(["/v1/items", "/v1/order", "/old/items", "/v1/items?error=timeout", "/v1/order", "/search?q=502+bad+gateway"])
    return lab.kubectl({"api": "api-5c8d7f9b4-7mzsl/api", "nginx": "web-6f7c9-q2x8p/nginx"})


@excerpt("88-quiet-large-uploads-and-buffers")
def uploads(lab):
    lab.spawn(f"{PEER} large 127.0.0.1 8000")
    lab.listening(8000)
    lab.sh("mkdir -p /var/lib/nginx/proxy; chown www-data /var/lib/nginx/proxy")
    lab.nginx(http="server { listen 80; server_name shop.example.com; return 404; }", server=PROXY + " client_max_body_size 1k;", name="shop.example.com")
    lab.get("/export.csv", timeout=4)
    lab.get("/upload", method="POST", body=b"x" * 4000)
    lab.sh("rm /etc/nginx/conf.d/*; kill $(cat /run/nginx.pid)")
    time.sleep(0.5)
    lab.nginx(server=PROXY + " client_max_body_size 1k;")
    lab.get("/export.csv", timeout=4)
    lab.get("/upload", method="POST", body=b"x" * 4000)
    return wrap(lab.cat("/var/log/nginx/error.log"), 132)


@excerpt("89-quiet-puma-and-redis", host="app2")
def puma_redis(lab):
    lab.file("/srv/shop/config.ru", "run lambda { |env| [env['PATH_INFO'] == '/' ? 302 : 200, {'location' => '/home'}, ['ok']] }\n")
    child = lab.spawn("puma --bind tcp://127.0.0.1:9292 config.ru", cwd="/srv/shop", tag="puma")
    lab.listening(9292)
    redis = lab.spawn("redis-server --port 6379 --save '' --daemonize no", cwd="/srv/redis", tag="redis-server")
    lab.listening(6379)
    lab.nginx(server="location / { proxy_pass http://127.0.0.1:9292; }")
    lab.gets(PAGES[:4])
    child.terminate()
    child.wait()
    redis.terminate()
    redis.wait()
    return lab.journal("puma", "redis-server") + lab.prompt("tail -3 /var/log/nginx/access.log")
