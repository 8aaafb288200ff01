//! The words of `audit` in the reader's language.
//!
//! Its columns are in English, as daemons and commands write them. Names, ids and times in them stay what they are; so does
//! a text that is not recognised, as that of a newer release.

use super::language::Language;

impl Language {
    /// The word for an action, where that is not the action itself: people filter by that.
    pub(super) fn audit_action(self, action: &str) -> Option<&'static str> {
        match (self, action) {
            (Self::English, _) => None,
            (Self::Chinese, "pause") => Some("暂停"),
            (Self::Chinese, "resume") => Some("恢复"),
            (Self::Chinese, "run") => Some("执行"),
            (Self::Chinese, "end") => Some("终止"),
            (Self::Chinese, "check") => Some("检查积压"),
            (Self::Chinese, "cancel") => Some("取消"),
            (Self::Chinese, "replay") => Some("重放"),
            (Self::Chinese, "purge") => Some("清除"),
            (Self::Chinese, "reload") => Some("重新加载"),
            (Self::Chinese, _) => None,
        }
    }

    pub(super) fn audit_target(self, target: &str) -> String {
        match self {
            Self::English => target.to_owned(),
            Self::Chinese => chinese_target(target),
        }
    }

    pub(super) fn audit_result(self, result: &str) -> String {
        match self {
            Self::English => result.to_owned(),
            Self::Chinese => chinese_result(result),
        }
    }
}

fn chinese_target(text: &str) -> String {
    match text {
        "everything" => return "全部".to_owned(),
        "the delay queue" => return "延时队列".to_owned(),
        _ => {}
    }
    if let Some(queue) = text.strip_prefix("queue `") {
        return format!("队列 `{queue}");
    }
    if let Some(entry) = text.strip_prefix("cron `") {
        return format!("定时任务 `{entry}");
    }
    if let Some(partition) = text.strip_prefix("configuration of partition ") {
        return format!("分区 {partition} 的配置");
    }
    if let Some((run, entry)) = text
        .strip_prefix("run ")
        .and_then(|run| run.split_once(" of cron "))
    {
        return format!("定时任务 {entry} 的运行 {run}");
    }
    if let Some(task) = text.strip_prefix("delayed task ") {
        return match task.split_once(", ") {
            None => format!("延时任务 {task}"),
            Some((id, "now")) => format!("延时任务 {id}，立即"),
            Some((id, when)) => {
                let when = when.strip_prefix("at ").unwrap_or(when);
                format!("延时任务 {id}，定于 {when}")
            }
        };
    }
    chinese_dead_letters(text).unwrap_or_else(|| text.to_owned())
}

/// `3 dead letters of the name …`, `dead letters 17, 18`, `all dead letters (5)`.
fn chinese_dead_letters(text: &str) -> Option<String> {
    if let Some(all) = text.strip_prefix("all dead letters (") {
        let all = all.trim_end_matches(')').replace("at least ", "至少 ");
        return Some(format!("全部死信（{all} 条）"));
    }
    if let Some(rest) = text.strip_prefix("dead letters") {
        return Some(format!("死信{}", conditions(rest)));
    }
    let (least, counted) = match text.strip_prefix("at least ") {
        Some(counted) => ("至少 ", counted),
        None => ("", text),
    };
    let (number, rest) = counted.split_once(" dead letter")?;
    let is_number = !number.is_empty() && number.chars().all(|c| c.is_ascii_digit());
    let rest = rest.strip_prefix('s').unwrap_or(rest);
    is_number.then(|| format!("{least}{number} 条死信{}", conditions(rest)))
}

/// Each with its value between backticks, and before the next one. What follows something that is none stays as it is: it may
/// be a part of a name.
fn conditions(mut rest: &str) -> String {
    const NAMED: [(&str, &str); 4] = [
        (" of the name `", "，名称 `"),
        (" of kind `", "，类型 `"),
        (" from `", "，来源 `"),
        (" of handler `", "，处理函数 `"),
    ];
    let mut text = String::new();
    'all: loop {
        for (english, chinese) in NAMED {
            let value = rest.strip_prefix(english);
            if let Some((value, after)) = value.and_then(|value| value.split_once('`')) {
                text.extend([chinese, value, "`"]);
                rest = after;
                continue 'all;
            }
        }
        let in_error = rest.strip_prefix(" with ");
        if let Some((error, after)) = in_error.and_then(|it| it.split_once(" in the error")) {
            text.extend(["，错误中含 ", error]);
            rest = after;
            continue;
        }
        for (english, chinese) in [(" since ", "，始于 "), (" before ", "，早于 ")] {
            if let Some(moment) = rest.strip_prefix(english) {
                let end = moment.find([' ', ',']).unwrap_or(moment.len());
                text.extend([chinese, &moment[..end]]);
                rest = &moment[end..];
                continue 'all;
            }
        }
        let most = rest.strip_prefix(", ");
        match most.and_then(|most| most.strip_suffix(" at most")) {
            Some(most) => text.extend(["，至多 ", most, " 条"]),
            None => text.push_str(rest),
        }
        return text;
    }
}

fn chinese_result(text: &str) -> String {
    let known = match text {
        "done" => "完成",
        "ordered" => "已下令",
        "there is no such task" => "没有这个任务",
        "it runs in the Go program" => "正在由 Go 程序执行",
        "it is done already" => "之前已完成",
        "it has failed or was cancelled already" => "之前已失败或已取消",
        _ => "",
    };
    if !known.is_empty() {
        return known.to_owned();
    }
    if let Some(who) = text.strip_prefix("taken back by order of ") {
        return format!("由 {who} 撤回");
    }
    let skipped = ": an earlier run of this entry still runs";
    if let Some(run) = text.strip_prefix("run ") {
        return match run.strip_suffix(skipped) {
            Some(run) => format!(
                "运行 {}被跳过：前一次运行尚未结束",
                run.trim_end_matches("is skipped")
            ),
            None => format!("运行 {run}"),
        };
    }
    let owner = text.strip_prefix("it runs, or is about to: ");
    if let Some(owner) = owner.and_then(|owner| owner.strip_suffix(" has claimed it")) {
        return format!("已由 {owner} 认领，正在或即将执行");
    }
    chinese_dead_letters(text).unwrap_or_else(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_in_chinese_and_their_names_stay() {
        for (english, chinese) in [
            ("everything", "全部"),
            ("the delay queue", "延时队列"),
            ("queue `a since b`", "队列 `a since b`"),
            ("cron `报表`", "定时任务 `报表`"),
            ("run 0f of cron `r`", "定时任务 `r` 的运行 0f"),
            ("delayed task 17", "延时任务 17"),
            ("delayed task 17, now", "延时任务 17，立即"),
            (
                "delayed task 17, at 2026-01-31T00:00:00+08:00",
                "延时任务 17，定于 2026-01-31T00:00:00+08:00",
            ),
            ("dead letters 17, 18", "死信 17, 18"),
            (
                "all dead letters (at least 20000)",
                "全部死信（至少 20000 条）",
            ),
            ("7 dead letters", "7 条死信"),
            ("dead letters, 7 at most", "死信，至多 7 条"),
            (
                "at least 3 dead letters of the name `orders` with \"since noon\" in the error since 2026-01-31T00:00:00Z",
                "至少 3 条死信，名称 `orders`，错误中含 \"since noon\"，始于 2026-01-31T00:00:00Z",
            ),
            (
                "1 dead letter of queue `a` (`c`): no order #",
                "1 条死信 of queue `a` (`c`): no order #",
            ),
            ("configuration of partition script1", "分区 script1 的配置"),
            ("what a newer release writes", "what a newer release writes"),
        ] {
            assert_eq!(Language::Chinese.audit_target(english), chinese);
            assert_eq!(Language::English.audit_target(english), english);
        }
    }

    #[test]
    fn results_are_in_chinese() {
        for (english, chinese) in [
            ("done", "完成"),
            ("2 dead letters", "2 条死信"),
            ("run 0f", "运行 0f"),
            (
                "run 0f is skipped: an earlier run of this entry still runs",
                "运行 0f 被跳过：前一次运行尚未结束",
            ),
            ("taken back by order of ann", "由 ann 撤回"),
            (
                "it runs, or is about to: `s/b` has claimed it",
                "已由 `s/b` 认领，正在或即将执行",
            ),
        ] {
            assert_eq!(Language::Chinese.audit_result(english), chinese);
        }
    }
}
