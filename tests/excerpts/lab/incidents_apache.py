"""Incidents behind Apache."""

import time

from incidents_nginx import PAGES, PEER
from kit import excerpt, wrap

MODULES = ["mpm_event", "authz_core", "dir", "mime", "alias", "proxy", "proxy_http", "proxy_fcgi", "slotmem_shm", "proxy_balancer", "lbmethod_byrequests", "ssl", "setenvif", "socache_shmcb", "rewrite", "headers"]


def apache(lab, vhost, main="", modules=MODULES, start=True):
    lab.file("/etc/apache2/apache2.conf", "\n".join(f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so" for name in modules) + f"""
ServerRoot /etc/apache2
ServerName gw1.example.com
PidFile /run/apache2/apache2.pid
Mutex file:/run/lock default
User www-data
Group www-data
Timeout 20
LogLevel warn
ErrorLog /var/log/apache2/error.log
LogFormat "%h %l %u %t \\"%r\\" %>s %O \\"%{{Referer}}i\\" \\"%{{User-Agent}}i\\"" combined
TypesConfig /etc/mime.types
Listen 80
{main}
<VirtualHost *:80>
    ServerName shop.example.com
    DocumentRoot /var/www
    CustomLog /var/log/apache2/access.log combined
{vhost}
</VirtualHost>
""")
    if start:
        lab.sh("apache2 -f /etc/apache2/apache2.conf")
        lab.listening(80)


@excerpt("28-tomcat-stopped-behind-apache", host="www2")
def tomcat_stopped(lab):
    apache(lab, "ProxyPass / http://127.0.0.1:8080/\nProxyPassReverse / http://127.0.0.1:8080/")
    lab.gets(PAGES)
    return lab.prompt("tail -n 12 /var/log/apache2/error.log") + lab.prompt("tail -n 3 /var/log/apache2/access.log")


@excerpt("29-apache-php-socket-missing", host="cpanel7")
def apache_php_socket(lab):
    apache(lab, "<FilesMatch \\.php$>\nSetHandler \"proxy:unix:/run/php/php7.4-fpm.sock|fcgi://localhost\"\n</FilesMatch>")
    lab.file("/var/www/index.php", "<?php echo 1;")
    lab.gets(["/index.php", "/index.php?p=2", "/index.php?p=3"])
    return wrap(lab.cat("/var/log/apache2/error.log"), 80)


@excerpt("30-apache-proxy-timeout")
def apache_timeout(lab):
    lab.spawn(f"{PEER} slow 127.0.0.1 8080")
    lab.listening(8080)
    apache(lab, "ProxyTimeout 3\nProxyPass / http://127.0.0.1:8080/")
    lab.gets(["/fast/1", "/jira/secure/Dashboard.jspa", "/jira/rest/api/2/search"], timeout=30)
    return lab.prompt("tail -n 6 /var/log/apache2/error.log /var/log/apache2/access.log")


@excerpt("31-max-request-workers")
def max_request_workers(lab):
    lab.spawn(f"{PEER} busy 127.0.0.1 8080")
    lab.listening(8080)
    apache(lab, "ProxyPass / http://127.0.0.1:8080/", main="ServerLimit 1\nStartServers 1\nThreadsPerChild 8\nMaxRequestWorkers 8\nMinSpareThreads 1\nMaxSpareThreads 8")
    lab.crowd(40, path="/news/{n}", pause=0.02, join=False)
    lab.said("MaxRequestWorkers", "/var/log/apache2/error.log")
    time.sleep(1)
    return lab.prompt("tail -n 5 /var/log/apache2/error.log")


@excerpt("32-apache-upstream-certificate-name")
def apache_certificate(lab):
    crt, key = lab.certificate("/etc/ssl/private/app", name="old-app.internal")
    lab.spawn(f"openssl s_server -quiet -accept 127.0.0.1:8443 -cert {crt} -key {key} -www", log="/dev/null")
    lab.listening(8443)
    apache(lab, f"LogLevel ssl:info\nSSLProxyEngine on\nSSLProxyVerify require\nSSLProxyCACertificateFile {crt}\nSSLProxyCheckPeerName on\nProxyPass / https://127.0.0.1:8443/")
    lab.gets(PAGES[:3])
    return lab.prompt("tail -n 12 /var/log/apache2/error.log")


@excerpt("33-apache-name-does-not-resolve")
def apache_name(lab):
    apache(lab, "ProxyPass / http://tomcat.internal:8080/")
    lab.gets(PAGES[:3])
    return lab.cat("/var/log/apache2/error.log")


@excerpt("46-apache-backend-closes")
def apache_closes(lab):
    lab.spawn(f"{PEER} reset 127.0.0.1 8080")
    lab.listening(8080)
    apache(lab, "ProxyPass / http://127.0.0.1:8080/")
    lab.gets(PAGES)
    lab.note("systemd", "tomcat9.service: Main process exited, code=killed, status=6/ABRT", 1)
    lab.note("systemd", "tomcat9.service: Failed with result 'signal'.", 1)
    lab.note("systemd", "tomcat9.service: Scheduled restart job, restart counter is at 7.", 1)
    return lab.prompt("tail -n 6 /var/log/apache2/error.log") + lab.journal("systemd")
