//! A count that reached its limit, as it is sent to receivers.

use chrono::DateTime;

use crate::alert::{Notice, NoticeKind, Severity};
use crate::clock::now_utc;
use crate::store::warnings::CountNotice;

/// The environment, the partition and the host that send it stand in every text of an alert; those that reached the limit
/// may be others.
pub(super) fn notice(row: &CountNotice) -> Notice {
    let messages: Vec<String> = serde_json::from_str(&row.messages).unwrap_or_default();
    let mut details = vec![format!(
        "count {}, limit {}, period {} s; reached in partition {} on host {}",
        row.counted, row.limit_count, row.seconds, row.partition_name, row.host
    )];
    details.extend(messages);
    Notice {
        kind: NoticeKind::Count,
        rule: row.flag.clone(),
        subject: String::new(),
        severity: Severity::Warning,
        summary: format!("{}: {} within {} s", row.flag, row.limit_count, row.seconds),
        details,
        started_at: DateTime::from_timestamp_millis(row.started_ms).unwrap_or_else(now_utc),
        ended_at: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_names_flag_count_limit_period_partition_and_host() {
        let row = CountNotice {
            id: 1,
            flag: "pay".to_owned(),
            seconds: 60,
            limit_count: 100,
            started_ms: 0,
            counted: 137,
            messages: "[\"card refused\",\"no answer\"]".to_owned(),
            host: "web-1".to_owned(),
            partition_name: "script2".to_owned(),
        };
        let notice = notice(&row);
        assert_eq!(notice.summary, "pay: 100 within 60 s");
        assert_eq!(
            notice.details,
            [
                "count 137, limit 100, period 60 s; reached in partition script2 on host web-1",
                "card refused",
                "no answer"
            ]
        );
    }
}
