"""The tools of a scenario: a private host, its servers and clients, and the ways in which engineers copy logs."""

import ctypes
import datetime
import os
import pathlib
import random
import re
import shutil
import socket
import subprocess
import textwrap
import threading
import time

EXCERPTS = {}
UA = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"
# Directories that a scenario gets empty for itself, so that the real paths can be used.
PRIVATE = ["/var/log", "/run", "/srv", "/etc/nginx", "/etc/apache2", "/etc/haproxy", "/etc/caddy", "/etc/varnish",
           "/etc/lighttpd", "/etc/squid", "/etc/php/8.2/fpm", "/var/lib/nginx", "/var/spool", "/etc/ssl/private", "/var/www", "/root"]


def excerpt(name, **options):
    """Registers a scenario under the name of its file."""
    def register(make):
        assert name not in EXCERPTS, name
        EXCERPTS[name] = (make, options)
        return make
    return register


def run(name):
    make, options = EXCERPTS[name]
    lab = Lab(**options)
    try:
        text = make(lab)
    finally:
        lab.stop()
    # A release of Debian's, whatever runs here.
    text = text.replace(os.uname().release, "6.1.0-37-amd64")
    return text.rstrip("\n").encode("utf-8", "surrogateescape") + b"\n"


class Lab:
    def __init__(self, host="gw1", first_pid=None):
        libc = ctypes.CDLL(None, use_errno=True)
        libc.mount(b"none", b"/", None, 0x44000, None)  # MS_REC | MS_PRIVATE
        self.host, self.children, self.stream, self.lock = host, [], [], threading.Lock()
        socket.sethostname(host)
        for path in PRIVATE:
            os.makedirs(path, exist_ok=True)
            self.sh(f"mount -t tmpfs -o mode=755 tmpfs {path}")
        # The pids of a machine that has been up for a while.
        pathlib.Path("/proc/sys/kernel/ns_last_pid").write_text(str(first_pid or random.randint(900, 90_000)))
        for file in ("hosts", "resolv.conf", "machine-id"):
            copy = f"/run/etc.{file}"
            pathlib.Path(copy).write_text({"hosts": f"127.0.0.1 localhost\n127.0.1.1 {host}\n", "resolv.conf": "nameserver 10.0.0.2\noptions timeout:1 attempts:1\n"}.get(file, ""))
            self.sh(f"mount --bind {copy} /etc/{file}")
        self.sh("ip link set lo up; ip addr add 203.0.113.9/32 dev lo; ip addr add 198.51.100.23/32 dev lo; ip addr add 10.0.0.2/32 dev lo; ip addr add 10.0.3.4/32 dev lo")
        for path in ("/var/log/nginx", "/var/log/apache2", "/run/php", "/run/lock", "/var/lib/nginx/body", "/run/apache2", "/var/log/squid", "/var/log/varnish"):
            os.makedirs(path, exist_ok=True)
        self.sh("chown -R www-data:adm /var/log/nginx; chown www-data /var/lib/nginx /run/php; chmod 755 /root")

    # -- running things ---------------------------------------------------------------------------------------------------

    def sh(self, command, check=True):
        done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if check and done.returncode:
            raise RuntimeError(f"{command}: {done.returncode}: {done.stderr}")
        return done.stdout + done.stderr

    def spawn(self, command, tag=None, log=None, cwd="/srv", env=None, user=None):
        """Starts a program; its output goes to `log`, else to the stream of all, under `tag`."""
        if isinstance(command, str):
            command = ["/bin/sh", "-c", "exec " + command]
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1", "HOME": "/root"} | (env or {})
        os.makedirs(cwd, exist_ok=True)
        sink = open(log, "ab") if log else subprocess.PIPE
        child = subprocess.Popen(command, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT, user=user, start_new_session=True)
        self.children.append(child)
        if not log:
            reader = threading.Thread(target=self._read, args=(child, tag or "app"), daemon=True)
            reader.start()
            child.reader = reader
        return child

    def _read(self, child, tag):
        for line in child.stdout:
            with self.lock:
                self.stream.append((time.time(), tag, child.pid, line.decode("utf-8", "surrogateescape").rstrip("\n")))

    def note(self, tag, line, pid=0):
        """A line of this moment that no program here can say: composed, and named so in expected.toml."""
        with self.lock:
            self.stream.append((time.time(), tag, pid, line))

    def stop(self):
        for child in self.children:
            if child.poll() is None:
                child.kill()

    def file(self, path, text, mode=None, owner=None):
        pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
        pathlib.Path(path).write_text(textwrap.dedent(text).lstrip("\n"))
        if mode:
            os.chmod(path, mode)
        if owner:
            shutil.chown(path, *owner.split(":"))
        return path

    def until(self, condition, what, limit=25):
        end = time.time() + limit
        while time.time() < end:
            if condition():
                return
            time.sleep(0.03)
        raise RuntimeError(f"waited for {what}; stream: {self.stream[-12:]}; {self.tails()}")

    def tails(self):
        return self.sh("tail -n 4 /var/log/*.log /var/log/*/*.log 2>/dev/null", check=False)

    def listening(self, port, host="127.0.0.1"):
        def answers():
            with socket.socket() as peer:
                peer.settimeout(0.5)
                return peer.connect_ex((host, port)) == 0
        self.until(answers, f"port {port}")

    def there(self, path):
        self.until(lambda: os.path.exists(path), path)

    def said(self, words, source=None):
        """Waits until a program has said this, in the stream or in a file."""
        def seen():
            if source:
                return os.path.exists(source) and words in pathlib.Path(source).read_text(errors="replace")
            return any(words in line for _, _, _, line in self.stream)
        self.until(seen, words)

    # -- servers -----------------------------------------------------------------------------------------------------------

    def nginx(self, http="", server="", main="", container=False, events="worker_connections 768;", name="shop.example.com", listen="80", start=True, error_level="", access="", access_log=""):
        """nginx as Debian configures it, or as its container image does."""
        error_log = "/dev/stderr notice" if container else f"/var/log/nginx/error.log {error_level}"
        access_log = access_log or ("/dev/stdout main" if container else "/var/log/nginx/access.log" + (f" {access}" if access else ""))
        combined = """log_format main '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent" "$http_x_forwarded_for"';"""
        self.file("/etc/nginx/nginx.conf", f"""
user www-data;
{main if 'worker_processes' in main else 'worker_processes 2; ' + main}
pid /run/nginx.pid;
error_log {error_log};
{'daemon off;' if container else ''}
events {{ {events} }}
http {{
    {combined}
    default_type text/html;
    include /etc/nginx/conf.d/*.conf;
}}
""")
        self.file("/etc/nginx/conf.d/shop.conf", f"{http}\nserver {{\n    listen {listen};\n    server_name {name};\n    access_log {access_log};\n{server}\n}}\n" if server else http)
        for part in ("fastcgi_params", "uwsgi_params"):
            self.file(f"/etc/nginx/{part}", "\n".join(f"{'fastcgi' if part[0] == 'f' else 'uwsgi'}_param {key} ${value};" for key, value in PARAMS.items()))
        if start and container:
            child = self.spawn("/usr/sbin/nginx", tag="nginx")
            self.listening(80)
            return child
        if start:
            self.sh("/usr/sbin/nginx")
            self.there("/run/nginx.pid")
        return None

    def fpm(self, pool="", glob="", listen="/run/php/php8.2-fpm.sock", script="<?php echo 'ok';", opcache=True, workers=5, main=""):
        self.file("/etc/php/8.2/fpm/php-fpm.conf", f"[global]\npid = /run/php/php8.2-fpm.pid\nerror_log = /var/log/php8.2-fpm.log\n{glob}\ninclude=/etc/php/8.2/fpm/pool.d/*.conf\n")
        self.file("/etc/php/8.2/fpm/pool.d/www.conf", f"""
[www]
user = www-data
group = www-data
listen = {listen}
listen.owner = www-data
listen.group = www-data
pm = dynamic
pm.max_children = {workers}
pm.start_servers = 2
pm.min_spare_servers = 1
pm.max_spare_servers = 3
{pool}
""")
        self.file("/srv/www/index.php", script)
        self.spawn(f"php-fpm8.2 --nodaemonize {main} --fpm-config /etc/php/8.2/fpm/php-fpm.conf", log="/dev/null")
        if listen.startswith("/"):
            self.there(listen)
        else:
            self.listening(int(listen.rsplit(":", 1)[1]))
        self.said("ready to handle connections", "/var/log/php8.2-fpm.log")

    def certificate(self, base, name="app.internal", days=365, extra="", signer=None):
        """A key and certificate, self-signed; `days` may be in the past."""
        self.sh(f"mkdir -p {os.path.dirname(base)}; openssl req -x509 -newkey rsa:2048 -nodes -keyout {base}.key -out {base}.crt -subj /CN={name} -addext subjectAltName=DNS:{name} -days {days if days > 0 else 1} {extra}")
        return f"{base}.crt", f"{base}.key"

    def host_at(self, address):
        """Another host's address, here."""
        self.sh(f"ip addr add {address}/32 dev lo")
        return address

    def lan(self, address="10.0.3.4/24", router=None):
        """A second interface with nobody behind it but what the scenario puts there."""
        self.sh(f"ip addr del 10.0.3.4/32 dev lo; ip link add eth0 type veth peer name far; ip addr add {address} dev eth0; ip link set eth0 up; ip link set far up")

    def syslog(self, path="/var/log/haproxy.log", iso=False, socket_path=None):
        """A syslog daemon that writes as rsyslog does, by its traditional or its new default template."""
        peer = socket.socket(socket.AF_UNIX if socket_path else socket.AF_INET, socket.SOCK_DGRAM)
        peer.bind(socket_path or ("127.0.0.1", 514))
        def receive():
            while True:
                data = peer.recv(65536).decode("utf-8", "surrogateescape").rstrip("\n\0")
                found = re.match(r"<\d+>(?:\w{3} [ \d]\d \d\d:\d\d:\d\d )?(?:(?!\S+\[|\S+:)\S+ )?(.*)", data, re.S)
                now = time.time()
                stamp = iso_stamp(now) if iso else short_stamp(now)
                with open(path, "a") as out:
                    out.write(f"{stamp} {self.host} {found.group(1)}\n")
        threading.Thread(target=receive, daemon=True).start()

    # -- clients -----------------------------------------------------------------------------------------------------------

    def get(self, path="/", host="shop.example.com", port=80, client="203.0.113.9", method="GET", headers=(), timeout=20, to="127.0.0.1", body=b"", ua=UA, version="1.1", wait=True):
        """One request; the status, or what went wrong."""
        with socket.socket() as peer:
            peer.settimeout(timeout)
            try:
                peer.bind((client, 0))
                peer.connect((to, port))
                lines = [f"{method} {path} HTTP/{version}", f"Host: {host}", f"User-Agent: {ua}", "Accept: */*", "Connection: close", *headers]
                if body:
                    lines.append(f"Content-Length: {len(body)}")
                peer.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
                answer = b""
                while part := peer.recv(65536):
                    answer += part
                return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/") else answer[:40]
            except OSError as error:
                return str(error)

    def gets(self, paths, pause=0.15, **how):
        return [self.get(path, **how) for path in paths if not time.sleep(pause)]

    def crowd(self, count, path="/", pause=0.02, join=True, **how):
        """Many requests at once."""
        def one(index):
            self.get(path.format(n=index), **how)
        threads = []
        for index in range(count):
            threads.append(threading.Thread(target=one, args=(index,), daemon=True))
            threads[-1].start()
            time.sleep(pause)
        if join:
            for thread in threads:
                thread.join(40)
        return threads

    # -- what an engineer copies -------------------------------------------------------------------------------------------

    def prompt(self, command, user="root", where="~", sign="#", real=None):
        """A command with its prompt and its real output."""
        return f"{user}@{self.host}:{where}{sign} {command}\n" + self.sh(real or command.removeprefix("sudo "), check=False)

    def lines(self, tags=None):
        time.sleep(0.2)
        with self.lock:
            return [line for line in sorted(self.stream, key=lambda line: line[0]) if not tags or line[1] in tags]

    def compose(self, *tags, colon=False):
        """As `docker compose logs` prints (formatter.go: the name, padded, and `| `)."""
        width = max(len(tag) + 2 for tag in tags)
        return "".join(f"{tag + '-1':<{width}}  | {line}\n" for _, tag, _, line in self.lines(tags))

    def docker(self, tag, stamps=False):
        """As `docker logs [-t]` prints."""
        return "".join((docker_stamp(at) + " " if stamps else "") + line + "\n" for at, _, _, line in self.lines([tag]))

    def kubectl(self, pods):
        """As `kubectl logs --prefix` prints: `pods` maps tags to pod/container."""
        return "".join(f"[pod/{pods[tag]}] {line}\n" for _, tag, _, line in self.lines(list(pods)))

    def journal(self, *tags, names=None, iso=False):
        """As `journalctl` prints in its short format: time, host, identifier, pid."""
        out = ""
        for at, tag, pid, line in self.lines(tags or None):
            who = f"{(names or {}).get(tag, tag)}[{pid}]" if pid else (names or {}).get(tag, tag)
            out += f"{iso_stamp(at)[:19] + '+0000' if iso else short_stamp(at)} {self.host} {who}: {line}\n"
        return out

    def cat(self, path, last=None, first=None):
        lines = pathlib.Path(path).read_text(errors="surrogateescape").splitlines(keepends=True)
        lines = lines[-last:] if last else lines
        return "".join(lines[:first] if first else lines)


def wrap(text, width):
    """As a terminal cuts."""
    return "\n".join(part for line in text.splitlines() for part in ([line[at:at + width] for at in range(0, len(line), width)] or [""])) + "\n"


def fill(text, width):
    """As a mail program or an editor fills: at blanks."""
    return "\n".join(textwrap.fill(line, width, break_long_words=False, break_on_hyphens=False) for line in text.splitlines()) + "\n"


def quote(text, mark="> "):
    return "".join(mark + line + "\n" for line in text.splitlines())


def moment(at):
    return datetime.datetime.fromtimestamp(at, datetime.timezone.utc)


def short_stamp(at):
    return moment(at).strftime("%b ") + f"{moment(at).day:>2}" + moment(at).strftime(" %H:%M:%S")


def iso_stamp(at):
    return moment(at).strftime("%Y-%m-%dT%H:%M:%S.%f+00:00")


def docker_stamp(at):
    return moment(at).strftime("%Y-%m-%dT%H:%M:%S.%f") + f"{random.randint(0, 999):03}Z"


PARAMS = {
    "QUERY_STRING": "query_string", "REQUEST_METHOD": "request_method", "CONTENT_TYPE": "content_type", "CONTENT_LENGTH": "content_length",
    "SCRIPT_FILENAME": "document_root$fastcgi_script_name", "REQUEST_URI": "request_uri", "DOCUMENT_URI": "document_uri",
    "DOCUMENT_ROOT": "document_root", "SERVER_PROTOCOL": "server_protocol", "REMOTE_ADDR": "remote_addr",
    "SERVER_ADDR": "server_addr", "SERVER_PORT": "server_port", "SERVER_NAME": "server_name", "REDIRECT_STATUS": "status", "PATH_INFO": "uri",
    "SCRIPT_NAME": "fastcgi_script_name",
}
