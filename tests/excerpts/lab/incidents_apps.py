"""Incidents that begin in the application server: gunicorn, php-fpm, uwsgi, node, uvicorn, puma."""

import os
import pathlib
import re
import time

from incidents_nginx import FASTCGI, PAGES
from kit import excerpt, fill, wrap

SLOW_WSGI = """
import time
def app(environ, start):
    if environ['PATH_INFO'].startswith('/export'):
        time.sleep(60)
    start('200 OK', [('Content-Length', '3')])
    return [b'ok\\n']
"""
PROXY = "location / { proxy_pass http://127.0.0.1:8000; }"


@excerpt("02-gunicorn-worker-timeout", first_pid=7)
def gunicorn_timeout(lab):
    lab.file("/srv/shop/wsgi.py", SLOW_WSGI)
    lab.spawn("gunicorn --bind 127.0.0.1:8000 --workers 2 --timeout 2 wsgi:app", cwd="/srv/shop", tag="web")
    lab.listening(8000)
    lab.nginx(server=PROXY, container=True, name="_")
    lab.get("/")
    lab.gets(["/export/2026.xlsx", "/export/2025.xlsx"])
    lab.get("/cart")
    return "$ docker compose logs -f --tail=50\n" + lab.compose("web", "nginx")


@excerpt("03-gunicorn-worker-killed-for-memory", host="app1")
def gunicorn_oom(lab):
    group = f"/sys/fs/cgroup/memory/why502-excerpt-{os.getpid()}"
    os.makedirs(group)
    try:
        pathlib.Path(group, "memory.limit_in_bytes").write_text(str(90 << 20))
        lab.file("/srv/shop/wsgi.py", "def app(environ, start):\n    start('200 OK', [])\n    if 'report' in environ['PATH_INFO']:\n        hog = bytearray(300 << 20)\n        hog[::4096] = b'x' * len(hog[::4096])\n    return [b'ok\\n']\n")
        master = lab.spawn(f"sh -c 'echo 0 > {group}/tasks; exec gunicorn --bind 127.0.0.1:8000 --workers 2 wsgi:app'", cwd="/srv/shop", tag="gunicorn")
        lab.listening(8000)
        before = lab.sh("dmesg | wc -l")
        lab.nginx(server=PROXY)
        lab.gets(["/", "/report/annual?year=2026", "/cart", "/report/annual?year=2025"])
        time.sleep(0.5)
        kernel = lab.sh(f"dmesg | tail -n +{int(before) + 1}")
    finally:
        master.kill()
        for _ in range(40):
            for pid in pathlib.Path(group, "tasks").read_text().split():
                lab.sh(f"kill -9 {pid}", check=False)
            time.sleep(0.1)
            try:
                os.rmdir(group)
                break
            except OSError:
                continue
    told = re.findall(r".*(?:invoked oom-killer|oom-kill:constraint|Memory cgroup out of memory|oom_reaper).*", kernel)
    return (lab.prompt("true").replace("true", "dmesg | grep -iE 'oom|killed process'") + "".join(line + "\n" for line in told)
            + lab.prompt("tail -3 /var/log/nginx/error.log") + "\n" + lab.journal("gunicorn"))


@excerpt("04-deploy-with-a-missing-module", host="web1")
def missing_module(lab):
    lab.file("/srv/shop/server.js", "const express = require('express');\nconst app = express();\napp.listen(3000);\n")
    lab.nginx(server="location / { proxy_pass http://127.0.0.1:3000; }")
    text = ""
    for attempt in range(1, 4):
        child = lab.spawn("node server.js", cwd="/srv/shop", tag="node")
        child.wait()
        child.reader.join()
        lab.note("systemd", "shop.service: Main process exited, code=exited, status=1/FAILURE", 1)
        lab.note("systemd", "shop.service: Failed with result 'exit-code'.", 1)
        lab.get("/")
        lab.note("systemd", f"shop.service: Scheduled restart job, restart counter is at {attempt}.", 1)
        lab.note("systemd", "Started shop.service - Shop frontend.", 1)
    text += lab.prompt("true").replace("true", "journalctl -u shop -n 40 --no-pager") + lab.journal("node", "systemd")
    return text + lab.prompt("tail -n 3 /var/log/nginx/error.log")


@excerpt("36-uwsgi-harakiri")
def harakiri(lab):
    lab.file("/srv/shop/wsgi.py", "import time\ndef application(environ, start):\n    if 'sync' in environ['REQUEST_URI']:\n        time.sleep(60)\n    start('200 OK', [])\n    return [b'ok\\n']\n")
    lab.spawn("uwsgi --plugin python3 --socket 127.0.0.1:3031 --master --processes 2 --harakiri 2 --uid www-data --wsgi-file wsgi.py", cwd="/srv/shop", log="/var/log/uwsgi.log")
    lab.listening(3031)
    lab.said("spawned uWSGI worker 2", "/var/log/uwsgi.log")
    lab.nginx(server="location / { include uwsgi_params; uwsgi_pass 127.0.0.1:3031; }")
    lab.gets(["/", "/api/sync?full=1", "/cart", "/api/sync?full=1"])
    time.sleep(1.2)
    return wrap(lab.prompt("tail -n 25 /var/log/uwsgi.log") + lab.prompt("tail -n 4 /var/log/nginx/error.log"), 100)


@excerpt("37-php-segfault")
def php_segfault(lab):
    lab.fpm(script="<?php if (isset($_GET['img'])) { sleep(4); } echo 'ok';")
    lab.nginx(server=FASTCGI)
    lab.get("/index.php")
    for n in range(3):
        lab.crowd(1, path=f"/index.php?img={n}", join=False)
        time.sleep(0.6)
        # The signal of a fault: which code of an extension faults makes no difference to the logs of the two servers.
        lab.sh("pkill -SEGV -P $(cat /run/php/php8.2-fpm.pid)")
        time.sleep(0.4)
    return lab.prompt("tail -n 4 /var/log/nginx/error.log") + lab.prompt("tail -n 8 /var/log/php8.2-fpm.log")


@excerpt("38-fpm-request-terminate-timeout")
def fpm_terminate(lab):
    lab.fpm(pool="request_terminate_timeout = 2s\nrequest_slowlog_timeout = 1s\nslowlog = /var/log/php8.2-fpm.log.slow", script="<?php function import() { sleep(20); } if (isset($_GET['import'])) import(); echo 'ok';")
    lab.nginx(server=FASTCGI)
    lab.gets(["/index.php", "/index.php?import=1", "/index.php?import=2"])
    time.sleep(1)
    return lab.prompt("tail -n 20 /var/log/php8.2-fpm.log /var/log/nginx/error.log")


@excerpt("39-database-down")
def database_down(lab):
    lab.file("/srv/shop/db.py", """
    import socket


    class OperationalError(Exception):
        pass


    def connect(host, port):
        try:
            return socket.create_connection((host, port), 2)
        except OSError as error:
            raise OperationalError(f'connection to server at "{host}", port {port} failed: Connection refused\\n\\tIs the server running on that host and accepting TCP/IP connections?\\n') from error
    """)
    lab.file("/srv/shop/wsgi.py", "import db\n\n\ndef app(environ, start):\n    db.connect('127.0.0.1', 5432)\n    start('200 OK', [])\n    return [b'ok']\n")
    lab.spawn("gunicorn --bind 127.0.0.1:8000 --workers 2 wsgi:app", cwd="/srv/shop", tag="gunicorn")
    lab.listening(8000)
    lab.nginx(server=PROXY)
    lab.gets(PAGES[:3])
    return lab.prompt("tail -n 3 /var/log/nginx/access.log") + lab.journal("gunicorn")


@excerpt("41-uvicorn-cannot-reach-redis", first_pid=11)
def uvicorn_redis(lab):
    lab.file("/srv/api/main.py", """
    import asyncio


    async def app(scope, receive, send):
        if scope['type'] == 'lifespan':
            while True:
                message = await receive()
                await send({'type': message['type'] + '.complete'})
                if message['type'] == 'lifespan.shutdown':
                    return
        await asyncio.open_connection('127.0.0.1', 6379)
        await send({'type': 'http.response.start', 'status': 200, 'headers': []})
        await send({'type': 'http.response.body', 'body': b'ok'})
    """)
    lab.spawn("python3 -m uvicorn --host 127.0.0.1 --port 8000 main:app", cwd="/srv/api", tag="api")
    lab.listening(8000)
    lab.nginx(server=PROXY, container=True, name="_")
    lab.gets(PAGES[:2])
    return lab.kubectl({"api": "api-5c8d7f9b4-7mzsl/api", "nginx": "web-6f7c9-q2x8p/nginx"})


@excerpt("42-php-memory-limit")
def php_memory(lab):
    lab.fpm(script="<?php ini_set('memory_limit', '8M'); if (isset($_GET['all'])) { $a = []; while (true) { $a[] = str_repeat('x', 100000); } } echo 'ok';",
            pool="catch_workers_output = yes\nphp_admin_flag[display_errors] = off\nphp_admin_flag[log_errors] = on\nphp_admin_value[error_log] = /proc/self/fd/2")
    lab.nginx(server=FASTCGI)
    lab.gets(["/index.php", "/index.php?all=1", "/index.php?all=2", "/index.php?all=3"])
    return lab.cat("/var/log/nginx/error.log") + "\n" + lab.cat("/var/log/nginx/access.log", last=4) + "\n" + lab.cat("/var/log/php8.2-fpm.log", last=5)


@excerpt("43-node-dies-on-an-unhandled-rejection")
def node_rejection(lab):
    lab.file("/srv/api/server.js", """
    const http = require('http');
    async function price(url) { if (url.includes('quote')) { const rates = undefined; return rates.EUR; } return 1; }
    http.createServer(async (req, res) => { const p = await price(req.url); res.end(String(p)); }).listen(3000, '127.0.0.1', () => console.log('quotes api on 3000'));
    """)
    lab.nginx(server="location / { proxy_pass http://127.0.0.1:3000; }", container=True, name="_")
    for attempt in range(2):
        child = lab.spawn("node server.js", cwd="/srv/api", tag="api")
        lab.until(lambda: sum("quotes api" in line for _, _, _, line in lab.stream) > attempt, "node")
        lab.get("/quote?sku=1")
        child.wait()
        child.reader.join()
        lab.get("/quote?sku=2")
    return "```\n" + lab.compose("api", "nginx") + "```\n"


@excerpt("44-puma-not-started-yet")
def puma_booting(lab):
    lab.file("/srv/shop/config.ru", "require 'pg'\nrun lambda { |env| [200, {}, ['ok']] }\n")
    lab.nginx(server="location / { proxy_pass http://unix:/run/puma/shop.sock; }")
    lab.sh("mkdir -p /run/puma")
    for _ in range(2):
        child = lab.spawn("puma --bind unix:///run/puma/shop.sock config.ru", cwd="/srv/shop", tag="puma")
        child.wait()
        child.reader.join()
        lab.note("systemd", "puma.service: Main process exited, code=exited, status=1/FAILURE", 1)
        lab.note("systemd", "puma.service: Failed with result 'exit-code'.", 1)
        lab.gets(PAGES[:2])
    return lab.prompt("tail -n 4 /var/log/nginx/error.log") + lab.journal("puma", "systemd")


@excerpt("45-gunicorn-has-no-more-threads-for-slow-requests")
def gunicorn_busy(lab):
    lab.file("/srv/shop/wsgi.py", "import time\ndef app(environ, start):\n    time.sleep(4)\n    start('200 OK', [])\n    return [b'ok']\n")
    os.makedirs("/run/shop")
    lab.spawn("gunicorn --bind unix:/run/shop/app.sock --backlog 4 --workers 1 wsgi:app", cwd="/srv/shop", tag="gunicorn")
    lab.there("/run/shop/app.sock")
    time.sleep(1)
    lab.nginx(server="location / { proxy_pass http://unix:/run/shop/app.sock; }")
    lab.crowd(16, path="/search?q={n}", pause=0.05, join=False)
    time.sleep(3)
    return fill(lab.cat("/var/log/nginx/error.log", last=7), 100)
