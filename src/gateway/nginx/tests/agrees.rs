//! What we read against what nginx itself read: `nginx -T` names each file that it took, and each line in it.

use std::{collections::BTreeSet, process::Command};

use super::*;

const NGINX: &str = "/usr/sbin/nginx";

/// Files below a directory, which stands for `@` in them.
const RICH: &[(&str, &str)] = &[
    (
        "nginx.conf",
        "pid @/nginx.pid;\nerror_log @/error.log;\ninclude @/modules/*.conf;\nevents { worker_connections 64; }\nhttp {\n    access_log @/access.log;\n    client_body_temp_path @/t1; proxy_temp_path @/t2; fastcgi_temp_path @/t3; uwsgi_temp_path @/t4; scgi_temp_path @/t5;\n    map $http_x $pool { default 127.0.0.1:8101; b \"127.0.0.1:8102\"; }\n    include @/conf.d/*.conf;\n    include @/sites-enabled/*;\n}\n",
    ),
    (
        "conf.d/10-pool.conf",
        "upstream shop { # a comment with server 1.2.3.4;\n    server 127.0.0.1:8001 weight=2 max_fails=3;\n    server 127.0.0.1:8002 backup;\n    server unix:@/app.sock down;\n    keepalive 8;\n}\n",
    ),
    ("conf.d/20-windows.conf", "\u{feff}"),
    ("conf.d/30-crlf.conf", "upstream old {\r\n  server 127.0.0.1:7000;\r\n}\r\n"),
    (
        "sites-enabled/shop",
        "server {\n    listen unix:@/w.sock;\n    server_name shop.test *.shop.test \"quoted.test\";\n    location / { proxy_pass http://shop; }\n    location ~ \\.php$ { fastcgi_pass 127.0.0.1:9000; include @/snippets/php.conf; }\n    location = /exact { proxy_pass 'http://127.0.0.1:8005/x y'; }\n    location /by/map { proxy_pass http://$pool; }\n    if ($args ~ \"a;b{}\") { return 403; }\n    location @named { uwsgi_pass 127.0.0.1:3031; }\n    location /nested/ { location /nested/deep/ { scgi_pass 127.0.0.1:4000; } }\n    include @/snippets/api*.conf;\n}\n",
    ),
    ("snippets/php.conf", "fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;\n"),
    ("snippets/api.conf", "location /api/ {\n    proxy_pass http://127.0.0.1:8006/;\n}\n"),
];

/// Writes them, and gives the directory.
fn rich() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("directory");
    std::fs::create_dir(dir.path().join("modules")).expect("directory");
    for (name, text) in RICH {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().expect("parent")).expect("directories");
        // nginx takes no byte order mark in the middle of what it reads; a file of nothing else is Windows' way to be empty.
        let text = text.trim_start_matches('\u{feff}').replace('@', &dir.path().display().to_string());
        std::fs::write(path, text.replace(&format!("location {}named", dir.path().display()), "location @named")).expect("file");
    }
    dir
}

#[test]
fn the_files_and_the_upstreams_are_those_that_nginx_dumps() {
    if !Path::new(NGINX).exists() && std::env::var("CI").as_deref() != Ok("true") {
        return;
    }
    let dir = rich();
    let main = dir.path().join("nginx.conf");
    let out = Command::new(NGINX).args(["-T", "-q", "-p"]).arg(dir.path()).arg("-c").arg(&main).output().expect("nginx");
    let dump = String::from_utf8(out.stdout).expect("text");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));

    let overrides = Overrides { config: Some(main.clone()), ..Overrides::default() };
    let ours = only(look_at(&Root::host(), &[init()], &overrides));
    assert_eq!(ours.problems, []);

    let (mut files, mut passes, mut servers) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let (mut file, mut line, mut in_pool) = (String::new(), 0, false);
    for text in dump.lines() {
        if let Some(name) = text.strip_prefix("# configuration file ").and_then(|name| name.strip_suffix(':')) {
            files.insert(name.to_owned());
            (file, line) = (name.to_owned(), 0);
            continue;
        }
        line += 1;
        let code = text.split('#').next().unwrap_or_default();
        in_pool = if code.trim_start().starts_with("upstream ") { true } else { in_pool && !code.trim_start().starts_with('}') };
        if code.contains("_pass ") || code.contains("return ") {
            passes.insert(format!("{file}:{line}"));
        }
        if in_pool && let Some(server) = code.trim_start().strip_prefix("server ") {
            servers.insert(format!("{file}:{line} {}", server.split([' ', ';']).next().unwrap_or_default()));
        }
    }
    let read: BTreeSet<String> = ours.files.iter().map(|(path, _)| path.display().to_string()).collect();
    assert_eq!(read, files, "the same files");
    let routes: BTreeSet<String> = ours.routes().map(|(_, route)| route.at.to_string()).collect();
    assert_eq!(routes, passes, "each line that passes on or answers, and no other");
    let pools: BTreeSet<String> =
        ours.pools.iter().flat_map(|pool| &pool.servers).map(|server| format!("{} {}", server.at, server.address)).collect();
    assert_eq!(pools, servers, "each server of each pool, with its line");
}
