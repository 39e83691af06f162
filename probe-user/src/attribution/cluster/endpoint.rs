//! Connections to the API server.
use super::access::{Access, AccessError, Target};
use crate::attribution::http::{Connection, HttpError};
use hyper::Uri;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::{self, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

/// A server that does not take a connection by then is as good as absent.
const PATIENCE: Duration = Duration::from_secs(5);

/// The API server, and how it is spoken to.
#[derive(Debug)]
pub(super) struct Endpoint {
    target: Target,
    host: String,
    port: u16,
    prefix: String,
    tls: Option<Arc<ClientConfig>>,
}

impl Endpoint {
    pub fn find(access: &Access) -> Result<Self, AccessError> {
        let target = Target::find(access)?;
        let unusable = |why: String| AccessError::Unusable { path: PathBuf::from(&target.server), why };
        let uri: Uri = target.server.parse().map_err(|error| unusable(format!("no address: {error}")))?;
        let host = uri.host().ok_or_else(|| unusable("no host in it".to_owned()))?;
        let host = host.trim_matches(['[', ']']).to_owned();
        let is_plain = uri.scheme_str() == Some("http");
        let port = uri.port_u16().unwrap_or(if is_plain { 80 } else { 443 });
        let prefix = uri.path().trim_end_matches('/').to_owned();
        let tls = if is_plain { None } else { Some(Arc::new(tls(&target).map_err(unusable)?)) };
        Ok(Self { host, port, prefix, tls, target })
    }

    /// A new connection.
    pub async fn connect(&self) -> Result<Connection, HttpError> {
        let connecting = async {
            let stream = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(failed)?;
            let authority = format!("{}:{}", self.host, self.port);
            let Some(tls) = &self.tls else { return Connection::open(stream, &authority).await };
            let name = ServerName::try_from(self.host.clone()).map_err(failed)?;
            let stream = TlsConnector::from(Arc::clone(tls)).connect(name, stream).await.map_err(failed)?;
            Connection::open(stream, &authority).await
        };
        match timeout(PATIENCE, connecting).await {
            Ok(result) => result,
            Err(_) => Err(failed(io::Error::new(io::ErrorKind::TimedOut, "no connection within 5 s"))),
        }
    }

    /// A path on this server.
    pub fn path(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }

    /// The token of now.
    pub fn token(&self) -> Result<Option<String>, HttpError> {
        self.target.token.as_ref().map(|token| token.read().map_err(failed)).transpose()
    }

    /// For people.
    pub fn name(&self) -> &str {
        &self.target.server
    }
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> HttpError {
    HttpError::Body(Box::new(error))
}

fn tls(target: &Target) -> Result<ClientConfig, String> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = if target.insecure {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(Anyone { provider }))
    } else {
        let mut roots = RootCertStore::empty();
        let authority = target.authority.as_deref().ok_or("no certificate authority")?;
        for certificate in CertificateDer::pem_slice_iter(authority) {
            let certificate = certificate.map_err(|error| format!("certificate authority: {error}"))?;
            roots.add(certificate).map_err(|error| format!("certificate authority: {error}"))?;
        }
        builder.with_root_certificates(roots)
    };
    let Some((certificate, key)) = &target.identity else { return Ok(builder.with_no_client_auth()) };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificate).collect();
    let chain = chain.map_err(|error| format!("client certificate: {error}"))?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| format!("client key: {error}"))?;
    builder.with_client_auth_cert(chain, key).map_err(|error| format!("client certificate: {error}"))
}

/// Takes any server for the right one, as a kubeconfig may ask (`insecure-skip-tls-verify`).
#[derive(Debug)]
struct Anyone {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
