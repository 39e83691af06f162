//! The terminal, taken for a while. It is given back at the end, on an error, by a panic and by a signal that kills.
use crate::output::complaint;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::event::{self, Event};
use ratatui::crossterm::{execute, terminal};
use ratatui::layout::Rect;
use ratatui::{Frame, Terminal};
use std::io::{self, IsTerminal, Stdout};
use std::panic;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Once, OnceLock};
use std::thread;
use std::time::Duration;

/// Shows the cursor, resets colours, leaves the alternate screen.
const LEAVE: &[u8] = b"\x1b[?25h\x1b[0m\x1b[?1049l";

/// Signals that end a process at once, for its own fault or by somebody's wish.
const DEADLY: [libc::c_int; 6] =
    [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGABRT, libc::SIGQUIT];

/// How the terminal was before.
static BEFORE: OnceLock<libc::termios> = OnceLock::new();
/// Whether it is ours at the moment.
static TAKEN: AtomicBool = AtomicBool::new(false);
static GUARDS: Once = Once::new();

/// The terminal with our screen on it.
pub struct Device {
    terminal: Terminal<CrosstermBackend<Stdout>>,
}

/// Whether a screen can be shown and keys can be read: a terminal at both ends that knows more than lines, and we are in
/// its foreground (what is in the background would be stopped).
pub fn is_possible() -> bool {
    let is_dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    is_terminal() && !is_dumb && is_in_foreground()
}

/// Whether both ends are a terminal.
pub fn is_terminal() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

fn is_in_foreground() -> bool {
    // SAFETY: both only ask the kernel.
    unsafe { libc::tcgetpgrp(libc::STDIN_FILENO) == libc::getpgrp() }
}

impl Device {
    /// Takes the terminal.
    ///
    /// # Errors
    /// It refuses.
    pub fn take() -> io::Result<Self> {
        remember();
        GUARDS.call_once(|| {
            guard_against_panics();
            guard_against_signals();
        });
        let mut device = Self { terminal: Terminal::new(CrosstermBackend::new(io::stdout()))? };
        device.enter()?;
        Ok(device)
    }

    /// Shows our screen again.
    ///
    /// # Errors
    /// The terminal refuses.
    pub fn enter(&mut self) -> io::Result<()> {
        // Before anything is changed: whatever happens from here on gives it back.
        TAKEN.store(true, Ordering::SeqCst);
        complaint::hold();
        terminal::enable_raw_mode()?;
        execute!(io::stdout(), terminal::EnterAlternateScreen)?;
        self.terminal.hide_cursor()?;
        self.clear()
    }

    /// Gives the terminal back; again is nothing.
    pub fn leave(&self) {
        if TAKEN.swap(false, Ordering::SeqCst) {
            // Whoever cannot be written to any more needs nothing back.
            let _ = terminal::disable_raw_mode();
            restore();
        }
        complaint::release();
    }

    /// Back to the shell, as Ctrl-Z does, until it continues us.
    ///
    /// # Errors
    /// The terminal refuses.
    pub fn suspend(&mut self) -> io::Result<()> {
        self.leave();
        // SAFETY: a signal to our own process group, which is what the terminal sends for Ctrl-Z.
        unsafe { libc::kill(0, libc::SIGTSTP) };
        self.enter()
    }

    /// Draws what differs from before.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn draw(&mut self, render: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        self.terminal.draw(render).map(|_| ())
    }

    /// Draws everything the next time.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn clear(&mut self) -> io::Result<()> {
        // `Terminal::clear` asks where the cursor is, which a slow or simple terminal does not answer.
        let size = self.terminal.size()?;
        self.terminal.resize(Rect::new(0, 0, size.width, size.height))
    }

    /// The next key or change of size, if there is one; it does not wait.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn next_event(&self) -> io::Result<Option<Event>> {
        Ok(if event::poll(Duration::ZERO)? { Some(event::read()?) } else { None })
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        self.leave();
    }
}

fn remember() {
    if BEFORE.get().is_some() {
        return;
    }
    // SAFETY: termios is plain data for which zeros are valid; tcgetattr fills it.
    let before = unsafe {
        let mut before: libc::termios = std::mem::zeroed();
        (libc::tcgetattr(libc::STDIN_FILENO, &mut before) == 0).then_some(before)
    };
    if let Some(before) = before {
        // Who came first was no other than us.
        let _ = BEFORE.set(before);
    }
}

/// Only calls that a signal handler may make.
fn restore() {
    // SAFETY: tcsetattr and write are async-signal-safe; the arguments live for ever.
    unsafe {
        libc::write(libc::STDOUT_FILENO, LEAVE.as_ptr().cast(), LEAVE.len());
        if let Some(before) = BEFORE.get() {
            libc::tcsetattr(libc::STDIN_FILENO, libc::TCSANOW, before);
        }
    }
}

/// The message of a panic must not vanish with our screen.
fn guard_against_panics() {
    let owner = thread::current().id();
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if thread::current().id() == owner {
            if TAKEN.swap(false, Ordering::SeqCst) {
                restore();
            }
            before(info);
        } else {
            complaint::complain(info);
        }
    }));
}

extern "C" fn give_back_and_die(signal: libc::c_int) {
    if TAKEN.swap(false, Ordering::SeqCst) {
        restore();
    }
    // SAFETY: async-signal-safe; the handler is gone by now (SA_RESETHAND), so this ends the process as it should.
    unsafe { libc::raise(signal) };
}

fn guard_against_signals() {
    for signal in DEADLY {
        // SAFETY: the handler makes async-signal-safe calls only; the structure is zeroed and then filled.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = give_back_and_die as extern "C" fn(libc::c_int) as libc::sighandler_t;
            action.sa_flags = libc::SA_RESETHAND | libc::SA_ONSTACK;
            libc::sigaction(signal, &action, std::ptr::null_mut());
        }
    }
}
