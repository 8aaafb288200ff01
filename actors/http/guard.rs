//! Which callers may read, and which may order. Every request passes here before any route.
//!
//! Reading: a `Host` that is ours, on every request (see `host.rs`); with `http.token`, that as a bearer token, or as
//! the password that a browser asks its user for. Ordering besides: no `read_only`, and either the bearer token or a
//! page of our own. A browser sends a form of any other site's page here as well, so an order must show where it comes
//! from: `Sec-Fetch-Site: same-origin`, or where a browser has no such header an `Origin` that is `Host`.
//!
//! Whoever comes over the socket is this user or root, by the mode of its file; there is no browser there.

mod credentials;

use std::sync::Arc;

use actix_web::body::BoxBody;
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, HOST, HeaderMap, HeaderName,
    HeaderValue, ORIGIN, REFERRER_POLICY, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, FromRequest, HttpMessage, HttpRequest, HttpResponse};
use futures_util::future::{Ready, ready};

use self::credentials::{Shown, shown, user_name};
use super::answers::refusal;
use super::host::{is_ours, is_same_origin};
use super::page;
use crate::config::HttpSettings;

/// Only what this port itself serves, and in no frame of another page.
const POLICY: &str = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'";

/// Bytes of a request's body: orders are short.
pub(super) const MOST_BODY: usize = 64 << 10;

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
mod tests;
