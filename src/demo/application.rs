//! The application behind the demo's gateway: a small HTTP server that behaves as it is told.

use std::{io, io::Write as _, net::SocketAddr, path::Path, process::ExitCode, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpSocket, UnixSocket, UnixStream},
    task::JoinSet,
};

use super::{fault::Behaviour, lifeline};

/// Connections that wait to be taken, by default: what most application servers ask for.
const BACKLOG: u32 = 511;
/// Connections that wait to be taken where the queue is to be full: a few requests fill it.
const SHORT_BACKLOG: u32 = 2;
/// Bytes of a request at most.
const REQUEST_BYTES: usize = 16 << 10;
/// How long a request may take to come.
const PATIENCE: Duration = Duration::from_secs(5);
/// Connections that are served at once.
const CONNECTIONS: usize = 256;
/// Bytes of the header that is too big: more than nginx's default buffer of one page (4 kB), less than a common remedy.
const BIG_HEADER: usize = 6 << 10;

/// Serves until the starter has gone.
pub(super) fn serve(words: &[String]) -> ExitCode {
    let [address, behaviour, name] = words else { return ExitCode::FAILURE };
    let Some(behaviour) = Behaviour::of(behaviour) else { return ExitCode::FAILURE };
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return ExitCode::FAILURE };
    let end = lifeline::end_of(io::stdin());
    let served = runtime.block_on(async {
        tokio::select! {
            _ = end => Ok(()),
            served = listen(address, behaviour, name) => served,
        }
    });
    runtime.shutdown_background();
    if served.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn listen(address: &str, behaviour: Behaviour, name: &str) -> io::Result<()> {
    let backlog = if behaviour == Behaviour::Full { SHORT_BACKLOG } else { BACKLOG };
    if let Some(path) = address.strip_prefix("unix:") {
        let path = Path::new(path);
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let socket = UnixSocket::new_stream()?;
        socket.bind(path)?;
        let listener = socket.listen(backlog)?;
        // Connecting takes the right to write (unix(7)), of the owner too unless he is root.
        let mode = if behaviour == Behaviour::Shut { 0o400 } else { 0o666 };
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode))?;
        if behaviour == Behaviour::Full {
            let _kept = fill(path).await;
            ready(address)?;
            return std::future::pending().await;
        }
        ready(address)?;
        let mut running = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await?;
            admit(&mut running, answer(stream, behaviour, name.to_owned())).await;
        }
    }
    let at: SocketAddr = address.parse().map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    let socket = if at.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(at)?;
    let listener = socket.listen(backlog)?;
    ready(&listener.local_addr()?.to_string())?;
    let mut running = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await?;
        admit(&mut running, answer(stream, behaviour, name.to_owned())).await;
    }
}

/// Fills its own listen queue, as a burst of requests would: connections until there is no room (unix(7): EAGAIN).
async fn fill(path: &Path) -> Vec<UnixStream> {
    let mut kept = Vec::new();
    while kept.len() <= CONNECTIONS {
        match UnixStream::connect(path).await {
            Ok(stream) => kept.push(stream),
            Err(_) => break,
        }
    }
    kept
}

async fn admit(running: &mut JoinSet<()>, connection: impl Future<Output = ()> + 'static + Send) {
    if running.len() >= CONNECTIONS {
        running.join_next().await;
    }
    while running.try_join_next().is_some() {}
    running.spawn(connection);
}

/// Tells the starter where it listens.
fn ready(address: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "ready {address}")?;
    out.flush()
}

async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, behaviour: Behaviour, name: String) {
    let Ok(Some(Asked { path, host })) = tokio::time::timeout(PATIENCE, request(&mut stream)).await else {
        // What a server of node or python says to a ClientHello, too.
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n").await;
        return;
    };
    // A site by name, as on any server with several: the gateway of another demo on this host must not take this
    // application for its own. By address everything is there, for whoever tries it by hand.
    let bare = host.rsplit_once(':').map_or(host.as_str(), |(host, _)| host);
    let ours = bare.is_empty() || bare == name || bare == "localhost" || bare.parse::<std::net::IpAddr>().is_ok();
    if !ours && behaviour == Behaviour::Healthy {
        let _ = stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
        return;
    }
    let body = format!("<!doctype html>\n<title>Shop</title>\n<h1>Shop</h1>\n<p>This is {}\n", super::page::escaped(&path));
    let head = |more: &str| {
        let length = body.len();
        format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {length}\r\n{more}Connection: close\r\n\r\n"
        )
    };
    let text = match behaviour {
        Behaviour::Healthy | Behaviour::Shut => head("") + &body,
        Behaviour::Crashing => "HTTP/1.1 200 OK\r\nContent-Ty".to_owned(),
        Behaviour::BigHeader => head(&format!("Set-Cookie: cart={}\r\n", "0".repeat(BIG_HEADER))) + &body,
        Behaviour::Garbage => head("Total 42 items\r\n") + &body,
        Behaviour::Hanging | Behaviour::Full => {
            // Until the gateway gives up.
            let _ = stream.read(&mut [0; 1]).await;
            return;
        }
    };
    if stream.write_all(text.as_bytes()).await.is_ok() {
        let _ = stream.shutdown().await;
    }
}

/// What is asked for.
struct Asked {
    path: String,
    host: String,
}

/// A request that came whole. `None`: it is no HTTP, or too large.
async fn request(stream: &mut (impl AsyncRead + Unpin)) -> Option<Asked> {
    let mut bytes = Vec::new();
    loop {
        let mut part = [0; 2048];
        let count = stream.read(&mut part).await.ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(part.get(..count)?);
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut request = httparse::Request::new(&mut headers);
        match request.parse(&bytes) {
            Ok(httparse::Status::Complete(_)) => {
                let host = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case("host"));
                let host = host.map_or_else(String::new, |header| String::from_utf8_lossy(header.value).into_owned());
                return request.path.map(|path| Asked { path: path.to_owned(), host });
            }
            Ok(httparse::Status::Partial) if bytes.len() < REQUEST_BYTES => {}
            Ok(httparse::Status::Partial) | Err(_) => return None,
        }
    }
}
