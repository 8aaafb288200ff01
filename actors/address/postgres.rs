//! Connections to PostgreSQL, in clear or by rustls, as the address has it. (For MySQL and Redis their libraries do
//! it.)
//!
//! `sslmode` means what it means to PostgreSQL's own library: `disable`; `prefer`, the default, and `require` encrypt and
//! do not ask who answers; `verify-ca` and `verify-full` ask, against `sslrootcert` or the certificates of the system.
//! We are stricter in one point: `verify-ca` compares the host's name too.

mod negotiation;
pub(crate) mod sessions;
mod socket;
mod states;

use std::error::Error as _;
use std::io;
use std::sync::Arc;

use diesel_async::AsyncPgConnection;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use self::negotiation::{Negotiator, NoAgreement};
pub(crate) use self::states::SqlStates;
use super::{NoConnection, certificates, decoded};

/// What is wrong with the address, whatever server is there.
pub(crate) fn check(address: &str) -> Result<(), String> {
    Wanted::read(address)?.config().map(drop)
}

/// A connection to the address.
pub(crate) async fn connect(address: &str) -> Result<AsyncPgConnection, NoConnection> {
    let watched = connect_watched(address).await?;
    Ok(watched.0)
}

/// A connection to the address, and where the codes of its errors are noted.
pub(crate) async fn connect_watched(
    address: &str,
) -> Result<(AsyncPgConnection, SqlStates), NoConnection> {
    let wanted = Wanted::read(address).map_err(NoConnection::Denied)?;
    let mut config = wanted.config().map_err(NoConnection::Denied)?;
    let states = SqlStates::default();
    if !socket::folders(&config).is_empty() {
        let connection = socket::connect(&config, &states).await?;
        return Ok((connection, states));
    }
    if config.get_hosts().is_empty() {
        let why = "the address names no host; `hostaddr` would need `host` beside it";
        return Err(NoConnection::Denied(why.to_owned()));
    }
    let tls = MakeRustlsConnect::new(wanted.tls().map_err(NoConnection::Denied)?);
    let negotiator = Negotiator::take_over(&mut config, tls, states.clone());
    let connected = config.connect(negotiator).await;
    let (client, connection) = connected.map_err(|cause| judged(&cause))?;
    let opened = AsyncPgConnection::try_from_client_and_connection(client, connection).await;
    let connection = opened.map_err(|cause| NoConnection::Away(cause.to_string()))?;
    Ok((connection, states))
}

type Link =
    tokio_postgres::Connection<Socket, <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream>;

async fn open(address: &str) -> Result<(Client, Link), NoConnection> {
    let wanted = Wanted::read(address).map_err(NoConnection::Denied)?;
    let config = wanted.config().map_err(NoConnection::Denied)?;
    let tls = MakeRustlsConnect::new(wanted.tls().map_err(NoConnection::Denied)?);
    config.connect(tls).await.map_err(|cause| judged(&cause))
}

/// A connection without diesel, which ends with the client.
async fn client(address: &str) -> Result<Client, NoConnection> {
    let (client, link) = open(address).await?;
    // The client's next answer reports what breaks it.
    tokio::spawn(async move { drop(link.await) });
    Ok(client)
}

/// SQLSTATEs, and classes of them, of a server that will take connections later: connection exception, insufficient
/// resources, operator intervention (it starts, stops or recovers), system error, object in use. Every other answer to a new
/// connection is the same each time.
const PASSING: [&str; 5] = ["08", "53", "57", "58", "55006"];
/// Of class 08, and yet none of them: a violation of the protocol. PgBouncer returns nothing else, whether the password
/// is wrong or a parameter; with the server behind it away it mostly does not answer at all.
const VIOLATION: &str = "08P01";

fn judged(error: &tokio_postgres::Error) -> NoConnection {
    let is_answer = match (error.code(), error.source()) {
        (Some(code), _) => {
            let code = code.code();
            code == VIOLATION || !PASSING.iter().any(|class| code.starts_with(class))
        }
        // The way there: no server answers, or one that does not speak this protocol, or whose TLS is not what the
        // address asks for (rustls reports it as `InvalidData`).
        (None, Some(cause)) => {
            let broken = match cause.downcast_ref() {
                Some(NoAgreement::Broken(cause)) => Some(cause),
                Some(NoAgreement::Refused(_)) => None,
                None => cause.downcast_ref::<io::Error>(),
            };
            broken.is_none_or(|cause| {
                matches!(
                    cause.kind(),
                    io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput
                )
            })
        }
        // Closed, or no answer in time.
        (None, None) => false,
    };
    match is_answer {
        true => NoConnection::Denied(chain(error)),
        false => NoConnection::Away(chain(error)),
    }
}

/// The error with its causes: tokio-postgres shows no more than `error connecting to server` by itself.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text += &format!(": {cause}");
        next = cause.source();
    }
    text
}

/// What the address asks for.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    /// As tokio-postgres takes it.
    address: String,
    verified: bool,
    root_certificates: Option<String>,
}

impl Wanted {
    fn read(address: &str) -> Result<Self, String> {
        // The parameters that are not ours stay as they are written: a `+` is itself here, and a blank in forms only.
        let (server, query) = address.split_once('?').unwrap_or((address, ""));
        let (mut mode, mut root_certificates) = ("prefer".to_owned(), None);
        let mut others = Vec::new();
        for parameter in query.split('&').filter(|text| !text.is_empty()) {
            match parameter.split_once('=') {
                Some(("sslmode", value)) => mode = decoded(value),
                Some(("sslrootcert", value)) => root_certificates = Some(decoded(value)),
                _ => others.push(parameter),
            }
        }
        let (understood, verified) = match mode.as_str() {
            "disable" => ("disable", false),
            "allow" | "prefer" => ("prefer", false),
            // With a root certificate it verifies, as PostgreSQL's own library does.
            "require" => ("require", root_certificates.is_some()),
            "verify-ca" | "verify-full" => ("require", true),
            other => {
                return Err(format!(
                    "`sslmode={other}`: wanted `disable`, `prefer`, `require`, `verify-ca` or `verify-full`"
                ));
            }
        };
        let understood = format!("sslmode={understood}");
        others.push(&understood);
        Ok(Self {
            address: format!("{server}?{}", others.join("&")),
            verified,
            root_certificates,
        })
    }

    fn config(&self) -> Result<Config, String> {
        let config = self.address.parse();
        config.map_err(|cause: tokio_postgres::Error| chain(&cause))
    }

    fn tls(&self) -> Result<ClientConfig, String> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|cause| cause.to_string())?;
        if self.verified {
            let file = self.root_certificates.as_deref();
            let authorities = certificates::authorities(file);
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(
                authorities.map_err(|cause| format!("sslrootcert {cause}"))?,
            );
            return Ok(builder.with_root_certificates(roots).with_no_client_auth());
        }
        Ok(builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
            .with_no_client_auth())
    }
}

/// Takes any certificate: against listeners, not against a man in the middle.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sslmode_means_what_it_means_to_psql() {
        for (query, understood, verified) in [
            ("", "sslmode=prefer", false),
            ("?sslmode=disable", "sslmode=disable", false),
            ("?sslmode=require", "sslmode=require", false),
            (
                "?sslmode=require&sslrootcert=a.pem",
                "sslmode=require",
                true,
            ),
            ("?sslmode=verify-full", "sslmode=require", true),
            (
                "?connect_timeout=3&sslmode=verify-ca",
                "connect_timeout=3&sslmode=require",
                true,
            ),
            (
                "?options=-c%20TimeZone%3DEtc/GMT+8&sslmode=require",
                "options=-c%20TimeZone%3DEtc/GMT+8&sslmode=require",
                false,
            ),
        ] {
            let wanted = Wanted::read(&format!("postgres://u:p%40@h:5432/d{query}")).unwrap();
            assert_eq!(
                wanted.address,
                format!("postgres://u:p%40@h:5432/d?{understood}")
            );
            assert_eq!(wanted.verified, verified, "{query}");
        }
        let error = Wanted::read("postgres://h/d?sslmode=on").unwrap_err();
        assert!(error.contains("wanted `disable`"), "{error}");
    }

    /// As the server asks it of its key: its own, and nobody else's.
    fn give_to_server(file: &std::path::Path, directory: &str) {
        use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};

        let owner = std::fs::metadata(directory).unwrap();
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).unwrap();
        chown(file, Some(owner.uid()), Some(owner.gid())).unwrap();
    }

    #[test]
    fn who_answers_is_asked_where_the_address_says_so() {
        let Some(server) = crate::servers::postgres::Postgres::dedicated() else {
            return;
        };
        let names = vec!["127.0.0.1".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        let directory = server.execute("SHOW data_directory");
        let directory = directory.trim();
        let key = std::path::Path::new(directory).join("test.key");
        let certificate = std::path::Path::new(directory).join("test.crt");
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        std::fs::write(&certificate, made.cert.pem()).unwrap();
        give_to_server(&key, directory);
        give_to_server(&certificate, directory);
        for setting in [
            "ssl_key_file = 'test.key'",
            "ssl_cert_file = 'test.crt'",
            "ssl = on",
        ] {
            server.execute(&format!("ALTER SYSTEM SET {setting}"));
        }
        server.kill();
        server.start();
        let dir = tempfile::tempdir().unwrap();
        let (known, stranger) = (
            dir.path().join("known.pem"),
            dir.path().join("stranger.pem"),
        );
        std::fs::write(&known, made.cert.pem()).unwrap();
        let other = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
        std::fs::write(&stranger, other.cert.pem()).unwrap();
        let url = server.database();
        let verified = |roots: &std::path::Path| {
            format!("{url}?sslmode=verify-full&sslrootcert={}", roots.display())
        };
        let encrypted = |url: String| {
            actix_rt::System::new().block_on(async move {
                use diesel_async::RunQueryDsl;

                let mut connection = connect(&url).await?;
                let sql = diesel::dsl::sql::<diesel::sql_types::Bool>(
                    "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
                );
                let answer: bool = sql.get_result(&mut connection).await.unwrap();
                Ok::<bool, NoConnection>(answer)
            })
        };
        assert!(!encrypted(format!("{url}?sslmode=disable")).unwrap());
        assert!(encrypted(url.clone()).unwrap(), "where the server can");
        assert!(encrypted(format!("{url}?sslmode=require")).unwrap());
        assert!(encrypted(verified(&known)).unwrap());
        let refused = encrypted(verified(&stranger)).unwrap_err().to_string();
        assert!(refused.contains("certificate"), "{refused}");
        let refused = encrypted(format!("{url}?sslmode=verify-full"))
            .unwrap_err()
            .to_string();
        assert!(refused.contains("certificate"), "{refused}");
    }
}
