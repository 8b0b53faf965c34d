# shellcheck shell=bash
# The words of Apache httpd, as Debian installs it. See lib.sh for the manners.
#
# A scenario that uses them calls `apache` first: the host's modules and stock sites are as after an installation.

# apache [MODULE...]: Apache is here, with these modules besides the stock ones, and without a site.
apache() {
    local module
    mkdir -p /var/log/apache2 /run/apache2 /run/lock
    chown root:adm /var/log/apache2
    rm -f /etc/apache2/sites-enabled/*
    # Modules name others that they need, as a2enmod would enable.
    for module in proxy proxy_http "$@"; do apache_module "$module"; done
    # The log has a stamp of its own zone; `ServerName` spares a look-up at each start.
    echo 'ServerName gw1' >/etc/apache2/conf-enabled/name.conf
}

apache_module() {
    local module=$1 file
    for file in /etc/apache2/mods-available/"$module".{load,conf}; do
        [ ! -e "$file" ] || ln -sf "../mods-available/${file##*/}" "/etc/apache2/mods-enabled/${file##*/}"
    done
    # `# Depends: proxy alias`
    for file in $(sed -n 's/^# Depends: //p' "/etc/apache2/mods-available/$module.load"); do
        [ -e "/etc/apache2/mods-enabled/$file.load" ] || apache_module "$file"
    done
}

# vhost [NAME] < CONFIG: a site of Apache's, enabled as a2ensite does.
vhost() {
    local name=${1:-shop}
    cat >"/etc/apache2/sites-available/$name.conf"
    ln -sf "../sites-available/$name.conf" "/etc/apache2/sites-enabled/$name.conf"
}

# apache_proxy TARGET [LINE...]: a site on port 80 that passes everything on; TARGET is what stands behind the path of ProxyPass.
apache_proxy() {
    local target=$1; shift
    vhost <<CONF
<VirtualHost *:80>
    ServerName shop.test
    DocumentRoot /srv/www
    ErrorLog \${APACHE_LOG_DIR}/error.log
    CustomLog \${APACHE_LOG_DIR}/access.log combined
    $(printf '%s\n    ' "$@")
    ProxyPass "/" $target
    ProxyPassReverse "/" ${target%% *}
</VirtualHost>
CONF
}

# apache_php SOCKET: a site on port 80 with PHP, as Debian's php-fpm package sets it up for Apache (a2enconf).
apache_php() {
    vhost <<CONF
<Directory /srv/www>
    Require all granted
</Directory>
<VirtualHost *:80>
    ServerName shop.test
    DocumentRoot /srv/www
    DirectoryIndex index.php
    ErrorLog \${APACHE_LOG_DIR}/error.log
    CustomLog \${APACHE_LOG_DIR}/access.log combined
    <FilesMatch ".+\.ph(?:ar|p|tml)$">
        SetHandler "proxy:unix:$1|fcgi://localhost"
    </FilesMatch>
</VirtualHost>
CONF
}

# What apachectl does: the environment first.
apache2_() (
    set -a
    APACHE_CONFDIR=/etc/apache2
    # shellcheck disable=SC1091 # Debian's
    . /etc/apache2/envvars
    exec /usr/sbin/apache2 "$@"
)

# apache_start: as the service does, until port 80 answers to connects.
apache_start() {
    apache2_ -k start
    wait_for "apache on port ${1:-80}" listening "0.0.0.0:${1:-80}"
    # It listens before it has children and its pid file.
    wait_for "the pid file of apache" test -s /run/apache2/apache2.pid
    wait_for "the children of apache" pgrep -P "$(cat /run/apache2/apache2.pid)"
}
apache_stop() {
    local master
    master=$(cat /run/apache2/apache2.pid)
    kill -TERM "$master"
    wait_for "apache to stop" gone "$master"
}
# As the OOM killer or an operator's kill -9 does: children too, and the pid file stays.
apache_kill() {
    local master
    master=$(cat /run/apache2/apache2.pid)
    # shellcheck disable=SC2046 # a list of process ids
    kill -9 "$master" $(pgrep -P "$master")
    wait_for "apache to die" gone "$master"
    wait_for "its port to be free" not_listening "0.0.0.0:80"
}
# apache_reload: by the master's signal for `graceful`, until other children serve.
apache_reload() {
    local master before
    master=$(cat /run/apache2/apache2.pid)
    before=$(pgrep -P "$master" | sort | tr '\n' ' ')
    kill -USR1 "$master"
    wait_for "new children" new_workers "$master" "$before"
}

# apache_old_outage AGE COUNT: an outage that ended AGE ago, in both of Apache's logs.
apache_old_outage() {
    local i error access
    error=$(date -d "-$1" '+%a %b %d %H:%M:%S.000000 %Y')
    access=$(date -d "-$1" '+%d/%b/%Y:%H:%M:%S %z')
    for ((i = 0; i < $2; i++)); do
        echo "[$error] [proxy:error] [pid 811:tid 812] (111)Connection refused: AH00957: http: attempt to connect to 127.0.0.1:8000 (127.0.0.1:8000) failed" >>/var/log/apache2/error.log
        echo "[$error] [proxy_http:error] [pid 811:tid 812] [client 203.0.113.9:4711] AH01114: HTTP: failed to make connection to backend: 127.0.0.1" >>/var/log/apache2/error.log
        echo "203.0.113.9 - - [$access] \"GET /cart?id=$i HTTP/1.1\" 503 543 \"-\" \"Mozilla/5.0\"" >>/var/log/apache2/access.log
    done
}

# old_certificate FILE: a self-signed certificate of shop.test with its key, in one file, which expired yesterday.
old_certificate() {
    local dir=/srv/ca
    mkdir -p $dir
    : >$dir/index.txt
    printf '[ca]\ndefault_ca=c\n[c]\nnew_certs_dir=%s\ndatabase=%s/index.txt\nrand_serial=yes\ndefault_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n' \
        $dir $dir >$dir/ca.conf
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=shop.test -keyout "$1.key" -out "$1.csr" 2>/dev/null
    openssl ca -batch -notext -config $dir/ca.conf -selfsign -keyfile "$1.key" -in "$1.csr" -out "$1" \
        -startdate "$(date -u -d '-40 days' +%Y%m%d%H%M%SZ)" -enddate "$(date -u -d '-1 day' +%Y%m%d%H%M%SZ)" 2>/dev/null
    cat "$1.key" >>"$1"
    chmod 644 "$1"
}

# fails [URL]: whether a client gets an error of the gateway.
fails() { case $(status "${1:-http://127.0.0.1/}") in 5??) ;; *) return 1 ;; esac; }
