//! why502
pub mod app;
pub mod catalog;
pub mod diagnose;
pub mod gateway;
pub mod model;
pub mod probe;
pub mod report;
pub mod sys;
pub mod ui;
pub mod watch;
