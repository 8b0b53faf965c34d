# shellcheck shell=bash
# The words of the host: processors, memory and limits. See lib.sh for the manners.

# batch N: N busy processes, each with a session of its own, so that the kernel's grouping by session does not put them together.
batch() {
    local i
    for ((i = 0; i < $1; i++)); do
        setsid bash -c 'while :; do :; done' </dev/null >/dev/null 2>&1 &
    done
}

# confine CONTROLLER LIMIT [PID]: the last app, or that process, with its children, gets a cgroup of its own for this controller, of
# whichever version this machine has: cpu 0.1 (processors), memory 64M, pids 12. The group's directory is $GROUP.
confine() {
    local controller=$1 limit=$2 pid=${3:-$APP} base=/sys/fs/cgroup v2= child
    # What an earlier host left; a younger one may be that of a host beside this, still empty.
    find $base -mindepth 1 -maxdepth 2 -name 'why502-lab-*' -mmin +10 -exec rmdir {} + 2>/dev/null || true
    if [ -e $base/cgroup.controllers ]; then
        v2=1
        echo "+$controller" >$base/cgroup.subtree_control
    else
        base=$base/$controller
    fi
    GROUP=$base/why502-lab-$controller-$RANDOM$RANDOM
    mkdir "$GROUP"
    case $controller$v2 in
        cpu) echo 100000 >"$GROUP/cpu.cfs_period_us"; awk -v q="$limit" 'BEGIN { print int(q * 100000) }' >"$GROUP/cpu.cfs_quota_us" ;;
        cpu1) awk -v q="$limit" 'BEGIN { print int(q * 100000), 100000 }' >"$GROUP/cpu.max" ;;
        memory) kernel_log; echo "$limit" >"$GROUP/memory.limit_in_bytes" ;;
        memory1) kernel_log; echo "$limit" >"$GROUP/memory.max"; echo 0 >"$GROUP/memory.swap.max" || true ;;
        pids*) echo "$limit" >"$GROUP/pids.max" ;;
        *) echo "lab: no such limit: $controller" >&2; return 1 ;;
    esac
    # The parent first: a child that it has from now on is born inside.
    echo "$pid" >"$GROUP/cgroup.procs"
    for child in $(pgrep -P "$pid" || true); do echo "$child" >"$GROUP/cgroup.procs"; done
}

# app_py ADDRESS < PROGRAM: a Python application of the scenario's own, which gets the address as host and port and a base class: `Page`,
# a handler whose method `page` makes the answer's body.
app_py() {
    local program
    program=$(cat)
    as_app $PYTHON -c "
import http.server, os, sys, time
class Page(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.0'
    def do_GET(self):
        body = self.page()
        self.send_response(200)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
def burn(seconds):
    until = time.thread_time() + seconds
    while time.thread_time() < until: pass
$program
host, _, port = sys.argv[1].rpartition(':')
http.server.ThreadingHTTPServer((host, int(port)), Shop).serve_forever()" "$1"
    wait_for "an app on $1" listening "$1"
}

# nginx_with_descriptors COUNT: started with one worker that may have so many descriptors more than it has when idle.
nginx_with_descriptors() {
    local worker
    sed -i 's/^worker_processes .*/worker_processes 1; worker_rlimit_nofile 512;/' /etc/nginx/nginx.conf
    nginx_start
    wait_for "its worker" pgrep -P "$(cat /run/nginx.pid)"
    worker=$(pgrep -P "$(cat /run/nginx.pid)")
    sed -i "s/worker_rlimit_nofile 512;/worker_rlimit_nofile $(($(find "/proc/$worker/fd" -type l | wc -l) + $1));/" /etc/nginx/nginx.conf
    nginx_stop
    nginx_start
}

# workers_crash MASTER: from now on each of its children dies by a segmentation fault soon after it began, as of a broken module.
workers_crash() {
    local worker
    (
        while kill -0 "$1"; do
            # One may have ended by itself meanwhile.
            for worker in $(pgrep -P "$1" || true); do kill -SEGV "$worker" || true; done
            sleep 0.1
        done
    ) </dev/null >/dev/null 2>&1 &
}

# held_by_poll: a request for /poll, which the application answers after an hour, has the only connection that the gateway allows.
held_by_poll() {
    # Until it has it: what is asked meanwhile has it for a moment.
    (while :; do curl -s -o /dev/null --max-time 3600 http://127.0.0.1/poll || true; sleep 0.1; done) </dev/null >/dev/null 2>&1 &
    wait_for "the connection that is held" fails_twice
}
fails_twice() { fails && sleep 0.3 && fails; }
