//! What the host's files, sockets and services say is read by, as functions of bytes: for `tests/fuzz`, by way of
//! [`crate::shell::foreign`].

use std::path::Path;

use super::{
    Acl, FilterRules, FilterTool, Root, access, admin, dbus, dns, namespaces, packet_filters, processes, route, services, sockets,
    waits,
};

/// Files of the kernel's and of the host's settings that [`files`] reads, below a root of a test.
pub const FILES: &[&str] = &[
    "/etc/group",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/passwd",
    "/etc/resolv.conf",
    "/proc/7/cgroup",
    "/proc/7/cmdline",
    "/proc/7/mountinfo",
    "/proc/7/stat",
    "/proc/7/status",
    "/proc/net/fib_trie",
    "/proc/net/if_inet6",
    "/proc/net/netstat",
    "/proc/net/tcp",
    "/proc/net/tcp6",
    "/proc/net/unix",
    "/proc/self/mountinfo",
    "/proc/stat",
    "/proc/sys/kernel/hostname",
];

/// Reads [`FILES`] below a root, whatever stands in them.
pub fn files(root: &Root) {
    let processes = processes::all(root).unwrap_or_default();
    assert!(processes.len() <= 1, "the root has one process");
    let users = processes::Users::read(root);
    let _ = (users.name(33), users.identity(root, "www-data"), access::Groups::read(root).name(33).map(str::len));
    let _ = sockets::procfs::read(root);
    let _ = (sockets::local_addresses(root), sockets::listen_overflows(root));
    for mount in super::mounts(root, Some(7)) {
        let _ = (mount.local(), super::holder(std::slice::from_ref(&mount), &mount.point).map(|it| it.read_only));
    }
    let _ = dns::files::read(root, "app.example.com");
    let _ = dns::files::read(root, "localhost");
    let text = root.text(Path::new("/proc/7/stat")).unwrap_or_default();
    let _ = (namespaces::start(&text), waits::wait(&text));
}

/// What systemd's bus or `systemctl show` says of services.
pub fn services(bytes: &[u8], root: &Root) {
    let _ = dbus::reply(bytes, 7);
    let _ = services::shown(&String::from_utf8_lossy(bytes), services::Clocks::read(root));
}

/// Messages of the kernel's netlink sockets, and an access control list as an extended attribute has it.
pub fn kernel_messages(bytes: &[u8]) {
    let _ = sockets::take(bytes, &mut |message| drop(sockets::listener(message)));
    let _ = route::read_link(bytes);
    let _ = Acl::parse(bytes).map(|acl| acl.rules((0, 0), 33, &[33], 4));
}

/// A name server's answer to a question of ours.
pub fn dns_answer(bytes: &[u8]) {
    dns::server::foreign(bytes);
}

/// What an admin page or a process manager answers, with the framing that is taken off it.
pub fn admin_page(bytes: &[u8]) {
    let inner = admin::fastcgi::page(bytes);
    assert!(inner.len() <= bytes.len(), "framing adds nothing");
    assert!(admin::whole(bytes.to_vec()).len() <= bytes.len(), "chunks add nothing");
}

/// What iptables-save or nft list, asked for addresses that are rewritten.
pub fn redirects(bytes: &[u8]) {
    for tool in [FilterTool::Nft, FilterTool::Iptables] {
        let _ = packet_filters::redirects(&[FilterRules { tool, text: String::from_utf8_lossy(bytes).into_owned() }]);
    }
}
