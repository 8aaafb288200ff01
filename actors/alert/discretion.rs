//! What of a receiver's answer may be shown.
//!
//! Receivers repeat what they were asked: an address with its token, a signature, the address of this machine. A text that
//! holds any of them is not shown at all: what is left of it after a cut may still be enough.

use std::net::{Ipv4Addr, Ipv6Addr};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use url::Url;

/// The most characters of a text that are shown.
const SHOWN: usize = 200;
/// Parts of an address that are shorter are words such as `hook`.
const SHORTEST_PART: usize = 6;
/// Receivers shorten what they repeat: a run of that many bytes of a secret that is twice as long reveals too much of
/// it.
const PIECE: usize = 8;
/// What is shown in place of a text.
const WITHHELD: &str = "its words are not shown, as they may repeat an address or a secret";

/// The texts of a receiver that nobody may see.
#[derive(Clone)]
pub(super) struct Discretion {
    hidden: Vec<String>,
    /// Of these no piece either.
    tokens: Vec<String>,
}

impl Discretion {
    /// `secrets` are whatever else the receiver is sent and nobody may see.
    pub(super) fn new(url: &str, secrets: &[&str], host: &str) -> Self {
        let mut hidden: Vec<String> = vec![url.to_owned(), host.to_owned()];
        let mut tokens: Vec<String> = secrets.iter().map(|it| (*it).to_owned()).collect();
        if let Ok(url) = Url::parse(url) {
            hidden.extend(url.host_str().map(str::to_owned));
            hidden.push(url.path().trim_matches('/').to_owned());
            hidden.extend(url.query().map(str::to_owned));
            let segments = url.path_segments().into_iter().flatten();
            let long = segments.filter(|part| part.len() >= SHORTEST_PART);
            tokens.extend(long.map(str::to_owned));
            tokens.extend(url.query_pairs().map(|(_, value)| value.into_owned()));
            if !url.username().is_empty() {
                let (user, password) = (url.username(), url.password().unwrap_or_default());
                tokens.extend([user, password].map(str::to_owned));
                // As the client sends both.
                let [user, password] = [user, password].map(decoded);
                tokens.push(STANDARD.encode(format!("{user}:{password}")));
            }
        }
        // The name of the way comes before what is secret: `Basic …`.
        let bare = secrets.iter().filter_map(|secret| secret.split_once(' '));
        tokens.extend(bare.map(|(_, secret)| secret.to_owned()));
        let as_compared = |texts: Vec<String>| {
            let all = texts.iter().map(|text| plain(text));
            all.filter(|text| text.len() > 2).collect()
        };
        Self {
            hidden: as_compared(hidden),
            tokens: as_compared(tokens),
        }
    }

    /// The text on one line, cut; or why it is not shown.
    pub(super) fn show(&self, text: &str) -> String {
        let text = text.trim();
        if text.is_empty() {
            return "without a word".to_owned();
        }
        let as_compared = plain(text);
        let mut hidden = self.hidden.iter().chain(&self.tokens);
        let is_hidden = hidden.any(|hidden| as_compared.contains(hidden))
            || self.tokens.iter().any(|token| repeats(&as_compared, token));
        if is_hidden || has_address(text) {
            return WITHHELD.to_owned();
        }
        let mut shown: String = text
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(SHOWN)
            .collect();
        if text.chars().count() > SHOWN {
            shown.push('…');
        }
        format!("\"{shown}\"")
    }
}

/// Whether the text has a piece of a long token in it.
fn repeats(text: &str, token: &str) -> bool {
    let pieces = token.as_bytes().windows(PIECE);
    let text = text.as_bytes();
    token.len() >= 2 * PIECE
        && text
            .windows(PIECE)
            .any(|part| pieces.clone().any(|piece| piece == part))
}

/// As texts are compared: without the escapes of JSON and of addresses, in one case.
fn plain(text: &str) -> String {
    decoded(&text.replace("\\/", "/").to_lowercase())
}

/// Without the escapes of addresses.
fn decoded(text: &str) -> String {
    let parameter = format!("v={}", text.replace('+', "%2B").replace('&', "%26"));
    let mut decoded = url::form_urlencoded::parse(parameter.as_bytes());
    decoded
        .next()
        .map_or_else(String::new, |(_, text)| text.into_owned())
}

/// Whether an address of a machine is in it.
fn has_address(text: &str) -> bool {
    let of_v4 = |c: char| c.is_ascii_digit() || c == '.';
    let of_v6 = |c: char| c.is_ascii_hexdigit() || c == '.' || c == ':';
    let words = text.split(|c| !of_v4(c));
    let mut v4 = words.map(|word| word.trim_matches('.'));
    let words = text.split(|c| !of_v6(c));
    let mut v6 = words.map(|word| word.trim_matches(['.', ':']));
    v4.any(|word| word.parse::<Ipv4Addr>().is_ok())
        || v6.any(|word| {
            let without_port = word.rsplit_once(':').map_or(word, |(before, _)| before);
            word.parse::<Ipv6Addr>().is_ok() || without_port.parse::<Ipv6Addr>().is_ok()
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn discretion() -> Discretion {
        Discretion::new(
            "https://user:hunter2@example.com/robot/send?access_token=to%2Bken",
            &["SECabc"],
            "build-7",
        )
    }

    #[test]
    fn what_repeats_an_address_or_a_secret_is_not_shown() {
        for text in [
            "no such url https://user:hunter2@example.com/robot/send?access_token=to%2Bken",
            r"bad path robot\/send",
            "token to+ken is not known",
            "token TO%2BKEN is not known",
            "sign with SECABC",
            "hunter2",
            "not allowed from 203.0.113.7",
            "not allowed from ip: 203.0.113.7:443, sorry",
            "not allowed from [2001:db8::7]:443",
            "2001:db8::7",
            "host build-7 is not known",
            "code:203.0.113.7",
            "cafe203.0.113.7.",
            "not from ::ffff:203.0.113.7",
            "not from fe80::1.",
            "you sent Authorization: Basic dXNlcjpodW50ZXIy",
        ] {
            assert_eq!(discretion().show(text), WITHHELD, "{text}");
        }
    }

    #[test]
    fn a_piece_of_a_long_token_is_not_shown_either() {
        let discretion = Discretion::new(
            "https://example.com/hook/0a1b2c3d-4e5f-6a7b-8c9d",
            &["Bearer 99887766554433221100"],
            "h",
        );
        for text in [
            "no robot 0a1b2c3d…",
            "no robot ***4E5F-6A7B",
            "bad token 9988776655...",
        ] {
            assert_eq!(discretion.show(text), WITHHELD, "{text}");
        }
        assert_eq!(discretion.show("no robot 0a1b2c3"), "\"no robot 0a1b2c3\"");
    }

    #[test]
    fn what_says_only_what_is_wrong_is_shown_on_one_line() {
        let shown = discretion().show(" keywords not\nin content, at 10:30:00 ");
        assert_eq!(shown, "\"keywords not in content, at 10:30:00\"");
        assert_eq!(discretion().show(""), "without a word");
        let long = discretion().show(&"签".repeat(1_000));
        assert_eq!(long.chars().count(), SHOWN + 3);
    }
}
