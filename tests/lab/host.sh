#!/bin/bash
# The first process of a throw-away host: turns fresh namespaces into a small Debian gateway, breaks it as the scenario
# says, makes sure by curl that it is broken, then asks why502. When this process ends, the kernel ends everything that
# runs here. Started by tests/lab/host.rs, which documents the variables LAB_*.
set -Eeuo pipefail
trap 'echo "lab: line $LINENO of ${BASH_SOURCE[0]##*/}: $BASH_COMMAND failed" >&2' ERR

# Descriptors of the caller's, such as a CI runner's pipes, would count against limits here; 255 is this script itself.
for fd in /proc/self/fd/*; do
    fd=${fd##*/}
    if [ "$fd" -gt 2 ] && [ "$fd" != 255 ]; then exec {fd}>&-; fi
done

# --- the host -------------------------------------------------------------------------------------------------------
# What the lab itself needs is bound below /media first: the repository, the build or the results may lie below /tmp or
# /var, which are covered next.
mount -t tmpfs lab /media
mkdir -p /media/lab/{tools,out,etc/{up,work},var/{up,work}}
mount --bind "$LAB_TOOLS" /media/lab/tools
mount --bind "$LAB_OUT" /media/lab/out
if [ -n "$LAB_PROGRAM" ]; then
    touch /media/lab/why502
    mount --bind "$LAB_PROGRAM" /media/lab/why502
fi
out=/media/lab/out
cd /
for tree in etc var; do
    mount -t overlay overlay -o "lowerdir=/$tree,upperdir=/media/lab/$tree/up,workdir=/media/lab/$tree/work" /$tree
done
for dir in /run /tmp /var/log /var/tmp /srv; do mount -t tmpfs -o mode=755 "lab${dir//\//-}" $dir; done
# Where update-ca-certificates takes an authority from: what one host trusts is nothing of another's, nor of the machine's.
authorities=/usr/local/share/ca-certificates
[ ! -d $authorities ] || mount -t tmpfs lab-authorities $authorities
chmod 1777 /tmp /var/tmp
mkdir -p /run/lock /var/log/nginx /var/lib/nginx
chown root:adm /var/log/nginx
ip link set lo up
hostname gw1
echo gw1 >/etc/hostname
printf '127.0.0.1 localhost gw1\n::1 localhost\n127.0.0.1 shop.test\n' >/etc/hosts
# No name server answers here: nothing below may depend on the outer host's.
echo 'nameserver 127.0.0.1' >/etc/resolv.conf
echo 'app:x:1500:1500::/srv/app:/usr/sbin/nologin' >>/etc/passwd
echo 'app:x:1500:' >>/etc/group
mkdir -p /srv/app /srv/www /run/app
cp -r /media/lab/tools/apps/. /srv/app
cp /media/lab/tools/apps/*.php /srv/www
chown -R 1500:1500 /srv/app /run/app

# The kernel's log is the machine's: what another host of the lab was killed for must not be taken for this one's. A scenario that needs
# it says `kernel_log`.
mount --bind /dev/null /dev/kmsg
kernel_log() { umount /dev/kmsg; }

# What the servers logged is kept beside the results, whatever comes.
trap 'mkdir -p $out/log; cp -r /var/log/. $out/log || true' EXIT

# shellcheck source=tests/lab/lib.sh
. /media/lab/tools/lib.sh
for words in /media/lab/tools/words/*.sh; do . "$words"; done

# --- the fault ------------------------------------------------------------------------------------------------------
# In this shell, so that what it starts are children of the first process, as they are on a host with an init.
. $out/setup.sh

IFS=' ' read -ra expected <<<"$LAB_STATUS"
seen=()
for ((i = 0; i < LAB_TRIES; i++)); do seen+=("$(status "$LAB_URL")"); done
# `curl-1|timeout`: either will do.
for either in "${expected[@]}"; do
    for i in "${!seen[@]}"; do [[ "|$either|" != *"|${seen[i]}|"* ]] || seen[i]=$either; done
done
printf '%s\n' "${seen[@]}" | sort -u >$out/seen
if ! diff <(printf '%s\n' "${expected[@]}" | sort -u) $out/seen >/dev/null; then
    echo "lab: the fault is not what it should be: a client gets '${seen[*]}', expected '${expected[*]}'" >&2
    exit 90
fi
[ -n "$LAB_PROGRAM" ] || exit 0

# --- the question ---------------------------------------------------------------------------------------------------
if [ "$LAB_TRAFFIC" -gt 0 ]; then
    users "$LAB_URL" "$LAB_TRAFFIC"
    while :; do users "$LAB_URL" 1; sleep 0.5; done &
fi
as_user=()
if [ -n "${LAB_USER:-}" ]; then
    as_user=(setpriv --reuid "$LAB_USER" --regid "$(id -g "$LAB_USER")" --clear-groups)
    chmod 1777 $out
fi
for way in $LAB_WAYS; do
    url=(); [ "$way" = url ] && url=("$LAB_URL")
    read -ra options <<<"${LAB_OPTIONS:-}"
    # A second run only where the first was slow: on a noisy machine the quicker one tells what the program needs.
    for attempt in 1 2; do
        touch $out/before
        rm -f "$out/$way.record"
        began=${EPOCHREALTIME/./}
        rc=0
        timeout --kill-after=1 "$LAB_DEADLINE_S" "${as_user[@]}" /media/lab/why502 check --json --record "$out/$way.record" "${url[@]}" "${options[@]}" \
            >"$out/$way.json" 2>"$out/$way.stderr" </dev/null || rc=$?
        ms=$(((${EPOCHREALTIME/./} - began) / 1000))
        echo "$rc $ms $attempt" >"$out/$way.result"
        [ "$ms" -gt "$LAB_WITHIN_MS" ] || break
    done
    # What was recorded, folded again: promise 7 is that it says the same.
    /media/lab/why502 report --json "$out/$way.record" >"$out/$way.folded" 2>&1 </dev/null || true
    # `check` changes nothing on the host and leaves nothing running.
    find /media/lab/{etc,var}/up /run /tmp /var/tmp /srv -mindepth 1 -newer $out/before ! -path '/srv/app/*' ! -name '*.log' 2>/dev/null \
        | sed 's,^/media/lab/\(etc\|var\)/up,/\1,' >"$out/$way.touched" || true
    for process in /proc/[0-9]*; do
        if [ "$(readlink "$process/exe")" = /media/lab/why502 ]; then tr '\0' ' ' <"$process/cmdline"; echo; fi
    done 2>/dev/null >"$out/$way.left" || true
done
