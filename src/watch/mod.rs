//! Layer 2: what is watched on the host: listening sockets, logs, the kernel's log, load, workers of application servers.
//!
//! Each source is an async function that is given [`Sys`](crate::sys::Sys), an [`Outbox`](crate::sys::Outbox) and a
//! cancellation token. It tells what it sees as [`Observation`](crate::model::Observation)s, and ends when it is cancelled
//! or when nobody listens any more (`tell` gives `false`). It never fails upwards: what it can't see is a blind spot with
//! the smallest remedy, and is told as seen when it can be seen again.
//!
//! What must not be here: what an observation means for the outage (`diagnose/`), another collector's business (`probe/`,
//! `gateway/`), and any direct call of the operating system (`sys/`). Nothing here changes the host.
//!
//! To add a source: one file with `pub async fn run(...)`, its `mod` line here, and the line in `shell/` that spawns it. If
//! the first pass has to wait for it, it gets a variant of [`Stage`](crate::model::Stage) and tells `Done` after its first
//! look, even where that look saw nothing.

pub mod changes;
pub mod ends;
#[doc(hidden)]
pub mod foreign;
pub mod instances;
pub mod journal;
pub mod kernel;
pub mod life;
pub mod listeners;
pub mod load;
pub mod logs;
pub mod paste;
pub mod services;
pub mod sources;
pub mod upkeep;
pub mod workers;

mod again;
mod pace;
#[cfg(test)]
mod testing;
