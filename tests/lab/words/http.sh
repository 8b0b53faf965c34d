# shellcheck shell=bash
# The words of HTTP: peers that answer given bytes or other versions, further instances of nginx, an edge in front. See lib.sh
# for the manners.

# raw ADDRESS BYTES: a server that reads a request and answers these bytes (escapes as printf(1) has them), then closes.
raw() {
    printf '%b' "$2" >"/srv/app/raw-${1##*:}"
    as_app $PYTHON raw.py "$1" "/srv/app/raw-${1##*:}"
    wait_for "raw bytes on $1" listening "$1"
}

# h2_app ADDRESS [MODE]: a node application that speaks HTTP/2 and nothing else, with prior knowledge. MODE: tests/lab/apps/h2.js.
h2_app() {
    as_app node h2.js "$1" "${2:-ok}"
    wait_for "HTTP/2 on $1" listening "$1"
}

# scgi_app ADDRESS: an application that speaks SCGI.
scgi_app() {
    as_app $PYTHON scgi.py "$1"
    wait_for "SCGI on $1" listening "$1"
}

# inner NAME ADDRESS LINE...: one more nginx with its own configuration, logs and pid; the lines stand in its server block.
inner() {
    local name=$1 address=$2; shift 2
    mkdir -p "/etc/nginx-$name" "/var/lib/nginx-$name"
    cat >"/etc/nginx-$name/nginx.conf" <<CONF
user www-data;
worker_processes 1;
pid /run/nginx-$name.pid;
error_log /var/log/nginx/$name-error.log;
events { worker_connections 128; }
http {
    access_log /var/log/nginx/$name-access.log;
    client_body_temp_path /var/lib/nginx-$name/body;
    proxy_temp_path /var/lib/nginx-$name/proxy;
    fastcgi_temp_path /var/lib/nginx-$name/fastcgi;
    uwsgi_temp_path /var/lib/nginx-$name/uwsgi;
    scgi_temp_path /var/lib/nginx-$name/scgi;
    server {
        listen $address;
        server_name inner.test;
        $(printf '%s\n        ' "$@")
    }
}
CONF
    nginx -c "/etc/nginx-$name/nginx.conf"
    wait_for "nginx on $address" listening "${address%% *}"
}

# elsewhere NAME IP: another host, a network namespace with a way to this one (10.0.9.1). `there NAME COMMAND...` runs there.
elsewhere() {
    mkdir -p /run/elsewhere
    unshare --net sleep infinity &
    echo $! >"/run/elsewhere/$1"
    wait_for "the namespace of $1" other_net "$(cat "/run/elsewhere/$1")"
    ip link add "to-$1" type veth peer name eth0 netns "$(cat "/run/elsewhere/$1")"
    ip address add 10.0.9.1/24 dev "to-$1"
    ip link set "to-$1" up
    there "$1" ip link set lo up
    there "$1" ip address add "$2/24" dev eth0
    there "$1" ip link set eth0 up
    wait_for "the way to $1" there "$1" bash -c "ip -4 -o address show dev eth0 | grep -v tentative"
}
other_net() { [ "$(readlink "/proc/$1/ns/net")" != "$(readlink /proc/self/ns/net)" ]; }
there() { local name=$1; shift; nsenter --net="/proc/$(cat "/run/elsewhere/$name")/ns/net" "$@"; }

# edge IP SERVER TARGET: a load balancer on another host that passes port 80 on to TARGET, and answers with its own page, under
# its own name, when that fails. tests/lab/apps/edge.py
edge() {
    elsewhere edge "$1"
    there edge $PYTHON /srv/app/edge.py "$1:80" "$2" "$3" >>/var/log/app.log 2>&1 &
    wait_for "the edge" there edge bash -c "ss -Hltn | grep -qF $1:80"
}
