//! The console on a real terminal and a real host.

use std::{
    io::{self, IsTerminal as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use futures_util::{Stream, StreamExt as _, stream};
use tokio::sync::{mpsc, oneshot};

use super::{
    collect::{self, Collectors},
    live::{Session, on_terminal},
    past::Past,
    record::{Keeper, Recorder, Recording, end_of, newest},
    run_loop::Feed,
    settings::{self, Settings},
};
use crate::{
    app::{self, State, Told},
    cli::{Cli, Look},
    diagnose::Scene,
    model::Observation,
    sys::{Inbox, Stamped, Sys},
    ui,
};

/// Runs it. The value is the exit status: leaving the console is no verdict.
pub fn run(cli: &Cli) -> anyhow::Result<u8> {
    let settings = Settings::read(&cli.look);
    require_terminal(&settings.look)?;
    let sys = collect::sys(&cli.target)?;
    let (clock, runtime) = super::runtime(super::CONSOLE)?;
    let screen = super::of_screen()?;
    let mut sys = Sys { clock: collect::clock(clock, &sys, &cli.target), ..sys };
    let kept = Kept::begin(cli, settings.no_record, &mut sys)?;
    let mut target = cli.target.clone();
    if let Some((_, past)) = &kept.resumed
        && target.url.is_none()
    {
        target.url = url_of(past);
    }
    let mut state = State::new(collect::options(&target), ui::first_pane());
    state.options.mask = settings.look.hide_addresses.then(settings::mask);
    let recorder = kept.recorder.map(Arc::new);
    if let (Some(recorder), Some(mask)) = (&recorder, &state.options.mask) {
        recorder.hide(Arc::clone(mask));
    }
    let collectors = Collectors::start(runtime.handle(), &sys, &target, true, None);
    let outcome = screen.block_on(async {
        let (control, feed) = split(collectors, recorder.clone());
        let before = stream::iter(kept.said.map(|said| Feed::Told(Told::Recording(said))));
        let past = kept.resumed.map(|(_, past)| Feed::Told(Told::Resumed(past)));
        let file = Arc::clone(&kept.path);
        let begun = stream::iter(kept.begun).then(move |begun| {
            let file = Arc::clone(&file);
            async move {
                let begun = begun.await;
                if let (Ok(Ok(path)), Ok(mut file)) = (&begun, file.lock()) {
                    *file = Some(path.clone());
                }
                Feed::Told(Told::Recording(said(begun)))
            }
        });
        let feed = before.chain(stream::iter(past)).chain(stream::select(feed, begun.boxed()));
        let session = Session {
            settings,
            clock: sys.clock,
            control: Some(control),
            recorder: recorder.clone(),
            past: Past::File(kept.path),
            // What lies below another root is no file of this host.
            rights: sys.root.is_host().then(|| sys.rights.clone()),
            speed: None,
        };
        on_terminal(session, &mut state, feed.boxed_local()).await
    });
    // What still hangs in a system call must not hold the exit up.
    runtime.shutdown_background();
    screen.shutdown_background();
    // The terminal is given back by now; the last lines may take their time.
    drop(recorder);
    outcome?;
    if let app::Recording::Kept(path) = &state.recording {
        let command = crate::model::Command::new(["why502", "replay", path]);
        let replay = command.map_or_else(String::new, |command| format!("; {command} shows it again"));
        super::check::print(&format!("why502: recorded in {}{replay}\n", crate::model::text::printable(path)))?;
    }
    Ok(0)
}

/// What becomes of the recording of this run.
#[derive(Default)]
struct Kept {
    recorder: Option<Recorder>,
    /// What is known of it at once.
    said: Option<app::Recording>,
    /// The file, as soon as it is there.
    path: Arc<Mutex<Option<PathBuf>>>,
    /// Where it is told whether it could be begun.
    begun: Option<oneshot::Receiver<Result<PathBuf, String>>>,
    /// The recording that is gone on with, and what it tells.
    resumed: Option<(PathBuf, Box<Scene>)>,
}

impl Kept {
    fn begin(cli: &Cli, no_record: bool, sys: &mut Sys) -> anyhow::Result<Self> {
        if let Some(named) = &cli.resume {
            let path = named.clone().map_or_else(latest, Ok)?;
            let recorder = Recorder::resume(&path)?;
            let end = end_of(&path)?;
            sys.clock = sys.clock.continuing(end.run_ms.saturating_add(1));
            let past = fold(&path)?;
            let said = Some(app::Recording::Kept(path.display().to_string()));
            let file = Arc::new(Mutex::new(Some(path.clone())));
            return Ok(Self { recorder: Some(recorder), said, path: file, resumed: Some((path, past)), ..Self::default() });
        }
        if let Some(path) = &cli.record {
            let said = Some(app::Recording::Kept(path.display().to_string()));
            let file = Arc::new(Mutex::new(Some(path.clone())));
            return Ok(Self { recorder: Some(Recorder::create(path)?), said, path: file, ..Self::default() });
        }
        if cli.no_record || no_record {
            return Ok(Self { said: Some(app::Recording::Off), ..Self::default() });
        }
        let root = sys.root.clone();
        let at = jiff::Timestamp::from_second(sys.clock.now().wall_s())?.strftime("%Y%m%dT%H%M%SZ").to_string();
        let (recorder, begun) = Recorder::by_default(move || {
            let host = root.text("/proc/sys/kernel/hostname").unwrap_or_default();
            Keeper::of_operator()?.recording(host.trim(), &at)
        })?;
        Ok(Self { recorder: Some(recorder), begun: Some(begun), ..Self::default() })
    }
}

/// The latest recording of whoever started this.
fn latest() -> anyhow::Result<PathBuf> {
    let keeper = Keeper::of_operator().map_err(|why| anyhow::anyhow!("there is no recording to go on with: {why}"))?;
    let dir = keeper.dir();
    newest(&keeper)?.ok_or_else(|| anyhow::anyhow!("there is no recording to go on with in {}", dir.display()))
}

/// What a recording tells at its end.
fn fold(path: &Path) -> anyhow::Result<Box<Scene>> {
    let mut scene = Box::<Scene>::default();
    Recording::each(path, |Stamped { at, observation }| {
        scene.observe(at, observation);
        true
    })?;
    Ok(scene)
}

fn url_of(past: &Scene) -> Option<url::Url> {
    past.run.as_ref()?.url.as_deref()?.parse().ok()
}

fn said(begun: Result<Result<PathBuf, String>, oneshot::error::RecvError>) -> app::Recording {
    match begun {
        Ok(Ok(path)) => app::Recording::Kept(path.display().to_string()),
        Ok(Err(why)) => app::Recording::Refused(why),
        Err(_) => app::Recording::Refused("it ended by a defect of this program".to_owned()),
    }
}

/// Says what to do where there is no terminal to draw on.
pub fn require_terminal(look: &Look) -> anyhow::Result<()> {
    // Lines can be read from anywhere.
    if look.linear {
        return Ok(());
    }
    if io::stdin().is_terminal() && io::stdout().is_terminal() {
        return Ok(());
    }
    anyhow::bail!("the console needs a terminal; in scripts and pipes use: why502 check")
}

/// Parts the collectors from what they send, and keeps a recording of it on the way. They start when that is asked for first: behind
/// the first frame, which nothing is to delay.
pub fn split(mut collectors: Collectors, recorder: Option<Arc<Recorder>>) -> (Collectors, impl Stream<Item = Feed>) {
    let (_, nothing) = mpsc::channel(1);
    let seen = std::mem::replace(&mut collectors.seen, Inbox::new(nothing, None));
    let (_, never) = oneshot::channel();
    let catalog = std::mem::replace(&mut collectors.catalog, never);
    let begin = Some(collectors.begin.clone());
    let seen = stream::unfold((seen, begin), |(mut seen, begin)| async move {
        if let Some(begin) = begin {
            begin.send_replace(true);
        }
        seen.recv().await.map(|stamped| (stamped, (seen, None)))
    });
    let recorded = seen.flat_map(move |stamped| {
        let told: Option<Observation> = recorder.as_ref().and_then(|recorder| recorder.keep(&stamped));
        let told = told.map(|observation| Stamped { at: stamped.at, observation });
        stream::iter(std::iter::once(stamped).chain(told).map(Feed::Seen))
    });
    let catalog = stream::once(catalog).filter_map(|known| async move { known.ok().map(Feed::Catalog) });
    (collectors, stream::select(recorded, catalog))
}
