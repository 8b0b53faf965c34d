//! Services as systemd tells them: over D-Bus, as `systemctl show` asks it, and by that program where no bus answers. Questions only,
//! of a closed set: the properties of a unit, and which services have failed.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::Path,
    process::Command,
    time::Duration,
};

use super::{
    Root, Stream,
    broker::{self, Task},
    dbus::{Argument, Bus, Call, Value},
    helper::{self, Whole},
    journal::is_unit,
};
use crate::model::{Order as _, ServiceExit, ServiceLife};

/// Where systemd is met: the system's bus, and for root its own socket, which is no bus (sd_bus_open_system(3), bus-util.c).
const SOCKETS: [(&str, bool); 2] = [("/run/dbus/system_bus_socket", false), ("/run/systemd/private", true)];
/// It is there where systemd has started the host (sd_booted(3)).
const BOOTED: &str = "/run/systemd/system";
/// How long all questions to a bus may take.
const PATIENCE: Duration = Duration::from_millis(700);
/// Units that are asked about at once, at most.
pub const SERVICE_UNITS: usize = 48;
/// Failed services that are told, at most.
const FAILED: usize = 16;
/// Where the program is, and bytes of what it says that are read.
const PROGRAMS: [&str; 2] = ["/usr/bin/systemctl", "/bin/systemctl"];
const PROGRAM_BYTES: u64 = 256 << 10;

const DESTINATION: &str = "org.freedesktop.systemd1";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
/// The properties that are of use, as `systemctl show` calls them (org.freedesktop.systemd1(5)).
const ASKED: &[&str] = &[
    "Id",
    "LoadState",
    "ActiveState",
    "SubState",
    "Result",
    "UnitFileState",
    "NeedDaemonReload",
    "NRestarts",
    "MainPID",
    "ExecMainPID",
    "ExecMainCode",
    "ExecMainStatus",
    "StateChangeTimestampMonotonic",
    "ExecMainExitTimestampMonotonic",
];

/// The same times on the wall's clock, which a bus gives as numbers and the program as text.
const WALL: [(&str, &str); 2] =
    [("StateChangeTimestamp", "StateChangeTimestampMonotonic"), ("ExecMainExitTimestamp", "ExecMainExitTimestampMonotonic")];

/// What is told of these units, and of services that have failed. An error: nobody could be asked.
pub(super) async fn ask(root: &Root, units: &[String]) -> io::Result<Vec<ServiceLife>> {
    if !root.is_host() {
        return Err(io::ErrorKind::Unsupported.into());
    }
    if root.stat(Path::new(BOOTED)).is_err() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "systemd has not started this host"));
    }
    let units: Vec<&str> = units.iter().map(String::as_str).filter(|unit| is_unit(unit)).take(SERVICE_UNITS).collect();
    let booted = Clocks::read(root);
    let over_bus = async {
        let mut refused = io::Error::from(io::ErrorKind::NotFound);
        for (socket, peer) in SOCKETS {
            match by_bus(socket, peer, &units, booted).await {
                Ok(told) => return Ok(told),
                Err(error) => refused = error,
            }
        }
        Err(refused)
    };
    match tokio::time::timeout(PATIENCE, over_bus).await {
        Ok(Ok(told)) => Ok(told),
        Ok(Err(_)) | Err(_) => by_program(&units, booted).await,
    }
}

/// What makes times of the monotonic clock into ones of the wall: when it was zero, in seconds since the Unix epoch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clocks {
    zero: Option<i64>,
}

impl Clocks {
    pub(super) fn read(root: &Root) -> Self {
        let stat = root.text("/proc/stat").ok();
        let zero = stat.and_then(|text| text.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse().ok()));
        Self { zero }
    }

    /// Seconds since the Unix epoch. Zero is systemd's word for never.
    fn wall(self, monotonic_us: i64) -> Option<i64> {
        (monotonic_us > 0).then(|| self.zero?.checked_add(monotonic_us / 1_000_000)).flatten()
    }
}

/// `/org/freedesktop/systemd1/unit/app_2eservice`: all but letters and digits, and a digit at the begin, is written in hex
/// (sd_bus_path_encode(3)).
fn path_of(unit: &str) -> String {
    let mut out = String::from("/org/freedesktop/systemd1/unit/");
    for (at, byte) in unit.bytes().enumerate() {
        if byte.is_ascii_alphabetic() || at > 0 && byte.is_ascii_digit() {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("_{byte:02x}"));
        }
    }
    out
}

async fn by_bus(socket: &str, peer: bool, units: &[&str], booted: Clocks) -> io::Result<Vec<ServiceLife>> {
    let stream = Stream::unix(Path::new(socket), PATIENCE).await.map_err(|error| io::Error::other(error.to_string()))?;
    let mut bus = Bus::login(stream, peer).await?;
    let manager = Call {
        destination: DESTINATION,
        path: "/org/freedesktop/systemd1",
        interface: "org.freedesktop.systemd1.Manager",
        member: "ListUnitsFiltered",
        arguments: &[Argument::Texts(&["failed"])],
    };
    let failed = bus.call(&manager).await?;
    let names = failed.first().map_or(&[][..], Value::list).iter().filter_map(|unit| unit.list().first()?.text());
    let failed: Vec<&str> = names.filter(|name| name.ends_with(".service") && is_unit(name)).take(FAILED).collect();
    let mut told = Vec::new();
    for unit in units.iter().copied().chain(failed).collect::<BTreeSet<_>>() {
        let path = path_of(unit);
        let mut properties = BTreeMap::new();
        for interface in ["org.freedesktop.systemd1.Unit", "org.freedesktop.systemd1.Service"] {
            let call = Call {
                destination: DESTINATION,
                path: &path,
                interface: PROPERTIES,
                member: "GetAll",
                arguments: &[Argument::Text(interface)],
            };
            // A socket or a timer is no service: what it is as a unit tells enough.
            let Ok(values) = bus.call(&call).await else { continue };
            for pair in values.first().map_or(&[][..], Value::list) {
                if let [Value::Text(key), value] = pair.list()
                    && (ASKED.contains(&key.as_str()) || WALL.iter().any(|(wall, _)| wall == key))
                {
                    let text = value.text().map(str::to_owned).or_else(|| value.number().map(|number| number.to_string()));
                    properties.insert(key.clone(), text.unwrap_or_default());
                }
            }
        }
        if !properties.is_empty() {
            told.push(life(unit, &properties, booted, "systemd (D-Bus)"));
        }
    }
    Ok(told)
}

/// By `systemctl show`, which asks the same; of failed services it is asked by a pattern.
async fn by_program(units: &[&str], booted: Clocks) -> io::Result<Vec<ServiceLife>> {
    broker::first_of(PROGRAMS)?;
    let mut told = Vec::new();
    let named = (!units.is_empty()).then(|| units.iter().map(|unit| (*unit).to_owned()).collect());
    for units in named.into_iter().chain([Vec::new()]) {
        // What it told counts, whatever its status says: one of several units may be unknown.
        let text = helper::answer(Task::Units(units), PROGRAM_BYTES, Whole::AsFarAsRead).await?;
        told.extend(shown(&text, booted));
    }
    if told.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "systemd gave no answer, over its bus or by systemctl"));
    }
    told.order_by(|a, b| a.unit.cmp(&b.unit));
    told.dedup_by(|a, b| a.unit == b.unit);
    Ok(told)
}

/// `systemctl show` of these units; of none: of the services that have failed.
pub(super) fn command(units: &[String]) -> io::Result<Command> {
    let mut command = Command::new(broker::first_of(PROGRAMS)?);
    command.args(["show", "--no-pager", &format!("--property={}", ASKED.join(","))]).env_clear();
    if units.is_empty() {
        command.args(["--state=failed", "--", "*.service"]);
    } else {
        command.arg("--").args(units.iter().filter(|unit| is_unit(unit)).take(SERVICE_UNITS));
    }
    Ok(command)
}

/// What `systemctl show` says: `Key=value` lines, units apart by a blank line (systemctl(1)).
pub(super) fn shown(text: &str, booted: Clocks) -> Vec<ServiceLife> {
    let mut units = Vec::new();
    for block in text.split("\n\n").take(SERVICE_UNITS + FAILED) {
        let pair = |line: &str| line.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
        let properties: BTreeMap<String, String> = block.lines().filter_map(pair).collect();
        if let Some(unit) = properties.get("Id") {
            units.push(life(unit, &properties, booted, "systemctl show"));
        }
    }
    units
}

fn life(unit: &str, properties: &BTreeMap<String, String>, booted: Clocks, source: &str) -> ServiceLife {
    // `CLD_EXITED`, `CLD_KILLED`, `CLD_DUMPED` (waitid(2)).
    const EXITED: i64 = 1;
    const KILLED: i64 = 2;
    const DUMPED: i64 = 3;
    let text = |key: &str| properties.get(key).cloned().unwrap_or_default();
    let number = |key: &str| properties.get(key).and_then(|value| value.parse::<i64>().ok());
    // The wall's own time is right where the host slept, too; zero is systemd's word for never.
    let time = |(wall, monotonic): (&str, &str)| {
        number(wall).filter(|us| *us > 0).map(|us| us / 1_000_000).or_else(|| number(monotonic).and_then(|us| booted.wall(us)))
    };
    let status = number("ExecMainStatus").and_then(|status| i32::try_from(status).ok());
    let exit = match (number("ExecMainCode"), status) {
        (Some(EXITED), Some(status)) => Some(ServiceExit::Status(status)),
        (Some(KILLED), Some(signal)) => Some(ServiceExit::Signal(signal)),
        (Some(DUMPED), Some(signal)) => Some(ServiceExit::Dumped(signal)),
        _ => None,
    };
    let id = properties.get("Id").filter(|id| is_unit(id)).map_or(unit, String::as_str);
    ServiceLife {
        unit: id.to_owned(),
        manager: "systemd".to_owned(),
        load: text("LoadState"),
        active: text("ActiveState"),
        sub: text("SubState"),
        result: text("Result"),
        exit,
        restarts: number("NRestarts").and_then(|restarts| u32::try_from(restarts).ok()),
        since: time(WALL[0]),
        ended: time(WALL[1]),
        pid: number("MainPID").and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid > 0),
        enabled: text("UnitFileState"),
        stale: matches!(text("NeedDaemonReload").as_str(), "yes" | "1"),
        source: source.to_owned(),
        ..ServiceLife::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_units_path_is_encoded() {
        assert_eq!(path_of("php8.2-fpm.service"), "/org/freedesktop/systemd1/unit/php8_2e2_2dfpm_2eservice");
        assert_eq!(path_of("1a.service"), "/org/freedesktop/systemd1/unit/_31a_2eservice");
    }

    /// As `systemctl show` of systemd 252 writes it.
    const SHOWN: &str = "Result=exit-code\nNRestarts=5\nMainPID=0\nExecMainPID=811\nExecMainCode=1\nExecMainStatus=3\n\
        ExecMainExitTimestampMonotonic=93000000\nId=app.service\nLoadState=loaded\nActiveState=failed\nSubState=failed\n\
        StateChangeTimestampMonotonic=95000000\nUnitFileState=enabled\nNeedDaemonReload=no\n\nId=gone.service\nLoadState=not-found\n\
        ActiveState=inactive\nSubState=dead\nUnitFileState=\nStateChangeTimestampMonotonic=0\n";

    #[test]
    fn what_systemctl_shows_is_read() {
        let units = shown(SHOWN, Clocks { zero: Some(1000) });
        assert_eq!(units.len(), 2);
        let app = &units[0];
        assert!(app.failed() && !app.runs() && !app.stale);
        assert_eq!((app.exit, app.restarts, app.since, app.ended), (Some(ServiceExit::Status(3)), Some(5), Some(1095), Some(1093)));
        assert_eq!((units[1].load.as_str(), units[1].since, units[1].restarts), ("not-found", None, None));
        assert_eq!(shown("garbage\n\n=\n\nId=\u{1b}[2J", Clocks { zero: None }).len(), 1);
    }

    #[tokio::test]
    async fn another_root_has_no_services_that_run() {
        let dir = tempfile::tempdir().expect("directory");
        let error = ask(&Root::below(dir.path()), &["app.service".to_owned()]).await.expect_err("no host");
        assert_eq!(error.kind(), io::ErrorKind::Unsupported);
    }
}
