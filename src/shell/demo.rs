//! `why502 demo`: the console on a gateway of its own, broken on purpose.
//!
//! The demo differs from a real host only in what the console is pointed at: its configuration, and so no other gateway of
//! this host is looked at.

use std::{
    io::{self, BufRead as _, Read as _},
    sync::Arc,
};

use futures_util::{StreamExt as _, future::BoxFuture};
use tokio::{
    runtime::Handle,
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};

use super::{
    check,
    collect::{self, Collectors},
    console,
    live::{Session, on_terminal},
    past::Past,
    settings::{self, Settings},
};
use crate::{
    app::{self, State},
    cli::{self, Target},
    demo::{FAULTS, Fault, Instance, Stage},
    gateway::{self, Overrides},
    model::{Gateway, Identity, ProcessInfo},
    sys::{Clock, Processes, Root, Sys, Users, ourselves, own_net},
    ui,
};

/// Bytes of standard input that are read in all: a few words.
const STDIN_BYTES: u64 = 1 << 20;

/// Runs it. The value is the exit status.
pub fn run(demo: &cli::Demo) -> anyhow::Result<u8> {
    if demo.list {
        check::print(&list())?;
        return Ok(0);
    }
    let Some(fault) = demo.fault.or(FAULTS.first()) else { anyhow::bail!("there is nothing to show") };
    let settings = Settings::read(&demo.look);
    if !demo.serve {
        console::require_terminal(&settings.look)?;
    }
    let (clock, runtime) = super::runtime(super::CONSOLE)?;
    let screen = super::of_screen()?;
    let outcome = screen.block_on(async {
        let stage = Stage::start(fault).await?;
        if demo.serve { serve(stage).await } else { look(stage, settings, clock, runtime.handle()).await }
    });
    runtime.shutdown_background();
    screen.shutdown_background();
    outcome.map(|()| 0)
}

/// The table of faults.
fn list() -> String {
    let width = FAULTS.iter().map(|fault| fault.id.len()).max().unwrap_or(0);
    let row = |fault: &Fault| format!("{:width$}  {}; healing {}\n", fault.id, fault.what, fault.heal);
    FAULTS.iter().map(row).collect()
}

/// The console on it.
async fn look(stage: Stage, settings: Settings, clock: Clock, collecting: &Handle) -> anyhow::Result<()> {
    let fault = stage.fault();
    let target = Target { gateway: Some("nginx".to_owned()), config: Some(stage.config()), ..Target::default() };
    let sys = Sys { clock, ..collect::sys(&target)? };
    let mut options = collect::options(&target);
    options.mask = settings.look.hide_addresses.then(settings::mask);
    options.demo = Some(app::Demo { fault: fault.what.to_owned(), heal: fault.heal.to_owned() });
    let mut state = State::new(options, ui::first_pane());
    let hint = format!(
        "{}. {} heals it, or edit {} and kill -HUP {}",
        fault.what,
        settings.keys.named("heal"),
        stage.config().display(),
        pid(&stage)
    );
    state.view.message = Some((sys.clock.now(), hint));
    let (heal, mut asked) = mpsc::channel::<()>(1);
    let (mut collectors, mut failed) = (Collectors::start(collecting, &sys, &target, false, None), None);
    collectors.heal = Some(heal);
    let (control, feed) = console::split(collectors, None);
    let healing = tokio::spawn(async move {
        let mut stage = stage;
        while asked.recv().await.is_some() {
            failed = stage.heal().await.err();
        }
        stage.end().await;
        failed
    });
    let session = Session {
        settings,
        clock: sys.clock,
        control: Some(control),
        recorder: None,
        past: Past::File(Arc::default()),
        rights: Some(sys.rights.clone()),
        speed: None,
    };
    let left = on_terminal(session, &mut state, feed.boxed_local()).await;
    // With the console its sender has gone, so the task ends the demo.
    let failed = healing.await?;
    left?;
    failed.map_or(Ok(()), |error| Err(anyhow::Error::from(error).context("the demo could not be healed")))
}

fn pid(stage: &Stage) -> String {
    stage.master_pid().map_or_else(|| "the gateway".to_owned(), |pid| pid.to_string())
}

/// Without a console: says where it is, heals when it is told to, and ends with standard input.
async fn serve(mut stage: Stage) -> anyhow::Result<()> {
    let (url, config) = (stage.url(), stage.config());
    check::print(&format!("url {url}\nconfig {}\npid {}\n", config.display(), pid(&stage)))?;
    let mut lines = lines_of_stdin();
    let mut stops = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?, signal(SignalKind::hangup())?);
    let outcome = loop {
        let line = tokio::select! {
            line = lines.recv() => line,
            _ = stops.0.recv() => break Ok(()),
            _ = stops.1.recv() => break Ok(()),
            _ = stops.2.recv() => break Ok(()),
        };
        match line {
            Some(line) if line.trim() == "heal" => match stage.heal().await {
                Ok(()) => check::print("healed\n")?,
                Err(error) => break Err(error.into()),
            },
            Some(line) => check::print(&format!("unknown: {}\n", crate::model::text::printable(&line)))?,
            None => break Ok(()),
        }
    };
    stage.end().await;
    outcome
}

/// Lines of standard input; they end when it does. The thread that blocks on it is taken along by the end of the process.
fn lines_of_stdin() -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::channel(1);
    std::thread::spawn(move || {
        let mut stdin = io::stdin().lock().take(STDIN_BYTES);
        let mut line = String::new();
        while stdin.read_line(&mut line).is_ok_and(|count| count > 0) && sender.blocking_send(std::mem::take(&mut line)).is_ok() {}
    });
    lines
}

/// Reads the demo's configuration as the console reads any: the process that asks is shown to the reader as the master that
/// it is, or would be.
pub fn load(instance: Instance) -> BoxFuture<'static, Option<Gateway>> {
    Box::pin(async move {
        let sys = Sys::new(Root::host(), false);
        let (uid, gid, groups) = ourselves();
        let master = ProcessInfo {
            pid: std::process::id(),
            ppid: 1,
            name: "nginx".to_owned(),
            argv: vec![instance.title()],
            exe: Some(instance.program.clone()),
            identity: Identity { name: Users::read(&sys.root).name(uid), uid, gid, groups },
            started: None,
            start_ticks: None,
            state: 'S',
            cgroup: None,
            cwd: None,
            threads: 1,
            net_ns: own_net(&sys.root),
        };
        let overrides = Overrides { config: Some(instance.config.clone()), ..Overrides::default() };
        let kind = gateway::ALL.iter().find(|kind| kind.id() == "nginx")?;
        kind.look(&sys, Some(Processes::new(vec![master])), &overrides).await.gateways.into_iter().next()
    })
}
