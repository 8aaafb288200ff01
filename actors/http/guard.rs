//! Which callers may read, and which may order. Every request passes here before any route.
//!
//! Reading: a `Host` that is ours, on every request (see `host.rs`); with `http.token`, that as a bearer token, or as
//! the password that a browser asks its user for. Ordering besides: no `read_only`, and either the bearer token or a
//! page of our own. A browser sends a form of any other site's page here as well, so an order must show where it comes
//! from: `Sec-Fetch-Site: same-origin`, or where a browser has no such header an `Origin` that is `Host`.
//!
//! Whoever comes over the socket is this user or root, by the mode of its file; there is no browser there.

use std::sync::Arc;

use actix_web::body::BoxBody;
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, HOST, HeaderMap,
    HeaderName, HeaderValue, ORIGIN, REFERRER_POLICY, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, FromRequest, HttpMessage, HttpRequest, HttpResponse};
use base64::prelude::{BASE64_STANDARD, Engine};
use futures_util::future::{Ready, ready};
use subtle::ConstantTimeEq;

use super::answers::refusal;
use super::host::{is_ours, is_same_origin};
use super::page;
use crate::config::HttpSettings;

/// Only what this port itself serves, and in no frame of another page.
const POLICY: &str = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'";

/// Bytes of a request's body: orders are short.
pub(super) const MOST_BODY: usize = 64 << 10;
/// Characters of a user's name that the audit has.
const MOST_USER: usize = 64;

/// Which way a request came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entrance {
    /// `http.listen`.
    Port,
    /// The Unix socket below the data directory.
    Socket,
}

/// What a guard knows.
#[derive(Clone)]
pub(super) struct Rules {
    pub(super) settings: Arc<HttpSettings>,
    /// Before every path; empty at the root.
    pub(super) base_path: String,
    pub(super) entrance: Entrance,
}

/// May order. An order's route takes it as an argument, and so cannot be reached without.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Orderer {
    /// The address, or the user at the other end of the socket.
    pub(super) who: String,
}

/// The system's user at the other end of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct User {
    pub(super) uid: u32,
}

impl FromRequest for Orderer {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let allowed = request.extensions().get::<Self>().cloned();
        ready(allowed.ok_or_else(|| {
            let refused = refusal(StatusCode::FORBIDDEN, "this request may not order anything");
            actix_web::error::InternalError::from_response("no order", refused).into()
        }))
    }
}

/// What a request may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pass {
    /// Get yes or no: a probe without the token.
    Probe,
    Read,
    Order,
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    Host,
    Token,
    ReadOnly,
    Origin,
    Body,
}

impl Refused {
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::Host => StatusCode::MISDIRECTED_REQUEST,
            Self::Token => StatusCode::UNAUTHORIZED,
            Self::Body => StatusCode::PAYLOAD_TOO_LARGE,
            Self::ReadOnly | Self::Origin => StatusCode::FORBIDDEN,
        }
    }

    fn why(self) -> &'static str {
        match self {
            Self::Host => {
                "this port does not answer under that `Host`; add the name to `http.hosts`, or use the address"
            }
            Self::Token => "the header `Authorization: Bearer TOKEN` with `http.token` is needed",
            Self::Body => "the body of a request has 64 KiB at most",
            Self::ReadOnly => "this port takes no orders: `http.read_only` is set",
            Self::Origin => {
                "an order needs the bearer token, or must come from this port's own page (`Sec-Fetch-Site: same-origin`, \
                 or an `Origin` that is `Host`)"
            }
        }
    }

    /// For a browser a page, for others JSON.
    fn answer(self, request: &HttpRequest, base_path: &str) -> HttpResponse {
        let page = page::refused(request, base_path, self);
        let mut answer = page.unwrap_or_else(|| refusal(self.status(), self.why()));
        if self == Self::Token {
            // A browser asks its user for the second.
            for scheme in ["Bearer", "Basic"] {
                let challenge = format!("{scheme} realm=\"simplest_script\"");
                if let Ok(challenge) = HeaderValue::from_str(&challenge) {
                    answer.headers_mut().append(WWW_AUTHENTICATE, challenge);
                }
            }
        }
        answer
    }
}

/// What the request may do.
pub(super) fn judge(
    rules: &Rules,
    method: &Method,
    path: &str,
    headers: &HeaderMap,
) -> Result<Pass, Refused> {
    let settings = &rules.settings;
    let hosts: Vec<_> = headers.get_all(HOST).collect();
    let host = match hosts.as_slice() {
        [host] => host.to_str().unwrap_or_default(),
        _ => return Err(Refused::Host),
    };
    if !is_ours(host, &settings.hosts) {
        return Err(Refused::Host);
    }
    let shown = match (&settings.token, rules.entrance) {
        (_, Entrance::Socket) => Shown::Token,
        (Some(token), Entrance::Port) => shown(headers, token.expose()),
        (None, Entrance::Port) => Shown::Nothing,
    };
    // What comes without a length is counted where it is read, by the same measure.
    if body_length(headers).is_some_and(|bytes| bytes > MOST_BODY) {
        return Err(Refused::Body);
    }
    let is_locked = settings.token.is_some() && shown == Shown::Nothing;
    let reads = [Method::GET, Method::HEAD].contains(method);
    match (is_locked, reads) {
        (true, true) if is_probe(path, &settings.base_path) => return Ok(Pass::Probe),
        (true, _) => return Err(Refused::Token),
        (false, true) => return Ok(Pass::Read),
        (false, false) => {}
    }
    if settings.read_only {
        return Err(Refused::ReadOnly);
    }
    // A browser sends a password by itself, to whichever page made it ask: that is no sign of where an order comes from.
    if shown == Shown::Token || is_our_page(headers, host) {
        return Ok(Pass::Order);
    }
    Err(Refused::Origin)
}

fn body_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Probes of a container have no token; without one the answer is yes or no.
fn is_probe(path: &str, base_path: &str) -> bool {
    let path = path.strip_prefix(base_path.trim_end_matches('/'));
    matches!(path, Some("/healthz" | "/readyz"))
}

/// How a caller showed that it knows the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    Nothing,
    /// As a password, which its user typed into a browser.
    Password,
    Token,
}

fn shown(headers: &HeaderMap, token: &str) -> Shown {
    let Some(sent) = headers.get(AUTHORIZATION).map(HeaderValue::as_bytes) else {
        return Shown::Nothing;
    };
    // The comparison takes as long as the token is long, whatever was sent.
    let is_token = |sent: &[u8]| bool::from(sent.ct_eq(token.as_bytes()));
    match of_scheme(sent, b"bearer ") {
        Some(sent) if is_token(sent) => return Shown::Token,
        Some(_) => return Shown::Nothing,
        None => {}
    }
    match password(sent) {
        Some((_, password)) if is_token(&password) => Shown::Password,
        _ => Shown::Nothing,
    }
}

fn of_scheme<'a>(sent: &'a [u8], scheme: &[u8]) -> Option<&'a [u8]> {
    let (first, rest) = sent.split_at_checked(scheme.len())?;
    first.eq_ignore_ascii_case(scheme).then_some(rest)
}

/// User and password of `Basic`.
fn password(sent: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let decoded = BASE64_STANDARD.decode(of_scheme(sent, b"basic ")?).ok()?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    Some((decoded[..colon].to_vec(), decoded[colon + 1..].to_vec()))
}

/// Who a browser's user claims to be, on one line.
fn user_name(headers: &HeaderMap) -> Option<String> {
    let (user, _) = password(headers.get(AUTHORIZATION)?.as_bytes())?;
    let user = String::from_utf8_lossy(&user);
    let user: String = user
        .chars()
        .filter(|c| !c.is_control())
        .take(MOST_USER)
        .collect();
    Some(user.trim().to_owned()).filter(|user| !user.is_empty())
}

fn is_our_page(headers: &HeaderMap, host: &str) -> bool {
    const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
    match headers.get(SITE) {
        Some(site) => site.as_bytes() == b"same-origin",
        None => headers
            .get(ORIGIN)
            .and_then(|origin| origin.to_str().ok())
            .is_some_and(|origin| is_same_origin(origin, host)),
    }
}

/// The middleware.
pub(super) async fn guard(
    rules: Rules,
    mut request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let head = request.head();
    // `GET http://other/ HTTP/1.1` names a host too.
    let named = head.uri.authority().map(|authority| authority.as_str());
    let judged = match named {
        Some(named) if !is_ours(named, &rules.settings.hosts) => Err(Refused::Host),
        _ => judge(&rules, &head.method, request.path(), request.headers()),
    };
    let mut answer = match judged {
        Err(refused) => {
            let (request, _) = request.into_parts();
            let answer = refused.answer(&request, &rules.base_path);
            ServiceResponse::new(request, answer)
        }
        Ok(pass) => {
            // The routes know `GET`. The connection remembers that it was `HEAD`, and sends no body.
            if request.method() == Method::HEAD {
                request.head_mut().method = Method::GET;
            }
            request.extensions_mut().insert(pass);
            if pass == Pass::Order {
                let who = match rules.entrance {
                    Entrance::Socket => match request.conn_data::<User>() {
                        Some(user) => format!("uid {} at the socket", user.uid),
                        None => "the socket".to_owned(),
                    },
                    Entrance::Port => {
                        let peer = request.peer_addr();
                        let address = peer.map_or_else(String::new, |peer| peer.ip().to_string());
                        match user_name(request.headers()) {
                            Some(user) => format!("{user} at {address}"),
                            None => address,
                        }
                    }
                };
                request.extensions_mut().insert(Orderer { who });
            }
            next.call(request).await?
        }
    };
    let headers = answer.headers_mut();
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        // With `no-referrer` a browser would send `Origin: null` with our own forms.
        (REFERRER_POLICY, "same-origin"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // Scripts and styles say that they may be kept.
    if !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    const TOKEN: (HeaderName, &str) = (AUTHORIZATION, "Bearer secret");
    const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

    fn rules(token: bool, read_only: bool) -> Rules {
        Rules {
            settings: Arc::new(HttpSettings {
                token: token.then(|| Secret::new("secret".to_owned())),
                read_only,
                ..HttpSettings::default()
            }),
            base_path: String::new(),
            entrance: Entrance::Port,
        }
    }

    fn judged(
        rules: &Rules,
        method: Method,
        path: &str,
        sent: &[(HeaderName, &'static str)],
    ) -> Result<Pass, Refused> {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static("localhost:7100"));
        for (name, value) in sent {
            headers.insert(name.clone(), HeaderValue::from_static(value));
        }
        judge(rules, &method, path, &headers)
    }

    #[test]
    fn every_request_needs_one_host_of_ours() {
        let rules = rules(false, false);
        let foreign = [(HOST, "evil.example")];
        for method in [Method::GET, Method::POST, Method::OPTIONS] {
            let judged = judged(&rules, method, "/healthz", &foreign);
            assert_eq!(judged, Err(Refused::Host));
        }
        assert_eq!(
            judge(&rules, &Method::GET, "/", &HeaderMap::new()),
            Err(Refused::Host)
        );
        let mut twice = HeaderMap::new();
        twice.append(HOST, HeaderValue::from_static("localhost"));
        twice.append(HOST, HeaderValue::from_static("localhost"));
        assert_eq!(judge(&rules, &Method::GET, "/", &twice), Err(Refused::Host));
    }

    #[test]
    fn an_order_comes_from_our_own_page_or_with_the_token() {
        let open = rules(false, false);
        let order = |rules: &Rules, sent: &[_]| judged(rules, Method::POST, "/api", sent);
        for (sent, allowed) in [
            (vec![], false),
            (vec![(SITE, "same-origin")], true),
            (vec![(SITE, "same-site")], false),
            (vec![(SITE, "cross-site")], false),
            (vec![(SITE, "none")], false),
            (vec![(ORIGIN, "http://localhost:7100")], true),
            (vec![(ORIGIN, "http://localhost:7101")], false),
            (vec![(ORIGIN, "http://evil.example")], false),
            (vec![(ORIGIN, "null")], false),
            // The newer header goes first.
            (
                vec![(SITE, "cross-site"), (ORIGIN, "http://localhost:7100")],
                false,
            ),
            (vec![TOKEN], false),
        ] {
            let wanted = if allowed {
                Ok(Pass::Order)
            } else {
                Err(Refused::Origin)
            };
            assert_eq!(order(&open, &sent), wanted, "{sent:?}");
        }
        let locked = rules(true, false);
        assert_eq!(order(&locked, &[TOKEN]), Ok(Pass::Order));
        assert_eq!(
            order(&locked, &[(SITE, "same-origin")]),
            Err(Refused::Token)
        );
    }

    #[test]
    fn the_token_is_compared_whole_and_probes_need_none() {
        let locked = rules(true, false);
        let get = |path: &str, sent: &[_]| judged(&locked, Method::GET, path, sent);
        assert_eq!(get("/metrics", &[TOKEN]), Ok(Pass::Read));
        assert_eq!(
            get("/metrics", &[(AUTHORIZATION, "bearer secret")]),
            Ok(Pass::Read)
        );
        for wrong in [
            "Bearer secre",
            "Bearer secrets",
            "Bearer ",
            "Basic secret",
            "secret",
            "Bearer  secret",
        ] {
            assert_eq!(
                get("/metrics", &[(AUTHORIZATION, wrong)]),
                Err(Refused::Token),
                "{wrong}"
            );
        }
        for probe in ["/healthz", "/readyz"] {
            assert_eq!(get(probe, &[]), Ok(Pass::Probe));
            assert_eq!(
                judged(&locked, Method::POST, probe, &[]),
                Err(Refused::Token)
            );
        }
        assert_eq!(get("/api/v1/queues/readyz", &[]), Err(Refused::Token));
        assert_eq!(get("/x/readyz", &[]), Err(Refused::Token));
    }

    #[test]
    fn a_password_reads_and_orders_from_our_own_page_only() {
        let locked = rules(true, false);
        let basic = |user_and_password: &str| {
            let encoded = BASE64_STANDARD.encode(user_and_password);
            let header: &'static str = format!("Basic {encoded}").leak();
            (AUTHORIZATION, header)
        };
        let of = |method, sent: &[_]| judged(&locked, method, "/", sent);
        for (sent, read) in [
            ("ann:secret", Ok(Pass::Read)),
            (":secret", Ok(Pass::Read)),
            ("secret", Err(Refused::Token)),
            ("secret:", Err(Refused::Token)),
            ("ann:secrets", Err(Refused::Token)),
            ("ann:b:secret", Err(Refused::Token)),
        ] {
            assert_eq!(of(Method::GET, &[basic(sent)]), read, "{sent}");
        }
        let password = basic("ann:secret");
        let order = |sent: &[_]| of(Method::POST, sent);
        assert_eq!(order(std::slice::from_ref(&password)), Err(Refused::Origin));
        assert_eq!(
            order(&[password.clone(), (SITE, "cross-site")]),
            Err(Refused::Origin)
        );
        assert_eq!(order(&[password, (SITE, "same-origin")]), Ok(Pass::Order));
    }

    #[test]
    fn a_users_name_is_one_short_line() {
        let mut headers = HeaderMap::new();
        assert_eq!(user_name(&headers), None);
        for (user, name) in [
            ("ann", Some("ann".to_owned())),
            ("", None),
            ("a\r\nb", Some("ab".to_owned())),
            (&"x".repeat(99), Some("x".repeat(MOST_USER))),
        ] {
            let encoded = BASE64_STANDARD.encode(format!("{user}:secret"));
            let value = HeaderValue::from_str(&format!("Basic {encoded}")).unwrap();
            headers.insert(AUTHORIZATION, value);
            assert_eq!(user_name(&headers), name);
        }
    }

    #[test]
    fn read_only_refuses_orders_and_nothing_else() {
        let rules = rules(true, true);
        assert_eq!(
            judged(&rules, Method::GET, "/metrics", &[TOKEN]),
            Ok(Pass::Read)
        );
        let order = judged(&rules, Method::POST, "/api", &[TOKEN]);
        assert_eq!(order, Err(Refused::ReadOnly));
    }

    #[test]
    fn the_socket_needs_no_token() {
        let rules = Rules {
            entrance: Entrance::Socket,
            ..rules(true, false)
        };
        assert_eq!(judged(&rules, Method::GET, "/metrics", &[]), Ok(Pass::Read));
        assert_eq!(judged(&rules, Method::POST, "/api", &[]), Ok(Pass::Order));
    }
}
