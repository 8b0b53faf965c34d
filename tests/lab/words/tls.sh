# shellcheck shell=bash
# The words of TLS: certificates, right and wrong ones, and servers that speak it. See lib.sh for the manners.
#
# All of it lies in /srv/tls. Names of authorities: root, other (a stranger), inter (intermediate, of root).

TLS=/srv/tls

# authority NAME SUBJECT [ISSUER [LINES-OF-EXTENSIONS]]: a certification authority; without ISSUER a root.
authority() {
    local name=$1 subject=$2 issuer=${3:-$1} more=${4:-}
    mkdir -p $TLS
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "$subject" -keyout "$TLS/$name.key" -out "$TLS/$name.csr" 2>/dev/null
    local extensions
    extensions=$(printf 'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n%b' "$more")
    sign "$name" "$issuer" "$extensions" "${NOT_BEFORE:--400 days}" "${NOT_AFTER:-+3650 days}"
}

# sign NAME ISSUER EXTENSIONS NOT-BEFORE NOT-AFTER: makes $TLS/NAME.pem of $TLS/NAME.csr, dates as date(1) understands them.
sign() {
    local name=$1 issuer=$2 from until as
    from=$(date -u -d "$4" +%Y%m%d%H%M%SZ)
    until=$(date -u -d "$5" +%Y%m%d%H%M%SZ)
    mkdir -p $TLS/db
    : >$TLS/db/index.txt
    printf '[ca]\ndefault_ca=c\n[c]\nnew_certs_dir=%s/db\ndatabase=%s/db/index.txt\nrand_serial=yes\ndefault_md=sha256\nunique_subject=no\npolicy=p\nemail_in_dn=no\n[p]\ncountryName=optional\norganizationName=optional\norganizationalUnitName=optional\ncommonName=optional\n' $TLS $TLS >$TLS/db/ca.conf
    printf '%s\n' "$3" >"$TLS/db/ext"
    if [ "$name" = "$issuer" ]; then as=(-selfsign -keyfile "$TLS/$name.key"); else as=(-cert "$TLS/$issuer.pem" -keyfile "$TLS/$issuer.key"); fi
    openssl ca -batch -notext -config $TLS/db/ca.conf "${as[@]}" -in "$TLS/$name.csr" -out "$TLS/$name.pem" \
        -startdate "$from" -enddate "$until" -extfile "$TLS/db/ext" 2>$TLS/db/said || { cat $TLS/db/said >&2; return 1; }
}

# leaf NAME ISSUER [LINES-OF-EXTENSIONS]: a server's certificate; alternative names in SAN (default DNS:app.test; empty: none), its
# dates in NOT_BEFORE and NOT_AFTER, its subject in SUBJECT. ISSUER = NAME: self-signed.
leaf() {
    local name=$1 issuer=$2 extensions
    extensions=$(printf '%b' "${3:-basicConstraints=CA:FALSE}\nsubjectKeyIdentifier=hash")
    [ -z "${SAN-DNS:app.test}" ] || extensions+=$'\n'"subjectAltName=${SAN-DNS:app.test}"
    [ "$name" = "$issuer" ] || extensions+=$'\n'"authorityKeyIdentifier=${AKID:-keyid}"
    mkdir -p $TLS
    openssl req -new -newkey "${KEY:-ec}" -pkeyopt "${KEY_OPTION:-ec_paramgen_curve:P-256}" -nodes -subj "${SUBJECT:-/O=Shop/CN=app.test}" \
        -keyout "$TLS/$name.key" -out "$TLS/$name.csr" 2>/dev/null
    sign "$name" "$issuer" "$extensions" "${NOT_BEFORE:--10 days}" "${NOT_AFTER:-+300 days}"
    # What servers are given: key and certificate, and what stands in CHAIN.
    cat "$TLS/$name.pem" ${CHAIN:+"$TLS/$CHAIN.pem"} >"$TLS/$name.chain.pem"
    chmod 644 $TLS/*.key
}

# tls_app ADDRESS LEAF [JSON]: a node server of TLS with this certificate; JSON: more options of tls.createServer(), and
# "names": {"app.test": "leaf"} for certificates by server name, "only": true to refuse other names.
tls_app() {
    TLS_OPTIONS=${3:-'{}'} as_app node tls.js "$1" "$TLS/$2"
    wait_for "tls.js on $1" listening "$1"
}

# s_server PORT LEAF [OPTION...]: openssl's own server, which answers every GET with a page.
s_server() {
    local port=$1 leaf=$2; shift 2
    as_app openssl s_server -accept "127.0.0.1:$port" -cert "$TLS/$leaf.pem" -key "$TLS/$leaf.key" -cert_chain "$TLS/$leaf.chain.pem" -www -quiet "$@"
    wait_for "s_server on $port" listening "127.0.0.1:$port"
}

# secure ADDRESS LINE...: nginx in front of it, by TLS; the lines are proxy_ssl_*.
secure() {
    local address=$1; shift
    proxy "https://$address" "$@"
    nginx_start
}

# sni_only PORT LEAF NAME: a server that refuses whoever does not send this server name.
sni_only() {
    as_app $PYTHON sni.py "$1" "$TLS/$2" "$3"
    wait_for "sni.py on $1" listening "127.0.0.1:$1"
}

# edge_site CERTIFICATE: nginx serves the application at 127.0.0.1:8000 on port 80, and on 443 with this certificate.
edge_site() {
    site <<CONF
server {
    listen 80 default_server;
    listen 443 ssl;
    server_name shop.test;
    ssl_certificate $TLS/$1;
    ssl_certificate_key $TLS/edge.key;
    location / { proxy_pass http://127.0.0.1:8000; }
}
CONF
    nginx_start
}
