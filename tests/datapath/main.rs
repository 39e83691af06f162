//! The kernel side in the kernel.
use probe_user::datapath::load::{Datapath, Settings};

#[test]
fn loads() {
    let mut datapath = Datapath::load(&Settings { our_netns: 1, slots: 64, ..Settings::default() })
        .unwrap_or_else(|e| panic!("{e}"));
    println!("{:?}", datapath.attach_tracepoints());
}
