//! why502: the incident console for a bad gateway.
fn main() {}
