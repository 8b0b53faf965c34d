# shellcheck shell=bash
# The words of lighttpd, Varnish and Squid. See lib.sh for the manners.

# lighttpd_start < LINES: Debian's configuration with these lines for a file of conf-enabled.
lighttpd_start() {
    mkdir -p /var/log/lighttpd /var/cache/lighttpd/uploads
    chown www-data: /var/log/lighttpd
    cat >/etc/lighttpd/conf-enabled/50-shop.conf
    lighttpd -f /etc/lighttpd/lighttpd.conf
    LIGHTTPD=$(cat /run/lighttpd.pid)
    wait_for "lighttpd on port 80" listening 0.0.0.0:80
}
lighttpd_stop() { kill "$LIGHTTPD"; wait_for "lighttpd to stop" not_listening 0.0.0.0:80; }

# varnish_start < VCL: on port 80, with a small cache.
varnish_start() {
    cat >/etc/varnish/default.vcl
    mkdir -p /var/log/varnish
    # Its log is in memory that is a file, which it writes all the time: in the one place where that does not count as a change.
    varnishd -n /srv/app/varnish -a :80 -T none -f /etc/varnish/default.vcl -s malloc,16m >>/var/log/varnish/start.log 2>&1
    wait_for "varnish on port 80" listening 0.0.0.0:80
}

# squid_start < LINES: these lines before those of Debian's configuration.
squid_start() {
    mkdir -p /var/log/squid
    chown proxy: /var/log/squid
    cat >/etc/squid/conf.d/shop.conf
    squid -f /etc/squid/squid.conf >>/var/log/squid/start.log 2>&1
    wait_for "squid on port 80" listening 0.0.0.0:80
}
