//! The input and output around probe-core that make the binary `mtuprobe`.
//!
//! # Layout
//! - [`cli`]: the command line; [`config`]: what a command was asked to do.
//! - [`run`]: the observation: every input in one loop, results to the output.
//! - [`datapath`]: what the kernel sees, over aya and netlink.
//! - [`probing`]: packets of our own, to search a path MTU.
//! - [`attribution`]: whose interface it is.
//! - [`filters`]: packet filters that path MTU discovery depends on.
//! - [`http_client`]: to container engines, the API server and who is told of findings.
//! - [`service`]: what `serve` puts around an observation: metrics, HTTP, posts, log.
//! - [`output`]: JSON Lines and text; [`system`]: what the machine says of itself.
pub mod attribution;
pub mod cli;
pub mod config;
pub mod datapath;
pub mod filters;
pub mod http_client;
pub mod output;
pub mod probing;
pub mod run;
pub mod service;
pub mod system;
