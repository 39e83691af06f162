//! The node service: what `serve` puts around an observation.
//!
//! # Layout
//! - [`ledger`]: counters that outlive pods; [`metrics`]: the page that Prometheus reads; [`board`]: what the observation
//!   hangs out for those who ask.
//! - [`network`]: the thread that talks to others, with [`http`]: who asks.
//! - [`post`]: causes told to others, unasked.
//! - [`confinement`]: rights that are given up.
//! - [`log`]: how it is written down, [`diary`]: what; [`manager`]: what systemd hears.
pub mod board;
pub mod confinement;
pub mod diary;
pub mod http;
pub mod ledger;
pub mod log;
pub mod manager;
pub mod metrics;
pub mod network;
pub mod post;
