"""Incidents behind nginx."""

import os
import pathlib
import time

from kit import excerpt, fill, quote, wrap

PEER = f"/usr/bin/python3 {pathlib.Path(__file__).with_name('peer.py')}"
FASTCGI = "root /srv/www; index index.php; location / { include fastcgi_params; fastcgi_param SCRIPT_FILENAME /srv/www/index.php; fastcgi_pass unix:/run/php/php8.2-fpm.sock; }"
NXDOMAIN = """
import socket
peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
peer.bind(('10.0.0.2', 53))
while True:
    query, sender = peer.recvfrom(4096)
    peer.sendto(query[:2] + b'\\x81\\x83' + query[4:6] + b'\\0\\0\\0\\0\\0\\0' + query[12:], sender)
"""
PAGES = ["/", "/category/shoes?page=2", "/cart", "/wp-login.php", "/product/4711", "/api/v1/basket"]


@excerpt("01-php-fpm-max-children")
def fpm_max_children(lab):
    lab.fpm(pool="listen.backlog = 3", script="<?php sleep(3); echo 'ok';")
    lab.nginx(server=FASTCGI)
    lab.crowd(26, path="/index.php?id={n}", pause=0.09)
    return (lab.prompt("tail -n 12 /var/log/nginx/error.log") + lab.prompt("tail -n 5 /var/log/php8.2-fpm.log"))


@excerpt("05-php-upgrade-moved-the-socket", host="web03")
def php_upgrade(lab):
    lab.file("/var/log/dpkg.log", """
    2026-11-21 05:11:20 remove php8.1-fpm:amd64 8.1.27-1~deb12u1 <none>
    2026-11-21 05:11:20 status half-configured php8.1-fpm:amd64 8.1.27-1~deb12u1
    2026-11-21 05:11:21 status not-installed php8.1-fpm:amd64 <none>
    2026-11-21 05:11:24 install php8.2-fpm:amd64 <none> 8.2.29-1~deb12u1
    2026-11-21 05:11:26 status installed php8.2-fpm:amd64 8.2.29-1~deb12u1
    """)
    lab.fpm()
    lab.nginx(server=FASTCGI.replace("php8.2", "php8.1"))
    lab.gets(PAGES)
    return lab.prompt("tail -n 6 /var/log/nginx/error.log /var/log/php8.2-fpm.log /var/log/dpkg.log") + lab.prompt("ls -l /run/php/")


@excerpt("06-socket-permission")
def socket_permission(lab):
    lab.file("/srv/shop/wsgi.py", "def app(environ, start):\n    start('200 OK', [('Content-Length', '3')])\n    return [b'ok\\n']\n")
    lab.spawn("gunicorn --bind unix:/run/shop/gunicorn.sock --umask 0117 --user daemon --group daemon wsgi:app", cwd="/srv/shop", tag="gunicorn") if os.makedirs("/run/shop") is None else None
    lab.there("/run/shop/gunicorn.sock")
    lab.sh("chown -R daemon:daemon /run/shop; chmod 0750 /run/shop")
    lab.nginx(server="location / { proxy_pass http://unix:/run/shop/gunicorn.sock; }")
    lab.gets(PAGES)
    return lab.prompt("namei -l /run/shop/gunicorn.sock") + lab.prompt("tail -5 /var/log/nginx/error.log") + lab.journal("gunicorn")


@excerpt("07-selinux-name-connect", host="centos9")
def selinux(lab):
    # A prohibit route gives the same EACCES that SELinux gives; the audit record is composed.
    lab.sh("ip route add prohibit 10.0.3.21/32")
    lab.nginx(server="location / { proxy_pass http://10.0.3.21:8080; }")
    lab.gets(PAGES[:4])
    now = int(time.time())
    audit = "".join(f"type=AVC msg=audit({now}.{ms}:{serial}): avc:  denied  {{ name_connect }} for  pid={pid} comm=\"nginx\" dest=8080 scontext=system_u:system_r:httpd_t:s0 tcontext=system_u:object_r:http_cache_port_t:s0 tclass=tcp_socket permissive=0\n"
                    for ms, serial, pid in ((118, 2817, 41210), (301, 2818, 41210), (477, 2819, 41211)))
    lab.file("/var/log/audit/audit.log", audit)
    return lab.prompt("tail -n 4 /var/log/nginx/error.log") + lab.prompt("grep denied /var/log/audit/audit.log | tail -3")


@excerpt("08-http-to-uwsgi-socket")
def http_to_uwsgi(lab):
    lab.file("/srv/shop/wsgi.py", "def application(environ, start):\n    start('200 OK', [])\n    return [b'ok\\n']\n")
    lab.spawn("uwsgi --plugin python3 --socket 127.0.0.1:3031 --master --processes 2 --uid www-data --wsgi-file wsgi.py", cwd="/srv/shop", log="/var/log/uwsgi.log")
    lab.listening(3031)
    lab.said("spawned uWSGI worker 2", "/var/log/uwsgi.log")
    lab.nginx(server="location / { proxy_pass http://127.0.0.1:3031; }")
    lab.gets(PAGES)
    return wrap(lab.prompt("tail -n 5 /var/log/nginx/error.log", user="deploy", sign="$") + lab.prompt("tail -n 12 /var/log/uwsgi.log", user="deploy", sign="$"), 120)


@excerpt("09-fastcgi-to-an-http-port", first_pid=20)
def fastcgi_to_http(lab):
    lab.spawn(f"{PEER} ok 127.0.0.1 9000")
    lab.listening(9000)
    lab.nginx(server="location / { include fastcgi_params; fastcgi_pass 127.0.0.1:9000; }", container=True, name="_")
    lab.spawn("/bin/true", tag="app")
    lab.note("app", "> shop@2.3.0 start")
    lab.note("app", "> node server.js")
    lab.note("app", "listening on :9000")
    lab.gets(PAGES[:5])
    return lab.prompt("true", where="/opt/shop").replace("true", "docker compose logs --tail 30 app nginx") + lab.compose("app", "nginx")


@excerpt("10-header-too-big-after-login")
def header_too_big(lab):
    lab.spawn(f"{PEER} cookies 127.0.0.1 8000")
    lab.listening(8000)
    lab.nginx(server="location /auth/ { proxy_pass http://127.0.0.1:8000; }")
    lab.gets(["/auth/callback?code=0.AXoA&session_state=77", "/auth/login", "/auth/callback?code=0.AXoB&session_state=78"], headers=("Referer: https://login.example.com/",))
    return quote(fill("Since the SSO migration users get 502 right after they log in, everything else works:\n\n" + lab.cat("/var/log/nginx/error.log"), 78)) + "\nany idea?\n"


@excerpt("11-https-to-a-plain-port")
def https_to_plain(lab):
    lab.spawn(f"{PEER} smtp 127.0.0.1 3000")
    lab.listening(3000)
    lab.nginx(server="location / { proxy_pass https://127.0.0.1:3000; }", name="grafana.example.com")
    lab.gets(["/", "/login", "/api/health"], host="grafana.example.com")
    return lab.cat("/var/log/nginx/error.log")


@excerpt("12-upstream-certificate-expired")
def certificate_expired(lab):
    crt, key = "/etc/ssl/private/api.crt", "/etc/ssl/private/api.key"
    lab.sh(f"openssl req -newkey rsa:2048 -nodes -keyout {key} -subj /CN=api.internal -out /run/api.csr && mkdir -p /run/ca && cd /run/ca && touch index.txt && echo 01 > serial "
           f"&& openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -subj '/CN=Internal CA' -days 900 "
           f"&& printf '[ca]\\ndefault_ca=d\\n[d]\\ndir=/run/ca\\ndatabase=/run/ca/index.txt\\nserial=/run/ca/serial\\nnew_certs_dir=/run/ca\\ncertificate=/run/ca/ca.crt\\nprivate_key=/run/ca/ca.key\\ndefault_md=sha256\\npolicy=p\\n[p]\\ncommonName=supplied\\n' > ca.cnf "
           f"&& openssl ca -batch -config ca.cnf -in /run/api.csr -out {crt} -startdate 20250801000000Z -enddate 20261101000000Z -notext")
    lab.spawn(f"openssl s_server -quiet -accept 10.0.3.31:443 -cert {crt} -key {key} -www", log="/dev/null") if lab.host_at("10.0.3.31") else None
    lab.listening(443, "10.0.3.31")
    lab.nginx(server="location /api/ { proxy_pass https://10.0.3.31; proxy_ssl_verify on; proxy_ssl_trusted_certificate /run/ca/ca.crt; proxy_ssl_name api.internal; }")
    lab.gets(["/api/v1/prices", "/api/v1/prices?sku=19", "/api/v1/stock"])
    return wrap(lab.prompt("tail /var/log/nginx/error.log"), 80)


@excerpt("13-tls-version-alert")
def tls_version(lab):
    crt, key = lab.certificate("/etc/ssl/private/erp")
    lab.host_at("10.0.3.40")
    lab.spawn(f"openssl s_server -quiet -accept 10.0.3.40:8443 -cert {crt} -key {key} -tls1_3 -www", log="/dev/null")
    lab.listening(8443, "10.0.3.40")
    lab.nginx(server="location / { proxy_pass https://10.0.3.40:8443; proxy_ssl_protocols TLSv1.2; }", name="erp.example.com")
    lab.gets(["/odata/orders", "/odata/orders(1)", "/odata/items"], host="erp.example.com")
    return lab.prompt("grep -v notice /var/log/nginx/error.log | tail -5") + lab.prompt("tail -3 /var/log/nginx/access.log")


@excerpt("14-name-does-not-resolve-at-request-time", first_pid=20)
def name_at_request_time(lab):
    lab.file("/run/dns.py", NXDOMAIN)
    lab.spawn("python3 /run/dns.py", log="/dev/null")
    time.sleep(0.5)
    lab.nginx(server="resolver 10.0.0.2 valid=5s; set $backend api-blue.internal; location / { proxy_pass http://$backend:8080; }", container=True)
    lab.gets(PAGES)
    return lab.docker("nginx", stamps=True)


@excerpt("15-host-not-found-at-start", host="docker01", first_pid=1)
def host_not_found(lab):
    lab.nginx(http="upstream app { server app:8000; }", server="location / { proxy_pass http://app; }", container=True, start=False)
    for attempt in range(4):
        child = lab.spawn("/usr/sbin/nginx", tag="nginx")
        child.wait()
        child.reader.join()
        lab.note("nginx", "nginx-1 exited with code 1") if attempt < 3 else None
        time.sleep(0.3)
    text = lab.compose("nginx")
    return text.replace("nginx-1  | nginx-1 exited", "nginx-1 exited")


@excerpt("16-too-many-open-files")
def too_many_files(lab):
    lab.spawn(f"{PEER} busy 127.0.0.1 8000")
    lab.listening(8000)
    lab.nginx(main="worker_processes 1; worker_rlimit_nofile 40;", server="location / { proxy_pass http://127.0.0.1:8000; }")
    lab.crowd(60, path="/track?id={n}", pause=0.015)
    return lab.prompt("tail -n 15 /var/log/nginx/error.log")


@excerpt("17-worker-connections")
def worker_connections(lab):
    lab.spawn(f"{PEER} busy 127.0.0.1 8000")
    lab.listening(8000)
    lab.nginx(main="worker_processes 1;", events="worker_connections 40;", server="location / { proxy_pass http://127.0.0.1:8000; }")
    lab.crowd(50, path="/feed/{n}", pause=0.015)
    return lab.cat("/var/log/nginx/error.log", last=14)


@excerpt("18-no-local-port-left")
def no_port_left(lab):
    lab.host_at("10.0.3.12")
    lab.sh("sysctl -w net.ipv4.ip_local_port_range='32768 32790'; sysctl -w net.ipv4.tcp_tw_reuse=0")
    lab.spawn(f"{PEER} busy 10.0.3.12 8080")
    time.sleep(0.8)
    lab.nginx(server="location / { proxy_pass http://10.0.3.12:8080; }")
    lab.sh("true")
    lab.crowd(40, path="/ws/poll?c={n}", pause=0.02)
    return lab.prompt("grep -c 'Cannot assign' /var/log/nginx/error.log") + lab.prompt("tail -n 5 /var/log/nginx/error.log") + lab.prompt("ss -s | head -3")


@excerpt("19-disk-full-proxy-temp")
def disk_full(lab):
    lab.sh("mkdir -p /var/lib/nginx/proxy && mount -t tmpfs -o size=2m tmpfs /var/lib/nginx/proxy && chown www-data /var/lib/nginx/proxy")
    lab.spawn(f"{PEER} large 127.0.0.1 8000")
    lab.listening(8000)
    lab.nginx(server="location / { proxy_pass http://127.0.0.1:8000; limit_rate 1k; }")
    lab.crowd(3, path="/export/orders-{n}.csv", join=False, timeout=6)
    lab.said("No space left", "/var/log/nginx/error.log")
    time.sleep(0.5)
    return lab.prompt("tail -n 6 /var/log/nginx/error.log") + lab.prompt("df -h /var/lib/nginx/proxy")


@excerpt("20-network-unreachable")
def network_unreachable(lab):
    lab.nginx(server="location / { proxy_pass http://10.20.0.15:8080; }")
    lab.gets(PAGES[:4])
    return lab.prompt("tail -3 /var/log/nginx/error.log") + lab.prompt("ip route get 10.20.0.15")


@excerpt("21-no-route-to-host")
def no_route_to_host(lab):
    lab.lan()
    lab.nginx(http="upstream shop_backend { server 10.0.3.21:8080; server 10.0.3.22:8080; }", server="location / { proxy_pass http://shop_backend; }")
    lab.crowd(4, path="/p/{n}", pause=0.3)
    lab.gets(PAGES[:3])
    return lab.prompt("tail /var/log/nginx/error.log") + lab.prompt("ip neigh")


@excerpt("22-firewall-drops-to-the-application", host="lb2")
def firewall_drops(lab):
    lab.host_at("10.0.3.21")
    lab.spawn(f"{PEER} ok 10.0.3.21 8080")
    lab.listening(8080, "10.0.3.21")
    lab.sh("nft add table inet f; nft 'add chain inet f out { type filter hook output priority 0 ; }'; nft add rule inet f out tcp dport 8080 drop")
    lab.nginx(server="location / { proxy_connect_timeout 3s; proxy_pass http://10.0.3.21:8080; }")
    for page in PAGES[:3]:
        lab.note("kernel", "[UFW BLOCK] IN= OUT=eth0 SRC=10.0.3.4 DST=10.0.3.21 LEN=60 TOS=0x00 PREC=0x00 TTL=64 ID=51911 DF PROTO=TCP SPT=40122 DPT=8080 WINDOW=64240 RES=0x00 SYN URGP=0 ")
        lab.get(page)
    return lab.prompt("true").replace("true", "journalctl -k --since -5min") + lab.journal("kernel") + lab.prompt("tail -3 /var/log/nginx/error.log")


@excerpt("23-slow-reports-time-out")
def slow_reports(lab):
    lab.spawn(f"{PEER} slow 127.0.0.1 8000")
    lab.listening(8000)
    form = "log_format up '$remote_addr [$time_local] \"$request\" $status rt=$request_time uct=\"$upstream_connect_time\" uht=\"$upstream_header_time\" urt=\"$upstream_response_time\" uaddr=\"$upstream_addr\" us=\"$upstream_status\"';"
    lab.nginx(http=form, server="location / { proxy_read_timeout 4s; proxy_pass http://127.0.0.1:8000; }", access="up")
    lab.crowd(6, path="/reports/yearly?customer={n}", pause=0.4, join=False, timeout=30)
    lab.gets(["/fast/1", "/fast/2"])
    time.sleep(5.5)
    return lab.prompt("tail -n 8 /var/log/nginx/access.log") + lab.prompt("tail -n 5 /var/log/nginx/error.log")


@excerpt("24-nested-gateway", host="edge1")
def nested_gateway(lab):
    lab.host_at("10.0.3.80")
    lab.spawn(f"{PEER} bad-gateway 10.0.3.80 80")
    lab.listening(80, "10.0.3.80")
    form = "log_format up '$remote_addr - - [$time_local] \"$request\" $status $body_bytes_sent \"$http_referer\" \"$http_user_agent\" upstream_addr=$upstream_addr upstream_status=$upstream_status upstream_connect_time=$upstream_connect_time upstream_header_time=$upstream_header_time upstream_response_time=$upstream_response_time';"
    lab.nginx(http=form, server="listen 127.0.0.1:80; location / { proxy_pass http://10.0.3.80; }", listen="203.0.113.9:80", access="up")
    lab.gets(PAGES)
    return lab.prompt("tail -n 6 /var/log/nginx/access.log") + lab.prompt("wc -l /var/log/nginx/error.log")


@excerpt("25-bad-edit-and-restart")
def bad_edit(lab):
    lab.nginx(server="location / { proxy_pas http://127.0.0.1:8000; }", start=False)
    text = lab.prompt("true").replace("true", "systemctl restart nginx")
    text += "Job for nginx.service failed because the control process exited with error code.\nSee \"systemctl status nginx.service\" and \"journalctl -xeu nginx.service\" for details.\n"
    lab.note("systemd", "Starting nginx.service - A high performance web server and a reverse proxy server...", 1)
    lab.spawn("/usr/sbin/nginx -t -q -g 'daemon on; master_process on;'", tag="nginx").wait()
    time.sleep(0.2)
    lab.note("systemd", "nginx.service: Control process exited, code=exited, status=1/FAILURE", 1)
    lab.note("systemd", "nginx.service: Failed with result 'exit-code'.", 1)
    lab.note("systemd", "Failed to start nginx.service - A high performance web server and a reverse proxy server.", 1)
    return text + lab.prompt("true").replace("true", "journalctl -u nginx -n 20 --no-pager") + lab.journal("systemd", "nginx")


@excerpt("26-reload-refused-old-port-still-used")
def reload_refused(lab):
    lab.spawn(f"{PEER} ok 127.0.0.1 9000")
    lab.nginx(server="location / { proxy_pass http://127.0.0.1:8000; }", error_level="notice")
    lab.gets(PAGES[:2])
    lab.file("/etc/nginx/conf.d/shop.conf", "server {\n    listen 80;\n    server_name shop.example.com;\n    location / {\n        proxy_pass http://127.0.0.1:9000\n    }\n}\n")
    lab.sh("kill -HUP $(cat /run/nginx.pid)")
    lab.said("[emerg]", "/var/log/nginx/error.log")
    lab.gets(PAGES[:4])
    return lab.cat("/var/log/nginx/error.log", last=9)


@excerpt("27-no-live-upstreams-after-crashes")
def no_live_upstreams(lab):
    for port in (8001, 8002):
        lab.spawn(f"{PEER} reset 127.0.0.1 {port}")
        lab.listening(port)
    lab.nginx(http="upstream shop { server 127.0.0.1:8001; server 127.0.0.1:8002; }", server="location / { proxy_pass http://shop; }")
    lab.gets(PAGES * 2)
    text = lab.cat("/var/log/nginx/error.log")
    # Copied from the middle of a line to the middle of a line.
    return text[37:-60]


@excerpt("40-nginx-worker-segfaults")
def nginx_segfaults(lab):
    lab.spawn(f"{PEER} ok 127.0.0.1 8000")
    lab.listening(8000)
    lab.nginx(server="location / { proxy_pass http://127.0.0.1:8000; }", error_level="notice")
    for page in PAGES[:4]:
        lab.get(page)
        lab.sh("kill -SEGV $(pgrep -P $(cat /run/nginx.pid) | head -1)")
        time.sleep(0.3)
    return lab.prompt("tail -n 20 /var/log/nginx/error.log")


@excerpt("54-ingress-nginx", first_pid=25)
def ingress(lab):
    lab.host_at("10.0.3.21")
    form = "log_format upstreaminfo '$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent \"$http_referer\" \"$http_user_agent\" $request_length $request_time [default-shop-80] [] $upstream_addr $upstream_response_length $upstream_response_time $upstream_status $request_id';"
    lab.nginx(http=form, server="location / { proxy_pass http://10.0.3.21:8080; }", container=True, access_log="/dev/stdout upstreaminfo", name="_")
    lab.gets(PAGES)
    return lab.kubectl({"nginx": "ingress-nginx-controller-6d9f8c7b5-x2kqp/controller"})


@excerpt("52-workers-retire-while-connections-are-kept")
def keepalive_race(lab):
    lab.spawn(f"{PEER} recycle 127.0.0.1 3000")
    lab.listening(3000)
    form = "log_format up '$remote_addr [$time_local] \"$request\" $status urt=$upstream_response_time uct=$upstream_connect_time ua=$upstream_addr us=$upstream_status';"
    lab.nginx(main="worker_processes 1;", http=form + "upstream api { server 127.0.0.1:3000 max_fails=0; keepalive 32; }", server="location / { proxy_http_version 1.1; proxy_set_header Connection ''; proxy_pass http://api; proxy_next_upstream off; }", access="up")
    lab.gets([f"/v2/items/{n}" for n in range(64)], method="POST", body=b"{}", pause=0.03)
    return lab.prompt("tail -n 4 /var/log/nginx/error.log") + lab.prompt("grep -c ' 502 ' /var/log/nginx/access.log; wc -l < /var/log/nginx/access.log") + lab.prompt("tail -n 25 /var/log/nginx/access.log")


@excerpt("53-conntrack-table-full", host="gw2")
def conntrack(lab):
    lab.host_at("10.0.3.21")
    lab.sh("nft add table inet f; nft 'add chain inet f out { type filter hook output priority 0 ; }'; nft add rule inet f out tcp dport 8080 drop")
    lab.nginx(server="location / { proxy_connect_timeout 2s; proxy_pass http://10.0.3.21:8080; }")
    for n in range(3):
        lab.get(PAGES[n])
        lab.note("kernel", "nf_conntrack: nf_conntrack: table full, dropping packet")
    return lab.journal("kernel") + "--\n" + lab.cat("/var/log/nginx/error.log")


@excerpt("62-localhost-is-ipv6-first")
def localhost_ipv6(lab):
    lab.sh("ip -6 addr add fd00::4/64 dev lo")
    lab.file("/run/etc.hosts", "127.0.0.1 localhost\n::1 localhost ip6-localhost\n")
    lab.spawn(f"{PEER} ok 127.0.0.1 3000")
    lab.listening(3000)
    form = "log_format up '$remote_addr [$time_local] \"$request\" $status $upstream_addr $upstream_status $upstream_response_time';"
    lab.nginx(http=form, server="location / { proxy_pass http://localhost:3000; proxy_next_upstream off; }", access="up")
    lab.gets(PAGES * 2, pause=0.05)
    return lab.prompt("tail -n 6 /var/log/nginx/error.log") + lab.prompt("tail -n 12 /var/log/nginx/access.log")
