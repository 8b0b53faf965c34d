//! Starts everything, breaks it as the fault says, and heals it.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use rustix::process::{Pid, Signal};
use thiserror::Error;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    net::TcpSocket,
    process::{Child, Command},
    task::JoinHandle,
};

use super::{
    APPLICATION, Fault, JANITOR,
    fault::{Behaviour, Remedy, Socket, Target, Twist},
    lifeline::Lifeline,
    place::Place,
    render::{Config, Upstream},
    traffic,
};

/// How long a child may take to say that it is ready.
const READY: Duration = Duration::from_secs(10);
/// How long a child may take to go after it was let go of: a worker goes on with what it has for 2 s.
const GONE: Duration = Duration::from_secs(4);
/// Ports that are tried for the gateway: between choosing and using one, another program may take it.
const PORTS: usize = 5;
/// Ports that are looked at for one that could be the application's old one.
const OLD_PORTS: usize = 64;

/// From the gateway's start to an edit that is to be seen as later: /proc tells starts to the second, and its reckoning from
/// the time of the boot may be another second off (proc(5), `btime`).
const LATER: Duration = Duration::from_millis(2100);

/// Why the demo did not start, or was not healed.
#[derive(Debug, Error)]
pub enum StageError {
    /// The operating system said no.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// A child did not become ready.
    #[error("the demo's {who} did not start: {why}")]
    Child {
        /// Which.
        who: &'static str,
        /// What it said.
        why: String,
    },
}

fn io_error(what: &'static str) -> impl FnOnce(io::Error) -> StageError {
    move |source| StageError::Io { what, source }
}

/// A demo that runs. Dropping it ends it; [`Stage::end`] waits for that.
#[derive(Debug)]
pub struct Stage {
    fault: &'static Fault,
    place: Place,
    lifeline: Option<Lifeline>,
    janitor: Child,
    master: Option<Child>,
    app: Option<Child>,
    /// Where the application listens, or would.
    upstream: Upstream,
    /// A port on which nothing listens, kept from others. `None`: not needed.
    old_port: Option<TcpSocket>,
    port: u16,
    traffic: Option<JoinHandle<()>>,
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(traffic) = &self.traffic {
            traffic.abort();
        }
    }
}

impl Stage {
    /// Starts a demo of this fault. Must be called on a runtime.
    pub async fn start(fault: &'static Fault) -> Result<Self, StageError> {
        let place = Place::create().map_err(io_error("no directory could be made for the demo"))?;
        let lifeline = Lifeline::new().map_err(io_error("pipe"))?;
        let program = std::env::current_exe().map_err(io_error("the path of this program"))?;
        let janitor = child(&program, &lifeline).and_then(|mut command| {
            command.arg0("why502: demo janitor").arg(JANITOR).arg(&place.dir).stdout(Stdio::null()).spawn()
        });
        let janitor = janitor.inspect_err(|_| place.remove()).map_err(io_error("the demo's own process"))?;
        let mut stage = Self {
            fault,
            upstream: Upstream::Port(0),
            place,
            lifeline: Some(lifeline),
            janitor,
            master: None,
            app: None,
            old_port: None,
            port: 0,
            traffic: None,
        };
        match stage.set_up().await {
            Ok(()) => Ok(stage),
            Err(error) => {
                stage.end().await;
                Err(error)
            }
        }
    }

    /// Where its gateway is asked.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    /// Its gateway's configuration.
    pub fn config(&self) -> PathBuf {
        self.place.instance().config
    }

    /// What is broken.
    pub fn fault(&self) -> &'static Fault {
        self.fault
    }

    /// Process id of the gateway's master.
    pub fn master_pid(&self) -> Option<u32> {
        self.master.as_ref().and_then(Child::id)
    }

    async fn set_up(&mut self) -> Result<(), StageError> {
        if let Some((socket, behaviour)) = self.fault.app {
            self.start_app(socket, behaviour).await?;
        } else {
            // The port that it would have, kept from others without listening on it.
            let (socket, port) = bound().map_err(io_error("a port for the application"))?;
            (self.old_port, self.upstream) = (Some(socket), Upstream::Port(port));
        }
        let first = match self.fault.target {
            Target::App => self.upstream.clone(),
            Target::OldPort => self.neighbour()?,
            Target::NoName => Upstream::NoName,
            Target::Tls => match self.upstream {
                Upstream::Port(port) => Upstream::TlsPort(port),
                Upstream::TlsPort(_) | Upstream::Socket(_) | Upstream::NoName => self.upstream.clone(),
            },
        };
        self.start_gateway(&first).await?;
        match self.fault.twist {
            Twist::None => {}
            Twist::EditOnly => {
                tokio::time::sleep(LATER).await;
                self.write(&self.upstream, false, false)?;
            }
            Twist::BreakConfig => {
                tokio::time::sleep(LATER).await;
                self.write(&first, false, true)?;
                self.reload()?;
            }
        }
        let gateway = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        self.traffic = Some(tokio::spawn(traffic::run(gateway)));
        Ok(())
    }

    /// Heals what is broken. More than once does no harm.
    pub async fn heal(&mut self) -> Result<(), StageError> {
        match self.fault.remedy {
            Remedy::App => {
                self.old_port = None;
                if let Some(mut app) = self.app.take() {
                    let _ = app.start_kill();
                    let _ = app.wait().await;
                }
                self.start_app(self.fault.app.map_or(Socket::Tcp, |(socket, _)| socket), Behaviour::Healthy).await
            }
            Remedy::Config => self.write(&self.upstream, false, false).and_then(|()| self.reload()),
            Remedy::Buffer => self.write(&self.upstream, true, false).and_then(|()| self.reload()),
            Remedy::Reload => self.reload(),
        }
    }

    /// Ends it, and comes back when its processes and files are gone.
    pub async fn end(mut self) {
        self.lifeline = None;
        if let Some(traffic) = self.traffic.take() {
            traffic.abort();
        }
        for mut child in [self.master.take(), self.app.take()].into_iter().flatten() {
            if tokio::time::timeout(GONE, child.wait()).await.is_err() {
                let _ = child.kill().await;
            }
        }
        if tokio::time::timeout(GONE, self.janitor.wait()).await.is_err() {
            let _ = self.janitor.kill().await;
        }
        self.place.remove();
    }

    /// Starts the application: on the port that it had before, if it had one.
    async fn start_app(&mut self, socket: Socket, behaviour: Behaviour) -> Result<(), StageError> {
        let address = match (socket, &self.upstream) {
            (Socket::Tcp, Upstream::Port(port)) => format!("127.0.0.1:{port}"),
            (Socket::Tcp, _) => "127.0.0.1:0".to_owned(),
            (Socket::Unix, _) => format!("unix:{}", self.place.socket().display()),
        };
        let mut command = self.child(&self.place.app_program())?;
        self.place.as_user(command.as_std_mut());
        command
            .arg0("shop-app: demo application")
            .args([APPLICATION, &address, behaviour.word(), &self.place.name()])
            .current_dir(self.place.app_dir());
        let (child, at) = ready("application", command).await?;
        self.app = Some(child);
        self.upstream = match at.parse::<SocketAddr>() {
            Ok(at) => Upstream::Port(at.port()),
            Err(_) => Upstream::Socket(self.place.socket().display().to_string()),
        };
        Ok(())
    }

    async fn start_gateway(&mut self, upstream: &Upstream) -> Result<(), StageError> {
        let instance = self.place.instance();
        let mut why = StageError::Child { who: "gateway", why: "no port".to_owned() };
        for _ in 0..PORTS {
            (_, self.port) = bound().map_err(io_error("a port for the gateway"))?;
            self.write(upstream, false, false)?;
            let mut command = self.child(&instance.program)?;
            command.arg0(instance.title()).current_dir(&instance.prefix);
            match ready("gateway", command).await {
                Ok((child, _)) => {
                    self.master = Some(child);
                    return Ok(());
                }
                Err(error) => why = error,
            }
        }
        Err(why)
    }

    /// Another port than the application's, that looks like one that it could have had: people move from 8000 to 8080, not to
    /// anywhere.
    fn neighbour(&mut self) -> Result<Upstream, StageError> {
        let like = |port: u16| match self.upstream {
            Upstream::Port(now) => port / 1000 == now / 1000,
            Upstream::TlsPort(_) | Upstream::Socket(_) | Upstream::NoName => true,
        };
        let mut kept = Vec::new();
        for _ in 0..OLD_PORTS {
            let (socket, port) = bound().map_err(io_error("a port for the application"))?;
            kept.push((socket, port));
            if like(port) {
                break;
            }
        }
        let (socket, port) = kept.pop().ok_or_else(|| io_error("a port")(io::ErrorKind::AddrInUse.into()))?;
        self.old_port = Some(socket);
        Ok(Upstream::Port(port))
    }

    fn write(&self, upstream: &Upstream, large_buffer: bool, broken: bool) -> Result<(), StageError> {
        let instance = self.place.instance();
        let user = self.place.user.as_ref().map(|user| user.name.as_str());
        let (port, upstream) = (self.port, upstream.clone());
        let name = self.place.name();
        let config = Config { instance: &instance, name: &name, fault: self.fault, user, port, upstream, large_buffer, broken };
        self.place.write_config(&config.render()).map_err(io_error("writing nginx.conf"))
    }

    fn reload(&self) -> Result<(), StageError> {
        let pid = self.master_pid().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        let pid = pid.ok_or(StageError::Child { who: "gateway", why: "it has ended".to_owned() })?;
        rustix::process::kill_process(pid, Signal::HUP).map_err(|error| io_error("kill -HUP")(error.into()))
    }

    fn child(&self, program: &Path) -> Result<Command, StageError> {
        let gone = || io_error("the demo")(io::ErrorKind::BrokenPipe.into());
        child(program, self.lifeline.as_ref().ok_or_else(gone)?).map_err(io_error("the demo's own process"))
    }
}

/// A child: it hangs on the lifeline, sees nothing of our environment, and gets no signals of our terminal.
fn child(program: &Path, lifeline: &Lifeline) -> io::Result<Command> {
    let mut command = Command::new(program);
    command.env_clear().stdin(lifeline.stdin()?).stderr(Stdio::null()).process_group(0).current_dir("/");
    Ok(command)
}

/// A child that has said `ready` and where.
async fn ready(who: &'static str, mut command: Command) -> Result<(Child, String), StageError> {
    let mut child = command.stdout(Stdio::piped()).spawn().map_err(io_error("the demo's own process"))?;
    let out = child.stdout.take().ok_or_else(|| io_error("pipe")(io::ErrorKind::BrokenPipe.into()))?;
    let mut line = String::new();
    let said = tokio::time::timeout(READY, BufReader::new(out).read_line(&mut line)).await;
    if let Some(at) = line.trim_end().strip_prefix("ready ") {
        return Ok((child, at.to_owned()));
    }
    let _ = child.kill().await;
    let why = line.trim_end().strip_prefix("failed ").unwrap_or(if said.is_err() { "it says nothing" } else { "it ended" });
    Err(StageError::Child { who, why: why.to_owned() })
}

/// A free port of 127.0.0.1, bound but not listened on: whoever connects is refused, and nobody else is given it.
fn bound() -> io::Result<(TcpSocket, u16)> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
    let port = socket.local_addr()?.port();
    Ok((socket, port))
}
