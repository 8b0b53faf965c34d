//! The gateway's master: loads the configuration, listens, keeps a worker, reloads on HUP. And the program as a person runs
//! it: `nginx -t`, `nginx -s reload`.

use std::{
    io::{self, PipeWriter, Write as _, pipe},
    net::SocketAddr,
    os::fd::OwnedFd,
    process::{ExitCode, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal};
use tokio::{
    process::{Child, Command},
    signal::unix::{SignalKind, signal},
};

use super::{
    Instance, Load, SERVER, WORKER_TITLE, lifeline,
    log::{Level, Logs},
    upstream::words,
};
use crate::model::{Address, Gateway, Place};

/// The pause before a worker that died is replaced, so that one that can't live costs little.
const RESPAWN: Duration = Duration::from_millis(200);

/// Is the master until the starter goes, or a signal ends it.
pub(super) fn serve(instance: Instance, load: Load) -> ExitCode {
    // Two threads at least: reading the configuration is done aside.
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return ExitCode::FAILURE };
    let served = runtime.block_on(run(instance, load));
    runtime.shutdown_background();
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            // Whoever started it waits for a word.
            let _ = writeln!(io::stdout().lock(), "failed {problem}");
            ExitCode::FAILURE
        }
    }
}

/// A configuration that would serve, or nginx's own words why it would not.
async fn loaded(instance: &Instance, load: Load) -> Result<(Gateway, SocketAddr), String> {
    let config = instance.config.display();
    let gateway = load(instance.clone()).await;
    let gateway = gateway.filter(|gateway| !gateway.files.is_empty());
    let gateway = gateway.ok_or_else(|| format!("open() \"{config}\" failed (2: No such file or directory)"))?;
    if let Some((Place { file, line }, problem)) = gateway.problems.first() {
        return Err(format!("{problem} in {}:{line}", file.display()));
    }
    let listens = gateway.sites.iter().flat_map(|site| &site.listens);
    let tcp = listens.filter_map(|listen| match &listen.address {
        Address::Tcp(at) if !listen.tls => Some(*at),
        Address::Tcp(_) | Address::Name(..) | Address::Unix(_) | Address::Inside(..) => None,
    });
    // One socket is all that a worker can be given; and only loopback, whatever somebody writes.
    let at = tcp.filter(|at| at.ip().is_loopback()).min();
    let at =
        at.ok_or_else(|| format!("the demo's gateway listens on one plain port of 127.0.0.1, and none is named in {config}:1"))?;
    Ok((gateway, at))
}

fn listen(at: SocketAddr) -> Result<std::net::TcpListener, String> {
    std::net::TcpListener::bind(at).map_err(|error| format!("bind() to {at} failed ({})", words(&error)))
}

/// A worker; it ends when the pipe does.
struct Worker {
    child: Child,
    pid: u32,
    control: PipeWriter,
}

struct Master {
    instance: Instance,
    gateway: Gateway,
    at: SocketAddr,
    listener: std::net::TcpListener,
    logs: Logs,
    worker: Worker,
}

async fn run(instance: Instance, load: Load) -> Result<(), String> {
    let end = lifeline::end_of(io::stdin());
    // Before anything is served: a HUP that came earlier would end this process.
    let on = |kind| signal(kind).map_err(|error| error.to_string());
    let mut hup = on(SignalKind::hangup())?;
    let mut stops = (on(SignalKind::terminate())?, on(SignalKind::interrupt())?, on(SignalKind::quit())?);
    let (gateway, at) = loaded(&instance, load).await?;
    let logs = Logs::of(&gateway);
    let listener = listen(at).inspect_err(|problem| logs.error(Level::Emerg, None, problem))?;
    logs.error(Level::Notice, None, SERVER);
    let worker = hire(&instance, &gateway, &listener, &logs).map_err(|error| error.to_string())?;
    let mut master = Master { instance, gateway, at, listener, logs, worker };
    std::fs::write(master.instance.pid_file(), format!("{}\n", std::process::id())).map_err(|error| error.to_string())?;
    writeln!(io::stdout().lock(), "ready {at}").map_err(|error| error.to_string())?;
    tokio::pin!(end);
    loop {
        tokio::select! {
            _ = &mut end => break,
            _ = hup.recv() => master.reload(load).await,
            _ = stops.0.recv() => break,
            _ = stops.1.recv() => break,
            _ = stops.2.recv() => break,
            died = master.worker.child.wait() => master.replace(died).await?,
        }
    }
    let Worker { mut child, control, .. } = master.worker;
    drop(control);
    let _ = child.wait().await;
    // With the whole directory gone this fails, and says nothing.
    let _ = std::fs::remove_file(master.instance.pid_file());
    Ok(())
}

impl Master {
    async fn reload(&mut self, load: Load) {
        self.logs.error(Level::Notice, None, "signal 1 (SIGHUP) received, reconfiguring");
        self.logs.error(Level::Notice, None, "reconfiguring");
        let (gateway, at) = match loaded(&self.instance, load).await {
            Ok(loaded) => loaded,
            Err(problem) => return self.logs.error(Level::Emerg, None, &problem),
        };
        if at != self.at {
            match listen(at) {
                Ok(listener) => (self.listener, self.at) = (listener, at),
                Err(problem) => return self.logs.error(Level::Emerg, None, &problem),
            }
        }
        let logs = Logs::of(&gateway);
        match hire(&self.instance, &gateway, &self.listener, &logs) {
            Ok(worker) => {
                // The old one goes on with what it has, and ends.
                let Worker { mut child, control, .. } = std::mem::replace(&mut self.worker, worker);
                drop(control);
                tokio::spawn(async move { child.wait().await });
                (self.gateway, self.logs) = (gateway, logs);
            }
            Err(error) => {
                let text = format!("fork() failed while spawning \"worker process\" ({error})");
                self.logs.error(Level::Alert, None, &text);
            }
        }
    }

    async fn replace(&mut self, died: io::Result<std::process::ExitStatus>) -> Result<(), String> {
        use std::os::unix::process::ExitStatusExt as _;
        let pid = self.worker.pid;
        if let Ok(status) = died {
            let text = match (status.signal(), status.code()) {
                (Some(number), _) => format!("worker process {pid} exited on signal {number}"),
                (None, code) => format!("worker process {pid} exited with code {}", code.unwrap_or(0)),
            };
            self.logs.error(if status.success() { Level::Notice } else { Level::Alert }, None, &text);
        }
        tokio::time::sleep(RESPAWN).await;
        self.worker = hire(&self.instance, &self.gateway, &self.listener, &self.logs).map_err(|error| error.to_string())?;
        Ok(())
    }
}

/// Starts a worker, as the user that the configuration names where root may.
fn hire(instance: &Instance, gateway: &Gateway, listener: &std::net::TcpListener, logs: &Logs) -> io::Result<Worker> {
    let (reader, mut control) = pipe()?;
    let mut command = Command::new(&instance.program);
    command.arg0(WORKER_TITLE).env_clear().stderr(Stdio::null()).process_group(0);
    command.stdin(Stdio::from(OwnedFd::from(listener.try_clone()?))).stdout(Stdio::from(reader));
    if rustix::process::geteuid().is_root()
        && let Some(user) = &gateway.identity
    {
        command.uid(user.uid).gid(user.gid);
    }
    let child = command.spawn()?;
    logs.error(Level::Notice, None, "start worker processes");
    let pid = child.id().unwrap_or(0);
    logs.error(Level::Notice, None, &format!("start worker process {pid}"));
    let mut line = serde_json::to_vec(gateway)?;
    line.push(b'\n');
    control.write_all(&line)?;
    Ok(Worker { child, pid, control })
}

/// The program as a person runs it.
#[expect(clippy::print_stderr, reason = "nginx -t says on standard error what it found")]
pub(super) fn command(words: &[String], load: Load) -> ExitCode {
    let after = |option: &str| words.iter().position(|word| word == option).and_then(|at| words.get(at + 1)).cloned();
    let home = std::env::current_exe().ok().and_then(|program| Some(program.parent()?.to_owned())).unwrap_or_default();
    let prefix = after("-p").map_or(home, Into::into);
    let config = prefix.join(after("-c").unwrap_or_else(|| "nginx.conf".to_owned()));
    let instance = Instance { program: prefix.join(super::NGINX), config, prefix };
    let has = |option: &str| words.iter().any(|word| word == option);
    if has("-v") || has("-V") {
        eprintln!("nginx version: {SERVER}");
        return ExitCode::SUCCESS;
    }
    if let Some(order) = after("-s") {
        return send(&instance, &order);
    }
    if !(has("-t") || has("-T")) {
        eprintln!("nginx: [emerg] the demo's gateway is started by: why502 demo");
        return ExitCode::FAILURE;
    }
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return ExitCode::FAILURE };
    let config = instance.config.display();
    match runtime.block_on(loaded(&instance, load)) {
        Ok(_) => {
            eprintln!("nginx: the configuration file {config} syntax is ok\nnginx: configuration file {config} test is successful");
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("nginx: [emerg] {problem}\nnginx: configuration file {config} test failed");
            ExitCode::FAILURE
        }
    }
}

/// `nginx -s reload`.
#[expect(clippy::print_stderr, reason = "nginx -s says on standard error what went wrong")]
fn send(instance: &Instance, order: &str) -> ExitCode {
    let signal = match order {
        "reload" => Signal::HUP,
        "quit" => Signal::QUIT,
        "stop" => Signal::TERM,
        other => {
            eprintln!("nginx: invalid option: \"-s {other}\"");
            return ExitCode::FAILURE;
        }
    };
    let file = instance.pid_file();
    let pid = std::fs::read_to_string(&file).ok().and_then(|text| Pid::from_raw(text.trim().parse().ok()?));
    match pid.map(|pid| rustix::process::kill_process(pid, signal)) {
        Some(Ok(())) => ExitCode::SUCCESS,
        Some(Err(error)) => {
            eprintln!("nginx: [alert] kill({file}, {order}) failed ({error})", file = file.display());
            ExitCode::FAILURE
        }
        None => {
            eprintln!("nginx: [error] open() \"{}\" failed (2: No such file or directory)", file.display());
            ExitCode::FAILURE
        }
    }
}
