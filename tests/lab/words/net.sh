# shellcheck shell=bash
# The words of the network: a router between this host's net and the applications', and hosts behind it. See lib.sh for the manners.
#
#   this host 10.0.1.10 -- 10.0.1.1 router 10.0.2.1 -- 10.0.2.21, .22, ...   and on this host's own net 10.0.1.30, ...

# network: this host's only device is eth0, with a default route over the router.
network() {
    mkdir -p /run/netns
    ip netns add router
    on router ip link set lo up
    local net
    for net in gateway:10.0.1.1 app:10.0.2.1; do
        on router ip link add "br-${net%%:*}" type bridge
        on router ip address add "${net##*:}/24" dev "br-${net%%:*}"
        on router ip link set "br-${net%%:*}" up
    done
    on router sysctl -qw net.ipv4.ip_forward=1
    ip link add eth0 type veth peer name to-gw netns router
    on router ip link set to-gw master br-gateway up
    ip address add 10.0.1.10/24 dev eth0
    ip link set eth0 up
    ip route add default via 10.0.1.1
}

# on HOST COMMAND...: in that host's network.
on() { local host=$1; shift; nsenter --net="/run/netns/$host" "$@"; }

# host NAME IP: one more host, in the net of its address.
host() {
    local name=$1 ip=$2 net
    case $ip in
        10.0.1.*) net=gateway ;;
        10.0.2.*) net=app ;;
        *) echo "lab: $ip is in no net here" >&2; return 1 ;;
    esac
    ip netns add "$name"
    ip link add eth0 netns "$name" type veth peer name "to-$name" netns router
    on router ip link set "to-$name" master "br-$net" up
    on "$name" ip link set lo up
    on "$name" ip address add "$ip/24" dev eth0
    on "$name" ip link set eth0 up
    on "$name" ip route add default via "${ip%.*}.1"
    wait_for "$name at $ip" knows_way "$ip"
}
knows_way() {
    on router $PYTHON -c 'import socket, sys
one = socket.socket()
one.settimeout(0.5)
try: one.connect((sys.argv[1], 9))
except ConnectionRefusedError: pass' "$1"
}

# app_on HOST KIND ADDRESS [MODE]: an application there. Its process is $APP.
app_on() {
    local where=$1 kind=$2 address=$3 mode=${4:-ok}
    case $kind in
        python) as_app_on "$where" $PYTHON site.py "$address" "$mode" ;;
        node) as_app_on "$where" node site.js "$address" "$mode" ;;
        *) echo "lab: no such kind of app: $kind" >&2; return 1 ;;
    esac
    wait_for "$kind on $where at $address" listening_on "$where" "$address"
}
as_app_on() {
    local where=$1; shift
    (cd /srv/app && exec nsenter --net="/run/netns/$where" setsid setpriv --reuid=1500 --regid=1500 --clear-groups "$@") \
        </dev/null >>/var/log/app.log 2>&1 &
    APP=$!
}
listening_on() { on "$1" ss -Hltn | awk '{print $4}' | grep -qxF -e "$2" -e "*:${2##*:}" -e "0.0.0.0:${2##*:}"; }

# power_off HOST: nobody answers there any more, not even for its hardware address.
power_off() { on "$1" ip link set eth0 down; on router ip neigh flush all; ip neigh flush all; }

# rules HOST < RULESET: nft's rules of that host; `here` is this one.
rules() { if [ "$1" = here ]; then nft -f -; else on "$1" nft -f -; fi; }

# track: this host tracks connections, as any rule that asks for their state makes the kernel do.
track() {
    rules here <<<'table inet track {
    chain out {
        type filter hook output priority 0;
        ct state new counter
    }
    chain in {
        type filter hook input priority 0;
        ct state invalid counter
    }
}'
}

# fill_conntrack [PERCENT]: its table of tracked connections becomes full of established ones, or as full as this, by conntrack's own protocol (ctnetlink): the
# limit of a namespace is the whole machine's, and not ours to lower.
fill_conntrack() {
    $PYTHON - "$(cat /proc/sys/net/netfilter/nf_conntrack_max)" "${1:-100}" <<'PY'
import socket, struct, sys

def attribute(kind, value, nested=False):
    size = 4 + len(value)
    return struct.pack("=HH", size, kind | (0x8000 if nested else 0)) + value + bytes(-size % 4)

def tuple_of(kind, source, to, sport, dport):
    ip = attribute(1, attribute(1, source) + attribute(2, to), True)
    proto = attribute(1, b"\x06") + attribute(2, struct.pack(">H", sport)) + attribute(3, struct.pack(">H", dport))
    return attribute(kind, ip + attribute(2, proto, True), True)

# linux/netfilter/nfnetlink_conntrack.h: status CONFIRMED, ASSURED, SEEN_REPLY; ten minutes; TCP established.
rest = attribute(3, struct.pack(">I", 2 | 4 | 8)) + attribute(7, struct.pack(">I", 600))
rest += attribute(4, attribute(1, attribute(1, b"\x03"), True), True)
channel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
channel.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
batch = []
share = int(sys.argv[2])
for number in range(int(sys.argv[1]) * share // 100 + (16 if share == 100 else 0)):
    here, there = bytes([10, 9, 0, 1]), bytes([10, 8 + (number >> 20), number >> 12 & 255, 1])
    port = 1024 + (number & 4095)
    body = tuple_of(1, here, there, port, 80) + tuple_of(2, there, here, 80, port) + rest
    # IPCTNL_MSG_CT_NEW, without an acknowledgement: what no longer fits is no error here.
    batch.append(struct.pack("=IHHII", 20 + len(body), 0x100, 0x401, 0, 0) + struct.pack(">BBH", 2, 0, 0) + body)
    if len(batch) == 256:
        channel.send(b"".join(batch))
        batch = []
if batch:
    channel.send(b"".join(batch))
PY
    cat /proc/sys/net/netfilter/nf_conntrack_count
}

# hold ADDRESS N: N connections from here to ADDRESS that stay open.
hold() {
    $PYTHON -c 'import socket, sys, time
host, _, port = sys.argv[1].rpartition(":")
held = [socket.create_connection((host, int(port))) for _ in range(int(sys.argv[2]))]
time.sleep(3600)' "$1" "$2" >>/var/log/app.log 2>&1 &
    wait_for "$2 connections to $1" held "$1" "$2"
}
held() { [ "$(ss -Htn state established dst "$1" | wc -l)" -ge "$2" ]; }

# behind HOST NAME IP: a container of that host, in a network of its own behind it.
behind() {
    local outer=$1 name=$2 ip=$3
    ip netns add "$name"
    on "$outer" sysctl -qw net.ipv4.ip_forward=1
    on "$outer" ip link add "to-$name" type veth peer name eth0 netns "$name"
    on "$outer" ip address add "${ip%.*}.1/24" dev "to-$name"
    on "$outer" ip link set "to-$name" up
    on "$name" ip link set lo up
    on "$name" ip address add "$ip/24" dev eth0
    on "$name" ip link set eth0 up
    on "$name" ip route add default via "${ip%.*}.1"
}

# passed_on HOST PORT ADDRESS: that host passes its port on, as Docker does with a published one.
passed_on() {
    rules "$1" <<NFT
table ip nat {
    chain prerouting {
        type nat hook prerouting priority dstnat; tcp dport $2 dnat to $3;
    }
}
NFT
}
