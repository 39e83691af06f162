//! A thread in another network namespace: the pod, or somebody who has nothing to do with us.
use mtuprobe_tests::bench::network::{ip, netns_inode};
use std::{
    net::UdpSocket,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
    sync::mpsc::{self, Sender},
    thread,
};

type Job = Box<dyn FnOnce() + Send>;

/// A network namespace that lives as long as the value.
pub struct Elsewhere {
    /// The thread's number: `ip link set … netns` takes it.
    pub thread: i32,
    /// Inode of the namespace.
    pub netns: u32,
    jobs: Sender<Job>,
}

impl Elsewhere {
    /// A new namespace with nothing in it.
    pub fn new() -> Self {
        let (jobs, todo) = mpsc::channel::<Job>();
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            // SAFETY: no memory is involved.
            assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNET) }, 0, "a network namespace needs root");
            ip("link set lo up").unwrap();
            // SAFETY: as above.
            tell.send((unsafe { libc::gettid() }, netns_inode().unwrap())).unwrap();
            todo.into_iter().for_each(|job| job());
        });
        let (thread, netns) = told.recv().unwrap();
        Self { thread, netns, jobs }
    }

    /// Does something there.
    pub fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        let (tell, told) = mpsc::channel();
        self.jobs.send(Box::new(move || tell.send(job()).unwrap())).unwrap();
        told.recv().unwrap()
    }

    /// Runs `ip` there.
    pub fn ip(&self, arguments: &'static str) {
        self.run(move || ip(arguments).unwrap());
    }
}

/// Sends a datagram that must not be fragmented, from the calling thread's namespace; whether the kernel takes it does
/// not matter.
pub fn send_whole(destination: &str, payload: usize) {
    let ipv6 = destination.starts_with('[');
    let socket = UdpSocket::bind(if ipv6 { "[::]:0" } else { "0.0.0.0:0" }).unwrap();
    let (level, option) = if ipv6 {
        (libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER)
    } else {
        (libc::IPPROTO_IP, libc::IP_MTU_DISCOVER)
    };
    // The same number in both families: DF, and what was learned does not matter (`IP_PMTUDISC_PROBE`).
    let probe: i32 = libc::IP_PMTUDISC_PROBE;
    // SAFETY: the value is as large as told.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            (&raw const probe).cast(),
            size_of_val(&probe) as libc::socklen_t,
        )
    };
    assert_eq!(result, 0);
    let _ = socket.send_to(&vec![0x2a; payload], destination);
}

/// Begins a TCP connection and does not wait for it.
pub fn connect_without_waiting(address: [u8; 4], port: u16) -> OwnedFd {
    // SAFETY: no memory is involved.
    let socket = unsafe { libc::socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_NONBLOCK, 0) };
    assert!(socket >= 0);
    // SAFETY: a descriptor just made, nobody else's.
    let socket = unsafe { OwnedFd::from_raw_fd(socket) };
    let destination = libc::sockaddr_in {
        sin_family: libc::AF_INET as u16,
        sin_port: port.to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(address) },
        sin_zero: [0; 8],
    };
    // SAFETY: the address is as large as told.
    let result = unsafe {
        libc::connect(
            socket.as_raw_fd(),
            (&raw const destination).cast(),
            size_of_val(&destination) as libc::socklen_t,
        )
    };
    assert_eq!((result, std::io::Error::last_os_error().raw_os_error()), (-1, Some(libc::EINPROGRESS)));
    socket
}

/// Leaves the calling thread the capabilities of the product's container: CAP_NET_ADMIN, CAP_PERFMON and CAP_BPF.
pub fn keep_three_capabilities() {
    /// `_LINUX_CAPABILITY_VERSION_3`.
    const VERSION: u32 = 0x2008_0522;
    let header = [VERSION, 0];
    let (low, high) = (1_u32 << 12, 1_u32 << (38 - 32) | 1 << (39 - 32));
    // Effective, permitted, inheritable; twice.
    let sets = [low, low, 0, high, high, 0];
    // SAFETY: both are as large as this version has them.
    let result = unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), sets.as_ptr()) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}
