# shellcheck shell=bash
# The words of containers: namespaces with files, network and process ids of their own, as container runtimes make them. See lib.sh
# for the manners.
#
#   this host 10.88.0.1 -- bridge -- 10.88.0.2, .3, ...

# container NAME IP: one, with an overlay over the machine's files as its root. Its processes are started by `within NAME COMMAND`.
container() {
    local name=$1 ip=$2 dir=/run/containers/$1
    if ! ip link show br0 >/dev/null 2>&1; then
        ip link add br0 type bridge
        ip address add 10.88.0.1/24 dev br0
        ip link set br0 up
    fi
    mkdir -p "$dir"/{up,work,root}
    unshare --mount --net --pid --uts --ipc --fork --kill-child -- bash -Ee -c "
        mount --make-rprivate /
        mount -t overlay overlay -o 'lowerdir=/,upperdir=$dir/up,workdir=$dir/work' '$dir/root'
        mount -t proc proc '$dir/root/proc'
        mount -t tmpfs -o mode=755 sys '$dir/root/sys'
        mount --rbind /dev '$dir/root/dev'
        for one in run tmp srv var/log; do mount -t tmpfs -o mode=755 tmpfs '$dir/root/'\$one; done
        chmod 1777 '$dir/root/tmp'
        mkdir -p '$dir/root/run/lock' '$dir/root/var/log/nginx' '$dir/root/var/lib/nginx'
        cp -r /srv/app '$dir/root/srv/app'
        cp -r /srv/www '$dir/root/srv/www'
        mkdir '$dir/root/run/app'
        chown 1500:1500 '$dir/root/run/app'
        echo 'app:x:1500:1500::/srv/app:/usr/sbin/nologin' >>'$dir/root/etc/passwd'
        printf '127.0.0.1 localhost $name\n' >'$dir/root/etc/hosts'
        echo 'nameserver 127.0.0.1' >'$dir/root/etc/resolv.conf'
        mkdir '$dir/root/run/old'
        cd '$dir/root'
        pivot_root . run/old
        umount -l /run/old
        hostname '$name'
        ip link set lo up
        touch /run/ready
        exec sleep infinity" </dev/null >>/var/log/container.log 2>&1 &
    local unshare=$!
    wait_for "container $name" container_ready "$unshare"
    eval "CONTAINER_$name=$(pgrep -P "$unshare")"
    ip link add "v-$name" type veth peer name eth0 netns "$(pid_of "$name")"
    ip link set "v-$name" master br0 up
    within "$name" ip address add "$ip/24" dev eth0
    within "$name" ip link set eth0 up
    within "$name" ip route add default via 10.88.0.1
}
container_ready() { local pid; pid=$(pgrep -P "$1") && [ "$(cat "/proc/$pid/comm")" = sleep ] && [ -e "/proc/$pid/root/run/ready" ]; }

# pid_of NAME: its first process, as this host counts.
pid_of() { local variable=CONTAINER_$1; echo "${!variable}"; }

# root_of NAME: its files, as this host sees them.
root_of() { echo "/proc/$(pid_of "$1")/root"; }

# named NAME: its network gets that name for `ip netns`, as runtimes do that follow CNI.
named() { mkdir -p /run/netns; ip netns attach "$1" "$(pid_of "$1")"; }

# within NAME COMMAND...: there, as root.
within() { local name=$1; shift; nsenter --target "$(pid_of "$name")" --mount --net --pid --uts --ipc --root --wd -- "$@"; }

# app_within NAME KIND ADDRESS [MODE]: an application there. Its process is $APP.
app_within() {
    local where=$1 kind=$2 address=$3 mode=${4:-ok} run
    case $kind in
        python) run="$PYTHON site.py" ;;
        node) run="node site.js" ;;
        *) echo "lab: no such kind of app: $kind" >&2; return 1 ;;
    esac
    within "$where" bash -c "cd /srv/app && exec setsid setpriv --reuid=1500 --regid=1500 --clear-groups $run '$address' '$mode'" \
        </dev/null >>/var/log/app.log 2>&1 &
    APP=$!
    wait_for "$kind in $where at $address" listening_within "$where" "$address"
    APP=$(pgrep -P "$APP")
}
listening_within() {
    case $2 in
        unix:*) within "$1" test -S "${2#unix:}" ;;
        *) nsenter --target "$(pid_of "$1")" --net ss -Hltn | awk '{print $4}' | grep -qxF -e "$2" -e "*:${2##*:}" -e "0.0.0.0:${2##*:}" ;;
    esac
}

# proxy_within NAME TARGET [LINE...]: nginx's only site there, and nginx serves it.
proxy_within() {
    local where=$1 target=$2; shift 2
    nginx_files_within "$where" "$target" "$@"
    within "$where" nginx
    wait_for "nginx in $where" listening_within "$where" 0.0.0.0:80
}
nginx_files_within() {
    local where=$1 target=$2 root; shift 2
    root=$(root_of "$where")
    rm -f "$root"/etc/nginx/sites-enabled/*
    cat >"$root/etc/nginx/sites-enabled/shop" <<CONF
server {
    listen 80 default_server;
    server_name shop.test;
    $(printf '%s\n    ' "$@")
    location / {
        proxy_pass $target;
        include proxy_params;
    }
}
CONF
}

# private COMMAND...: as a service with PrivateTmp=yes: mounts of its own, with another /tmp.
private() { unshare --mount -- bash -c 'mount --make-rprivate / && mount -t tmpfs -o mode=1777 private /tmp && exec "$@"' private "$@"; }

# app_private KIND ADDRESS [MODE]: an application like that. Its process is $APP.
app_private() {
    local kind=$1 address=$2 mode=${3:-ok} run
    case $kind in
        python) run="$PYTHON site.py" ;;
        node) run="node site.js" ;;
        *) echo "lab: no such kind of app: $kind" >&2; return 1 ;;
    esac
    (cd /srv/app && private setsid setpriv --reuid=1500 --regid=1500 --clear-groups $run "$address" "$mode") </dev/null >>/var/log/app.log 2>&1 &
    APP=$!
    wait_for "$kind at $address" listening "$address"
}

# full_within NAME PORT: the accept queue of that port there is full.
full_within() { nsenter --target "$(pid_of "$1")" --net ss -Hltn "sport = :$2" | awk '$2 > $3 { found = 1 } END { exit !found }'; }

# haproxy_within NAME SERVER...: HAProxy there passes everything from port 80 on; each word is what stands behind `backend`.
haproxy_within() {
    local where=$1 root; shift
    root=$(root_of "$where")
    mkdir -p "$root"/run/haproxy "$root"/var/lib/haproxy
    cat >"$root/etc/haproxy/haproxy.cfg" <<CONF
global
    chroot /var/lib/haproxy
    stats socket /run/haproxy/admin.sock mode 660 level admin
    user haproxy
    group haproxy
    daemon
defaults
    mode http
    timeout connect 5s
    timeout client 50s
    timeout server 50s
frontend shop
    bind :80
    default_backend app
backend app
    $(printf '%s\n    ' "$@")
CONF
    within "$where" haproxy -W -f /etc/haproxy/haproxy.cfg >>/var/log/container.log 2>&1
    wait_for "haproxy in $where" listening_within "$where" 0.0.0.0:80
}

# apache_within NAME TARGET: Apache there, with one site on port 80.
apache_within() {
    local where=$1 target=$2 root module
    root=$(root_of "$where")
    mkdir -p "$root"/var/log/apache2 "$root"/run/apache2
    rm -f "$root"/etc/apache2/sites-enabled/*
    for module in proxy.load proxy_http.load; do ln -sf "../mods-available/$module" "$root/etc/apache2/mods-enabled/$module"; done
    echo 'ServerName web' >"$root/etc/apache2/conf-enabled/name.conf"
    cat >"$root/etc/apache2/sites-enabled/shop.conf" <<CONF
<VirtualHost *:80>
    ServerName shop.test
    ProxyPass / $target
    ErrorLog /var/log/apache2/error.log
    CustomLog /var/log/apache2/access.log combined
</VirtualHost>
CONF
    within "$where" env -i PATH="$PATH" APACHE_RUN_USER=www-data APACHE_RUN_GROUP=www-data APACHE_PID_FILE=/run/apache2/apache2.pid \
        APACHE_RUN_DIR=/run/apache2 APACHE_LOCK_DIR=/run/lock APACHE_LOG_DIR=/var/log/apache2 apache2 -k start >>/var/log/container.log 2>&1
    wait_for "apache in $where" listening_within "$where" '*:80'
}

# caddy_within NAME TARGET: Caddy there passes everything from port 80 on.
caddy_within() {
    local where=$1 target=$2 root
    root=$(root_of "$where")
    mkdir -p "$root/etc/caddy" "$root/var/lib/caddy"
    printf 'http:// {\n    reverse_proxy %s\n}\n' "$target" >"$root/etc/caddy/Caddyfile"
    within "$where" env -i PATH="$PATH" HOME=/var/lib/caddy setsid caddy run --config /etc/caddy/Caddyfile </dev/null >>/var/log/container.log 2>&1 &
    wait_for "caddy in $where" listening_within "$where" '*:80'
}

# publish PORT ADDRESS: the host's packet filter sends who asks one of its own addresses for that port there, as docker's rules do where
# its userland proxy is off; 127.0.0.1 is left out, as the kernel does by default (route_localnet).
publish() {
    nft -f - <<RULES
table ip lab-nat {
    chain ports { tcp dport $1 dnat to $2; }
    chain out { type nat hook output priority -100; ip daddr != 127.0.0.0/8 fib daddr type local jump ports; }
    chain in { type nat hook prerouting priority -100; fib daddr type local jump ports; }
}
RULES
}
