//! The API server.
use super::access::{Access, AccessError, Target};
use crate::http_client::{Connection, HttpError, HttpUrl, Origin, Trust, tls};
use std::path::{Path, PathBuf};

/// The API server, and how it is spoken to.
#[derive(Debug)]
pub struct Endpoint {
    target: Target,
    origin: Origin,
    prefix: String,
}

impl Endpoint {
    /// Reads all that is needed to reach it, but for a token that is renewed.
    ///
    /// # Errors
    /// There is no way to it.
    pub fn find(access: &Access) -> Result<Self, AccessError> {
        let target = Target::find(access)?;
        let unusable = |why: String| AccessError::Unusable { path: PathBuf::from(&target.server), why };
        let url: HttpUrl = target.server.parse().map_err(unusable)?;
        let prefix = url.path().trim_end_matches('/').to_owned();
        let trust = || match (target.insecure, &target.authority) {
            (true, _) => Ok(Trust::Anyone),
            (false, Some(authority)) => Ok(Trust::Authorities(authority)),
            (false, None) => Err("no certificate authority".to_owned()),
        };
        let tls = || trust().and_then(|trust| tls::configuration(trust, target.identity.as_ref()));
        let origin = Origin::new(url, tls).map_err(unusable)?;
        Ok(Self { origin, prefix, target })
    }

    /// A new connection.
    ///
    /// # Errors
    /// There is none.
    pub async fn connect(&self) -> Result<Connection, HttpError> {
        self.origin.connect().await
    }

    /// A path on this server.
    pub fn path(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }

    /// The token of now.
    ///
    /// # Errors
    /// Its file cannot be read.
    pub fn token(&self) -> Result<Option<String>, HttpError> {
        let token = self.target.token.as_ref().map(super::access::Token::read).transpose();
        token.map_err(|error| HttpError::unreachable("read the token", error))
    }

    /// The file from which the token is read again and again.
    pub fn token_file(&self) -> Option<&Path> {
        self.target.token.as_ref().and_then(super::access::Token::file)
    }

    /// For people.
    pub fn name(&self) -> &str {
        &self.target.server
    }
}
