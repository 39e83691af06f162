//! Drives the real binary in a pseudo-terminal, and reads the screen that it draws.
use crate::probe::{PATIENCE, binary};
use crate::topology::Namespace;
use anyhow::{Context, Result, bail, ensure};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use vt100::Parser;

/// Lines that scrolled away and are kept.
const SCROLLBACK: usize = 200;

/// What the program has drawn so far.
struct Picture {
    parser: Parser,
    /// Everything that it wrote.
    raw: Vec<u8>,
    ended: bool,
}

/// The program in its terminal. It is killed when this is dropped.
pub struct Screen {
    child: Child,
    master: File,
    before: libc::termios,
    picture: Arc<(Mutex<Picture>, Condvar)>,
    reader: Option<JoinHandle<()>>,
}

/// What it left behind.
#[derive(Debug)]
pub struct Left {
    /// How it ended.
    pub status: ExitStatus,
    /// What the screen shows.
    pub text: String,
    /// Everything that it wrote.
    pub raw: Vec<u8>,
    /// Whether the terminal is as it was before: its settings, the screen, the cursor.
    pub is_restored: bool,
}

impl Left {
    /// Exit status; none if a signal ended it.
    pub fn exit_status(&self) -> Option<i32> {
        self.status.code()
    }

    /// The signal that ended it.
    pub fn signal(&self) -> Option<i32> {
        self.status.signal()
    }
}

impl Screen {
    /// Starts the binary in a namespace, in a terminal of 80 columns and 24 lines; files go to `directory`.
    pub fn start(
        namespace: &Namespace,
        arguments: &[&str],
        variables: &[(&str, &str)],
        directory: &Path,
    ) -> Result<Self> {
        let (master, terminal) = pseudo_terminal(24, 80)?;
        let before = settings(&master)?;
        let mut command = Command::new(binary()?);
        command.args(arguments).current_dir(directory).env("TERM", "xterm-256color").env_remove("NO_COLOR");
        command.envs(variables.iter().copied());
        command.stdin(terminal.try_clone()?).stdout(terminal.try_clone()?).stderr(terminal);
        // SAFETY: between fork and exec only setsid and ioctl are called, both plain system calls.
        unsafe {
            command.pre_exec(|| {
                let is_leader = libc::setsid() != -1;
                if is_leader && libc::ioctl(libc::STDIN_FILENO, libc::TIOCSCTTY, 0) == 0 {
                    Ok(())
                } else {
                    Err(std::io::Error::last_os_error())
                }
            });
        }
        let child = namespace.run(|| command.spawn())?.with_context(|| format!("starting {command:?}"))?;
        // Our own ends of the terminal's other side go with the command: the reader sees an end then.
        drop(command);
        let parser = Parser::new(24, 80, SCROLLBACK);
        let picture =
            Arc::new((Mutex::new(Picture { parser, raw: Vec::new(), ended: false }), Condvar::new()));
        let (source, sink) = (master.try_clone()?, Arc::clone(&picture));
        let reader = Some(thread::spawn(move || read(source, &sink)));
        Ok(Self { child, master, before, picture, reader })
    }

    /// Waits until the screen shows what is wanted.
    pub fn wait_until(&self, what: &str, wanted: impl Fn(&str) -> bool) -> Result<String> {
        let end = Instant::now() + PATIENCE;
        let (picture, more) = &*self.picture;
        let mut picture = picture.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let text = picture.parser.screen().contents();
            if wanted(&text) {
                return Ok(text);
            }
            let left = end.saturating_duration_since(Instant::now());
            if picture.ended || left.is_zero() {
                bail!("the screen does not show {what}:\n{text}");
            }
            picture = more.wait_timeout(picture, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits for a text on the screen.
    pub fn wait_for(&self, part: &str) -> Result<String> {
        self.wait_until(part, |text| text.contains(part))
    }

    /// Presses keys.
    pub fn press(&mut self, keys: &str) -> Result<()> {
        self.master.write_all(keys.as_bytes()).context("pressing keys")
    }

    /// Changes the size of the terminal.
    pub fn resize(&mut self, rows: u16, columns: u16) -> Result<()> {
        let (picture, _) = &*self.picture;
        picture.lock().unwrap_or_else(PoisonError::into_inner).parser.screen_mut().set_size(rows, columns);
        let size = window(rows, columns);
        // SAFETY: the descriptor is open and the structure is read only.
        let done = unsafe { libc::ioctl(self.master.as_raw_fd(), libc::TIOCSWINSZ, &size) };
        ensure!(done == 0, "changing the size of the terminal: {}", std::io::Error::last_os_error());
        Ok(())
    }

    /// Sends a signal.
    pub fn send(&self, signal: i32) -> Result<()> {
        let pid = libc::pid_t::try_from(self.child.id()).context("a process number")?;
        // SAFETY: kill takes two integers. The process is a child not yet waited for, so the number is still its.
        let sent = unsafe { libc::kill(pid, signal) };
        ensure!(sent == 0, "signal {signal}: {}", std::io::Error::last_os_error());
        Ok(())
    }

    /// Waits for its end, and looks at what it left.
    pub fn end(mut self) -> Result<Left> {
        let status = self.ended()?;
        let settings = settings(&self.master)?;
        let is_cooked = settings.c_lflag == self.before.c_lflag && settings.c_iflag == self.before.c_iflag;
        if let Some(reader) = self.reader.take() {
            ensure!(reader.join().is_ok(), "the reader of the screen panicked");
        }
        let mut picture = self.picture.0.lock().unwrap_or_else(PoisonError::into_inner);
        let screen = picture.parser.screen();
        let is_restored = is_cooked && !screen.alternate_screen() && !screen.hide_cursor();
        let text = picture.parser.screen().contents();
        Ok(Left { status, text, raw: std::mem::take(&mut picture.raw), is_restored })
    }

    fn ended(&mut self) -> Result<ExitStatus> {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if let Some(status) = self.child.try_wait().context("waiting for mtuprobe")? {
                return Ok(status);
            }
            thread::sleep(Duration::from_millis(10));
        }
        bail!("mtuprobe did not end within {PATIENCE:?}")
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // Both fail only when it has ended and was waited for already.
        let _ended = self.child.kill();
        let _waited = self.child.wait();
    }
}

fn read(mut source: File, sink: &(Mutex<Picture>, Condvar)) {
    let (picture, more) = sink;
    let mut bytes = [0; 4096];
    loop {
        // EIO is how the last end of the other side says that it is gone.
        let count = source.read(&mut bytes).unwrap_or(0);
        let mut picture = picture.lock().unwrap_or_else(PoisonError::into_inner);
        if count == 0 {
            picture.ended = true;
        } else if let Some(read) = bytes.get(..count) {
            picture.parser.process(read);
            picture.raw.extend_from_slice(read);
        }
        more.notify_all();
        if count == 0 {
            return;
        }
    }
}

fn window(rows: u16, columns: u16) -> libc::winsize {
    libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}

fn pseudo_terminal(rows: u16, columns: u16) -> Result<(File, OwnedFd)> {
    let (mut master, mut terminal) = (-1, -1);
    let size = window(rows, columns);
    // SAFETY: both descriptors are written to, the size is read, the others may be null.
    let opened =
        unsafe { libc::openpty(&mut master, &mut terminal, std::ptr::null_mut(), std::ptr::null(), &size) };
    ensure!(opened == 0, "opening a pseudo-terminal: {}", std::io::Error::last_os_error());
    for descriptor in [master, terminal] {
        // SAFETY: the descriptor was just opened.
        unsafe { libc::fcntl(descriptor, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
    // SAFETY: both were just opened and belong to nobody else.
    Ok(unsafe { (File::from_raw_fd(master), OwnedFd::from_raw_fd(terminal)) })
}

/// The settings of the terminal, which its master tells as well.
fn settings(master: &File) -> Result<libc::termios> {
    // SAFETY: termios is plain data for which zeros are valid; tcgetattr fills it.
    let mut settings: libc::termios = unsafe { std::mem::zeroed() };
    // SAFETY: the descriptor is open and the structure is written to.
    let told = unsafe { libc::tcgetattr(master.as_raw_fd(), &mut settings) };
    ensure!(told == 0, "asking for the terminal's settings: {}", std::io::Error::last_os_error());
    Ok(settings)
}
