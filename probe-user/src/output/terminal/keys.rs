//! What keys mean.
use super::export::Export;
use super::view::{Filter, Mode, Pane};
use super::{Command, Session};
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// Rows or lines that a page key moves by.
const PAGE: isize = 10;

pub(super) fn press(session: &mut Session, key: KeyEvent) -> Option<Command> {
    if key.kind == KeyEventKind::Release {
        return None;
    }
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return control(key.code);
    }
    match session.view.mode {
        Mode::Help => {
            session.view.mode = Mode::Look;
            (key.code == KeyCode::Char('q')).then_some(Command::Quit)
        }
        Mode::Type => {
            type_filter(session, key.code);
            None
        }
        Mode::Look => look(session, key.code),
    }
}

/// In raw mode these come as keys and not as signals.
#[expect(clippy::wildcard_enum_match_arm, reason = "most keys of a keyboard mean nothing here")]
fn control(code: KeyCode) -> Option<Command> {
    match code {
        KeyCode::Char('c') => Some(Command::Quit),
        KeyCode::Char('z') => Some(Command::Suspend),
        KeyCode::Char('l') => Some(Command::Redraw),
        _ => None,
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "most keys of a keyboard mean nothing here")]
fn type_filter(session: &mut Session, code: KeyCode) {
    let view = &mut session.view;
    match code {
        KeyCode::Enter => view.mode = Mode::Look,
        KeyCode::Esc => {
            view.filter = Filter::default();
            view.mode = Mode::Look;
        }
        KeyCode::Backspace => {
            view.filter.text.pop();
        }
        KeyCode::Char(letter) => view.filter.text.push(letter),
        _ => {}
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "most keys of a keyboard mean nothing here")]
fn look(session: &mut Session, code: KeyCode) -> Option<Command> {
    match code {
        KeyCode::Char('q') => return Some(Command::Quit),
        KeyCode::Char('?') | KeyCode::F(1) => session.view.mode = Mode::Help,
        KeyCode::Char('/') => session.view.mode = Mode::Type,
        KeyCode::Char('s') => session.view.sort_by_next(),
        KeyCode::Char('p' | ' ') => session.pause(),
        KeyCode::Char('e') => return export(session),
        KeyCode::Char('h') => show_sizes(session),
        KeyCode::Char(digit @ '1'..='5') => {
            let index = digit as usize - '1' as usize;
            session.view.show(Pane::ALL.get(index).copied().unwrap_or(Pane::Findings));
        }
        KeyCode::Tab | KeyCode::Right => session.view.step(true),
        KeyCode::BackTab | KeyCode::Left => session.view.step(false),
        KeyCode::Enter => session.view.zoomed = !session.view.zoomed,
        KeyCode::Esc if session.view.zoomed => session.view.zoomed = false,
        KeyCode::Esc => session.view.filter = Filter::default(),
        KeyCode::Down | KeyCode::Char('j') => select(session, 1),
        KeyCode::Up | KeyCode::Char('k') => select(session, -1),
        KeyCode::Home | KeyCode::Char('g') => select(session, isize::MIN),
        KeyCode::End | KeyCode::Char('G') => select(session, isize::MAX),
        KeyCode::PageDown | KeyCode::Char('f') => page(session, true),
        KeyCode::PageUp | KeyCode::Char('b') => page(session, false),
        _ => {}
    }
    None
}

fn select(session: &mut Session, by: isize) {
    let keys: Vec<String> = session.sheet().rows.into_iter().map(|row| row.key).collect();
    session.view.select(&keys, by);
}

/// The details of findings are longer than what shows; the other panes have more rows than details.
fn page(session: &mut Session, forward: bool) {
    if session.view.zoomed || session.view.pane == Pane::Findings {
        session.view.scroll(if forward { 5 } else { -5 });
    } else {
        select(session, if forward { PAGE } else { -PAGE });
    }
}

/// The packet sizes of the pod that the selected row is about.
fn show_sizes(session: &mut Session) {
    let interface = super::export::pod_of(session).and_then(|pod| pod.host_interface);
    session.view.show(Pane::Sizes);
    match interface {
        Some(interface) => session.view.choice_mut().selected = Some(interface),
        None => session.notify("the selected row is no pod's".to_owned()),
    }
}

fn export(session: &mut Session) -> Option<Command> {
    let export = Export::of(session);
    if export.is_none() {
        session.notify("nothing is selected".to_owned());
    }
    export.map(Command::Export)
}
