//! What orders came to, in a sentence each, and what stands in the browser where one is refused.

use std::collections::VecDeque;

use actix_web::HttpRequest;
use actix_web::HttpResponse;
use actix_web::http::header::ACCEPT;
use askama::Template;
use parking_lot::Mutex;

use super::assets;
use super::language::Language;
use super::visit;
use crate::http::guard::Refused;
use crate::http::ordering::{NotDone, PATIENCE, Unanswered};

/// Answers that are kept until their page is shown: a browser comes back within a moment.
const MOST_ANSWERS: usize = 100;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Came {
    /// To what was ordered.
    Well,
    /// To nothing, or not yet.
    Badly,
}

/// What an order came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) came: Came,
    pub(super) text: String,
}

impl Answer {
    pub(super) fn done(text: String) -> Self {
        Self {
            came: Came::Well,
            text,
        }
    }

    pub(super) fn failed(text: String) -> Self {
        Self {
            came: Came::Badly,
            text,
        }
    }

    pub(super) fn is_good(&self) -> bool {
        self.came == Came::Well
    }
}

impl Language {
    /// Why it is not known that an order holds; `failed` says why it came to nothing.
    pub(super) fn not_done<E>(
        self,
        not_done: NotDone<E>,
        failed: impl FnOnce(E) -> String,
    ) -> Answer {
        Answer::failed(match not_done {
            NotDone::Failed(cause) => failed(cause),
            NotDone::Unanswered(why) => self.unanswered(why),
        })
    }

    pub(super) fn unanswered(self, why: Unanswered) -> String {
        match why {
            Unanswered::NothingOrdered(cause) => self.nothing_is_ordered(cause),
            Unanswered::Pending => self.order_is_pending(PATIENCE.as_secs()),
            Unanswered::Broken => self.order_broke().to_owned(),
        }
    }
}

/// The last answers. The URL that leads back has a number and no text: a link that was made up shows nothing.
#[derive(Default)]
pub(super) struct Answers(Mutex<VecDeque<(String, Answer)>>);

impl Answers {
    /// Its number.
    pub(super) fn keep(&self, answer: Answer) -> String {
        let id = format!("{:016x}", fastrand::u64(..));
        let mut answers = self.0.lock();
        if answers.len() == MOST_ANSWERS {
            answers.pop_front();
        }
        answers.push_back((id.clone(), answer));
        id
    }

    pub(super) fn get(&self, id: &str) -> Option<Answer> {
        let answers = self.0.lock();
        let found = answers.iter().find(|(its, _)| its == id);
        found.map(|(_, answer)| answer.clone())
    }
}

#[derive(Template)]
#[template(path = "refused.html")]
struct RefusedPage<'a> {
    t: Language,
    base: &'a str,
    assets: &'a str,
    text: &'a str,
}

/// For a browser, a page that shows why; none for other programs.
pub(in crate::http) fn refused(
    request: &HttpRequest,
    base: &str,
    refused: Refused,
) -> Option<HttpResponse> {
    let accepted = request.headers().get(ACCEPT)?.to_str().ok()?;
    if !accepted.contains("text/html") {
        return None;
    }
    let t = Language::of(request);
    let text = match refused {
        Refused::Host => t.refused_host(),
        Refused::Token => t.refused_token(),
        Refused::ReadOnly => t.refused_read_only(),
        Refused::Origin => t.refused_origin(),
        Refused::Body => t.refused_body(),
    };
    let page = RefusedPage {
        t,
        base,
        assets: assets::hash(),
        text,
    };
    Some(visit::html(refused.status(), &page))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_answers_are_kept_and_no_more() {
        let answers = Answers::default();
        let first = answers.keep(Answer::done("a".to_owned()));
        assert_eq!(answers.get(&first).unwrap().text, "a");
        for _ in 0..MOST_ANSWERS {
            answers.keep(Answer::failed("b".to_owned()));
        }
        assert_eq!(answers.get(&first), None);
        assert_eq!(answers.get("<script>"), None);
    }
}
