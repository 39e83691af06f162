//! A drawn screen as SVG: the picture in the README, which a test keeps true.
use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};
use std::fmt::Write as _;

/// Pixels of a cell.
const CELL: (f64, f64) = (8.4, 18.0);
const MARGIN: f64 = 14.0;
const INK: &str = "#d8dee9";
const PAPER: &str = "#1b1f27";

/// What a cell looks like; neighbours that look alike are one piece of text.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Look {
    ink: &'static str,
    paper: &'static str,
    bold: bool,
    dim: bool,
}

impl Look {
    fn of(cell: &Cell) -> Self {
        let (ink, paper) = (shade(cell.fg, INK), shade(cell.bg, PAPER));
        let is_reversed = cell.modifier.contains(Modifier::REVERSED);
        Self {
            ink: if is_reversed { paper } else { ink },
            paper: if is_reversed { ink } else { paper },
            bold: cell.modifier.contains(Modifier::BOLD),
            dim: cell.modifier.contains(Modifier::DIM),
        }
    }
}

/// The colours that the palette has.
const SHADES: [(Color, &str); 4] =
    [(Color::Red, "#f07178"), (Color::Yellow, "#e6c07b"), (Color::Cyan, "#7fd1d8"), (Color::Blue, "#6ea8fe")];

fn shade(colour: Color, default: &'static str) -> &'static str {
    if colour == Color::Reset {
        return default;
    }
    let known = SHADES.iter().find(|(known, _)| *known == colour);
    known.map(|(_, shade)| *shade).expect("a colour that the picture has")
}

/// The screen, readable with any monospaced font.
pub fn svg(buffer: &Buffer) -> String {
    let (columns, rows) = (usize::from(buffer.area.width), usize::from(buffer.area.height));
    let size = |cells: usize, cell: f64| cells as f64 * cell;
    let (width, height) = (size(columns, CELL.0) + 2.0 * MARGIN, size(rows, CELL.1) + 2.0 * MARGIN);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" \
         font-family=\"ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace\" font-size=\"14\">\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"{PAPER}\"/>\n"
    );
    for (row, cells) in buffer.content.chunks(columns).enumerate() {
        let top = MARGIN + size(row, CELL.1);
        let mut column = 0;
        for piece in cells.chunk_by(|one, next| Look::of(one) == Look::of(next)) {
            let (left, length) = (MARGIN + size(column, CELL.0), size(piece.len(), CELL.0));
            column += piece.len();
            let look = Look::of(&piece[0]);
            if look.paper != PAPER {
                let (height, paper) = (CELL.1, look.paper);
                let _infallible = writeln!(
                    svg,
                    "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{length:.1}\" height=\"{height}\" fill=\"{paper}\"/>"
                );
            }
            let text: String = piece.iter().map(Cell::symbol).collect();
            if text.trim().is_empty() {
                continue;
            }
            let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            let weight = if look.bold { " font-weight=\"bold\"" } else { "" };
            let faint = if look.dim { " opacity=\"0.65\"" } else { "" };
            let _infallible = writeln!(
                svg,
                "<text x=\"{left:.1}\" y=\"{:.1}\" textLength=\"{length:.1}\" lengthAdjust=\"spacingAndGlyphs\" \
                 xml:space=\"preserve\" fill=\"{}\"{weight}{faint}>{text}</text>",
                top + 13.5,
                look.ink
            );
        }
    }
    svg + "</svg>\n"
}
