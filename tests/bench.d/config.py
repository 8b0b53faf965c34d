#!/usr/bin/python3
"""Configurations of many sites in many files: how long it takes to find and to read them, and how much memory that needs.

Alone, against any build, of all kinds or those that are named:
WHY502=PATH unshare --pid --mount --net --fork --mount-proc --kill-child tests/bench.d/config.py [KIND...]
"""

import json, os, shutil, statistics, subprocess, sys, tempfile, time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from terminal import say

SITES, FILES, RUNS = 20_000, 500, 3
# A run's own clock starts when the program does, which is that much behind its fork at most.
START_MS = 10
# A usual host: what Debian's own layout has, with a few sites.
USUAL = (8, 8)


def server(number):
    return f"127.{number // 62500 + 1}.{number // 250 % 250}.{number % 250 + 1}:8000"


def nginx(folder, sites, files):
    for number, lines in parts(folder, "conf", sites, files):
        for site in number:
            lines.append(f"""server {{
    listen 127.0.0.1:8099;
    server_name shop{site}.example.com www.shop{site}.example.com;
    location / {{
        proxy_pass http://{server(site)};
        proxy_set_header Host $host;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_read_timeout 30s;
    }}
}}""")
    main = f"{folder}/nginx.conf"
    text = f"""worker_processes 1; error_log {folder}/error.log; pid {folder}/nginx.pid; events {{ worker_connections 1024; }}
http {{ access_log {folder}/access.log; server_names_hash_max_size 262144; server_names_hash_bucket_size 128; include {folder}/parts/*.conf; }}
"""
    return write(main, text), ["nginx", "-T", "-c", main]


def apache(folder, sites, files):
    for number, lines in parts(folder, "conf", sites, files):
        for site in number:
            lines.append(f"""<VirtualHost 127.0.0.1:8099>
    ServerName shop{site}.example.com
    ServerAlias www.shop{site}.example.com
    ProxyPreserveHost On
    ProxyTimeout 30
    ProxyPass / http://{server(site)}/
    ProxyPassReverse / http://{server(site)}/
</VirtualHost>""")
    modules = "/usr/lib/apache2/modules"
    load = "\n".join(f"LoadModule {name}_module {modules}/mod_{name}.so" for name in ("mpm_event", "authz_core", "proxy", "proxy_http"))
    main = f"{folder}/apache2.conf"
    text = f"""ServerRoot {folder}
ServerName gw1
PidFile {folder}/apache2.pid
ErrorLog {folder}/error.log
Listen 127.0.0.1:8099
{load}
IncludeOptional parts/*.conf
"""
    return write(main, text), ["apache2", "-t", "-D", "DUMP_VHOSTS", "-f", main]


def haproxy(folder, sites, files):
    for number, lines in parts(folder, "cfg", sites, files):
        lines.append(f"frontend web{number[0]}\n    mode http\n    timeout client 30s\n    bind 127.{number[0] // 40 // 250 + 2}.0.{number[0] // 40 % 250 + 1}:8099")
        lines.extend(f"    use_backend shop{site} if {{ hdr(host) -i shop{site}.example.com }}" for site in number)
        for site in number:
            lines.append(f"backend shop{site}\n    mode http\n    timeout connect 5s\n    timeout server 30s\n    server app1 {server(site)}")
    return f"{folder}/parts", ["haproxy", "-c", "-f", f"{folder}/parts"]


def caddy(folder, sites, files):
    for number, lines in parts(folder, "caddy", sites, files):
        for site in number:
            lines.append(f"""http://shop{site}.example.com:8099 {{
    reverse_proxy {server(site)} {{
        header_up Host {{host}}
        transport http {{
            response_header_timeout 30s
        }}
    }}
}}""")
    main = f"{folder}/Caddyfile"
    return write(main, f"{{\n    admin off\n    auto_https off\n}}\nimport {folder}/parts/*.caddy\n"), ["caddy", "adapt", "--config", main]


def parts(folder, ending, sites, files):
    """The sites of each file, and a list that takes its text."""
    os.mkdir(f"{folder}/parts")
    each = -(-sites // files)
    for part in range(files):
        lines = []
        yield list(range(part * each, min((part + 1) * each, sites))), lines
        write(f"{folder}/parts/{part:04}.{ending}", "\n".join(lines) + "\n")


def write(path, text):
    with open(path, "w") as file:
        file.write(text)
    return path


KINDS = {"nginx": nginx, "apache": apache, "haproxy": haproxy, "caddy": caddy}


def run(argv, peaks=None):
    """Milliseconds of wall clock, peak memory in MB, how it ended. `peaks`: takes the peak in MB after so many milliseconds."""
    began = time.monotonic()
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak = 0
    while process.poll() is None:
        # What wait4(2) tells of memory begins with what our own fork had.
        try:
            with open(f"/proc/{process.pid}/status") as status:
                peak = max([peak] + [int(line.split()[1]) for line in status if line.startswith("VmHWM")])
            if peaks is not None:
                peaks.append(((time.monotonic() - began) * 1e3, peak / 1024))
        except OSError:
            break
        time.sleep(0.002)
    process.wait()
    return (time.monotonic() - began) * 1e3, peak / 1024, process.returncode


def check(program, kind, config, folder):
    """A check that sends nothing: when the gateway was told of, the peak of memory until then, its sites; the whole, without a recording."""
    argv = [program, "check", "--json", "--no-probe", "--gateway", kind, "--config", config]
    record = os.path.join(folder, "record.jsonl")
    found, until, sites = [], [], 0
    for _ in range(RUNS):
        peaks = []
        run(argv + ["--record", record], peaks)
        for line in open(record):
            message = json.loads(line)
            seen = message.get("observation", message.get("seen"))
            gateways = seen.get("gateways") if isinstance(seen, dict) else None
            if gateways:
                found.append(message["at"]["run_ms"])
                until.append(max(peak for at, peak in peaks if at <= found[-1] + START_MS))
                sites = sum(len(gateway["sites"]) for gateway in gateways)
                break
        os.remove(record)
    runs = [run(argv) for _ in range(RUNS)]
    told = (statistics.median(found), max(until)) if found else None
    return told, sites, statistics.median(wall for wall, *_ in runs), max(peak for _, peak, _ in runs)


def rows(program, kinds=tuple(KINDS)):
    out = [
        f"Configurations of {SITES:,} sites in {FILES} files, each with a server of its own, and of {USUAL[0]} sites in {USUAL[1]} files;",
        "found and read by `check --no-probe --config`, against the gateway's own reading of the same files.\n",
        "| configuration | unit | target | why502: found and read | peak until then, MB | sites seen | whole `check` | peak, MB | the gateway's own | peak, MB |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for sites, files in (USUAL, (SITES, FILES)):
        for kind, make in ((kind, KINDS[kind]) for kind in kinds):
            own = {"apache": "apache2"}.get(kind, kind)
            if not shutil.which(own, path=os.environ["PATH"] + ":/usr/sbin:/sbin"):
                continue
            say(f"{kind}: {sites} sites in {files} files ...")
            with tempfile.TemporaryDirectory(prefix="why502-config-") as folder:
                os.chmod(folder, 0o755)
                config, argv = make(folder, sites, files)
                theirs = [run(argv) for _ in range(RUNS)]
                fine = all(code == 0 for *_, code in theirs)
                theirs_ms, theirs_mb = statistics.median(wall for wall, *_ in theirs), max(peak for _, peak, _ in theirs)
                found, seen, wall, peak = check(program, kind, config, folder)
                words = " ".join([os.path.basename(argv[0])] + [word for word in argv[1:] if not word.startswith("/")])
                theirs = f"`{words}` {theirs_ms:.0f}" + ("" if fine else " (fails)")
                limit = sites == SITES
                missed = lambda figure, target: " (missed)" if limit and figure > target else ""
                told = "not found | " if found is None else f"**{found[0]:.0f}**{missed(found[0], 300)} | **{found[1]:.1f}**{missed(found[1], 64)}"
                out.append(f"| {kind}, {sites:,} sites | ms | {'300; 64' if limit else ''} | {told} | {seen:,} | {wall:.0f} | {peak:.1f} | {theirs} | {theirs_mb:.1f} |")
    return "\n".join(out)


if __name__ == "__main__":
    print(rows(os.path.abspath(os.environ["WHY502"]), sys.argv[1:] or tuple(KINDS)))
