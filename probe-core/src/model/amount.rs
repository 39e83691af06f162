//! Numbers of things, in words.

/// A number and what it counts: `1 packet`, `2 packets`.
pub fn amount(number: u64, noun: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{ending}")
}

/// What befell so many things: `was`, `were`.
pub fn were(number: u64) -> &'static str {
    if number == 1 { "was" } else { "were" }
}

/// What so many things do: `is`, `are`.
pub fn are(number: u64) -> &'static str {
    if number == 1 { "is" } else { "are" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_singular() {
        assert_eq!(format!("{} {}", amount(1, "packet"), were(1)), "1 packet was");
        assert_eq!(format!("{} {}", amount(0, "packet"), are(0)), "0 packets are");
        assert_eq!(format!("{} {}", amount(2, "packet"), were(2)), "2 packets were");
    }
}
