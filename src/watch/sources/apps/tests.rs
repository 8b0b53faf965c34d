use super::*;
use crate::{model::Subject, sys::Root, watch::sources::service::tests::service};

/// What is known of a service with this command line, in a tree with these files, which serves these upstreams.
fn known(argv: &[&str], serves: &[&str], files: &[(&str, &str)]) -> Vec<AppSettings> {
    let dir = tempfile::tempdir().expect("directory");
    for (path, text) in files {
        let path = dir.path().join(path.trim_start_matches('/'));
        std::fs::create_dir_all(path.parent().expect("parent")).expect("directories");
        std::fs::write(path, text).expect("file");
    }
    let mut service = service(argv);
    service.lead.cwd = Some("/srv/app".into());
    service.serves = serves.iter().map(|one| Subject((*one).to_owned())).collect();
    if argv[0].ends_with("systemd") {
        service.lead.pid = 1;
    }
    let root = Root::below(dir.path());
    apps(std::iter::once(Settings { root: &root, service: &service, dialled: &[] }))
}

/// `name ms from`, or `-`.
fn shown(time: Option<&AppTime>) -> String {
    time.map_or_else(|| "-".to_owned(), |time| format!("{} {} {}", time.name, time.ms, time.from))
}

#[test]
fn times_have_units() {
    let of = |text| milliseconds(text);
    assert_eq!(
        [of("30"), of("30s"), of("5m"), of("2h"), of("0.5"), of("1_000")],
        [30_000, 30_000, 300_000, 7_200_000, 500, 1_000_000].map(Some)
    );
    assert_eq!([of("x"), of("5x"), of(""), of("1e999")], [None; 4]);
}

#[test]
fn gunicorn_limits_a_request_only_where_its_workers_are_of_the_class_sync() {
    let sync = known(
        &["/usr/bin/python3", "/usr/bin/gunicorn", "-b", "127.0.0.1:8000", "--timeout", "120", "a:b"],
        &["127.0.0.1:8000"],
        &[],
    );
    assert_eq!(shown(sync[0].request_limit.as_ref()), "--timeout 120000 command line");
    assert_eq!(sync[0].keepalive.as_ref().map(|keeps| keeps.ms), Some(0), "it keeps no connection");
    let conf = (
        "/srv/app/gunicorn.conf.py",
        "import os\nworker_class = 'gthread'\nkeepalive = 75  # long\ntimeout = int(os.environ['T'])\n",
    );
    let threads = known(&["gunicorn", "a:b"], &["127.0.0.1:8000"], &[conf]);
    assert_eq!(shown(threads[0].request_limit.as_ref()), "-");
    assert_eq!(shown(threads[0].keepalive.as_ref()), "keepalive 75000 /srv/app/gunicorn.conf.py:3");
    assert_eq!(threads[0].title(), "gunicorn (pid 811)");
}

#[test]
fn whether_gunicorn_speaks_tls_is_known_or_told_to_be_unknown() {
    let conf = "/srv/app/gunicorn.conf.py";
    let of = |argv: &[&str], files: &[(&str, &str)]| {
        let found = known(argv, &["127.0.0.1:8000"], files);
        let value = |name: &str| found[0].settings.get(name).map_or_else(|| "-".to_owned(), |setting| setting.value.clone());
        [value("--bind"), value("--certfile"), value("certfile")].join(" ")
    };
    assert_eq!(of(&["gunicorn", "a:b"], &[]), "127.0.0.1:8000 - -");
    assert_eq!(of(&["gunicorn", "-b", ":8000", "--certfile=/x.pem", "a:b"], &[]), ":8000 /x.pem -");
    assert_eq!(of(&["gunicorn", "-b", ":8000", "a:b"], &[(conf, "certfile = '/x.pem'\n")]), ":8000 - /x.pem");
    assert_eq!(of(&["gunicorn", "-b", ":8000", "a:b"], &[(conf, "certfile = os.environ['C']\n")]), ":8000 not known -");
    assert_eq!(of(&["gunicorn", "-b", ":8000", "-c", "/gone.py", "a:b"], &[]), ":8000 not known -");
    assert_eq!(of(&["gunicorn: master [a:b]"], &[]), "- - -", "its command line is not seen");
}

#[test]
fn a_pool_of_php_fpm_by_where_it_listens() {
    let files = [
        ("/etc/php/8.2/fpm/php-fpm.conf", "[global]\ninclude=/etc/php/8.2/fpm/pool.d/*.conf\n"),
        (
            "/etc/php/8.2/fpm/pool.d/www.conf",
            "[www]\nuser = shop\nlisten = /run/php/php8.2-fpm.sock\nlisten.mode = 0660\npm = dynamic\npm.max_children = 5\nrequest_terminate_timeout = 2m ; long\n",
        ),
        ("/etc/php/8.2/fpm/pool.d/other.conf", "[other]\nlisten = 127.0.0.1:9001\n"),
    ];
    let found = known(&["php-fpm: master process (/etc/php/8.2/fpm/php-fpm.conf)"], &["unix:/run/php/php8.2-fpm.sock"], &files);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].kind.as_str(), found[0].user.as_str()), ("php-fpm pool www", "shop"));
    assert_eq!(shown(found[0].request_limit.as_ref()), "request_terminate_timeout 120000 /etc/php/8.2/fpm/pool.d/www.conf:7");
    assert_eq!(found[0].settings["pm.max_children"].value, "5");
    assert_eq!(found[0].settings["listen.mode"].from, "/etc/php/8.2/fpm/pool.d/www.conf:4");
}

#[test]
fn other_servers_by_their_own_words() {
    let uwsgi = known(
        &["uwsgi", "--ini", "/etc/uwsgi/app.ini"],
        &["127.0.0.1:3031"],
        &[("/etc/uwsgi/app.ini", "[uwsgi]\nsocket = :3031\nharakiri = 60\n")],
    );
    assert_eq!(shown(uwsgi[0].request_limit.as_ref()), "harakiri 60000 /etc/uwsgi/app.ini:3");
    let puma = known(
        &["puma 5.6.5 (tcp://127.0.0.1:9292) [app]"],
        &["127.0.0.1:9292"],
        &[("/srv/app/config/puma.rb", "threads 5, 5\npersistent_timeout 30\n")],
    );
    assert_eq!(shown(puma[0].keepalive.as_ref()), "persistent_timeout 30000 /srv/app/config/puma.rb:2");
    let newer = known(&["puma 7.0.1 (tcp://127.0.0.1:9292) [app]"], &["127.0.0.1:9292"], &[]);
    assert_eq!(shown(newer[0].keepalive.as_ref()), "persistent_timeout 65000 default");
    let uvicorn = known(&["/usr/bin/python3", "/usr/bin/uvicorn", "a:b"], &["127.0.0.1:8000"], &[]);
    assert_eq!(shown(uvicorn[0].keepalive.as_ref()), "--timeout-keep-alive 5000 default");
    let node = known(&["node", "server.js"], &["127.0.0.1:3000"], &[]);
    assert_eq!((node[0].kind.as_str(), shown(node[0].keepalive.as_ref())), ("node", "-".to_owned()), "its code may say otherwise");
    let other = known(&["/srv/app/bin/shop", "--port", "8000"], &["127.0.0.1:8000"], &[]);
    assert_eq!(other[0].title(), "shop (pid 811)");
}

#[test]
fn the_connector_of_tomcat_that_is_connected_to() {
    let xml = "<Server>\n<!-- <Connector port=\"8080\" keepAliveTimeout=\"1\"/> -->\n<Connector port=\"8009\" protocol=\"AJP/1.3\"/>\n<Connector port=\"8080\" protocol=\"HTTP/1.1\"\n  connectionTimeout=\"20000\" maxThreads='150' />\n</Server>";
    let argv = ["java", "-Dcatalina.base=/opt/tomcat", "org.apache.catalina.startup.Bootstrap"];
    let found = known(&argv, &["127.0.0.1:8080"], &[("/opt/tomcat/conf/server.xml", xml)]);
    assert_eq!(shown(found[0].keepalive.as_ref()), "connectionTimeout 20000 /opt/tomcat/conf/server.xml:3");
    assert_eq!((found.len(), found[0].settings["maxThreads"].value.as_str()), (1, "150"));
}

#[test]
fn a_socket_of_systemd_is_known_by_its_unit() {
    let unit = "[Socket]\nListenStream=/run/app/app.sock\nSocketUser=www-data\nSocketMode=0660\n";
    let found = known(&["/lib/systemd/systemd"], &["unix:/run/app/app.sock"], &[("/etc/systemd/system/app.socket", unit)]);
    assert_eq!((found[0].unit.as_deref(), found[0].settings["SocketMode"].value.as_str()), (Some("app.socket"), "0660"));
}

#[test]
fn hostile_files_neither_panic_nor_loop() {
    for text in
        ["<Connector port=", "<Connector port=\"8080", "<!-- ", "<", "\u{0}<Connector\u{1}=\"\">", "[", "listen\n[]]\nlisten==="]
    {
        let files = [("/opt/t/conf/server.xml", text), ("/etc/php-fpm.conf", text), ("/srv/app/config/puma.rb", text)];
        known(&["java", "-Dcatalina.base=/opt/t"], &["127.0.0.1:8080"], &files);
        known(&["php-fpm"], &["127.0.0.1:8080"], &files);
        known(&["puma"], &["127.0.0.1:8080"], &files);
    }
}
