//! why502: the incident console for a bad gateway.

use std::process::ExitCode;

fn main() -> ExitCode {
    why502::shell::run()
}
