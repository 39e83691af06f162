use super::*;
use crate::output::sample;

fn finding(id: &str, pod: u32, severity: Severity) -> Finding {
    let mut finding = sample::finding();
    finding.id = id.to_owned();
    finding.severity = severity;
    if let Some(of) = &mut finding.pod {
        of.uid = Some(format!("uid-{pod}"));
    }
    finding
}

/// What is told at a second.
fn told(book: &mut Book, second: u64, findings: &[Finding]) -> Vec<(Turn, usize, Severity)> {
    let notices = book.look(second * SECOND, findings);
    notices.into_iter().map(|notice| (notice.turn, notice.cause.pods.len(), notice.cause.severity)).collect()
}

#[test]
fn a_cause_is_told_once_for_all_its_pods_and_when_it_is_over() {
    let mut book = Book::new(Severity::Warning);
    let many: Vec<Finding> =
        (0..110).map(|pod| finding(&format!("f{pod}"), pod, Severity::Critical)).collect();
    assert_eq!(told(&mut book, 1, &many[..1]), [], "it settles first");
    assert_eq!(told(&mut book, 4, &many), [(Turn::Open, 110, Severity::Critical)]);
    assert_eq!(told(&mut book, 6, &many), []);
    assert_eq!(told(&mut book, 20, &[]), [], "it may come again");
    assert_eq!(told(&mut book, 40, &[]), [(Turn::Closed, 110, Severity::Critical)]);
    assert_eq!(told(&mut book, 80, &[]), []);
}

#[test]
fn a_worsening_is_told_at_once_and_more_pods_now_and_then() {
    let mut book = Book::new(Severity::Warning);
    let warning = [finding("a", 1, Severity::Warning)];
    assert_eq!(told(&mut book, 1, &warning), []);
    assert_eq!(told(&mut book, 5, &warning), [(Turn::Open, 1, Severity::Warning)]);
    let critical = [finding("a", 1, Severity::Critical)];
    assert_eq!(told(&mut book, 7, &critical), [(Turn::Changed, 1, Severity::Critical)]);
    assert_eq!(told(&mut book, 9, &warning), [], "getting better is no news");
    let two = [finding("a", 1, Severity::Critical), finding("b", 2, Severity::Critical)];
    assert_eq!(told(&mut book, 11, &two), []);
    assert_eq!(told(&mut book, 400, &two), [(Turn::Changed, 2, Severity::Critical)]);
}

#[test]
fn what_is_below_the_severity_is_never_told() {
    let mut book = Book::new(Severity::Critical);
    let warning = [finding("a", 1, Severity::Warning)];
    for second in [1, 5, 10] {
        assert_eq!(told(&mut book, second, &warning), []);
    }
    assert_eq!(told(&mut book, 100, &[]), [], "nor that it is over");
}
