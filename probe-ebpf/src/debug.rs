//! Lines for whoever develops the kernel side, on the user side's standard error. Without the feature `debug-log` there
//! is nothing of them in the programs.

/// Logs a line; arguments are numbers.
#[cfg(feature = "debug-log")]
macro_rules! line {
    ($($argument:tt)*) => { aya_log_ebpf::debug!(&(), $($argument)*) };
}

/// Nothing, not even the arguments.
#[cfg(not(feature = "debug-log"))]
macro_rules! line {
    ($($argument:tt)*) => {};
}

pub(crate) use line;
