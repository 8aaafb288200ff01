//! Why a pool has changed its size, in the reader's language.
//!
//! The pool publishes its reason in English, as the log has it. One that is not recognised stays as it is.

use super::language::Language;

impl Language {
    pub(super) fn resize_reason(self, reason: &str) -> String {
        match self {
            Self::English => reason.to_owned(),
            Self::Chinese => chinese(reason).unwrap_or_else(|| reason.to_owned()),
        }
    }
}

fn chinese(reason: &str) -> Option<String> {
    let whole = match reason {
        "its entry was changed" => Some("该项的配置已更改"),
        "this process has work for more" => Some("当前进程的工作可供更多消费者处理"),
        "this process has no work for more" => Some("当前进程的工作不需要更多消费者"),
        "nothing renewed their lease" => Some("租约到期，没有续期"),
        _ => None,
    };
    if let Some(whole) = whole {
        return Some(whole.to_owned());
    }
    if let Some(rate) = reason.strip_prefix("rate limited, `rate_limit` is ") {
        return Some(format!("受速率限制，`rate_limit` 为 {rate}"));
    }
    let lag = reason
        .strip_prefix("its lag of ")?
        .replace(" or more", " 以上");
    if let Some((lag, limit)) = lag.split_once(" is above ") {
        return Some(format!("积压 {lag}，高于 {limit}"));
    }
    let lag = lag.strip_suffix(", and leases are over")?;
    if let Some((lag, limit)) = lag.split_once(" is not above ") {
        return Some(format!("积压 {lag}，不高于 {limit}，租约到期"));
    }
    let lag = lag.strip_suffix(" asks for no more")?;
    Some(format!("积压 {lag}，不需要更多消费者，租约到期"))
}

#[cfg(test)]
mod tests {
    use super::Language;

    #[test]
    fn reasons_are_in_chinese_and_their_numbers_stay() {
        for (english, chinese) in [
            (
                "its lag of 900 or more is above 500",
                "积压 900 以上，高于 500",
            ),
            (
                "its lag of 3 is not above 500, and leases are over",
                "积压 3，不高于 500，租约到期",
            ),
            (
                "its lag of 700 asks for no more, and leases are over",
                "积压 700，不需要更多消费者，租约到期",
            ),
            (
                "rate limited, `rate_limit` is 100/s",
                "受速率限制，`rate_limit` 为 100/s",
            ),
            ("its entry was changed", "该项的配置已更改"),
            ("of a newer release", "of a newer release"),
        ] {
            assert_eq!(Language::Chinese.resize_reason(english), chinese);
            assert_eq!(Language::English.resize_reason(english), english);
        }
    }
}
