//! The bearer token that opens `/findings` beyond loopback (RFC 6750).
use anyhow::{Context as _, bail};
use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{PoisonError, RwLock};

/// The token, which a reload may change; without one nobody beyond loopback is let in.
#[derive(Default)]
pub struct Token(RwLock<Option<String>>);

// Not to be printed.
impl std::fmt::Debug for Token {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Token")
    }
}

impl Token {
    /// Reads it from a file; `None` closes the door.
    ///
    /// # Errors
    /// The file cannot be read, or is empty.
    pub fn read(&self, file: Option<&Path>) -> anyhow::Result<()> {
        let token = file.map(read).transpose()?;
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = token;
        Ok(())
    }

    /// Whether somebody may read findings.
    pub fn admits(&self, peer: IpAddr, authorization: &str) -> bool {
        // An IPv4 peer of a socket that takes both families.
        if peer.to_canonical().is_loopback() {
            return true;
        }
        let shown = authorization.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        let token = self.0.read().unwrap_or_else(PoisonError::into_inner);
        match (shown, token.as_deref()) {
            (Some((_, shown)), Some(token)) => is_same(shown.trim().as_bytes(), token.as_bytes()),
            (Some(_) | None, _) => false,
        }
    }
}

fn read(file: &Path) -> anyhow::Result<String> {
    let text = fs::read_to_string(file).with_context(|| format!("read the token {}", file.display()))?;
    match text.trim() {
        "" => bail!("read the token {}: it is empty", file.display()),
        token => Ok(token.to_owned()),
    }
}

/// Takes as long for a wrong token as for a right one of the same length.
fn is_same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_let_in() {
        let (near, far) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([10, 0, 0, 7]));
        let none = Token::default();
        assert!(none.admits(near, ""));
        assert!(!none.admits(far, "Bearer "));
        let some = Token(RwLock::new(Some("secret".to_owned())));
        for (authorization, expected) in [
            ("Bearer secret", true),
            ("bearer secret", true),
            ("Bearer secret2", false),
            ("Bearer ", false),
            ("Basic secret", false),
            ("secret", false),
        ] {
            assert_eq!(some.admits(far, authorization), expected, "{authorization}");
        }
        assert!(some.admits("::ffff:127.0.0.1".parse().expect("an address"), ""));
    }
}
