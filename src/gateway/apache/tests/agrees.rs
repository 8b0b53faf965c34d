//! What we read against what Apache itself read: its virtual hosts with their places (`-S`), and the files that it included.

use std::{collections::BTreeSet, process::Command};

use super::*;

const BINARY_HERE: &str = "/usr/sbin/apache2";
const MODULES: &str = "/usr/lib/apache2/modules";

const RICH: &[(&str, &str)] = &[
    (
        "apache2.conf",
        "ServerRoot \"@\"\nDefine site shop\nLoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so\nLoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so\nLoadModule alias_module /usr/lib/apache2/modules/mod_alias.so\nLoadModule rewrite_module /usr/lib/apache2/modules/mod_rewrite.so\nLoadModule slotmem_shm_module /usr/lib/apache2/modules/mod_slotmem_shm.so\nLoadModule proxy_module /usr/lib/apache2/modules/mod_proxy.so\nLoadModule proxy_http_module /usr/lib/apache2/modules/mod_proxy_http.so\nLoadModule proxy_balancer_module /usr/lib/apache2/modules/mod_proxy_balancer.so\nLoadModule lbmethod_byrequests_module /usr/lib/apache2/modules/mod_lbmethod_byrequests.so\nPidFile @/pid\nErrorLog @/error.log\nServerName gw1.test\nListen 127.0.0.1:18081\n<IfModule !mod_ssl.c>\nInclude conf/plain.conf\n</IfModule>\n<IfModule mod_ssl.c>\nInclude conf/never.conf\n</IfModule>\nIncludeOptional sites/*.conf\n",
    ),
    (
        "conf/plain.conf",
        "<Proxy \"balancer://pool\">\n    BalancerMember \"http://127.0.0.1:8001\"\n    BalancerMember \"http://127.0.0.1:8002\" status=+H\n</Proxy>\n",
    ),
    ("conf/never.conf", "<VirtualHost *:18081>\nServerName never.test\n</VirtualHost>\n"),
    (
        "sites/10-shop.conf",
        "# <VirtualHost *:18081>\n<VirtualHost *:18081>\n    ServerName ${site}.test\n    ServerAlias www.${site}.test *.cdn.test\n    ProxyPass \"/static/\" \"!\"\n    ProxyPass \"/\" \"balancer://pool/\"\n</VirtualHost>\n",
    ),
    (
        "sites/20-api.conf",
        "<VirtualHost 127.0.0.1:18081>\r\n    ServerName api.test\r\n    ProxyPass /api/ \\\r\n        http://127.0.0.1:8003/\r\n</VirtualHost>\r\n<IfDefine NotSet>\r\n<VirtualHost *:18081>\r\nServerName undefined.test\r\n</VirtualHost>\r\n</IfDefine>\r\n",
    ),
];

#[test]
fn the_virtual_hosts_are_those_that_apache_dumps() {
    let there = Path::new(BINARY_HERE).exists() && Path::new(MODULES).exists();
    if !there && std::env::var("CI").as_deref() != Ok("true") {
        return;
    }
    let dir = tempfile::tempdir().expect("directory");
    for (name, text) in RICH {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().expect("parent")).expect("directories");
        std::fs::write(path, text.replace('@', &dir.path().display().to_string())).expect("file");
    }
    let main = dir.path().join("apache2.conf");
    let out = Command::new(BINARY_HERE)
        .arg("-f")
        .arg(&main)
        .args(["-t", "-D", "DUMP_VHOSTS", "-D", "DUMP_INCLUDES"])
        .output()
        .expect("apache2");
    let dump = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.success(), "{dump}{}", String::from_utf8_lossy(&out.stderr));

    let line = format!("{BINARY_HERE} -f {}", main.display());
    let ours = only(look_at(&Root::host(), &[init(), process(7, 1, &line, ("root", 0))], &Overrides::default()));
    assert_eq!(ours.problems, []);

    // `port 18081 namevhost shop.test (/x/10-shop.conf:2)`, or on one line with the address where no other shares it.
    let mut theirs = BTreeSet::new();
    for line in dump.lines().filter(|line| line.contains(".conf:") && !line.contains("default server")) {
        let Some((head, place)) = line.trim().strip_suffix(')').and_then(|line| line.rsplit_once(" (")) else { continue };
        theirs.insert(format!("{} {place}", head.rsplit(' ').next().unwrap_or_default()));
    }
    let served = |site: &&Site| !site.routes.is_empty();
    let read: BTreeSet<String> = ours
        .sites
        .iter()
        .filter(served)
        .map(|site| format!("{} {}", site.names.first().map_or("", String::as_str), site.at))
        .collect();
    assert_eq!(read, theirs, "{dump}");

    // `  (*) /x/apache2.conf`, `    (18) /x/conf/plain.conf`
    let included: BTreeSet<&str> =
        dump.lines().filter_map(|line| line.trim().strip_prefix('(')?.split_once(") ")).map(|(_, path)| path).collect();
    let files: BTreeSet<String> =
        ours.files.iter().map(|(path, _)| path.display().to_string()).filter(|path| !path.ends_with("envvars")).collect();
    assert_eq!(files.iter().map(String::as_str).collect::<BTreeSet<_>>(), included, "{dump}");
    assert_eq!(ours.pools[0].servers.iter().map(|server| server.role).collect::<Vec<_>>(), [Role::Primary, Role::Backup]);
}
