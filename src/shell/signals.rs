//! Signals become input like any other.

use futures_util::{Stream, StreamExt as _, stream};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Input;

/// What the signals of a terminal program ask for, as they come. TERM, INT, QUIT and HUP end it: it goes when SSH goes.
pub fn stream() -> std::io::Result<impl Stream<Item = Input>> {
    let each = |kind, input: fn() -> Input| -> std::io::Result<_> {
        Ok(stream::unfold(signal(kind)?, move |mut signal: Signal| async move { signal.recv().await.map(|()| (input(), signal)) })
            .boxed())
    };
    Ok(stream::select_all([
        each(SignalKind::terminate(), || Input::End)?,
        each(SignalKind::interrupt(), || Input::Interrupt)?,
        each(SignalKind::quit(), || Input::Interrupt)?,
        each(SignalKind::hangup(), || Input::End)?,
        // Not by crossterm's events: its reader is asked only when there are keys.
        each(SignalKind::window_change(), || Input::Resize)?,
        // SIGTSTP from elsewhere; Ctrl-Z itself comes as a key in raw mode.
        each(SignalKind::from_raw(nix::sys::signal::Signal::SIGTSTP as i32), || Input::Stop)?,
        each(SignalKind::from_raw(nix::sys::signal::Signal::SIGCONT as i32), || Input::Resume)?,
    ]))
}

/// Stops this process, as Ctrl-Z does to others. Comes back when it is continued.
pub fn stop_self() {
    // The whole group, so that the shell sees its job stopped even when something was started beside us.
    let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(0), nix::sys::signal::Signal::SIGSTOP);
    crate::sys::broker_goes_on();
}
