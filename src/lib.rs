//! why502
pub mod gateway;
pub mod model;
pub mod probe;
pub mod sys;
pub mod watch;
