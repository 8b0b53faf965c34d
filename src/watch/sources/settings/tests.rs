use super::{super::service::tests::service, *};

/// What the settings of a service name, in a tree with these files: paths and reasons.
fn named(argv: &[&str], cwd: Option<&str>, dialled: &[&str], files: &[(&str, &str)]) -> Vec<String> {
    let dir = tempfile::tempdir().expect("directory");
    for (path, text) in files {
        let path = dir.path().join(path.trim_start_matches('/'));
        std::fs::create_dir_all(path.parent().expect("parent")).expect("directories");
        std::fs::write(path, text).expect("file");
    }
    let mut service = service(argv);
    service.lead.cwd = cwd.map(PathBuf::from);
    service.members = vec![service.lead.clone()];
    let dialled: Vec<Address> = dialled.iter().map(|address| address.parse().expect("address")).collect();
    let settings = Settings { root: &Root::below(dir.path()), service: &service, dialled: &dialled };
    let show = |named: Named| match named.place {
        LogPlace::File(path) => format!("{}: {}", path.display(), named.why),
        LogPlace::Journal(unit) => format!("{unit}: {}", named.why),
    };
    logs(&settings).into_iter().map(show).collect()
}

#[test]
fn php_fpm_by_its_title_its_includes_and_the_pool_that_is_connected_to() {
    let main = "[global]\npid = /run/php-fpm.pid\n; error_log = /no\nerror_log = /var/log/php8.2-fpm.log\ninclude=/etc/php/8.2/fpm/pool.d/*.conf\n";
    let www = "[www]\nlisten = /run/php/php8.2-fpm.sock\nslowlog = log/$pool.log.slow\nphp_admin_value[error_log] = /var/log/$pool-error.log\ncatch_workers_output = yes\n";
    let other = "[other]\nlisten = 127.0.0.1:9001\nphp_admin_value[error_log] = /var/log/other.log\n";
    let files = [
        ("/etc/php/8.2/fpm/php-fpm.conf", main),
        ("/etc/php/8.2/fpm/pool.d/www.conf", www),
        ("/etc/php/8.2/fpm/pool.d/other.conf", other),
    ];
    let title = ["php-fpm: master process (/etc/php/8.2/fpm/php-fpm.conf)"];
    let found = named(&title, None, &["unix:/run/php/php8.2-fpm.sock"], &files);
    assert_eq!(
        found,
        [
            "/var/log/php8.2-fpm.log: error_log in /etc/php/8.2/fpm/php-fpm.conf:4",
            "/var/log/www.log.slow: slowlog in /etc/php/8.2/fpm/pool.d/www.conf:3",
            "/var/log/www-error.log: php_admin_value[error_log] in /etc/php/8.2/fpm/pool.d/www.conf:4",
        ]
    );
    let found = named(&title, None, &["127.0.0.1:9001"], &files);
    assert!(found.iter().any(|line| line.starts_with("/var/log/other.log: ")) && !found.iter().any(|line| line.contains("www")));
}

#[test]
fn gunicorn_by_options_and_by_plain_assignments_of_its_program() {
    let conf = "import os\nerrorlog = '/var/log/app/error.log'  # where\naccesslog = os.environ['X']\nlogfile = f'/x'\n";
    let argv = ["/usr/bin/python3", "/usr/bin/gunicorn", "--access-logfile=log/access.log", "app:app"];
    assert_eq!(
        named(&argv, Some("/srv/app"), &[], &[("/srv/app/gunicorn.conf.py", conf)]),
        [
            "/srv/app/log/access.log: --access-logfile of python3 (811)",
            "/var/log/app/error.log: errorlog in /srv/app/gunicorn.conf.py:2",
        ]
    );
    assert_eq!(named(&["gunicorn", "--error-logfile", "-", "a:b"], Some("/"), &[], &[]), Vec::<String>::new());
}

#[test]
fn uwsgi_by_options_and_each_kind_of_file() {
    assert_eq!(
        named(&["uwsgi", "--http", ":1", "--logto", "/l", "--logger", "file:/m"], None, &[], &[]),
        ["/l: --logto of uwsgi (811)", "/m: --logger of uwsgi (811)"]
    );
    for (name, text) in [
        ("app.ini", "[uwsgi]\nlogto = /var/log/u.log\n"),
        ("app.xml", "<uwsgi>\n<logto>/var/log/u.log</logto>\n</uwsgi>"),
        ("app.yaml", "uwsgi:\n  logto: /var/log/u.log\n"),
    ] {
        let path = format!("/etc/uwsgi/{name}");
        let found = named(&["uwsgi", &path], None, &[], &[(&path, text)]);
        assert_eq!(found, [format!("/var/log/u.log: logto in {path}:2")]);
    }
    assert_eq!(named(&["uwsgi", "/a.ini"], None, &[], &[("/a.ini", "logto = /var/log/%n.log\n")]), Vec::<String>::new());
}

#[test]
fn puma_pm2_tomcat_and_haproxy() {
    let conf = "port 9292\nstdout_redirect \"/var/log/p.out\", '/var/log/p.err', true\n";
    let found = named(&["puma 6.0.0 (tcp://127.0.0.1:9292) [app]"], Some("/srv/app"), &[], &[("/srv/app/config/puma.rb", conf)]);
    assert_eq!(
        found[..2],
        [
            "/var/log/p.out: stdout_redirect in /srv/app/config/puma.rb:2",
            "/var/log/p.err: stdout_redirect in /srv/app/config/puma.rb:2"
        ]
    );
    assert!(found.iter().any(|line| line.starts_with("/srv/app/log/production.log: ")));

    let tree = [("/root/.pm2/logs/shop-error.log", "x"), ("/root/.pm2/logs/shop-out.log", "x"), ("/root/.pm2/logs/notes.txt", "x")];
    let found = named(&["PM2 v5.3.0: God Daemon (/root/.pm2)"], None, &[], &tree);
    assert_eq!(found.len(), 2);
    assert!(found[0].starts_with("/root/.pm2/logs/shop-"), "{found:?}");

    let tree = [
        ("/srv/t/logs/catalina.2026-11-19.log", ""),
        ("/srv/t/logs/catalina.2026-11-20.log", ""),
        ("/srv/t/logs/catalina.out", ""),
    ];
    let argv = ["/usr/bin/java", "-Dcatalina.base=/srv/t", "org.apache.catalina.startup.Bootstrap", "start"];
    let paths: Vec<_> =
        named(&argv, None, &[], &tree).into_iter().map(|line| line.split(':').next().unwrap_or_default().to_owned()).collect();
    assert_eq!(paths, ["/srv/t/logs/catalina.out", "/srv/t/logs/catalina.2026-11-20.log"]);

    // As Debian's package has it.
    let rule = "# Create an additional socket in haproxy's chroot\n$AddUnixListenSocket /var/lib/haproxy/dev/log\n\n:programname, startswith, \"haproxy\" {\n  /var/log/haproxy.log\n  stop\n}\n";
    let found = named(&["/usr/sbin/haproxy", "-Ws"], None, &[], &[("/etc/rsyslog.d/49-haproxy.conf", rule)]);
    assert_eq!(found, ["/var/log/haproxy.log: HAProxy's syslog in /etc/rsyslog.d/49-haproxy.conf:5"]);
    let old = "if $programname startswith 'haproxy' then /var/log/haproxy.log\n";
    assert_eq!(named(&["haproxy"], None, &[], &[("/etc/rsyslog.d/h.conf", old)]).len(), 1);
}

#[test]
fn a_value_that_is_no_file_names_nothing() {
    for value in ["", "-", "syslog", "/dev/stderr", "/proc/self/fd/2", "/var/log/%n.log", "|/usr/bin/rotate", "'\"", "a\0b"] {
        assert_eq!(file(value), None, "{value:?}");
    }
    assert_eq!(file(" '/var/log/a b.log' "), Some("/var/log/a b.log"));
}
