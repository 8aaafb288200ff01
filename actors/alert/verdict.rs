//! What a receiver's answer means. An answer that is not known to mean "sent" never means it.

use std::time::Duration;

use super::answer::Answer;
use super::discretion::Discretion;
use crate::config::WebhookKind;

/// How long DingTalk takes nothing after too many messages.
const DINGTALK_BLOCK: Duration = Duration::from_secs(10 * 60);

/// What becomes of a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Sent,
    /// It may be taken later: after the pause that the receiver names, if it does.
    Wait {
        named: Option<Duration>,
        why: String,
    },
    /// It never will be: a person must do something.
    Refused {
        why: String,
        remedy: &'static str,
        cause: Cause,
    },
}

/// What a receiver refuses a message for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// The address, the signature or the password: any message would be refused.
    Settings,
    /// What is in it: another message may be taken.
    Content,
}

const MOVED: &str = "put the address into `url` that it sends to; redirects are not followed, as the address is a secret";

/// The answer of a receiver of that kind.
pub(super) fn judge(kind: WebhookKind, answer: &Answer, discretion: &Discretion) -> Verdict {
    if answer.is_redirect() {
        return Verdict::Refused {
            why: format!("it answers with a redirect (HTTP {})", answer.status),
            remedy: MOVED,
            cause: Cause::Settings,
        };
    }
    match kind {
        WebhookKind::Feishu => feishu(answer, discretion),
        WebhookKind::WeCom => wecom(answer, discretion),
        WebhookKind::DingTalk => dingtalk(answer, discretion),
        WebhookKind::Slack => slack(answer, discretion),
        WebhookKind::Json => json(answer, discretion),
        WebhookKind::Alertmanager => alertmanager(answer, discretion),
    }
}

fn feishu(answer: &Answer, discretion: &Discretion) -> Verdict {
    let Some((code, text)) = answer.code("code", "msg") else {
        return of_status(answer);
    };
    let answered = answered(code, &text, discretion);
    let is_busy = code == 9499 && text.to_lowercase().contains("too many request");
    match code {
        0 if answer.status == 200 => Verdict::Sent,
        11232 => wait(answer, answered),
        9499 if is_busy => wait(answer, answered),
        19021 => refused(
            answered,
            "the signature is not right: `secret` must be the one of the robot's security settings, and the clock of this machine must not be an hour wrong",
        ),
        19022 => refused(
            answered,
            "this machine's address is not on the robot's list: add it in the robot's security settings",
        ),
        19024 => refused(
            answered,
            "the robot wants a keyword: name `simplest_script` in its security settings, which each message holds",
        ),
        19001 => refused(
            answered,
            "there is no such robot: copy its address into `url` again",
        ),
        9499 => unfit(
            answered,
            "the robot does not take messages of this form: `url` must be a custom robot's, and `kind` right for it",
        ),
        _ => unknown(answer, answered),
    }
}

fn wecom(answer: &Answer, discretion: &Discretion) -> Verdict {
    let Some((code, text)) = answer.code("errcode", "errmsg") else {
        return of_status(answer);
    };
    let answered = answered(code, &text, discretion);
    match code {
        0 if answer.status == 200 => Verdict::Sent,
        45009 | -1 => wait(answer, answered),
        93000 => refused(
            answered,
            "there is no such robot: copy its address, with its `key`, into `url` again",
        ),
        93004 => refused(
            answered,
            "the robot is switched off: switch it on in the group's settings, or make another one and copy its address into `url`",
        ),
        40058 => unfit(
            answered,
            "the robot does not take messages of this form: `url` must be a group robot's, and `kind` right for it",
        ),
        44004 | 45002 => unfit(
            answered,
            "the robot does not take a text of this length: its maker has changed its limits",
        ),
        _ => unknown(answer, answered),
    }
}

fn dingtalk(answer: &Answer, discretion: &Discretion) -> Verdict {
    let Some((code, text)) = answer.code("errcode", "errmsg") else {
        return of_status(answer);
    };
    let answered = answered(code, &text, discretion);
    match code {
        0 if answer.status == 200 => Verdict::Sent,
        130_101 | 410_100 => Verdict::Wait {
            named: Some(answer.named_wait().unwrap_or_default().max(DINGTALK_BLOCK)),
            why: format!(
                "{answered}: too many messages, which it answers with ten minutes' silence"
            ),
        },
        -1 => wait(answer, answered),
        310_000 => refused(
            answered,
            "the robot's security settings turn us away: `secret` must be the one there and the clock of this machine not be an hour wrong, or its keyword `simplest_script`, which each message holds, or its list of addresses must have this machine's",
        ),
        300_005 | 400_101 | 400_106 => refused(
            answered,
            "there is no such robot: copy its address, with its `access_token`, into `url` again",
        ),
        400_013 | 400_102 => refused(
            answered,
            "the robot is switched off, or its group is gone: make another one and copy its address into `url`",
        ),
        430_101..=430_104 => unfit(
            answered,
            "DingTalk takes no message with this text or link in it: the log has the alert",
        ),
        _ => unknown(answer, answered),
    }
}

fn slack(answer: &Answer, discretion: &Discretion) -> Verdict {
    let answered = format!("HTTP {}, {}", answer.status, discretion.show(&answer.body));
    match answer.status {
        200 if answer.body.trim() == "ok" => Verdict::Sent,
        429 | 500.. => wait(answer, answered),
        400 | 413 => unfit(
            answered,
            "Slack does not take the message: `url` must be an incoming webhook's",
        ),
        403 => refused(
            answered,
            "the workspace forbids this webhook: ask its administrator, or make another webhook",
        ),
        404 | 410 => refused(
            answered,
            "there is no such webhook, or its channel is gone: make another one and put its address into `url`",
        ),
        _ => unknown(answer, answered),
    }
}

fn json(answer: &Answer, discretion: &Discretion) -> Verdict {
    let answered = format!("HTTP {}, {}", answer.status, discretion.show(&answer.body));
    match answer.status {
        _ if answer.is_success() => Verdict::Sent,
        408 | 425 | 429 | 500.. => wait(answer, answered),
        401 | 403 => refused(
            answered,
            "it does not let us in: `secret`, `basic` or `bearer` must be what it expects",
        ),
        404 | 410 => refused(answered, "nothing receives at this address: correct `url`"),
        400..500 => unfit(
            answered,
            "it does not take the message: docs/en/alerts.md has its form",
        ),
        _ => unknown(answer, answered),
    }
}

fn alertmanager(answer: &Answer, discretion: &Discretion) -> Verdict {
    let answered = format!("HTTP {}, {}", answer.status, discretion.show(&answer.body));
    match answer.status {
        _ if answer.is_success() => Verdict::Sent,
        408 | 429 | 500.. => wait(answer, answered),
        401 | 403 => refused(
            answered,
            "it does not let us in: `basic` or `bearer` must be what it expects",
        ),
        404 | 405 | 410 => refused(
            answered,
            "there is no Alertmanager at this address: `url` must be its own one, without `/api/v2/alerts`, and with the prefix of its routes if it has one",
        ),
        400..500 => unfit(
            answered,
            "it does not take the alerts: its version must know the API v2 (0.16 and later)",
        ),
        _ => unknown(answer, answered),
    }
}

/// Of a receiver whose answers are JSON, and this one is not: a gateway before it, or another program.
fn of_status(answer: &Answer) -> Verdict {
    let why = format!("HTTP {}, and no answer of its kind", answer.status);
    match answer.status {
        404 | 410 => refused(
            why,
            "nothing receives at this address: correct `url`, or `kind`",
        ),
        413 => unfit(
            why,
            "a gateway before it takes no message of this length: raise its limit to 20 KB",
        ),
        _ => Verdict::Wait {
            named: answer.named_wait(),
            why,
        },
    }
}

fn answered(code: i64, text: &str, discretion: &Discretion) -> String {
    format!("it answers {code}, {}", discretion.show(text))
}

fn wait(answer: &Answer, why: String) -> Verdict {
    Verdict::Wait {
        named: answer.named_wait(),
        why,
    }
}

fn unknown(answer: &Answer, answered: String) -> Verdict {
    Verdict::Wait {
        named: answer.named_wait(),
        why: format!("{answered}, which does not confirm that it was taken"),
    }
}

fn refused(why: String, remedy: &'static str) -> Verdict {
    Verdict::Refused {
        why,
        remedy,
        cause: Cause::Settings,
    }
}

fn unfit(why: String, remedy: &'static str) -> Verdict {
    Verdict::Refused {
        why,
        remedy,
        cause: Cause::Content,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer {
            status,
            retry_after: None,
            body: body.to_owned(),
        }
    }

    fn word(kind: WebhookKind, answer: &Answer) -> &'static str {
        let discretion = Discretion::new("https://example.com/hook/secret", &[], "host-1");
        match judge(kind, answer, &discretion) {
            Verdict::Sent => "sent",
            Verdict::Wait { .. } => "wait",
            Verdict::Refused {
                cause: Cause::Settings,
                ..
            } => "refused",
            Verdict::Refused {
                cause: Cause::Content,
                ..
            } => "unfit",
        }
    }

    #[test]
    fn each_code_means_what_its_maker_says() {
        use WebhookKind::{DingTalk, Feishu, WeCom};
        let code = |kind, status, code: i64, text: &str| {
            let body = match kind {
                Feishu => format!("{{\"code\":{code},\"msg\":\"{text}\"}}"),
                _ => format!("{{\"errcode\":{code},\"errmsg\":\"{text}\"}}"),
            };
            word(kind, &answer(status, &body))
        };
        for (kind, codes) in [
            (
                Feishu,
                &[
                    (0, "success", "sent"),
                    (11232, "frequency limited", "wait"),
                    (9499, "Too Many Request", "wait"),
                    (9499, "Bad Request", "unfit"),
                    (19021, "sign match fail", "refused"),
                    (19022, "Ip Not Allowed", "refused"),
                    (19024, "Key Words Not Found", "refused"),
                    (99999, "new", "wait"),
                ][..],
            ),
            (
                WeCom,
                &[
                    (0, "ok", "sent"),
                    (45009, "api freq out of limit", "wait"),
                    (-1, "system busy", "wait"),
                    (93000, "invalid webhook url", "refused"),
                    (93004, "robot is disabled", "refused"),
                    (40058, "invalid Request Parameter", "unfit"),
                    (45002, "content size out of limit", "unfit"),
                    (12345, "new", "wait"),
                ],
            ),
            (
                DingTalk,
                &[
                    (0, "ok", "sent"),
                    (130_101, "send too fast", "wait"),
                    (410_100, "too fast", "wait"),
                    (-1, "busy", "wait"),
                    (310_000, "keywords not in content", "refused"),
                    (300_005, "token is not exist", "refused"),
                    (400_102, "robot is disabled", "refused"),
                    (430_104, "inappropriate content", "unfit"),
                    (12345, "new", "wait"),
                ],
            ),
        ] {
            for &(number, text, meant) in codes {
                assert_eq!(code(kind, 200, number, text), meant, "{kind:?} {number}");
            }
            assert_eq!(
                code(kind, 500, 0, "ok"),
                "wait",
                "{kind:?}: 0 is no success with HTTP 500"
            );
        }
    }

    #[test]
    fn each_status_means_what_its_maker_says() {
        use WebhookKind::{Alertmanager, DingTalk, Feishu, Json, Slack, WeCom};
        for (kind, status, body, meant) in [
            (Slack, 200, "ok", "sent"),
            (Slack, 200, "<html>please log in</html>", "wait"),
            (Slack, 429, "", "wait"),
            (Slack, 503, "", "wait"),
            (Slack, 400, "invalid_payload", "unfit"),
            (Slack, 403, "action_prohibited", "refused"),
            (Slack, 404, "no_service", "refused"),
            (Json, 200, "", "sent"),
            (Json, 204, "", "sent"),
            (Json, 408, "", "wait"),
            (Json, 425, "", "wait"),
            (Json, 429, "", "wait"),
            (Json, 500, "", "wait"),
            (Json, 400, "", "unfit"),
            (Json, 413, "", "unfit"),
            (Json, 401, "", "refused"),
            (Json, 410, "", "refused"),
            (Json, 307, "", "refused"),
            (Alertmanager, 200, "", "sent"),
            (Alertmanager, 500, "", "wait"),
            (Alertmanager, 400, "", "unfit"),
            (Alertmanager, 404, "", "refused"),
            (Feishu, 200, "", "wait"),
            (Feishu, 200, "<html>", "wait"),
            (Feishu, 200, "{\"code\":\"0\"}", "wait"),
            (Feishu, 200, "{\"code\":0.0}", "wait"),
            (Feishu, 200, "{\"code\":null}", "wait"),
            (Feishu, 200, "[{\"code\":0}]", "wait"),
            (Feishu, 200, "{\"code\":\"19021\"}", "refused"),
            (DingTalk, 200, "{\"errcode\":\"310000\"}", "refused"),
            (DingTalk, 200, "{\"errcode\":\"130101\"}", "wait"),
            (WeCom, 200, "{\"errcode\":18446744073709551616}", "wait"),
            (WeCom, 413, "<html>", "unfit"),
            (WeCom, 200, "ok", "wait"),
            (DingTalk, 502, "bad gateway", "wait"),
            (DingTalk, 404, "", "refused"),
        ] {
            assert_eq!(
                word(kind, &answer(status, body)),
                meant,
                "{kind:?} {status} {body}"
            );
        }
    }

    #[test]
    fn the_receivers_pause_is_taken_from_its_answer() {
        let discretion = Discretion::new("https://example.com/x", &[], "h");
        let named = |kind, answer: &Answer| match judge(kind, answer, &discretion) {
            Verdict::Wait { named, .. } => named.map(|named| named.as_secs()),
            other => panic!("{other:?}"),
        };
        let busy = Answer {
            retry_after: Some(7),
            ..answer(429, "")
        };
        assert_eq!(named(WebhookKind::Slack, &busy), Some(7));
        assert_eq!(named(WebhookKind::Json, &busy), Some(7));
        let unknown = Answer {
            retry_after: Some(9),
            ..answer(200, "{\"code\":99999}")
        };
        assert_eq!(named(WebhookKind::Feishu, &unknown), Some(9));
        let blocked = answer(200, "{\"errcode\":130101,\"errmsg\":\"x\"}");
        assert_eq!(named(WebhookKind::DingTalk, &blocked), Some(600));
    }
}
