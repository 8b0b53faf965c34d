//! why502: the incident console for a bad gateway.

use std::process::ExitCode;

// One heap for all threads, which gives what is free to whoever asks next. glibc has one for each thread: what a configuration of
// 20,000 sites took on the thread that read it would stay there, unused, beside what the diagnosis takes on another.
#[global_allocator]
static HEAP: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

fn main() -> ExitCode {
    why502::shell::run()
}
