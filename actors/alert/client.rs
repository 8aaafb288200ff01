//! One HTTP request and its answer, without a word that may not be logged.

use std::error::Error;
use std::sync::OnceLock;
use std::time::Duration;

use chrono::DateTime;
use futures_util::future::BoxFuture;
use reqwest::{Client, redirect};
use rustls::{CertificateError, ClientConfig, RootCertStore};

use super::answer::Answer;
use crate::address;
use crate::clock::now_utc;

/// From the first byte of the connection to the last one of the answer.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// An answer of a receiver has some hundred bytes; of a longer one the rest is not read.
const LONGEST_ANSWER: usize = 16 * 1024;
/// A connection that is not used is closed: receivers are called seldom.
const IDLE: Duration = Duration::from_secs(20);

/// What is to be sent. Its address may be a password, so this has no `Debug`.
pub(super) struct Request {
    pub(super) url: String,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
}

/// Sends requests.
pub(super) trait Transport: Send + Sync {
    /// Posts it, and waits for the whole answer. An error is in words, and says nothing of the address.
    fn post(&self, request: Request) -> BoxFuture<'_, Result<Answer, String>>;
}

/// The network; its client is made at the first use, on the thread of the courier.
#[derive(Default)]
pub(super) struct Http(OnceLock<Result<Client, String>>);

impl Transport for Http {
    fn post(&self, request: Request) -> BoxFuture<'_, Result<Answer, String>> {
        Box::pin(async move {
            let client = self.0.get_or_init(client).as_ref();
            send(client.map_err(Clone::clone)?, request).await
        })
    }
}

async fn send(client: &Client, request: Request) -> Result<Answer, String> {
    let mut post = client.post(request.url).body(request.body);
    for (name, value) in request.headers {
        post = post.header(name, value);
    }
    let mut response = post.send().await.map_err(|cause| in_words(&cause))?;
    let status = response.status().as_u16();
    let retry_after = response.headers().get("retry-after");
    let retry_after = retry_after.and_then(|value| seconds(value.to_str().ok()?));
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|cause| in_words(&cause))? {
        body.extend_from_slice(&chunk);
        if body.len() > LONGEST_ANSWER {
            body.truncate(LONGEST_ANSWER);
            break;
        }
    }
    Ok(Answer {
        status,
        retry_after,
        body: String::from_utf8_lossy(&body).into_owned(),
    })
}

/// The header `Retry-After`: a number of seconds, or a date.
fn seconds(value: &str) -> Option<u64> {
    let at = || {
        let at = DateTime::parse_from_rfc2822(value).ok()?;
        let left = (at.to_utc() - now_utc()).num_seconds();
        Some(left.max(0).unsigned_abs())
    };
    value.parse().ok().or_else(at)
}

/// Proxies are those of the environment (`HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`).
fn client() -> Result<Client, String> {
    let client = Client::builder()
        .tls_backend_preconfigured(tls()?)
        .http1_only()
        // The address is a secret, which no other server gets.
        .redirect(redirect::Policy::none())
        .referer(false)
        .user_agent(concat!("simplest_script/", env!("CARGO_PKG_VERSION")))
        .timeout(ANSWER_WITHIN)
        .pool_idle_timeout(IDLE)
        .build();
    client.map_err(|cause| format!("no client for HTTP can be made: {}", in_words(&cause)))
}

/// With the authorities of the system.
fn tls() -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    for certificate in address::system_authorities() {
        // Each was tried when it was read.
        let _ = roots.add(certificate);
    }
    let provider = rustls::crypto::ring::default_provider();
    let builder = ClientConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .map_err(|cause| cause.to_string())?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// The library's own words name the address, or the host; these do not.
fn in_words(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return format!("no answer within {} s", ANSWER_WITHIN.as_secs());
    }
    if let Some(words) = causes(error).find_map(tls_in_words) {
        return words.to_owned();
    }
    match (error.is_connect(), causes(error).find_map(system_error)) {
        (true, Some(system)) => format!("it cannot be reached: {system}"),
        (true, None) => {
            "it cannot be reached: its name is not known, or a proxy does not let us through"
                .to_owned()
        }
        (false, Some(system)) => {
            format!("the connection broke before the whole answer was there: {system}")
        }
        (false, None) if error.is_builder() => "its address cannot be called".to_owned(),
        (false, None) => "the connection broke before the whole answer was there".to_owned(),
    }
}

/// All errors inside of one. An error of the system that wraps another one names that one's source as its own, so the wrapped
/// one is looked for first.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| {
        let system = error.downcast_ref::<std::io::Error>();
        match system.and_then(std::io::Error::get_ref) {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        }
    })
}

/// What the operating system said, which knows no names.
fn system_error(cause: &(dyn Error + 'static)) -> Option<String> {
    let code = cause.downcast_ref::<std::io::Error>()?.raw_os_error()?;
    Some(std::io::Error::from_raw_os_error(code).to_string())
}

fn tls_in_words(cause: &(dyn Error + 'static)) -> Option<&'static str> {
    Some(match cause.downcast_ref::<rustls::Error>()? {
        rustls::Error::InvalidCertificate(certificate) => match certificate {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "its certificate has expired, or the clock of this machine is wrong"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "its certificate is for another name than that of the address"
            }
            CertificateError::UnknownIssuer => {
                "its certificate is of an authority that this machine does not know: install that one's certificate \
                 (`ca-certificates`), or name it in `SSL_CERT_FILE`"
            }
            _ => "its certificate is not valid",
        },
        _ => "TLS fails: it speaks another version, or none",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_named_in_seconds_or_by_its_end() {
        assert_eq!(seconds("120"), Some(120));
        let at = now_utc() + chrono::TimeDelta::seconds(90);
        let left = seconds(&at.format("%a, %d %b %Y %H:%M:%S GMT").to_string());
        assert!((88..=90).contains(&left.unwrap()), "{left:?}");
        assert_eq!(seconds("Wed, 21 Oct 2015 07:28:00 GMT"), Some(0));
        assert_eq!(seconds("soon"), None);
    }
}
