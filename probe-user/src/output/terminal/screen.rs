//! Everything on the screen: what is seen and what is not, what changed, then the pane.
use super::help;
use super::panes::{Scene, sizes};
use super::sheet::{self, Row, Sheet};
use super::view::{self, Mode, Pane};
use super::{Session, palette::Palette};
use crate::output::SenseState;
use crate::output::text::{event, summary};
use probe_core::model::SECOND;
use probe_core::model::change::ChangeKind;
use probe_core::model::coverage::CoverageState;
use probe_core::model::finding::State;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

/// Below this nothing sensible fits.
const SMALLEST: (u16, u16) = (50, 12);
/// Lines of the head at most: what is not seen may have many reasons.
const MAX_GAPS: usize = 3;
/// Lines of one detail, unless the details have the whole screen: what to do is to show beside the proof.
const LINES_TOLD: usize = 2;
/// A loss of evidence stands out so long.
const RECENT: u64 = 60 * SECOND;

pub(super) fn draw(session: &mut Session, frame: &mut Frame<'_>) {
    let area = frame.area();
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        let text = format!("mtuprobe: {}x{} is too small, {}x{} shows all", area.width, area.height, 80, 24);
        frame.render_widget(Paragraph::new(text), area);
        return;
    }
    let head = head(session, usize::from(area.width));
    let heights = [
        Constraint::Length(u16::try_from(head.len()).unwrap_or(1)),
        Constraint::Length(1),
        Constraint::Min(1),
        Constraint::Length(1),
    ];
    let [head_area, tabs_area, body, foot_area] = Layout::vertical(heights).areas(area);
    frame.render_widget(Paragraph::new(head), head_area);
    frame.render_widget(Paragraph::new(tabs(session)), tabs_area);
    match session.view.mode {
        Mode::Help => frame.render_widget(Paragraph::new(help(session.palette, body.width)), body),
        Mode::Look | Mode::Type => draw_pane(session, frame, body),
    }
    frame.render_widget(Paragraph::new(foot(session, usize::from(area.width))), foot_area);
}

fn line(label: &'static str, rest: String, style: Style, width: usize) -> Line<'static> {
    Line::from(vec![
        Span::styled(format!("{label:<9}"), style),
        Span::raw(sheet::fit(&rest, width.saturating_sub(9), false).trim_end().to_owned()),
    ])
}

fn head(session: &Session, width: usize) -> Vec<Line<'static>> {
    let (scene, palette) = (session.scene(), session.palette);
    let told = &scene.told;
    let mut lines = Vec::new();
    let Some(start) = &told.start else {
        return vec![Line::styled("mtuprobe  loading", palette.strong())];
    };
    let seconds = session.live.now.saturating_sub(start.time) / SECOND;
    let title =
        format!("mtuprobe {}  node {}  kernel {}  live {seconds} s", start.version, start.node, start.kernel);
    let mut first =
        vec![Span::styled(sheet::fit(&title, width, false).trim_end().to_owned(), palette.strong())];
    if session.frozen.is_some() {
        let news = session.live.told.messages.saturating_sub(told.messages);
        first.push(Span::raw("  "));
        first.push(Span::styled(format!("PAUSED, {news} new"), palette.caution()));
    }
    lines.push(Line::from(first));
    let works: Vec<&str> = start
        .senses
        .iter()
        .filter(|sense| sense.state == SenseState::Works)
        .map(|sense| sense.name.as_ref())
        .collect();
    let to_come = if told.pending > 0 { format!(" ({} to come)", told.pending) } else { String::new() };
    let sees = format!("{}{to_come} by {}", event::counted(told.attached, "interface"), works.join(", "));
    lines.push(line("sees", sees, palette.label(), width));
    let mut gaps: Vec<Line<'static>> = Vec::new();
    if told.attached == 0 {
        gaps.push(line(
            "BLIND",
            "no interface is observed: packets are not seen".to_owned(),
            palette.alarm(),
            width,
        ));
    }
    for text in summary::gaps(&told.coverage).lines() {
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        let rest = rest.trim_start().to_owned();
        gaps.push(match word {
            "blind" => line("BLIND", rest, palette.alarm(), width),
            _ => line("partial", rest, palette.caution(), width),
        });
    }
    if told.lost.values().any(|count| *count > 0) {
        let lost = told.lost.iter().map(|(what, count)| format!("{what} {}", summary::grouped(*count)));
        let is_recent = told.last_loss.is_some_and(|time| time + RECENT > scene.now);
        let style = if is_recent { palette.alarm() } else { palette.caution() };
        gaps.push(line("lost", lost.collect::<Vec<_>>().join(", "), style, width));
    }
    for state in [SenseState::Degraded, SenseState::Missing] {
        let senses: Vec<String> = start
            .senses
            .iter()
            .filter(|sense| sense.state == state)
            .map(|sense| match &sense.why {
                Some(why) => format!("{} ({why})", sense.name),
                None => sense.name.to_string(),
            })
            .collect();
        if !senses.is_empty() {
            gaps.push(line(state.name(), senses.join(", "), palette.caution(), width));
        }
    }
    if let Some(last) = session.complaints.last() {
        gaps.push(line("trouble", last.clone(), palette.caution(), width));
    }
    let more = gaps.len().saturating_sub(MAX_GAPS);
    gaps.truncate(if more > 0 { MAX_GAPS - 1 } else { MAX_GAPS });
    if more > 0 {
        gaps.push(line("not seen", format!("and {} more reasons", more + 1), palette.caution(), width));
    }
    lines.extend(gaps);
    let links = told
        .changes
        .iter()
        .rev()
        .find(|change| !matches!(change.what, ChangeKind::LinkAdded | ChangeKind::LinkRemoved));
    if let Some(change) = links {
        let text = format!(
            "{} {} {} {} -> {}",
            scene.clock.time_of_day(change.time),
            change.what.name(),
            change.object,
            change.from.as_deref().unwrap_or("none"),
            change.to.as_deref().unwrap_or("none"),
        );
        lines.push(line("changed", text, palette.label(), width));
    }
    lines
}

fn tabs(session: &Session) -> Line<'static> {
    let (scene, palette) = (session.scene(), session.palette);
    let mut spans = Vec::new();
    for (index, pane) in Pane::ALL.into_iter().enumerate() {
        let count = count(scene, pane);
        let text = format!(" {} {} {count} ", index + 1, pane.name());
        let style = if pane == session.view.pane { palette.selected() } else { Style::new() };
        spans.push(Span::styled(text, style));
    }
    let sort = session.view.sort();
    spans.push(Span::styled(format!("  by {sort}"), palette.faint()));
    Line::from(spans)
}

fn count(scene: &Scene, pane: Pane) -> usize {
    let told = &scene.told;
    match pane {
        Pane::Findings => told.findings.values().filter(|finding| finding.state == State::Open).count(),
        Pane::Interfaces => scene.reading.interfaces.len(),
        Pane::Flows => told.findings.values().map(|finding| finding.flows.len()).sum(),
        Pane::Icmp => told.errors.len(),
        Pane::Sizes => scene.reading.histograms.len() / 2,
    }
}

fn foot(session: &Session, width: usize) -> Line<'static> {
    let palette = session.palette;
    if session.view.mode == Mode::Type {
        return Line::from(vec![
            Span::styled("/", palette.strong()),
            Span::raw(session.view.filter.to_string()),
            Span::styled(" ", palette.selected()),
            Span::styled("  Enter keeps it, Esc removes it", palette.faint()),
        ]);
    }
    if let Some((_, notice)) = &session.notice {
        return Line::styled(sheet::fit(notice, width, false).trim_end().to_owned(), palette.strong());
    }
    let filter = if session.view.filter.text.is_empty() {
        String::new()
    } else {
        format!("filter \"{}\"  ", session.view.filter)
    };
    let keys = "q end  ? help  / filter  s sort  p pause  e export  h sizes  Enter details";
    let keys = sheet::fit(keys, width.saturating_sub(filter.chars().count()), false);
    Line::from(vec![
        Span::styled(filter, palette.caution()),
        Span::styled(keys.trim_end().to_owned(), palette.faint()),
    ])
}

fn draw_pane(session: &mut Session, frame: &mut Frame<'_>, area: Rect) {
    let sheet = session.sheet();
    let keys: Vec<String> = sheet.rows.iter().map(|row| row.key.clone()).collect();
    let index = view::position(&keys, session.view.choice().selected.as_deref());
    // What somebody selected or reads stays selected when others come before it; until then the worst is.
    let choice = session.view.choice_mut();
    if choice.selected.is_some() || choice.scroll > 0 {
        choice.selected = keys.get(index).cloned();
    }
    let Some(row) = sheet.rows.get(index) else {
        frame.render_widget(Paragraph::new(nothing(session, &sheet)), area);
        return;
    };
    let width = usize::from(area.width);
    let details = if session.view.pane == Pane::Sizes {
        sizes::picture(session.scene(), &row.key, width)
            .into_iter()
            .map(|text| bars(&text, session.palette))
            .collect()
    } else {
        let most = if session.view.zoomed { usize::MAX } else { LINES_TOLD };
        details(row, session.palette, width, most)
    };
    let room = area.height;
    let wanted = u16::try_from(details.len()).unwrap_or(u16::MAX).saturating_add(1);
    let list_wants = u16::try_from(sheet.rows.len()).unwrap_or(u16::MAX).saturating_add(1);
    let list = if session.view.zoomed {
        2
    } else {
        // The list has what the details leave, at least a third and as much as it needs.
        room.saturating_sub(wanted).max(room / 3).max(3).min(list_wants)
    };
    let [list_area, detail_area] =
        Layout::vertical([Constraint::Length(list.min(room)), Constraint::Min(0)]).areas(area);
    frame.render_widget(Paragraph::new(rows(&sheet, index, list_area, session.palette)), list_area);
    draw_details(session, frame, detail_area, details);
}

/// The rows around the selected one.
fn rows(sheet: &Sheet, selected: usize, area: Rect, palette: Palette) -> Vec<Line<'static>> {
    let width = usize::from(area.width);
    let shown = usize::from(area.height).saturating_sub(1);
    let first = (selected + 1).saturating_sub(shown);
    let mut lines = vec![Line::styled(sheet.titles(width), palette.label())];
    for (index, row) in sheet.rows.iter().enumerate().skip(first).take(shown) {
        let mut style = if row.faint { palette.faint() } else { palette.severity(row.severity) };
        if index == selected {
            style = style.patch(palette.selected());
        }
        lines.push(Line::styled(sheet.line(row, width), style));
    }
    lines
}

fn details(row: &Row, palette: Palette, width: usize, most: usize) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    for (word, rest) in &row.details {
        let mut texts = sheet::wrapped(rest, width.saturating_sub(12));
        if texts.len() > most {
            texts.truncate(most);
            if let Some(last) = texts.last_mut() {
                last.push_str(" …");
            }
        }
        for (index, text) in texts.into_iter().enumerate() {
            let word = if index == 0 { word.as_str() } else { "" };
            lines.push(Line::from(vec![
                Span::styled(format!("{word:<9} "), palette.label()),
                Span::raw(text),
            ]));
        }
    }
    lines
}

/// A line of bars and marks.
fn bars(text: &str, palette: Palette) -> Line<'static> {
    let mut spans: Vec<Span<'static>> = Vec::new();
    let mut piece = String::new();
    let kind = |letter: char| letter == '█';
    for letter in text.chars() {
        if piece.chars().next().is_some_and(|first| kind(first) != kind(letter)) {
            spans.push(styled_piece(&piece, palette));
            piece.clear();
        }
        piece.push(letter);
    }
    spans.push(styled_piece(&piece, palette));
    Line::from(spans)
}

fn styled_piece(piece: &str, palette: Palette) -> Span<'static> {
    let style = match piece {
        bar if bar.starts_with('█') => palette.bar(),
        text if text.contains("<limit") => palette.caution(),
        _ => Style::new(),
    };
    Span::styled(piece.to_owned(), style)
}

fn draw_details(session: &mut Session, frame: &mut Frame<'_>, area: Rect, details: Vec<Line<'static>>) {
    let [rule, area] = Layout::vertical([Constraint::Length(1), Constraint::Min(0)]).areas(area);
    let below = u16::try_from(details.len()).unwrap_or(u16::MAX).saturating_sub(area.height);
    let choice = session.view.choice_mut();
    choice.scroll = choice.scroll.min(below);
    let scroll = choice.scroll;
    let hidden = below - scroll;
    let text = if hidden > 0 { format!(" {hidden} more: PgDn, Enter ") } else { String::new() };
    let dashes = "─".repeat(usize::from(rule.width).saturating_sub(text.chars().count()));
    frame.render_widget(
        Paragraph::new(Line::styled(format!("{dashes}{text}"), session.palette.faint())),
        rule,
    );
    frame.render_widget(Paragraph::new(details).scroll((scroll, 0)), area);
}

/// An empty pane says whether silence means anything.
fn nothing(session: &Session, sheet: &Sheet) -> Vec<Line<'static>> {
    let mut lines = vec![Line::raw(""), Line::raw(format!("  {}", sheet.empty))];
    let blind = session.scene().told.coverage.iter().filter(|coverage| match coverage.state {
        CoverageState::Blind | CoverageState::Partial => true,
        CoverageState::Full | CoverageState::Idle => false,
    });
    let blind = blind.count();
    if session.view.pane == Pane::Findings && blind > 0 {
        let text =
            format!("  Not all is seen ({}): there silence proves nothing.", event::counted(blind, "gap"));
        lines.push(Line::styled(text, session.palette.caution()));
    }
    lines
}

fn help(palette: Palette, width: u16) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    for (words, label) in [(help::KEYS, palette.strong()), (help::WORDS, palette.label())] {
        lines.extend(words.iter().map(|(word, meaning)| {
            let meaning = sheet::fit(meaning, usize::from(width).saturating_sub(17), false);
            Line::from(vec![
                Span::styled(format!(" {word:<15} "), label),
                Span::raw(meaning.trim_end().to_owned()),
            ])
        }));
    }
    lines
}
