//! Where a server is, as people write it.
use hyper::Uri;
use std::fmt;
use std::str::FromStr;

/// `http://…` or `https://…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpUrl(Uri);

impl FromStr for HttpUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let uri: Uri = text.parse().map_err(|error| format!("{error}"))?;
        match (uri.scheme_str(), uri.host()) {
            (Some("http" | "https"), Some(host)) if !host.is_empty() => Ok(Self(uri)),
            _ => Err("expected http://HOST… or https://HOST…".to_owned()),
        }
    }
}

/// Without path and query, which may hold a secret.
impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.0.scheme_str().unwrap_or_default(), self.authority())
    }
}

impl HttpUrl {
    /// Host and port, as far as the port is written.
    pub fn authority(&self) -> String {
        let authority = self.0.authority().map(ToString::to_string).unwrap_or_default();
        // Not whom one is.
        authority.rsplit('@').next().unwrap_or_default().to_owned()
    }

    /// Name or address, without the brackets of IPv6.
    pub fn host(&self) -> &str {
        self.0.host().unwrap_or_default().trim_matches(['[', ']'])
    }

    /// The one that is written, or the one of its scheme.
    pub fn port(&self) -> u16 {
        self.0.port_u16().unwrap_or(if self.is_plain() { 80 } else { 443 })
    }

    /// Without TLS.
    pub fn is_plain(&self) -> bool {
        self.0.scheme_str() == Some("http")
    }

    /// Path and query.
    pub fn path(&self) -> &str {
        self.0.path_and_query().map_or("/", |path| path.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        for bad in ["here", "/path", "ftp://host/", "http://", "https:///x"] {
            assert!(bad.parse::<HttpUrl>().is_err(), "{bad}");
        }
        let url: HttpUrl = "https://me:pass@hooks.example:8443/services/secret?x=1".parse().expect("a URL");
        assert_eq!(url.to_string(), "https://hooks.example:8443");
        assert_eq!(url.path(), "/services/secret?x=1");
        let url: HttpUrl = "https://[fd00::1]/".parse().expect("a URL");
        assert_eq!((url.host(), url.port(), url.authority().as_str()), ("fd00::1", 443, "[fd00::1]"));
    }
}
