//! One dead letter: what it was, why it died, its payload, and the orders about it.

use actix_web::HttpResponse;
use actix_web::http::header::{
    CONTENT_DISPOSITION, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS,
};
use askama::Template;
use bytes::Bytes;

use super::dead::GroupFacts;
use super::format;
use super::frame::{Frame, Tab};
use super::language::Language;
use super::order::Order;
use super::payload::{Payload, SHOWN_BYTES, cut, value};
use super::visit::Visit;
use crate::http::api::Shown;
use crate::orders::dead::Group;
use crate::store::browse::DeadLetterOpened;
use crate::store::dead_letter::KIND_DELAY;
use crate::store::rows::{DeadLetter, DeadLetterFilter};

/// Headers that are shown.
const MOST_HEADERS: usize = 50;
/// Bytes of a payload that is edited here: a form has 64 KiB, in which a byte may take three characters.
const MOST_EDITED: usize = 16 << 10;

#[derive(Template)]
#[template(path = "dead_letter.html")]
struct DeadLetterPage {
    frame: Frame,
    t: Language,
    id: i64,
    opened: DeadLetterOpened,
    error: String,
    group: GroupFacts,
    group_link: String,
    task_link: Option<String>,
    headers: Vec<(String, String)>,
    more_headers: usize,
    key: Option<String>,
    key_size: String,
    payload: Payload,
    links: Vec<(&'static str, String, bool)>,
    /// What may be edited.
    text: Option<String>,
    orders: Vec<Order>,
    download: String,
    /// Of the key and the headers, where it has any.
    headers_download: Option<String>,
    /// The same, where it is short enough to be shown.
    headers_json: Option<String>,
}

fn asked(visit: &Visit) -> Option<i64> {
    visit.get("id")?.parse().ok()
}

pub(super) async fn page(visit: Visit) -> HttpResponse {
    let t = visit.t;
    let shown = visit.get("id").unwrap_or_default();
    let Some(id) = asked(&visit) else {
        return visit.missing(Tab::Dead, shown);
    };
    let opened = match visit.config.db.reader().dead_letter(id, SHOWN_BYTES).await {
        Ok(Some(opened)) => opened,
        Ok(None) => return visit.gone(Tab::Dead, t.dead_letter_is_gone(id)),
        Err(cause) => return visit.fault(Tab::Dead, &cause),
    };
    let line = &opened.line;
    let payload = Payload::new(&line.payload, line.payload_bytes, visit.get("as"));
    let editable = Payload::editable(&line.payload, line.payload_bytes);
    let text = editable.filter(|text| text.len() <= MOST_EDITED && !opened.is_cut);
    let group = Group::of(&line.head);
    let id_text = id.to_string();
    let named = |what: &'static str| [("do", what), ("id", id_text.as_str())];
    let mut purge = Order::new("/letter/order", t.purge(), &named("purge"));
    purge.confirm = Some(t.purge_does().to_owned());
    let mut frame = visit.frame(Tab::Dead, &t.dead_letter_named(id));
    // It does not change, and the reader may be editing it.
    frame.refresh = 0;
    let headers = opened.headers.iter().take(MOST_HEADERS);
    let group_name = group.name();
    visit.show(&DeadLetterPage {
        frame,
        t,
        id,
        group_link: visit.link("/dead", &[("group", &group_name)]),
        error: cut(&line.head.error),
        group: GroupFacts::of(t, &group),
        task_link: (line.head.kind == KIND_DELAY)
            .then(|| visit.link("/task", &[("id", &line.original_id)])),
        headers: headers
            .map(|(name, bytes)| (value(name.as_bytes()), value(bytes)))
            .collect(),
        more_headers: opened.headers.len().saturating_sub(MOST_HEADERS),
        key: opened.key.as_deref().map(value),
        key_size: format::bytes(opened.key_bytes),
        links: visit.forms_of(&payload),
        payload,
        text: text.map(str::to_owned),
        orders: vec![
            Order::new("/letter/order", t.replay(), &named("replay")),
            purge,
        ],
        download: visit.link("/letter/payload", &[("id", &id_text)]),
        headers_download: has_headers(&opened)
            .then(|| visit.link("/letter/headers", &[("id", &id_text)])),
        headers_json: short_headers(id, &opened),
        opened,
    })
}

fn has_headers(opened: &DeadLetterOpened) -> bool {
    opened.key.is_some() || !opened.headers.is_empty()
}

/// None where there is nothing, or only the beginning of the key is here, or it is too long for a page.
fn short_headers(id: i64, opened: &DeadLetterOpened) -> Option<String> {
    let key = opened.key.as_deref();
    let is_whole = key.map_or(0, <[u8]>::len) as u64 == opened.key_bytes;
    let bytes: usize = opened
        .headers
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    let is_short = bytes <= SHOWN_BYTES as usize;
    (has_headers(opened) && is_whole && is_short).then(|| headers_json(id, key, &opened.headers))
}

/// With all bytes: text as text, other bytes in base64, as the JSON interface has them. Pairs, as a name may stand there
/// twice.
fn headers_json(id: i64, key: Option<&[u8]>, headers: &[(String, Bytes)]) -> String {
    let headers: Vec<(&str, Shown)> = headers
        .iter()
        .map(|(name, value)| (name.as_str(), Shown::of(value)))
        .collect();
    let all =
        serde_json::json!({ "dead_letter": id, "key": key.map(Shown::of), "headers": headers });
    format!("{all:#}")
}

/// The key and all headers of a dead letter, as a file to keep.
pub(super) async fn headers(visit: Visit) -> HttpResponse {
    kept_of(&visit, |id, dead_letter| {
        let json = headers_json(id, dead_letter.key.as_deref(), &dead_letter.headers);
        (format!("dead-letter-{id}-headers.json"), json.into())
    })
    .await
}

/// All bytes of a payload, as a file to keep: never as a page, whatever they are.
pub(super) async fn payload(visit: Visit) -> HttpResponse {
    kept_of(&visit, |id, dead_letter| {
        (format!("dead-letter-{id}.bin"), dead_letter.payload.into())
    })
    .await
}

/// A part of a dead letter, with the name of the file that it is kept in.
async fn kept_of(
    visit: &Visit,
    part: impl FnOnce(i64, DeadLetter) -> (String, Bytes),
) -> HttpResponse {
    let t = visit.t;
    let Some(id) = asked(visit) else {
        return visit.missing(Tab::Dead, visit.get("id").unwrap_or_default());
    };
    let filter = DeadLetterFilter {
        ids: vec![id],
        ..DeadLetterFilter::default()
    };
    let dead_letter = match visit.config.db.reader().dead_letters(filter, 1).await {
        Ok(mut dead_letters) => dead_letters.pop(),
        Err(cause) => return visit.fault(Tab::Dead, &cause),
    };
    let Some(dead_letter) = dead_letter else {
        return visit.gone(Tab::Dead, t.dead_letter_is_gone(id));
    };
    let (name, bytes) = part(id, dead_letter);
    let mut answer = HttpResponse::Ok().body(bytes);
    let headers = answer.headers_mut();
    let name = format!("attachment; filename=\"{name}\"");
    if let Ok(name) = HeaderValue::from_str(&name) {
        headers.insert(CONTENT_DISPOSITION, name);
    }
    let bytes = HeaderValue::from_static("application/octet-stream");
    headers.insert(CONTENT_TYPE, bytes);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}
