//! Recorded evidence to findings and outputs. Needs no privilege, and no kernel but one to run on.
//!
//! Each recording is of a namespace test, whose name it has; what must come of it lies beside it. To record tests anew:
//! `MTUPROBE_TEST_RECORDINGS=DIRECTORY cargo test --test netns NAME -- --test-threads=1`. To accept what comes now, after
//! a look at the difference: `UPDATE_GOLDEN=1 cargo test --test replay`.
mod findings;
mod golden;
mod outputs;
mod refusals;
mod replayed;
