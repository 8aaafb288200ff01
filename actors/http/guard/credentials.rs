//! The token, as a caller shows it: a bearer token, or the password that a browser asks its user for.

use actix_web::http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use base64::prelude::{BASE64_STANDARD, Engine};
use subtle::ConstantTimeEq;

/// Characters of a user's name that the audit has.
pub(super) const MOST_USER: usize = 64;

/// How a caller showed that it knows the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    Nothing,
    /// As a password, which its user typed into a browser.
    Password,
    Token,
}

/// What a request shows, of a token of ours.
pub(super) fn shown(headers: &HeaderMap, token: &str) -> Shown {
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
pub(super) fn user_name(headers: &HeaderMap) -> Option<String> {
    let (user, _) = password(headers.get(AUTHORIZATION)?.as_bytes())?;
    let user = String::from_utf8_lossy(&user);
    let user: String = user
        .chars()
        .filter(|c| !c.is_control())
        .take(MOST_USER)
        .collect();
    Some(user.trim().to_owned()).filter(|user| !user.is_empty())
}
