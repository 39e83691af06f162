//! What a packet pays for being observed: the real programs on frames by name, beside an empty program.
pub mod case;
pub mod drops;
pub mod measure;
pub mod network;
pub mod storm;
