//! What of a receiver's answer may be shown.
//!
//! Receivers repeat what they were asked: an address with its token, a signature, the address of this machine. A text that
//! holds any of them is not shown at all: what is left of it after a cut may still be enough.

use std::net::IpAddr;

use url::Url;

/// The most characters of a text that are shown.
const SHOWN: usize = 200;
/// Parts of an address that are shorter are words such as `hook`.
const SHORTEST_PART: usize = 6;
/// What is said in place of a text.
const WITHHELD: &str = "its words are not shown, as they may repeat an address or a secret";

/// The texts of a receiver that nobody may see.
#[derive(Clone)]
pub(super) struct Discretion {
    hidden: Vec<String>,
}

impl Discretion {
    pub(super) fn new(url: &str, secrets: &[&str], host: &str) -> Self {
        let mut hidden: Vec<String> = vec![url.to_owned()];
        if let Ok(url) = Url::parse(url) {
            hidden.extend(url.host_str().map(str::to_owned));
            hidden.extend(url.password().map(str::to_owned));
            hidden.push(url.path().trim_matches('/').to_owned());
            hidden.extend(url.query().map(str::to_owned));
            let segments = url.path_segments().into_iter().flatten();
            hidden.extend(
                segments
                    .filter(|part| part.len() >= SHORTEST_PART)
                    .map(str::to_owned),
            );
            hidden.extend(url.query_pairs().map(|(_, value)| value.into_owned()));
        }
        hidden.extend(secrets.iter().map(|secret| (*secret).to_owned()));
        hidden.push(host.to_owned());
        let mut hidden: Vec<String> = hidden.iter().map(|text| plain(text)).collect();
        hidden.retain(|text| text.len() > 2);
        Self { hidden }
    }

    /// The text on one line, cut; or why it is not shown.
    pub(super) fn show(&self, text: &str) -> String {
        let text = text.trim();
        if text.is_empty() {
            return "without a word".to_owned();
        }
        let as_compared = plain(text);
        let is_hidden = self
            .hidden
            .iter()
            .any(|hidden| as_compared.contains(hidden));
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

/// As texts are compared: without the escapes of JSON and of addresses, in one case.
fn plain(text: &str) -> String {
    let text = text.replace("\\/", "/").to_lowercase();
    let parameter = format!("v={}", text.replace('+', "%2B").replace('&', "%26"));
    let mut decoded = url::form_urlencoded::parse(parameter.as_bytes());
    decoded
        .next()
        .map_or_else(String::new, |(_, text)| text.into_owned())
}

/// Whether an address of a machine is in it.
fn has_address(text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_hexdigit() || c == '.' || c == ':';
    let words = text.split(|c| !is_part(c));
    words.map(|word| word.trim_matches(['.', ':'])).any(|word| {
        let without_port = word.rsplit_once(':').map_or(word, |(before, _)| before);
        word.parse::<IpAddr>().is_ok() || without_port.parse::<IpAddr>().is_ok()
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
        ] {
            assert_eq!(discretion().show(text), WITHHELD, "{text}");
        }
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
