# shellcheck shell=bash
# The words of Caddy. See lib.sh for the manners. It runs as its package's service does: as caddy, with a home of its own.

# caddyfile [NAME] < CONFIG: /etc/caddy/Caddyfile, or another file beside it.
caddyfile() { mkdir -p /etc/caddy; cat >"/etc/caddy/${1:-Caddyfile}"; }

# caddy_proxy TARGET [LINE...]: everything on port 80 goes to TARGET; the lines stand in the proxy's block.
caddy_proxy() {
    local target=$1; shift
    caddyfile <<CONF
http:// {
    log
    reverse_proxy $target {
        $(printf '%s\n        ' "$@")
    }
}
CONF
}

# caddy_start [OPTION...]: until port 80 answers to connects. CADDY_LOG gets standard error, which is where Caddy logs to.
caddy_start() {
    local options=("$@")
    [ ${#options[@]} -gt 0 ] || options=(run --config /etc/caddy/Caddyfile)
    mkdir -p /var/log/caddy /var/lib/caddy
    chown -R caddy: /var/log/caddy /var/lib/caddy
    (
        cd /
        exec env -i PATH="$PATH" HOME=/var/lib/caddy ${CADDY_ENVIRONMENT:-} setsid setpriv --reuid=caddy --regid=caddy --init-groups \
            --inh-caps=+net_bind_service --ambient-caps=+net_bind_service caddy "${options[@]}"
    ) </dev/null >>"${CADDY_LOG:-/var/log/caddy/caddy.log}" 2>&1 &
    CADDY=$!
    wait_for "caddy on port 80" listening 0.0.0.0:80
}

# caddy_reload: as the service does, through the admin port.
caddy_reload() { HOME=/var/lib/caddy caddy reload --config /etc/caddy/Caddyfile >>/var/log/caddy/reload.log 2>&1; }
caddy_stop() { kill "$CADDY"; wait_for "caddy to stop" not_listening 0.0.0.0:80; wait_for "caddy to end" gone "$CADDY"; }
caddy_kill() { kill -9 "$CADDY"; wait_for "caddy to die" not_listening 0.0.0.0:80; }
