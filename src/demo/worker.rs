//! The gateway's worker: takes connections and serves them until its master lets go of it.
//!
//! It is given everything by descriptors: the listening socket as standard input, its configuration as standard output
//! (a pipe that the master writes one line of JSON into, and whose end is the worker's end). So it serves what was loaded,
//! whatever is on disk by now, as nginx's forked workers do.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, Read as _},
    os::fd::AsFd as _,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use tokio::{net::TcpListener, task::JoinSet};

use super::{lifeline, proxy::Proxy};
use crate::model::Gateway;

/// Bytes of a configuration at most.
const CONFIG_BYTES: u64 = 1 << 20;
/// Connections at once (`worker_connections 512`).
const CONNECTIONS: usize = 512;
/// How long a worker that was let go of may go on with what it has. nginx waits without end; a demo has to end.
const DRAIN: Duration = Duration::from_secs(2);
/// The pause after an accept that failed: a lack of descriptors lasts.
const BREATH: Duration = Duration::from_millis(100);

/// Serves.
pub(super) fn serve() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn run() -> io::Result<()> {
    let listener = std::net::TcpListener::from(io::stdin().as_fd().try_clone_to_owned()?);
    listener.set_nonblocking(true)?;
    let mut control = BufReader::new(File::from(io::stdout().as_fd().try_clone_to_owned()?));
    let mut line = String::new();
    control.by_ref().take(CONFIG_BYTES).read_line(&mut line)?;
    let gateway: Gateway = serde_json::from_slice(line.as_bytes())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let end = lifeline::end_of(control);
    let served = runtime.block_on(async {
        let listener = TcpListener::from_std(listener)?;
        let proxy = Arc::new(Proxy::new(gateway));
        let mut running = JoinSet::new();
        let mut number = 0;
        let accepting = async {
            loop {
                match listener.accept().await {
                    Ok((stream, from)) => {
                        number += 1;
                        if running.len() >= CONNECTIONS {
                            running.join_next().await;
                        }
                        while running.try_join_next().is_some() {}
                        running.spawn(Arc::clone(&proxy).serve(stream, from, number));
                    }
                    Err(_) => tokio::time::sleep(BREATH).await,
                }
            }
        };
        tokio::select! {
            _ = end => {}
            () = accepting => {}
        }
        drop(listener);
        let rest = async { while running.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(DRAIN, rest).await;
        Ok(())
    });
    runtime.shutdown_background();
    served
}
