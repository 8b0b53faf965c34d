"""Excerpts that were not used to build the ranking. Once one of them has led to a change, it belongs to second.py."""

import os
import time

from incidents_apache import apache
from incidents_balancers import caddy, haproxy, varnish
from incidents_nginx import PAGES, PEER
from kit import excerpt, fill, wrap


@excerpt("h01-apache-balancer-without-workers", host="www4")
def balancer(lab):
    apache(lab, "ProxyPass / balancer://app/\nProxyPassReverse / balancer://app/", main="<Proxy balancer://app>\nBalancerMember http://127.0.0.1:8081\nBalancerMember http://127.0.0.1:8082\n</Proxy>")
    lab.gets(PAGES[:4])
    return lab.prompt("tail -n 12 /var/log/apache2/error.log")


@excerpt("h02-socket-left-by-a-dead-application")
def socket_left(lab):
    lab.file("/srv/shop/wsgi.py", "def app(environ, start):\n    start('200 OK', [])\n    return [b'ok']\n")
    os.makedirs("/run/shop")
    child = lab.spawn("gunicorn --bind unix:/run/shop/app.sock wsgi:app", cwd="/srv/shop", tag="gunicorn")
    lab.there("/run/shop/app.sock")
    time.sleep(0.7)
    lab.sh(f"pkill -KILL -P {child.pid}; kill -KILL {child.pid}", check=False)
    lab.nginx(server="location / { proxy_pass http://unix:/run/shop/app.sock; }")
    lab.gets(PAGES[:4])
    return lab.prompt("ls -l /run/shop") + lab.prompt("tail -n 3 /var/log/nginx/error.log")


@excerpt("h03-haproxy-connect-times-out", host="lb2")
def haproxy_connect(lab):
    lab.host_at("10.0.3.21")
    lab.sh("nft add table inet f; nft 'add chain inet f out { type filter hook output priority 0 ; }'; nft add rule inet f out tcp dport 8080 drop")
    haproxy(lab, "shop", "    server app1 10.0.3.21:8080", iso=True)
    lab.crowd(4, path="/p/{n}", pause=0.2)
    return lab.cat("/var/log/haproxy.log")


@excerpt("h04-varnish-probe-of-a-missing-page", host="cache2")
def varnish_sick(lab):
    lab.spawn(f"{PEER} no-health 127.0.0.1 8080")
    lab.listening(8080)
    varnish(lab, 'backend default { .host = "127.0.0.1"; .port = "8080"; .probe = { .url = "/healthz"; .interval = 1s; .window = 3; .threshold = 2; } }')
    lab.spawn("varnishlog -n /run/varnish -g raw -i Backend_health", log="/var/log/varnish/health.txt")
    time.sleep(4)
    lab.gets(PAGES[:2])
    time.sleep(1.2)
    failed = lab.cat("/var/log/varnish/varnish.txt").split("\n\n")[-4:]
    return lab.prompt("true").replace("true", "varnishlog -g raw -i Backend_health") + lab.cat("/var/log/varnish/health.txt") + "^C\n" + "\n\n".join(failed)


@excerpt("h05-lighttpd-proxy-refused")
def lighttpd_proxy(lab):
    lab.file("/etc/lighttpd/lighttpd.conf", 'server.modules = ("mod_proxy", "mod_accesslog")\nserver.document-root = "/var/www"\nserver.port = 80\nserver.errorlog = "/var/log/lighttpd-error.log"\naccesslog.filename = "/var/log/lighttpd-access.log"\nproxy.server = ("/" => (("host" => "127.0.0.1", "port" => 8080)))\n')
    lab.spawn("lighttpd -D -f /etc/lighttpd/lighttpd.conf", tag="lighttpd")
    lab.listening(80)
    lab.gets(PAGES[:4], pause=0.8)
    return wrap(lab.cat("/var/log/lighttpd-error.log"), 80)


@excerpt("h06-caddy-waits-for-headers")
def caddy_headers(lab):
    lab.spawn(f"{PEER} silent 127.0.0.1 8080")
    lab.listening(8080)
    caddy(lab, "reverse_proxy 127.0.0.1:8080 {\n transport http {\n response_header_timeout 1s\n }\n}")
    lab.gets(PAGES[:3])
    return lab.kubectl({"caddy": "caddy-7f5d9-l4hqz/caddy"})


@excerpt("h07-uwsgi-without-its-application", host="app7")
def uwsgi_import(lab):
    lab.file("/srv/shop/wsgi.py", "import flask\napplication = flask.Flask(__name__)\n")
    lab.spawn("uwsgi --plugin python3 --socket 127.0.0.1:3031 --master --processes 2 --uid www-data --wsgi-file wsgi.py", cwd="/srv/shop", log="/var/log/uwsgi.log")
    lab.listening(3031)
    lab.said("spawned uWSGI worker 2", "/var/log/uwsgi.log")
    lab.nginx(server="location / { include uwsgi_params; uwsgi_pass 127.0.0.1:3031; }")
    lab.gets(PAGES[:3])
    return lab.prompt("tail -n 17 /var/log/uwsgi.log") + lab.prompt("tail -n 3 /var/log/nginx/access.log")


@excerpt("h08-upstream-wants-a-client-certificate")
def client_certificate(lab):
    crt, key = lab.certificate("/etc/ssl/private/bank")
    lab.spawn(f"openssl s_server -quiet -accept 127.0.0.1:8443 -cert {crt} -key {key} -Verify 1 -verify_return_error -tls1_2 -www", log="/dev/null")
    lab.listening(8443)
    lab.nginx(server="location / { proxy_pass https://127.0.0.1:8443; }", name="pay.example.com")
    lab.gets(["/pay", "/pay?n=2"], host="pay.example.com")
    return fill(lab.cat("/var/log/nginx/error.log"), 72)


@excerpt("h09-quiet-application-waits-for-its-database", first_pid=9)
def waits(lab):
    lab.file("/srv/api/server.js", """
    const http = require('http');
    const net = require('net');
    let tries = 0;
    function connect() {
      net.connect(5432, '127.0.0.1').on('connect', start).on('error', (error) => {
        console.log(`database not ready (${error.code}), retry ${++tries} of 10 in 1s`);
        setTimeout(connect, 500);
      });
    }
    function start() { console.log('database connected'); http.createServer((req, res) => res.end('ok')).listen(3000, '127.0.0.1', () => console.log('listening on 3000')); }
    connect();
    """)
    lab.spawn("node server.js", cwd="/srv/api", tag="api")
    time.sleep(1.3)
    lab.spawn(f"{PEER} ok 127.0.0.1 5432", log="/dev/null")
    lab.said("listening on 3000")
    lab.nginx(server="location / { proxy_pass http://127.0.0.1:3000; }", container=True, name="_")
    lab.gets(PAGES[:4])
    return lab.compose("api", "nginx")


@excerpt("h10-quiet-apache-php-warnings")
def apache_warnings(lab):
    lab.fpm(pool="php_admin_flag[log_errors] = on\nphp_admin_flag[display_errors] = off")
    lab.file("/var/www/index.php", "<?php error_reporting(E_ALL); echo $cart['items']; trigger_error('Function create_function() is deprecated', E_USER_DEPRECATED); echo 'ok';")
    apache(lab, "<FilesMatch \\.php$>\nSetHandler \"proxy:unix:/run/php/php8.2-fpm.sock|fcgi://localhost\"\n</FilesMatch>")
    lab.gets(["/index.php", "/index.php?p=2"])
    return lab.prompt("tail -n 6 /var/log/apache2/error.log /var/log/apache2/access.log")


@excerpt("h11-quiet-squid-denials-and-aborts", host="rev1")
def squid_denials(lab):
    lab.host_at("10.0.3.21")
    lab.spawn(f"{PEER} busy 10.0.3.21 8080")
    lab.listening(8080, "10.0.3.21")
    lab.file("/etc/squid/squid.conf", "acl bad url_regex wp-login\nhttp_access deny bad\nhttp_port 80 accel defaultsite=shop.example.com\ncache_peer 10.0.3.21 parent 8080 0 no-query originserver name=app\nhttp_access allow all\ncache_effective_user proxy\ncache_log /var/log/squid/cache.log\naccess_log stdio:/var/log/squid/access.log\npid_filename /run/squid.pid\nvisible_hostname rev1\n")
    lab.sh("chown proxy /var/log/squid; mkdir -p /run/squid; chown proxy /run /run/squid")
    lab.spawn("squid -N -f /etc/squid/squid.conf", log="/dev/null")
    lab.listening(80)
    lab.gets(PAGES[:4])
    lab.gets(["/search?q=a", "/search?q=b"], timeout=0.5)
    time.sleep(3)
    return lab.prompt("tail /var/log/squid/access.log")


@excerpt("h12-quiet-rolling-update")
def rolling_update(lab):
    return (
        "$ kubectl get events --sort-by=.lastTimestamp\n"
        "LAST SEEN   TYPE     REASON              OBJECT                      MESSAGE\n"
        "2m11s       Normal   ScalingReplicaSet   deployment/shop             Scaled up replica set shop-6c9d to 1\n"
        "2m10s       Normal   Scheduled           pod/shop-6c9d-x7k2p         Successfully assigned default/shop-6c9d-x7k2p to node-3\n"
        "2m9s        Normal   Pulling             pod/shop-6c9d-x7k2p         Pulling image \"registry.example.com/shop:2.4.1\"\n"
        "118s        Normal   Pulled              pod/shop-6c9d-x7k2p         Successfully pulled image \"registry.example.com/shop:2.4.1\" in 11.2s (11.2s including waiting)\n"
        "118s        Normal   Created             pod/shop-6c9d-x7k2p         Created container shop\n"
        "117s        Normal   Started             pod/shop-6c9d-x7k2p         Started container shop\n"
        "101s        Normal   ScalingReplicaSet   deployment/shop             Scaled down replica set shop-5b8f to 0 from 1\n"
        "100s        Normal   Killing             pod/shop-5b8f-9qwl4         Stopping container shop\n"
    )


@excerpt("h13-quiet-gunicorn-gets-garbage")
def gunicorn_garbage(lab):
    lab.file("/srv/shop/wsgi.py", "def app(environ, start):\n    start('404 Not Found' if 'wp-' in environ['PATH_INFO'] else '200 OK', [('Content-Length', '3')])\n    return [b'ok\\n']\n")
    lab.spawn("gunicorn --bind 127.0.0.1:8000 --access-logfile - wsgi:app", cwd="/srv/shop", tag="gunicorn")
    lab.listening(8000)
    lab.gets(PAGES[:5], port=8000)
    lab.sh("printf '\\026\\003\\001\\000\\356\\001\\r\\n\\r\\n' | timeout 1 nc 127.0.0.1 8000 || true", check=False)
    lab.sh("printf 'GET / HTTP/9.9\\r\\n\\r\\n' | timeout 1 nc 127.0.0.1 8000 || true", check=False)
    lab.get("/", port=8000)
    return lab.journal("gunicorn", iso=True)
