//! What the counters of a TCP connection prove of the sizes that reached its other end.
use crate::model::Time;
use crate::model::flow::Flow;

/// Evidence that segments up to a size reached an address from one time to another.
#[derive(Clone, Copy, Debug)]
pub(super) struct Acknowledged {
    /// Whose: `src` is the sender.
    pub flow: Flow,
    pub from: Time,
    pub until: Time,
    /// Whether `until` is when the last was acknowledged; else that came some time later.
    pub is_exact: bool,
    /// One of at least this size was.
    pub size: u32,
    /// All that the connection sent meanwhile was, and it repeated nothing: the size of its largest, as far as can be
    /// told; else 0.
    pub whole: u32,
    /// The connection stood still itself meanwhile: what arrived of it may have after the path was put right.
    pub stood_still: bool,
}

/// Segments from which on it is told whether a connection fills them.
const MANY: u64 = 8;
/// A connection whose segments are on average this part of a full one or more (a numerator and a denominator) fills most
/// of them: what is written in pieces of 4096, 16384 or 20000 bytes leaves the last of each piece short. Messages that are
/// nearly as large as a segment and never larger are not told from that; they are rare.
const NEARLY_FULL: (u64, u64) = (7, 8);

/// How large segments were, of which only the number and the bytes are known; at layer 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sizes {
    /// At least one was as large: none is smaller than the average.
    pub surely: u32,
    /// The largest of a connection that fills its segments is a full one.
    pub likely: u32,
}

impl Sizes {
    /// Of bytes of payload in a number of segments that are not larger than `mss`.
    pub fn of(bytes: u64, segments: u64, mss: u32, header_len: u32) -> Self {
        let average = bytes.div_ceil(segments.max(1));
        let payload = u32::try_from(average).unwrap_or(mss).min(mss);
        let (part, of) = NEARLY_FULL;
        let fills = segments >= MANY && u64::from(payload) * of >= u64::from(mss) * part;
        Self { surely: header_len + payload, likely: header_len + if fills { mss } else { payload } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_that_end_in_short_segments_fill_the_others() {
        for piece in [4096_u64, 16_384, 20_000, 65_536] {
            let segments = piece.div_ceil(1448) * 20;
            let sizes = Sizes::of(piece * 20, segments, 1448, 52);
            assert!(sizes.surely < 1500 && sizes.likely == 1500, "{piece}: {sizes:?}");
        }
    }

    #[test]
    fn requests_and_few_segments_fill_nothing() {
        let requests = Sizes::of(1000 * 50, 50, 1448, 52);
        assert_eq!(requests, Sizes { surely: 1052, likely: 1052 });
        assert_eq!(Sizes::of(1400 * 3, 3, 1448, 52), Sizes { surely: 1452, likely: 1452 });
        assert_eq!(Sizes::of(0, 0, 1448, 52), Sizes { surely: 52, likely: 52 });
    }
}
