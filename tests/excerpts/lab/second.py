"""Excerpts made after the ranking stood first, and used since for what they showed: other faults, other pairs of programs, other ways to copy."""

import time

from incidents_apache import apache
from incidents_balancers import caddy, haproxy
from incidents_nginx import FASTCGI, PAGES, PEER
from kit import excerpt, fill, quote, wrap


@excerpt("90-proxy-protocol-expected", host="edge2")
def proxy_protocol(lab):
    lab.host_at("10.0.3.80")
    lab.file("/etc/nginx/conf.d/inner.conf", "server {\n    listen 10.0.3.80:80 proxy_protocol;\n    server_name inner;\n    location / { return 200 ok; }\n}\n")
    lab.nginx(server="location / { proxy_pass http://10.0.3.80; }", listen="203.0.113.9:80")
    lab.gets(PAGES[:4], to="203.0.113.9")
    return lab.prompt("tail -n 8 /var/log/nginx/error.log")


@excerpt("91-grpc-to-http1")
def grpc(lab):
    lab.spawn(f"{PEER} ok 127.0.0.1 50051")
    lab.listening(50051)
    crt, key = lab.certificate("/etc/ssl/private/shop", name="grpc.example.com")
    lab.nginx(listen="443 ssl http2", name="grpc.example.com", server=f"ssl_certificate {crt}; ssl_certificate_key {key}; location / {{ grpc_pass grpc://127.0.0.1:50051; }}")
    for call in ("shop.Cart/Add", "shop.Cart/Get", "shop.Price/Quote"):
        lab.sh(f"curl -sk --http2 -X POST -H 'content-type: application/grpc' -o /dev/null --resolve grpc.example.com:443:127.0.0.1 https://grpc.example.com/{call}", check=False)
    return wrap(lab.prompt("tail /var/log/nginx/error.log"), 90)


@excerpt("92-haproxy-tls-to-plain", host="lb3")
def haproxy_tls(lab):
    lab.spawn(f"{PEER} ok 127.0.0.1 8443")
    lab.listening(8443)
    haproxy(lab, "api", "    server a1 127.0.0.1:8443 ssl verify none check inter 500ms fall 2")
    lab.said("has no server available", "/var/log/haproxy.log")
    lab.gets(PAGES[:4])
    return wrap(lab.prompt("tail /var/log/haproxy.log"), 100)


@excerpt("93-port-taken-by-apache", host="www9")
def port_taken(lab):
    apache(lab, "")
    lab.nginx(server="location / { proxy_pass http://127.0.0.1:8000; }", start=False)
    lab.note("systemd", "Starting nginx.service - A high performance web server and a reverse proxy server...", 1)
    lab.spawn("/usr/sbin/nginx -g 'daemon on; master_process on;'", tag="nginx").wait()
    time.sleep(0.3)
    lab.note("systemd", "nginx.service: Control process exited, code=exited, status=1/FAILURE", 1)
    lab.note("systemd", "nginx.service: Failed with result 'exit-code'.", 1)
    return lab.journal("systemd", "nginx")


@excerpt("94-caddy-reset-mid-request", first_pid=12)
def caddy_reset(lab):
    lab.spawn(f"{PEER} reset 127.0.0.1 8080")
    lab.listening(8080)
    caddy(lab, "reverse_proxy 127.0.0.1:8080")
    lab.gets(PAGES[:3])
    return "".join(f"caddy-1  | {line}\n" for _, _, _, line in lab.lines(["caddy"]) if "502" in line)


@excerpt("95-fpm-pool-refuses-on-tcp")
def fpm_tcp(lab):
    lab.fpm(listen="127.0.0.1:9000")
    lab.nginx(server=FASTCGI.replace("unix:/run/php/php8.2-fpm.sock", "127.0.0.1:9000"))
    lab.gets(PAGES[:2])
    lab.sh("kill -TERM $(cat /run/php/php8.2-fpm.pid)")
    lab.said("exiting, bye-bye", "/var/log/php8.2-fpm.log")
    lab.gets(PAGES[:4])
    return lab.prompt("tail -n 5 /var/log/php8.2-fpm.log /var/log/nginx/error.log /var/log/nginx/access.log")


@excerpt("96-apache-scan-of-fcgi-timeout", host="web5")
def apache_fcgi_timeout(lab):
    lab.fpm(script="<?php sleep(20);")
    lab.file("/var/www/index.php", "<?php sleep(20);")
    apache(lab, "ProxyTimeout 2\n<FilesMatch \\.php$>\nSetHandler \"proxy:unix:/run/php/php8.2-fpm.sock|fcgi://localhost\"\n</FilesMatch>")
    lab.gets(["/index.php?import=1", "/index.php?import=2"])
    return quote(fill(lab.cat("/var/log/apache2/error.log"), 90))


@excerpt("97-disk-full-in-the-application", host="app4")
def disk_full_app(lab):
    lab.sh("mkdir -p /srv/data && mount -t tmpfs -o size=64k tmpfs /srv/data")
    lab.file("/srv/shop/wsgi.py", "def app(environ, start):\n    with open('/srv/data/session', 'ab') as out:\n        out.write(b'x' * 100000)\n    start('200 OK', [])\n    return [b'ok']\n")
    lab.spawn("gunicorn --bind 127.0.0.1:8000 wsgi:app", cwd="/srv/shop", tag="gunicorn")
    lab.listening(8000)
    lab.nginx(server="location / { proxy_pass http://127.0.0.1:8000; }")
    lab.gets(PAGES[:3])
    return lab.journal("gunicorn") + lab.prompt("df -h /srv/data") + lab.prompt("tail -n 3 /var/log/nginx/access.log")


@excerpt("98-quiet-haproxy-reload-and-drain", host="lb1")
def haproxy_reload(lab):
    for address in ("10.0.3.11", "10.0.3.12"):
        lab.host_at(address)
        lab.spawn(f"{PEER} ok {address} 8080")
        lab.listening(8080, address)
    haproxy(lab, "shop", "    server app1 10.0.3.11:8080 check inter 1s\n    server app2 10.0.3.12:8080 check inter 1s")
    lab.gets(PAGES[:5])
    lab.children[-1].send_signal(10)
    time.sleep(0.5)
    lab.note("haproxy", "[NOTICE]   (1201) : Loading success.", 1201)
    return lab.journal("haproxy") + lab.cat("/var/log/haproxy.log")


@excerpt("99-quiet-nginx-cold-start-and-bots")
def bots(lab):
    lab.file("/var/www/index.html", "hello\n")
    lab.nginx(server="root /var/www; limit_except GET { deny all; } location /old { return 301 /; } location = /robots.txt { return 200 ''; }".replace("limit_except GET { deny all; }", ""), error_level="notice", container=True)
    lab.gets(["/robots.txt", "/old/a", "/", "/sitemap.xml", "/ads.txt", "/apple-touch-icon.png"], ua="Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)")
    lab.get("/", method="PROPFIND")
    lab.sh("printf '\\026\\003\\001\\000\\356' | timeout 1 nc 127.0.0.1 80 || true", check=False)
    return lab.compose("nginx")


@excerpt("99b-quiet-slow-but-fine")
def slow_but_fine(lab):
    lab.fpm(pool="request_slowlog_timeout = 1s\nslowlog = /var/log/php8.2-fpm.log.slow", script="<?php sleep(2); echo 'ok';")
    lab.nginx(server=FASTCGI)
    lab.gets(PAGES[:3])
    return lab.prompt("tail -n 12 /var/log/php8.2-fpm.log") + lab.prompt("cat /var/log/php8.2-fpm.log.slow") + lab.prompt("tail -n 3 /var/log/nginx/access.log")


@excerpt("99c-quiet-package-upgrade", host="app2")
def package_upgrade(lab):
    for tag, pid, line in (
        ("systemd", 1, "Starting apt-daily-upgrade.service - Daily apt upgrade and clean activities..."),
        ("systemd", 1, "Stopping php8.2-fpm.service - The PHP 8.2 FastCGI Process Manager..."),
        ("systemd", 1, "php8.2-fpm.service: Deactivated successfully."),
        ("systemd", 1, "Stopped php8.2-fpm.service - The PHP 8.2 FastCGI Process Manager."),
        ("systemd", 1, "Starting php8.2-fpm.service - The PHP 8.2 FastCGI Process Manager..."),
        ("systemd", 1, "Started php8.2-fpm.service - The PHP 8.2 FastCGI Process Manager."),
        ("systemd", 1, "apt-daily-upgrade.service: Deactivated successfully."),
        ("systemd", 1, "Finished apt-daily-upgrade.service - Daily apt upgrade and clean activities."),
    ):
        lab.note(tag, line, pid)
        time.sleep(0.15)
    lab.fpm()
    lab.nginx(server=FASTCGI)
    lab.gets(PAGES[:3])
    return lab.journal("systemd") + lab.cat("/var/log/php8.2-fpm.log") + lab.cat("/var/log/nginx/access.log")
