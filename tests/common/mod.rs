//! What several tests build on.

pub mod hostile;
pub mod incident;
