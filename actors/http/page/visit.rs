//! One request for a page: who answers, in which language, and what its URL asks for.

use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, HeaderValue, LOCATION, SET_COOKIE, VARY};
use actix_web::{Error, FromRequest, HttpRequest, HttpResponse, web};
use askama::Template;
use futures_util::future::{Ready, ready};
use url::form_urlencoded;

use super::answer::{Answer, Answers};
use super::language::{COOKIE_NAME, Language};
use crate::http::HttpConfig;
use crate::http::answers::refusal;
use crate::http::ready::{Readiness, readiness};
use crate::http::routes::Asked;

/// Characters of a value in a query that are read: longer ones are cut.
const MOST_VALUE: usize = 1_000;
/// A year, in seconds.
const COOKIE_AGE: u32 = 365 * 24 * 3600;

/// Where the pages are, and their notes.
pub(in crate::http) struct Place {
    /// Without a slash at its end: empty at the root.
    pub(super) base: String,
    pub(super) answers: Answers,
}

impl Place {
    pub(in crate::http) fn new(base: &str) -> Self {
        Self {
            base: base.to_owned(),
            answers: Answers::default(),
        }
    }
}

/// The fields of a form, in their order.
pub(super) type Fields = Vec<(String, String)>;

/// What a form sent.
pub(super) struct Form(Fields);

impl Form {
    /// All values of that name, in their order.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let its = self.0.iter().filter(move |(key, _)| key == name);
        its.map(|(_, value)| value.as_str())
    }

    /// The first value of that name.
    pub(super) fn get(&self, name: &str) -> &str {
        first(&self.0, name).unwrap_or_default()
    }
}

impl From<Fields> for Form {
    fn from(fields: Fields) -> Self {
        Self(fields)
    }
}

impl FromRequest for Form {
    type Error = Error;
    type Future = futures_util::future::LocalBoxFuture<'static, Result<Self, Error>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let fields = web::Form::<Fields>::from_request(request, payload);
        Box::pin(async move { Ok(Self(fields.await?.into_inner())) })
    }
}

fn first<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let found = pairs.iter().find(|(key, _)| key == name);
    found.map(|(_, value)| value.as_str())
}

/// See the module's header.
pub(super) struct Visit {
    pub(super) config: Arc<HttpConfig>,
    pub(super) asked: web::Data<Asked>,
    pub(super) place: web::Data<Place>,
    pub(super) t: Language,
    /// Below the base.
    path: String,
    query: Fields,
    /// The language was chosen by this request.
    switches: bool,
}

impl FromRequest for Visit {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::of(request).ok_or_else(|| {
            let answer = refusal(StatusCode::INTERNAL_SERVER_ERROR, "the page has no place");
            actix_web::error::InternalError::from_response("no place", answer).into()
        }))
    }
}

impl Visit {
    fn of(request: &HttpRequest) -> Option<Self> {
        let asked = request.app_data::<web::Data<Asked>>()?.clone();
        let place = request.app_data::<web::Data<Place>>()?.clone();
        let query = form_urlencoded::parse(request.query_string().as_bytes());
        let cut = |value: &str| value.chars().take(MOST_VALUE).collect::<String>();
        let query: Fields = query
            .map(|(key, value)| (key.into_owned(), cut(&value)))
            .collect();
        let chosen = first(&query, "lang").and_then(Language::of_code);
        let path = request.path();
        Some(Self {
            config: Arc::clone(&asked.config),
            t: chosen.unwrap_or_else(|| Language::of(request)),
            path: path.strip_prefix(&place.base).unwrap_or(path).to_owned(),
            switches: chosen.is_some(),
            asked,
            place,
            query,
        })
    }

    /// A value of the query; none where it is empty.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        let value = first(&self.query, key).map(str::trim);
        value.filter(|value| !value.is_empty())
    }

    /// Whether a box of a filter is ticked.
    pub(super) fn is_set(&self, key: &str) -> bool {
        self.get(key) == Some("1")
    }

    pub(super) fn path(&self) -> &str {
        match self.path.as_str() {
            "" => "/",
            path => path,
        }
    }

    /// The URL of another page.
    pub(super) fn link(&self, path: &str, pairs: &[(&str, &str)]) -> String {
        format!("{}{path}{}", self.place.base, query(pairs))
    }

    /// This page's path and query below the base, with other values of some keys: empty ones are left out.
    pub(super) fn with(&self, changed: &[(&str, &str)]) -> String {
        let kept = self.query.iter().filter(|(key, _)| {
            !["lang", "answer"].contains(&key.as_str())
                && !changed.iter().any(|(name, _)| name == key)
        });
        let kept = kept.map(|(key, value)| (key.as_str(), value.as_str()));
        let pairs: Vec<(&str, &str)> = kept.chain(changed.iter().copied()).collect();
        format!("{}{}", self.path(), query(&pairs))
    }

    pub(super) async fn readiness(&self) -> Readiness {
        readiness(&self.config, &self.asked.stop).await
    }

    pub(super) fn show(&self, page: &impl Template) -> HttpResponse {
        self.show_as(StatusCode::OK, page)
    }

    pub(super) fn show_as(&self, status: StatusCode, page: &impl Template) -> HttpResponse {
        let mut response = html(status, page);
        let headers = response.headers_mut();
        headers.insert(VARY, HeaderValue::from_static("accept-language, cookie"));
        if self.switches {
            let path = match self.place.base.as_str() {
                "" => "/",
                base => base,
            };
            let cookie = format!(
                "{COOKIE_NAME}={}; Path={path}; Max-Age={COOKIE_AGE}; SameSite=Lax; HttpOnly",
                self.t.code()
            );
            if let Ok(cookie) = HeaderValue::from_str(&cookie) {
                headers.append(SET_COOKIE, cookie);
            }
        }
        response
    }

    /// After an order: back to where its button was, with a sentence of what was done.
    pub(super) fn answer(&self, form: &Form, answer: Answer) -> HttpResponse {
        let back = Some(form.get("back"))
            .filter(|back| is_ours(back))
            .unwrap_or("/");
        let id = self.place.answers.keep(answer);
        let mark = if back.contains('?') { '&' } else { '?' };
        let location = format!("{}{back}{mark}answer={id}", self.place.base);
        let mut response = HttpResponse::new(StatusCode::SEE_OTHER);
        if let Ok(location) = HeaderValue::from_str(&location) {
            response.headers_mut().insert(LOCATION, location);
        }
        response
    }

    /// What the last order came to, where this request came from there.
    pub(super) fn flash(&self) -> Option<Answer> {
        self.place.answers.get(self.get("answer")?)
    }
}

/// Whether a form leads back to a page of ours: a path below the base, and no other host (`//other`).
fn is_ours(back: &str) -> bool {
    let is_path = back.starts_with('/') && !back.starts_with("//");
    is_path && back.chars().all(|c| c.is_ascii_graphic() && c != '\\')
}

pub(super) fn html(status: StatusCode, page: &impl Template) -> HttpResponse {
    match page.render() {
        Ok(text) => HttpResponse::build(status)
            .insert_header((CONTENT_TYPE, "text/html; charset=utf-8"))
            .body(text),
        Err(cause) => {
            log::error!("http: a page cannot be rendered: {cause}");
            refusal(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the page cannot be rendered",
            )
        }
    }
}

/// `?key=value&…` of the pairs that have a value.
pub(super) fn query(pairs: &[(&str, &str)]) -> String {
    let pairs = pairs.iter().filter(|(_, value)| !value.is_empty());
    let encoded = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish();
    match encoded.is_empty() {
        true => String::new(),
        false => format!("?{encoded}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_leads_back_to_our_pages_only() {
        for (back, ours) in [
            ("/", true),
            ("/queue?name=a%20b", true),
            ("", false),
            ("//evil.example", false),
            ("/\\evil.example", false),
            ("https://evil.example", false),
            ("/a\r\nSet-Cookie: x", false),
            ("/队列", false),
        ] {
            assert_eq!(is_ours(back), ours, "{back:?}");
        }
    }

    #[test]
    fn names_in_links_are_encoded() {
        assert_eq!(
            query(&[("name", "a&b=\"<单>"), ("q", "")]),
            "?name=a%26b%3D%22%3C%E5%8D%95%3E"
        );
        assert_eq!(query(&[]), "");
    }
}
