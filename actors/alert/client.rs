//! One HTTP request and its answer, without a word that may not be logged.

use std::error::Error;
use std::sync::OnceLock;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use reqwest::{Client, redirect};
use rustls::{CertificateError, ClientConfig, RootCertStore};
use url::{Host, Url};

use super::answer::Answer;
use crate::address;
use crate::clock::now_utc;

/// From the first byte of the connection to the last one of the answer.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// An answer of a receiver has some hundred bytes; of a longer one the rest is not read.
const LONGEST_ANSWER: usize = 16 * 1024;
/// The longest pause that a receiver can name, in seconds: a day.
const LONGEST_NAMED_S: u64 = 24 * 3600;
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
    /// Posts it, and waits for the whole answer. An error is in words, and does not contain the address.
    fn post(&self, request: Request) -> BoxFuture<'_, Result<Answer, String>>;
}

/// The network; its clients are made at their first use, on the thread of the courier.
#[derive(Default)]
pub(super) struct Http {
    /// By the proxies of the environment.
    outside: OnceLock<Result<Client, String>>,
    /// For what runs on this machine, which no proxy can reach under that name.
    here: OnceLock<Result<Client, String>>,
}

impl Transport for Http {
    fn post(&self, request: Request) -> BoxFuture<'_, Result<Answer, String>> {
        Box::pin(async move {
            let client = match is_loopback(&request.url) {
                true => self.here.get_or_init(|| client(Proxies::None)),
                false => self.outside.get_or_init(|| client(Proxies::OfEnvironment)),
            };
            send(client.as_ref().map_err(Clone::clone)?, request).await
        })
    }
}

/// Whether an address is one of this machine's own, by its name or its number.
fn is_loopback(url: &str) -> bool {
    match Url::parse(url).as_ref().map(Url::host) {
        Ok(Some(Host::Domain(name))) => name.eq_ignore_ascii_case("localhost"),
        Ok(Some(Host::Ipv4(address))) => address.is_loopback(),
        Ok(Some(Host::Ipv6(address))) => address.is_loopback(),
        Ok(None) | Err(_) => false,
    }
}

async fn send(client: &Client, request: Request) -> Result<Answer, String> {
    let mut post = client.post(request.url).body(request.body);
    for (name, value) in request.headers {
        post = post.header(name, value);
    }
    let mut response = post.send().await.map_err(|cause| in_words(&cause))?;
    let status = response.status().as_u16();
    let header = |name: &str| response.headers().get(name)?.to_str().ok();
    let date = header("date").and_then(date);
    let retry_after = header("retry-after").and_then(|value| seconds(value, date));
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

/// The header `Retry-After`: a number of seconds, or a date. `now` is the server's clock, which may not be right; without it
/// ours is taken. Nobody waits for longer than a day, however large the number is.
fn seconds(value: &str, now: Option<DateTime<Utc>>) -> Option<u64> {
    let value = value.trim();
    let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    let named = match is_number {
        // What is too large for a number is too long anyway.
        true => value.parse().unwrap_or(u64::MAX),
        false => {
            let left = date(value)? - now.unwrap_or_else(now_utc);
            left.num_seconds().max(0).unsigned_abs()
        }
    };
    Some(named.min(LONGEST_NAMED_S))
}

/// As HTTP writes dates.
fn date(value: &str) -> Option<DateTime<Utc>> {
    let date = DateTime::parse_from_rfc2822(value).ok()?;
    Some(date.to_utc())
}

/// Which proxies a client uses.
#[derive(Clone, Copy)]
enum Proxies {
    /// `HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`.
    OfEnvironment,
    None,
}

fn client(proxies: Proxies) -> Result<Client, String> {
    let builder = match proxies {
        Proxies::OfEnvironment => Client::builder(),
        Proxies::None => Client::builder().no_proxy(),
    };
    let client = builder
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

/// All errors inside of one. An error of the system that wraps another one names that one's source as its own, so the
/// wrapped one is searched for first.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| {
        let system = error.downcast_ref::<std::io::Error>();
        match system.and_then(std::io::Error::get_ref) {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        }
    })
}

/// The operating system's error, which contains no names.
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
        let ours = |value: &str| seconds(value, None);
        assert_eq!(ours("120"), Some(120));
        let at = now_utc() + chrono::TimeDelta::seconds(90);
        let left = ours(&at.format("%a, %d %b %Y %H:%M:%S GMT").to_string());
        assert!((88..=90).contains(&left.unwrap()), "{left:?}");
        assert_eq!(ours("Wed, 21 Oct 2015 07:28:00 GMT"), Some(0));
        let theirs = date("Wed, 21 Oct 2015 07:27:00 GMT");
        let left = seconds("Wed, 21 Oct 2015 07:28:00 GMT", theirs);
        assert_eq!(left, Some(60), "by the clock of the server");
    }

    #[test]
    fn a_named_pause_is_a_number_of_at_most_a_day() {
        for none in ["soon", "", "-5", "+5", "1.5", "0x10", "Wed, 32 Oct 2015"] {
            assert_eq!(seconds(none, None), None, "{none:?}");
        }
        let endless = ["18446744073709551615", "99999999999999999999999999"];
        let never = "Fri, 31 Dec 9999 23:59:59 GMT";
        for long in endless.into_iter().chain([never]) {
            assert_eq!(seconds(long, None), Some(LONGEST_NAMED_S), "{long}");
        }
    }

    #[test]
    fn this_machine_is_known_by_its_names_and_numbers() {
        for here in [
            "http://localhost:9093",
            "http://LOCALHOST/",
            "http://127.0.0.1:1/x",
            "http://127.8.8.8",
            "http://[::1]:9093",
        ] {
            assert!(is_loopback(here), "{here}");
        }
        for elsewhere in [
            "http://localhost.example",
            "http://10.0.0.1",
            "http://[::2]",
        ] {
            assert!(!is_loopback(elsewhere), "{elsewhere}");
        }
    }
}
