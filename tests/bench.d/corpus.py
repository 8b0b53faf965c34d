"""Logs to measure with, the same bytes every time: `corpus.py error|combined|ingress FILE MEGABYTES [LINES_PER_SECOND]`.

The error log is that of a gateway with 8 sites in front of 12 upstreams during an outage: of a hundred lines 84 are troubles with
upstreams (refused, timed out, closed early, reset, a socket that is missing, TLS, FastCGI's complaints, no live upstreams) and 16
are noise that differs from line to line (files that do not exist, buffering to numbered temporary files, rate limits). Clients,
paths, processes and connections are random. The access logs are of the same gateway: 70 in a hundred requests are served, 22 fail
with 502 or 504, some after a second attempt. Time stamps advance, 1,000 lines a second unless told otherwise.
"""

import random, sys, time

SEED = 502
BEGIN = 1_795_132_800  # 2026-11-20 00:00:00 UTC
CHUNK = 20_000

SITES = ["shop.example.com", "www.example.com", "api.example.com", "img.example.com", "app.example.org", "intra.example.net", "blog.example.com", "_"]
HOSTS = ["127.0.0.1:8000", "127.0.0.1:8001", "10.0.0.11:8080", "10.0.0.12:8080", "10.0.0.13:8080", "10.0.0.14:8080", "10.1.7.3:9000", "[fd00::7]:8080"]
FASTCGI = ["fastcgi://unix:/run/php/php8.2-fpm.sock:", "fastcgi://unix:/run/php/php7.4-fpm.sock:", "fastcgi://127.0.0.1:9000"]
POOLS = ["shop", "api", "img"]
WORDS = ["cart", "item", "search", "login", "api/v1/orders", "static/js/app", "checkout/step", "feed", "images/banner", "user/profile"]
AGENTS = [
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
    "curl/8.5.0", "kube-probe/1.29", "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
]

# Weight, level, message, kind of upstream. `%d`, `%s` are filled anew in each line.
TROUBLES = [
    (30, "error", "connect() failed (111: Connection refused) while connecting to upstream", "http"),
    (12, "error", "no live upstreams while connecting to upstream", "pool"),
    (12, "error", "upstream timed out (110: Connection timed out) while reading response header from upstream", "http"),
    (3, "error", "upstream timed out (110: Connection timed out) while connecting to upstream", "http"),
    (8, "error", "upstream prematurely closed connection while reading response header from upstream", "http"),
    (5, "error", "recv() failed (104: Connection reset by peer) while reading response header from upstream", "http"),
    (4, "crit", "connect() to unix:/run/php/php8.2-fpm.sock failed (2: No such file or directory) while connecting to upstream", "fastcgi"),
    (2, "error", "connect() to unix:/run/php/php8.2-fpm.sock failed (11: Resource temporarily unavailable) while connecting to upstream", "fastcgi"),
    (2, "error", "upstream sent too big header while reading response header from upstream", "http"),
    (2, "error", "SSL_do_handshake() failed (SSL: error:0A00010B:SSL routines::wrong version number) while SSL handshaking to upstream", "https"),
    (1, "error", "upstream SSL certificate verify error: (10:certificate has expired) while SSL handshaking to upstream", "https"),
    (3, "error", 'FastCGI sent in stderr: "PHP message: PHP Fatal error:  Uncaught PDOException: SQLSTATE[HY000] [2002] Connection refused in /srv/shop/db.php:%d" while reading response header from upstream', "fastcgi"),
    (6, "error", 'open() "/srv/www/%s" failed (2: No such file or directory)', None),
    (5, "warn", "an upstream response is buffered to a temporary file /var/lib/nginx/proxy/%d/00/%010d while reading upstream", "http"),
    (3, "error", 'limiting requests, excess: %d.%03d by zone "perip"', None),
    (1, "error", "client intended to send too large body: %d bytes", None),
    (1, "info", "client sent invalid header line: \"x-%d: y\" while reading client request headers", "none"),
]
# What rg counts: 30 literals of the same kind, those that the troubles above have and as many that this log does not.
LITERALS = [
    "(111: Connection refused) while connecting to upstream", "no live upstreams while connecting to upstream",
    "(110: Connection timed out) while reading response header from upstream", "(110: Connection timed out) while connecting to upstream",
    "upstream prematurely closed connection", "(104: Connection reset by peer) while reading response header", "failed (2: No such file or directory) while connecting",
    "(11: Resource temporarily unavailable) while connecting", "upstream sent too big header", "SSL_do_handshake() failed", "upstream SSL certificate verify error",
    "FastCGI sent in stderr", "failed (2: No such file or directory)", "buffered to a temporary file", "limiting requests, excess", "too large body",
    "client sent invalid header line", "(13: Permission denied) while connecting to upstream", "(113: No route to host)", "(99: Cannot assign requested address)",
    "(24: Too many open files)", "worker_connections are not enough", "could not be resolved", "upstream sent no valid HTTP/1.0 header",
    "upstream sent invalid chunked response", "unsupported FastCGI protocol version", "host not found in upstream", "no resolver defined to resolve",
    "exited on signal", "(28: No space left on device)",
]
# Weight, status, statuses of the attempts.
OUTCOMES = [
    (62, 200, (200,)), (6, 304, (304,)), (2, 200, (502, 200)), (3, 404, (404,)), (3, 499, ()), (2, 301, ()),
    (10, 502, (502,)), (6, 502, (502, 502)), (5, 504, (504,)), (1, 504, (502, 504)),
]


def stamps(form, rate):
    """Time stamps for one line after the other."""
    second = BEGIN
    while True:
        text = time.strftime(form, time.gmtime(second))
        for _ in range(rate):
            yield text
        second += 1


def error_lines(rate):
    pick = random.Random(SEED)
    at = stamps("%Y/%m/%d %H:%M:%S", rate)
    weights = [trouble[0] for trouble in TROUBLES]
    rand = pick.random
    connection = 1_000_000
    while True:
        for _, level, message, kind in pick.choices(TROUBLES, weights, k=CHUNK):
            number = int(rand() * (1 << 30))
            connection += 1
            path = f"/{WORDS[number % 10]}/{number >> 9}"
            if "%" in message:
                arguments = (f"{path[1:]}.png",) if "%s" in message else (number % 977, number % 1000)[: message.count("%")]
                message = message % arguments
            site = SITES[(number >> 4) % 8]
            pid = 811 + number % 8
            # Each site has its own upstreams.
            host = HOSTS[(number >> 4) % 8 if number % 5 else (number >> 7) % 8]
            upstream = {
                "http": f'upstream: "http://{host}{path}", ', "https": f'upstream: "https://{host}{path}", ',
                "pool": f'upstream: "http://{POOLS[(number >> 4) % 3]}{path}", ', "fastcgi": f'upstream: "{FASTCGI[(number >> 4) % 3]}", ',
            }.get(kind, "")
            client = f"203.0.{number >> 24}.{(number >> 16) & 255}"
            if kind == "none":
                yield f"{next(at)} [{level}] {pid}#{pid}: *{connection} {message}, client: {client}, server: {site}\n"
            else:
                referrer = f', referrer: "https://{site}/{WORDS[number % 7]}"' if number % 3 == 0 else ""
                yield (f'{next(at)} [{level}] {pid}#{pid}: *{connection} {message}, client: {client}, server: {site}, '
                       f'request: "GET {path}?session={number:08x} HTTP/1.1", {upstream}host: "{site}"{referrer}\n')


def access_lines(rate, ingress):
    pick = random.Random(SEED)
    at = stamps("%d/%b/%Y:%H:%M:%S +0000", rate)
    weights = [outcome[0] for outcome in OUTCOMES]
    rand = pick.random
    while True:
        for _, status, attempts in pick.choices(OUTCOMES, weights, k=CHUNK):
            number = int(rand() * (1 << 30))
            site = SITES[(number >> 4) % 8]
            method = "POST" if number % 9 == 0 else "GET"
            referrer = f"https://{site}/{WORDS[number % 7]}" if number % 3 else "-"
            line = (f'203.0.{number >> 24}.{(number >> 16) & 255} - - [{next(at)}] "{method} /{WORDS[number % 10]}/{number >> 9}?session={number:08x} HTTP/1.1" '
                    f'{status} {number % 90000} "{referrer}" "{AGENTS[number % 5]}"')
            if ingress:
                # log-format-upstream: length, time, [pool], [], addresses, lengths, times, statuses, id.
                several = lambda values: ", ".join(values) or "-"
                addresses = several(HOSTS[((number >> 4) + n) % 8] for n in range(len(attempts)))
                lengths = several("0" if attempt >= 500 else str(number % 90000) for attempt in attempts)
                times = several(f"0.{(number >> n) % 1000:03d}" for n in range(len(attempts)))
                line += (f" {300 + number % 200} 0.{number % 1000:03d} [{POOLS[(number >> 4) % 3]}-web-80] [] {addresses} {lengths} {times} "
                         f"{several(map(str, attempts))} {number:032x}")
            yield line + "\n"


def write(kind, path, megabytes, rate=1000):
    """Writes this much of a log; whole lines, so a few bytes more."""
    lines = {"error": lambda: error_lines(rate), "ingress": lambda: access_lines(rate, True), "combined": lambda: access_lines(rate, False)}[kind]()
    left = megabytes * 1_000_000
    with open(path, "w") as file:
        while left > 0:
            text = "".join(next(lines) for _ in range(CHUNK))
            left -= file.write(text)


if __name__ == "__main__":
    write(sys.argv[1], sys.argv[2], int(sys.argv[3]), *map(int, sys.argv[4:5]))
