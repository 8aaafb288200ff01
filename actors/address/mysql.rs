//! Connections to MySQL and MariaDB, and what an address may ask for.
//!
//! That is what mysql_async knows, and the two names of MySQL's own clients: `ssl_mode` and `ssl_ca`, with `-` for `_`
//! where an address has it.

use std::collections::BTreeSet;
use std::io::ErrorKind;

use diesel_async::AsyncMysqlConnection;
use mysql_async::{Conn, DriverError, Error, IoError, Opts, OptsBuilder, SslOpts};
use parking_lot::Mutex;
use rustls::crypto::{CryptoProvider, ring};

use super::{NoConnection, certificates, decoded};

/// What a server answers that will take connections later, by error number: too many connections, of all or of ours; one
/// that goes down, is offline or out of memory; a host that is blocked for its failed tries; a Galera node that is not
/// ready; ProxySQL while the servers behind it are away. Every other answer to a new connection is the same each time.
const PASSING: [u16; 14] = [
    1037, 1038, 1040, 1041, 1047, 1053, 1129, 1135, 1203, 1226, 3032, 3168, 9001, 9002,
];

/// Bytes of one message of the protocol at most.
const LARGEST_MESSAGE: usize = 1 << 30;

/// What is wrong with the address, whatever server is there.
pub(crate) fn check(address: &str) -> Result<(), String> {
    Wanted::read(address).map(drop)
}

/// A connection to the address.
pub(crate) async fn connect(address: &str) -> Result<AsyncMysqlConnection, NoConnection> {
    let wanted = Wanted::read(address).map_err(NoConnection::Denied)?;
    let connection = wanted.connect().await?;
    AsyncMysqlConnection::try_from(connection)
        .await
        .map_err(|cause| NoConnection::Away(cause.to_string()))
}

/// MySQL's own words for how a connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Disabled,
    /// Where the server can. Whoever answers is believed to be the server.
    Preferred,
    /// Whoever answers is believed to be the server.
    Required,
    /// The certificate must be of a known authority, and for the host's name. `verify_ca` asks for less, and gets it all
    /// the same.
    Verified,
}

impl Mode {
    fn read(text: &str) -> Result<Self, String> {
        match text.to_lowercase().replace('-', "_").as_str() {
            "disabled" => Ok(Self::Disabled),
            "preferred" => Ok(Self::Preferred),
            "required" => Ok(Self::Required),
            "verify_ca" | "verify_identity" => Ok(Self::Verified),
            _ => Err(format!(
                "`ssl_mode={text}`: wanted `disabled`, `preferred`, `required`, `verify_ca` or `verify_identity`"
            )),
        }
    }
}

/// What the address asks for.
struct Wanted {
    opts: Opts,
    mode: Mode,
    /// The file with the authority's certificate; none: those of the system, and the public ones.
    authority: Option<String>,
}

impl Wanted {
    fn read(address: &str) -> Result<Self, String> {
        let (server, query) = address.split_once('?').unwrap_or((address, ""));
        let (mut mode, mut authority, mut others) = (None, None, Vec::new());
        for parameter in query.split('&').filter(|text| !text.is_empty()) {
            match parameter.split_once('=') {
                Some(("ssl_mode" | "ssl-mode", value)) => mode = Some(Mode::read(&decoded(value))?),
                Some(("ssl_ca" | "ssl-ca", value)) => authority = Some(decoded(value)),
                // The library reads it as a form.
                _ => others.push(parameter.replace('+', "%2B")),
            }
        }
        let address = format!("{server}?{}", others.join("&"));
        let opts = Opts::from_url(&address).map_err(|cause| cause.to_string())?;
        let asks_otherwise = others.iter().any(|parameter| {
            ["require_ssl", "verify_", "built_in_roots"]
                .iter()
                .any(|name| parameter.starts_with(name))
        });
        if mode.is_some() && asks_otherwise {
            return Err(
                "`ssl_mode` says it all; `require_ssl`, `verify_ca`, `verify_identity` and `built_in_roots` \
                 cannot stand beside it"
                    .to_owned(),
            );
        }
        let mode = mode.unwrap_or_else(|| match opts.ssl_opts() {
            None => Mode::Disabled,
            Some(ssl) if ssl.accept_invalid_certs() => Mode::Required,
            Some(_) => Mode::Verified,
        });
        if authority.is_some() && mode != Mode::Verified {
            return Err(
                "`ssl_ca` is of no use without `ssl_mode=verify_ca` or `verify_identity`"
                    .to_owned(),
            );
        }
        Ok(Self {
            opts,
            mode,
            authority,
        })
    }

    async fn connect(&self) -> Result<Conn, NoConnection> {
        let opened = Conn::new(self.opts(self.tls()?)).await;
        match opened {
            Err(Error::Driver(DriverError::NoClientSslFlagFromServer))
                if self.mode == Mode::Preferred =>
            {
                self.warn_of_clear_text();
                Conn::new(self.opts(None)).await
            }
            opened => opened,
        }
        .map_err(|cause| judged(&cause))
    }

    fn opts(&self, tls: Option<SslOpts>) -> OptsBuilder {
        OptsBuilder::from_opts(self.opts.clone())
            // diesel-async has a cache of its own.
            .stmt_cache_size(0)
            // What the server sends may be larger than what it takes: a row that came in when it took more.
            .max_allowed_packet(Some(LARGEST_MESSAGE))
            // The address decides where the server is. A socket of the same name on this machine may be another's.
            .prefer_socket(false)
            // A row that an UPDATE finds counts, changed or not: as on the other databases.
            .client_found_rows(true)
            .ssl_opts(tls)
    }

    fn tls(&self) -> Result<Option<SslOpts>, NoConnection> {
        // A socket leaves this machine as little as its memory does, and the library cannot encrypt it.
        if self.mode == Mode::Disabled || self.opts.socket().is_some() {
            return Ok(None);
        }
        // The library takes that of the process, and panics where several are built in and none was chosen.
        if CryptoProvider::get_default().is_none() {
            // Another thread may have been faster.
            let _ = ring::default_provider().install_default();
        }
        let mut tls = SslOpts::default();
        // Of IPv6 the library would take the brackets for a part of the name.
        let host = self.opts.ip_or_hostname();
        if let Some(address) = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
        {
            tls = tls.with_danger_tls_hostname_override(Some(address.to_owned()));
        }
        if self.mode != Mode::Verified {
            return Ok(Some(tls.with_danger_accept_invalid_certs(true)));
        }
        let authorities = certificates::authorities(self.authority.as_deref());
        let authorities =
            authorities.map_err(|cause| NoConnection::Denied(format!("ssl_ca {cause}")))?;
        let authorities = authorities
            .into_iter()
            .map(|certificate| certificate.to_vec().into());
        let built_in = self
            .opts
            .ssl_opts()
            .is_some_and(SslOpts::disable_built_in_roots);
        Ok(Some(
            tls.with_root_certs(authorities.collect())
                .with_disable_built_in_roots(built_in || self.authority.is_some()),
        ))
    }

    /// Once for each server.
    fn warn_of_clear_text(&self) {
        static WARNED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
        let server = format!("{}:{}", self.opts.ip_or_hostname(), self.opts.tcp_port());
        let mut warned = WARNED.lock();
        if warned.insert(server.clone()) {
            log::warn!(
                "the database server {server} offers no TLS: passwords and data go there in clear text, as \
                 `ssl_mode=preferred` (`tls=preferred`) allows; `required` would refuse"
            );
        }
    }
}

fn judged(error: &Error) -> NoConnection {
    let is_answer = match error {
        Error::Server(cause) => !PASSING.contains(&cause.code),
        // A server answers that does not speak this protocol, or whose TLS is not what the address asks for (rustls
        // reports it as `InvalidData`). Other errors mean that no server answers.
        Error::Io(IoError::Io(cause)) => matches!(
            cause.kind(),
            ErrorKind::InvalidData | ErrorKind::InvalidInput
        ),
        Error::Driver(DriverError::ConnectionClosed) => false,
        // What the server wants and the address does not have, or the other way round: TLS, a way to log in.
        Error::Io(IoError::Tls(_)) | Error::Driver(_) | Error::Url(_) | Error::Other(_) => true,
    };
    match is_answer {
        true => NoConnection::Denied(error.to_string()),
        false => NoConnection::Away(error.to_string()),
    }
}

#[cfg(test)]
mod tests;
