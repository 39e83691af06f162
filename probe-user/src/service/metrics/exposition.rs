//! Two ways to write the same page: text 0.0.4, which every scraper reads, and OpenMetrics 1.0 for those that ask for it.
use super::{Family, Kind, Sample, Value};
use std::fmt::Write as _;

/// A format of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text format 0.0.4.
    Text,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
}

impl Format {
    /// The format that an `Accept` header likes best (RFC 9110 section 12.5.1); OpenMetrics only where it is named.
    pub fn accepted(accept: &str) -> Self {
        let quality = |wanted: &str| {
            let ranges = accept.split(',').map(|range| {
                let mut parts = range.split(';').map(str::trim);
                let name = parts.next().unwrap_or_default().to_ascii_lowercase();
                let quality = parts.find_map(|part| part.strip_prefix("q=")?.parse::<f32>().ok());
                (name, quality.unwrap_or(1.0))
            });
            ranges.filter(|(name, _)| name == wanted).map(|(_, quality)| quality).fold(0.0, f32::max)
        };
        let open = quality("application/openmetrics-text");
        if open > 0.0 && open >= quality("text/plain") { Self::OpenMetrics } else { Self::Text }
    }

    /// The `Content-Type`.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// The page.
pub fn write(families: &[Family], format: Format) -> String {
    let mut page = String::new();
    for family in families {
        write_family(&mut page, family, format);
    }
    if format == Format::OpenMetrics {
        page.push_str("# EOF\n");
    }
    page
}

fn write_family(page: &mut String, family: &Family, format: Format) {
    let metric = family.metric;
    // A counter's family is named without the suffix of its samples in OpenMetrics.
    let name = match (format, metric.kind) {
        (Format::OpenMetrics, Kind::Counter) => metric.name.trim_end_matches("_total"),
        (Format::OpenMetrics | Format::Text, _) => metric.name,
    };
    let kind = match metric.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    };
    let _ = writeln!(page, "# HELP {name} {}", escaped(metric.help, false));
    let _ = writeln!(page, "# TYPE {name} {kind}");
    if format == Format::OpenMetrics
        && let Some(unit) =
            ["bytes", "seconds", "ratio"].iter().find(|unit| name.ends_with(&format!("_{unit}")))
    {
        let _ = writeln!(page, "# UNIT {name} {unit}");
    }
    for sample in &family.samples {
        write_sample(page, metric.name, sample, format);
    }
}

fn write_sample(page: &mut String, name: &str, sample: &Sample, format: Format) {
    match &sample.value {
        Value::Count(count) => {
            let _ = writeln!(page, "{name}{} {count}", labels(&sample.labels, None));
        }
        Value::Number(number) => {
            let _ = writeln!(page, "{name}{} {number}", labels(&sample.labels, None));
        }
        Value::Sizes { buckets, sum } => {
            let mut cumulative = 0;
            for bucket in buckets {
                cumulative += bucket.packets;
                let le = match (bucket.upper, format) {
                    (None, _) => "+Inf".to_owned(),
                    (Some(upper), Format::Text) => upper.to_string(),
                    // A number with a point: OpenMetrics compares the text of labels.
                    (Some(upper), Format::OpenMetrics) => format!("{upper}.0"),
                };
                let _ = writeln!(page, "{name}_bucket{} {cumulative}", labels(&sample.labels, Some(&le)));
            }
            let labels = labels(&sample.labels, None);
            let _ = writeln!(page, "{name}_sum{labels} {sum}\n{name}_count{labels} {cumulative}");
        }
    }
}

fn labels(labels: &[(&'static str, String)], le: Option<&str>) -> String {
    let named = labels.iter().map(|(name, value)| (*name, value.as_str())).chain(le.map(|le| ("le", le)));
    let pairs: Vec<String> =
        named.map(|(name, value)| format!("{name}=\"{}\"", escaped(value, true))).collect();
    if pairs.is_empty() { String::new() } else { format!("{{{}}}", pairs.join(",")) }
}

fn escaped(text: &str, quotes: bool) -> String {
    let text = text.replace('\\', "\\\\").replace('\n', "\\n");
    if quotes { text.replace('"', "\\\"") } else { text }
}

#[cfg(test)]
mod tests {
    use super::super::catalogue;
    use super::*;
    use probe_core::model::size_histogram::SizeBucket;

    fn page() -> Vec<Family> {
        let pod = || vec![("namespace", "shop".to_owned()), ("pod", "a\"b\\c".to_owned())];
        let buckets =
            vec![SizeBucket { upper: Some(64), packets: 2 }, SizeBucket { upper: None, packets: 3 }];
        vec![
            Family::new(&catalogue::PACKET_SIZE_BYTES, [(pod(), Value::Sizes { buckets, sum: 4600 })]),
            Family::new(&catalogue::SIZE_DROPS_TOTAL, [(pod(), Value::Count(7))]),
            Family::single(&catalogue::COVERAGE_RATIO, Value::Number(0.5)),
        ]
    }

    #[test]
    fn text() {
        let text = write(&page(), Format::Text);
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("# HELP")).collect();
        assert_eq!(
            lines,
            [
                "# TYPE mtuprobe_packet_size_bytes histogram",
                r#"mtuprobe_packet_size_bytes_bucket{namespace="shop",pod="a\"b\\c",le="64"} 2"#,
                r#"mtuprobe_packet_size_bytes_bucket{namespace="shop",pod="a\"b\\c",le="+Inf"} 5"#,
                r#"mtuprobe_packet_size_bytes_sum{namespace="shop",pod="a\"b\\c"} 4600"#,
                r#"mtuprobe_packet_size_bytes_count{namespace="shop",pod="a\"b\\c"} 5"#,
                "# TYPE mtuprobe_size_drops_total counter",
                r#"mtuprobe_size_drops_total{namespace="shop",pod="a\"b\\c"} 7"#,
                "# TYPE mtuprobe_coverage_ratio gauge",
                "mtuprobe_coverage_ratio 0.5",
            ]
        );
    }

    #[test]
    fn open_metrics() {
        let text = write(&page(), Format::OpenMetrics);
        assert!(text.contains("# TYPE mtuprobe_size_drops counter\n"), "{text}");
        assert!(text.contains("\nmtuprobe_size_drops_total{"), "{text}");
        assert!(text.contains("# UNIT mtuprobe_packet_size_bytes bytes\n"), "{text}");
        assert!(text.contains("le=\"64.0\""), "{text}");
        assert!(text.ends_with("\n# EOF\n"), "{text}");
    }

    #[test]
    fn what_is_accepted() {
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        for (accept, expected) in [
            (prometheus, Format::OpenMetrics),
            ("", Format::Text),
            ("*/*", Format::Text),
            ("text/plain", Format::Text),
            ("application/openmetrics-text", Format::OpenMetrics),
            ("application/openmetrics-text;q=0.1,text/plain", Format::Text),
            ("application/openmetrics-text;q=0", Format::Text),
        ] {
            assert_eq!(Format::accepted(accept), expected, "{accept}");
        }
    }
}
