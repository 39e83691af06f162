//! Causes told to others: as Kubernetes Events and to a webhook. One item a cause with all its pods, not one a pod.
//!
//! `book` decides what is worth telling, `courier` carries it: each receiver has a queue of its own and is asked again with
//! growing pauses; what does not fit, or is refused, is counted and written down.
mod book;
mod courier;
mod receiver;

pub use book::{Book, NotedCause, Notice, Turn};
pub use courier::{Counts, Courier, Mail};
pub use receiver::{Receiver, kubernetes, webhook};
