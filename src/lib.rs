//! # why502: the incident console for a bad gateway
//!
//! One stream of stamped messages runs one way, and everything is a fold over it:
//!
//! ```text
//! the host              collectors             pure, no I/O                                       out
//! sockets, DNS ──▶ probe/   ┐
//! logs, kernel ──▶ watch/   ├─ Observation ─▶ app::update(State, Msg) ─▶ diagnose ─▶ ui::draw(&State)    terminal
//! /proc, PSI   ──▶ watch/   │ (bounded             │        ▲           (causes,  └▶ report(&State)      text, JSON, Markdown
//! configs      ──▶ gateway/ ┘  channel)            ▼        │            steps)
//!                                               Effect ──▶ shell (the only place that does things)
//!                                record ◀── the same messages ──▶ replay
//! ```
//!
//! Layers; each may use only those below it (`tests/architecture.rs` holds them to it):
//!
//! | layer | module | what lives there |
//! |---|---|---|
//! | 6 | `main`, [`cli`], [`shell`] | run modes, runtime, terminal, signals, effects, recording |
//! | 5 | [`ui`], [`report`] | `&State` to cells, text, JSON, Markdown |
//! | 4 | [`app`] | State, Msg, Action, Effect, `update` |
//! | 3 | [`diagnose`] | facts to ranked causes; the checklist |
//! | 2 | [`probe`], [`watch`], [`gateway`] | collectors: they only emit observations, and don't know each other |
//! | 2 | [`demo`] | a small gateway to look at, broken on purpose |
//! | 1 | [`catalog`], [`sys`] | the embedded knowledge; the only door to the host |
//! | 0 | [`model`] | plain data |
//!
//! # Where to add what
//!
//! | a new | is | that is all, because |
//! |---|---|---|
//! | log signature | a block in `assets/signatures/*.toml`, its samples inside | `tests/catalog.rs` runs its samples against all others |
//! | cause | a block in `assets/causes/*.toml` | its facts must have producers; its id must be one of the contract |
//! | step of the checklist | a block in `assets/playbook/*.toml` | as above |
//! | fact from several sources | a function in a file of `src/diagnose/facts/`, its name in that file's list | the world is closed by a test |
//! | probe | a file in `src/probe/` and its line in `probe::ALL` | tests walk the list |
//! | source | a file in `src/watch/` and its line in `shell/collect.rs` | |
//! | fault of the demo | an entry in `demo::FAULTS` | `tests/demo.rs` walks the table |
//! | gateway | a folder in `src/gateway/` and its line in `gateway::ALL` | tests walk the list |
//! | pane | a file in `src/ui/pane/` and its line in `pane::ALL` | snapshots walk the list |
//! | key | a row in `ui/keymap.rs`, or below it in the file of its pane | help, footer and README come from it |
//! | right | a variant of `sys::rights::Request` and its arm | |
//! | parser of foreign bytes | a line in `shell::foreign::ALL`, a sample in `tests/fuzz/corpus/` | `tests/fuzz.rs` runs it, `tests/fuzz/run` feeds it |
//! | lab scenario | a block in `tests/lab/scenarios/*.toml` | |

pub mod app;
pub mod catalog;
pub mod cli;
pub mod demo;
pub mod diagnose;
pub mod gateway;
pub mod model;
pub mod probe;
pub mod report;
pub mod shell;
pub mod sys;
pub mod ui;
pub mod watch;
