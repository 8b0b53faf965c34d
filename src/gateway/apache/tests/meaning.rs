//! What directives mean together, and what odd files do.

use proptest::prelude::*;

use super::*;
use crate::model::ANSWERS;

#[test]
fn conditions_variables_and_macros_are_decided_while_reading() {
    let gateway = conf(
        "Listen 8080\n\
         Define APP 127.0.0.1:3000\n\
         Define SSL\n\
         <IfDefine SSL>\nListen 8443\n</IfDefine>\n\
         <IfDefine !SSL>\nListen 9999\n</IfDefine>\n\
         <IfModule !mod_nope.c>\nProxyPass /a http://${APP}/a\n<IfModule nope_module>\nListen 1\n</IfModule>\n</IfModule>\n\
         <IfModule nope_module>\n<VirtualHost *:1>\n<Location /x>\nListen 2\n</Location>\n</VirtualHost>\n</IfModule>\n\
         <IfVersion < 2.4>\nListen 3\n</IfVersion>\n\
         <Macro App $name $port>\nProxyPass /$name http://127.0.0.1:$port/\n</Macro>\n\
         Use App shop 4000\n\
         use APP blog 4001\n\
         UnDefine APP\n\
         ProxyPass /b http://${APP}/\n",
    );
    assert_eq!(listens(&gateway.sites[0]), "0.0.0.0:8080 default, 0.0.0.0:8443 default");
    assert_eq!(
        shown(&gateway),
        [
            "/a /a http://127.0.0.1:3000 host=127.0.0.1:3000",
            "/shop /shop http://127.0.0.1:4000 rewrite=/shop>/ host=127.0.0.1:4000",
            "/blog /blog http://127.0.0.1:4001 rewrite=/blog>/ host=127.0.0.1:4001",
            "/b /b http:// dynamic=http://${APP}/",
            "(files) / http://",
        ]
    );
    assert_eq!(gateway.routes().nth(1).expect("route").1.at.to_string(), "/etc/httpd/conf/httpd.conf:27");
}

#[test]
fn what_apache_would_refuse_is_told_in_its_words() {
    let binary =
        ("/usr/sbin/httpd", "Apache/2.4.1\0 -D HTTPD_ROOT=\"/etc/httpd\"\0 -D SERVER_CONFIG_FILE=\"conf/httpd.conf\"\0mod_so.c\0");
    let text = "Listen 80\nListen 80\nProxyPass / http://a/\n<VirtualHost *:80>\n<Location />\n</VirtualHost>\n</Location>\n\
                Include none.conf\nIncludeOptional none.conf\nInclude none/*.conf\nUse Nope\n<Directory />\n";
    let gateway = conf_with(text, &[binary]);
    assert_eq!(
        complaints(&gateway),
        [
            "/etc/httpd/conf/httpd.conf:6: Expected </location> but saw </virtualhost>",
            "/etc/httpd/conf/httpd.conf:7: Expected </virtualhost> but saw </location>",
            "/etc/httpd/conf/httpd.conf:8: Could not open configuration file /etc/httpd/none.conf: No such file or directory (os error 2)",
            "/etc/httpd/conf/httpd.conf:10: Include/IncludeOptional: No matches for the wildcard 'none/*.conf', failing",
            "/etc/httpd/conf/httpd.conf:11: macro 'Nope' undefined",
            "/etc/httpd/conf/httpd.conf:12: <directory> was not closed.",
            "/etc/httpd/conf/httpd.conf:3: Invalid command 'proxypass', perhaps misspelled or defined by a module not included in the server configuration (proxy_module)",
            "/etc/httpd/conf/httpd.conf:2: Cannot define multiple Listeners on the same IP:port",
        ]
    );
}

#[test]
fn virtual_hosts_take_what_they_should() {
    let gateway = conf(
        "Listen 80\nListen 10.0.0.1:8080\nListen [::1]:9000\nServerName main\nProxyPass /m http://127.0.0.1:1/\n\
         <VirtualHost 10.0.0.5:80>\nServerName exact\n</VirtualHost>\n\
         <VirtualHost *:80 *:9000>\nServerName a:80\nServerAlias b *.c\nProxyPass /v http://127.0.0.1:2/\n</VirtualHost>\n\
         <VirtualHost *:80>\nServerName second\nRemoteIPProxyProtocol On\n</VirtualHost>\n",
    );
    let hosts: Vec<(Vec<String>, String)> = gateway.sites.iter().map(|site| (site.names.clone(), listens(site))).collect();
    let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        hosts,
        [
            (names(&["exact"]), "10.0.0.5:80 default".to_owned()),
            (names(&["a", "b", "*.c"]), "0.0.0.0:80 default, [::1]:9000 default".to_owned()),
            (names(&["second"]), "0.0.0.0:80 proxy".to_owned()),
            (names(&["main"]), "10.0.0.1:8080 default".to_owned()),
        ]
    );
    // What the main server passes on, each virtual host passes on first.
    assert_eq!(gateway.sites[1].routes.iter().map(|route| route.pattern.as_str()).collect::<Vec<_>>(), ["/m", "/v", "(files)"]);
}

#[test]
fn locations_override_and_handlers_come_last() {
    let gateway = conf(
        "Listen 80\nDocumentRoot /srv/www\n\
         SetHandler \"proxy:fcgi://127.0.0.1:1\"\n\
         <Directory /srv/www/blog>\n<FilesMatch \\.php$>\nSetHandler proxy:fcgi://127.0.0.1:2\n</FilesMatch>\n</Directory>\n\
         <Directory /srv/other>\nSetHandler proxy:fcgi://127.0.0.1:3\n</Directory>\n\
         <Location /status>\nSetHandler proxy:fcgi://127.0.0.1:4\n</Location>\n\
         <Location /app>\nProxyPass http://127.0.0.1:5/\n</Location>\n\
         <Location /app/new>\nProxyPass http://127.0.0.1:6/ timeout=3\nProxyPreserveHost On\n</Location>\n\
         <Location /app/files>\nProxyPass !\n</Location>\n\
         ProxyPass /app http://127.0.0.1:7/\n",
    );
    let site = &gateway.sites[0];
    let of = |path: &str| site.route_for(path).map(line).unwrap_or_default();
    assert_eq!(of("/app/new/x"), "<Location /app/new> /app/new http://127.0.0.1:6 rewrite=/app/new>/");
    assert_eq!(of("/app/x"), "<Location /app> /app http://127.0.0.1:5 rewrite=/app>/ host=127.0.0.1:5");
    assert_eq!(of("/app/files/x"), "<Location /app/files> ! /app/files http://");
    assert_eq!(of("/status"), "<location /status> /status fastcgi://127.0.0.1:4");
    assert_eq!(of("/blog/x.php"), "<filesmatch \\.php$> /blog/index.php fastcgi://127.0.0.1:2");
    assert_eq!(of("/x.html"), " / fastcgi://127.0.0.1:1");
}

#[test]
fn htaccess_counts_where_it_is_allowed() {
    let main = |allow: &str| {
        format!(
            "Listen 80\nDocumentRoot /srv/www\n<Directory />\nAllowOverride None\n</Directory>\n<Directory /srv/www/>\nAllowOverride {allow}\n</Directory>\n"
        )
    };
    let file = (
        "/srv/www/.htaccess",
        "RewriteEngine On\nRewriteCond %{REQUEST_FILENAME} !-f\nRewriteRule ^(.*)$ http://127.0.0.1:8000/$1 [P,L]\n",
    );
    assert_eq!(shown(&conf_with(&main("None"), &[file])), Vec::<String>::new());
    let gateway = conf_with(&main("All"), &[file]);
    let expected = "RewriteRule ^(.*)$ / http://127.0.0.1:8000 host=127.0.0.1:8000";
    assert_eq!(shown(&gateway), [expected, "(files) / http://"]);
    assert_eq!(gateway.routes().next().expect("route").1.at.to_string(), "/srv/www/.htaccess:3");
}

#[test]
fn mod_jk_is_known_by_its_workers() {
    let workers = "worker.list=lb\nworker.a.type=ajp13\nworker.a.host=10.0.0.7\nworker.a.port=8010\nworker.lb.type=lb\nworker.lb.balance_workers=a,b\n";
    let gateway = conf_with(
        "Listen 80\nJkWorkersFile conf/workers.properties\nJkMount /app/* lb\n",
        &[("/etc/httpd/conf/workers.properties", workers)],
    );
    assert_eq!(shown(&gateway), ["/app/* /app/ ajp://10.0.0.7:8010", "(files) / http://"]);
}

#[test]
fn odd_files_end_somewhere() {
    let (dir, root) = tree(&[
        ("/etc/httpd/conf/httpd.conf", "Include conf/httpd.conf\nInclude loop\nInclude fifo\nInclude binary\nListen 80\n"),
        ("/etc/httpd/loop/a.conf", "Include loop\n<Macro A>\nUse A\nUse A\n</Macro>\nUse A\n"),
        ("/etc/httpd/binary", "\0\0ELF"),
        ("/usr/sbin/httpd", BINARY),
    ]);
    rustix::fs::mknodat(rustix::fs::CWD, dir.path().join("etc/httpd/fifo"), rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0)
        .expect("fifo");
    let gateway = only(look_at(&root, &[init()], &Overrides::default()));
    let told = complaints(&gateway).join("\n");
    for words in ["includes itself", "fifo", "holds NUL bytes", "recursive use"] {
        assert!(told.contains(words), "{words}: {told}");
    }
    assert_eq!(listens(&gateway.sites[0]), "0.0.0.0:80 default");
    let deep = format!("{}{}", "<Location />\n".repeat(5000), "</Location>\n".repeat(5000));
    assert!(complaints(&conf(&deep))[0].contains("nested deeper"));
    // CRLF is read, a byte order mark is what Apache stumbles over.
    assert_eq!(listens(&conf("Listen 80\r\nListen 81 \\\r\n http\r\n").sites[0]), "0.0.0.0:80 default, 0.0.0.0:81 default");
    assert!(complaints(&conf("\u{feff}Listen 80\n"))[0].contains("byte order mark"));
}

#[test]
fn twenty_thousand_hosts_are_read_in_a_moment() {
    let host = |n: usize| {
        format!(
            "<VirtualHost *:80>\nServerName h{n}.example\nDocumentRoot /srv/{n}\nProxyPass / http://10.0.{}.{}:8000/ timeout=5\nErrorLog logs/{n}.log\n</VirtualHost>\n",
            n / 250,
            n % 250
        )
    };
    let text: String = std::iter::once("Listen 80\n".to_owned()).chain((0..20_000).map(host)).collect();
    let (_dir, root) = tree(&[("/etc/httpd/conf/httpd.conf", &text), ("/usr/sbin/httpd", BINARY)]);
    let began = std::time::Instant::now();
    let gateway = only(look_at(&root, &[init()], &Overrides::default()));
    let took = began.elapsed();
    assert_eq!(gateway.sites.len(), 20_000);
    assert!(gateway.blind.iter().any(|spot| spot.source == "further logs"));
    // A build for tests is ten times slower than a release, and the machine may be busy.
    assert!(took.as_secs() < 120, "{took:?}");
}

#[test]
fn what_apache_answers_by_itself_has_its_line() {
    let modules = "LoadModule proxy_module m.so\nLoadModule proxy_http_module m.so\nLoadModule rewrite_module m.so\nLoadModule alias_module m.so\nServerRoot /etc/httpd\nListen 80";
    let of = |body: &str, path: &str| {
        let text = format!(
            "{modules}\n<VirtualHost *:80>\nServerName shop.test\nDocumentRoot /srv\nRewriteEngine On\n{body}\nProxyPass / http://127.0.0.1:1/\n</VirtualHost>\n"
        );
        let gateway = conf_with(&text, &[("/srv/there", "")]);
        let route = gateway.sites[0].route_for(path).expect("a route").clone();
        route.settings.get(ANSWERS).map(|said| format!("{}: {}", said.at.as_ref().expect("a place").line, said.value))
    };
    for (body, path, expected) in [
        ("RewriteRule ^/shop/ - [R=502,L]", "/shop/x", Some("11: RewriteRule ^/shop/ - [R=502,L] (502)")),
        ("RewriteRule ^/shop/ - [R=502,L]", "/", None),
        ("RewriteRule ^/old /new [R=301,L]", "/old", None),
        // A file decides, or a request.
        (
            "RewriteCond %{DOCUMENT_ROOT}/there -f\nRewriteRule ^ - [R=503,L]",
            "/",
            Some("12: RewriteCond %{DOCUMENT_ROOT}/there -f RewriteRule ^ - [R=503,L] (503)"),
        ),
        ("RewriteCond %{DOCUMENT_ROOT}/gone -f\nRewriteRule ^ - [R=503,L]", "/", None),
        (
            "RewriteCond /srv/gone !-f\nRewriteRule ^ - [R=503,L]",
            "/",
            Some("12: RewriteCond /srv/gone !-f RewriteRule ^ - [R=503,L] (503)"),
        ),
        ("RewriteCond %{HTTP_USER_AGENT} Evil\nRewriteRule ^ - [R=502,L]", "/", None),
        // ProxyPass goes before a Redirect, but where it says `!`.
        ("Redirect 502 /shop\nProxyPass /shop !", "/shop/x", Some("11: Redirect 502 /shop")),
        ("Redirect 502 /shop", "/shop/x", None),
    ] {
        assert_eq!(of(body, path).as_deref(), expected, "{body}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn nothing_is_too_odd(text in r#"(Listen 80|<VirtualHost \*:80>|</VirtualHost>|ProxyPass |<Location /a>|</Location>|<IfModule x>|</IfModule>|http://a:1/|RewriteRule |RewriteEngine On|\[P\]|<FilesMatch "\\.php\$">|</FilesMatch>|SetHandler proxy:|fcgi://a|unix:/x\||balancer://b|BalancerMember |Define A |\$\{A\}|Use A|<Macro A \$b>|</Macro>|[ \n\\"'<>|%$!^(){}*.a0é])*"#) {
        let gateways = {
            let (_dir, root) = tree(&[("/etc/httpd/conf/httpd.conf", &text), ("/usr/sbin/httpd", BINARY)]);
            look_at(&root, &[init()], &Overrides::default()).gateways
        };
        let lines = u32::try_from(text.lines().count()).expect("few").max(1);
        for gateway in gateways {
            let places = gateway.routes().map(|(_, route)| route.at.line).chain(gateway.problems.iter().map(|(place, _)| place.line));
            for line in places {
                prop_assert!((1..=lines).contains(&line), "line {line} of {lines}");
            }
        }
    }
}
