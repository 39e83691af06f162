//! The observation on a screen.
use super::companion::Companion;
use super::observation::{Observation, Progress};
use crate::datapath::interfaces::CountedWay;
use crate::output::complaint;
use crate::output::terminal::device::Device;
use crate::output::terminal::palette::Palette;
use crate::output::terminal::reading::{ObservedInterface, Passed, Reading};
use crate::output::terminal::{Command, Session};
use crate::output::text::Text;
use crate::output::wall_clock::WallClock;
use crate::output::{Hook, Message, Writer};
use anyhow::Context as _;
use probe_core::model::{SECOND, Time};
use ratatui::crossterm::event::Event;
use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::rc::Rc;

/// Counters are read so often.
const READING: Time = SECOND;
/// The screen is drawn again so often, and at once after a key.
const FRAME: Time = SECOND / 2;

/// A screen that follows an observation.
pub(super) struct Live {
    session: Rc<RefCell<Session>>,
    clock: WallClock,
    /// Taken with the first look: until then the shell's screen shows what goes wrong.
    device: Option<Device>,
    next_reading: Time,
    next_frame: Time,
}

/// Hears for the session what is told, and says the last word when the screen is gone.
struct Hearer {
    session: Rc<RefCell<Session>>,
    text: Text<io::Stdout>,
}

impl Writer for Hearer {
    fn write(&mut self, message: &Message) -> io::Result<()> {
        self.session.borrow_mut().hear(message);
        self.text.write(message)
    }
}

impl Live {
    pub fn new() -> Self {
        let clock = WallClock::now();
        let session = Rc::new(RefCell::new(Session::new(clock, Palette::from_environment())));
        Self { session, clock, device: None, next_reading: 0, next_frame: 0 }
    }

    /// Does what keys ask for; true if there were any.
    fn handle_keys(&mut self) -> anyhow::Result<(bool, Progress)> {
        let Some(device) = &mut self.device else { return Ok((false, Progress::GoOn)) };
        let mut any = false;
        while let Some(event) = device.next_event().context("read keys")? {
            any = true;
            let Event::Key(key) = event else { continue };
            let mut session = self.session.borrow_mut();
            match session.press(key) {
                None => {}
                Some(Command::Quit) => return Ok((true, Progress::NobodyListens)),
                Some(Command::Suspend) => device.suspend().context("take the terminal again")?,
                Some(Command::Redraw) => device.clear().context("clear the screen")?,
                Some(Command::Export(export)) => session.notify(match export.write() {
                    Ok(()) => format!("exported to {}", export.name),
                    Err(error) => format!("export to {}: {error}", export.name),
                }),
            }
        }
        Ok((any, Progress::GoOn))
    }
}

impl Companion for Live {
    fn writer(&self) -> Option<Box<dyn Writer>> {
        let text = Text::of_the_end(io::stdout(), self.clock);
        Some(Box::new(Hearer { session: Rc::clone(&self.session), text }))
    }

    fn look(&mut self, now: Time, observation: &mut Observation) -> anyhow::Result<Progress> {
        if self.device.is_none() {
            self.device = Some(Device::take().context("take the terminal")?);
        }
        let (pressed, progress) = self.handle_keys()?;
        if progress != Progress::GoOn {
            return Ok(progress);
        }
        if self.next_reading <= now && observation.has_begun() {
            self.next_reading = now + READING;
            let reading = read(now, observation)?;
            let mut session = self.session.borrow_mut();
            session.read(reading);
            session.complain(complaint::held());
        }
        if pressed || self.next_frame <= now {
            self.next_frame = now + FRAME;
            if let Some(device) = &mut self.device {
                let mut session = self.session.borrow_mut();
                device.draw(|frame| session.draw(frame, now)).context("draw the screen")?;
            }
        }
        Ok(Progress::GoOn)
    }

    fn look_last(&mut self, _now: Time, _observation: &mut Observation) -> anyhow::Result<()> {
        // Before the summary, which is for the shell's screen.
        self.device = None;
        Ok(())
    }
}

fn read(now: Time, observation: &Observation) -> anyhow::Result<Reading> {
    let hooks: HashMap<String, Hook> = observation
        .attached_interfaces()
        .into_iter()
        .map(|attached| (attached.interface, attached.hook))
        .collect();
    let topology = observation.topology();
    let mut interfaces = Vec::new();
    for counted in observation.counted()? {
        let Some(interface) = topology.interface(counted.ifindex) else { continue };
        let passed =
            |way: &CountedWay| Passed { packets: way.packets, bytes: way.bytes, oversize: way.oversize };
        interfaces.push(ObservedInterface {
            hook: hooks.get(&interface.name).copied(),
            pod: topology.pod_behind(counted.ifindex).cloned(),
            ingress: passed(&counted.ingress),
            egress: passed(&counted.egress),
            interface: interface.clone(),
        });
    }
    Ok(Reading {
        time: now,
        interfaces,
        histograms: observation.size_histograms()?,
        findings: observation.diagnoser().open_findings(now),
    })
}
