//! Queue entries: what they take, and every refusal with its place.

use super::*;
use crate::config::Commands;
use crate::config::settings::ServerNames;
use crate::jsonc::testing;

const KAFKA: &str =
    r#""name": "kafka测试", "exec_cmd": "kafka_test", "topic": "t", "group_id": "g""#;
const POOL: &str = r#""progress": 2, "progress_lag_limit": 0, "progress_avg_msgcount": 10"#;

fn read_in(environment: Environment, text: &str) -> (Vec<QueueEntry>, Vec<String>, Vec<String>) {
    let commands = Commands {
        consumers: ["kafka_test".to_owned(), "redis_test".to_owned()].into(),
        ..Commands::default()
    };
    let mut reading = Reading {
        environment,
        commands: &commands,
        lookup: &testing::environment,
        servers: Some(ServerNames {
            file: "etc/dev.json".to_owned(),
            redis: ["default".to_owned(), "cache".to_owned()].into(),
            kafka: ["default".to_owned()].into(),
        }),
        machine_zone: None,
        notes: Vec::new(),
    };
    let (entries, faults) = testing::reading(text, |root| read(root, &mut reading));
    (entries.unwrap_or_default(), faults, reading.notes)
}

fn faults(text: &str) -> Vec<String> {
    read_in(Environment::Dev, text).1
}

/// The faults of one entry with these keys beside the pool's.
fn faults_with(keys: &str) -> Vec<String> {
    faults(&format!("[{{{POOL},\n{keys}}}]"))
}

#[test]
fn the_go_projects_file_is_read_as_it_is() {
    let text = r#"[
        {
            "name": "kafka测试",     // 名称
            "exec_cmd": "kafka_test",   // 脚本名称  在文件夹exec文件夹内
            "topic": "kafka_test_topic",  // topic , kafka 必填
            "group_id": "kafkaTest", // 消费者, kafka 必填
            "progress": 2,  // 默认协程数
            "max_progress": 10,  // 最大协程数，kafka默认分区数
            "progress_lag_limit": 20000,  // 消息堆积阈值
            "progress_avg_msgcount": 10000, // 协程平均消息数，超时5分钟
            "status": 4  // 位运算 1: dev 2: test 4: release
        },
        {
            "name": "redis测试", "exec_cmd": "redis_tst", "key": "list", "topic": "", "group_id": "",
            "progress": 2, "max_progress": 10, "progress_lag_limit": 5000,
            "progress_avg_msgcount": 1000, "status": 4
        },
    ]"#;
    let (entries, faults, notes) = read_in(Environment::Dev, text);
    assert_eq!(faults, [""; 0]);
    assert_eq!(entries.len(), 2);
    let kafka = &entries[0];
    assert_eq!(
        kafka.source,
        SourceConfig::Kafka {
            topic: "kafka_test_topic".to_owned(),
            group_id: "kafkaTest".to_owned(),
            cluster: "default".to_owned()
        }
    );
    assert_eq!(kafka.limits.max_progress.map(NonZeroU32::get), Some(10));
    assert_eq!(
        (
            kafka.retry.max_attempts.get(),
            kafka.batch.size.get(),
            kafka.timeout
        ),
        (5, 100, None)
    );
    assert!(!kafka.live);
    assert_eq!(
        kafka.why_not_live(Environment::Dev),
        "`kafka测试`: status 4 is release; this is dev"
    );
    assert_eq!(
        notes,
        [
            "`redis测试`, not live here: no consumer `redis_tst` is registered; did you mean `redis_test`?"
        ]
    );
    let (entries, faults, _) = read_in(Environment::Release, text);
    assert!(entries[0].live);
    assert!(
        faults[0].contains("`[1].exec_cmd`: no consumer `redis_tst`"),
        "{faults:?}"
    );
}

#[test]
fn an_unknown_key_is_reported_with_the_one_that_was_meant() {
    let text = r#"[
  {
    "name": "a",
    "exec_cmd": "kafka_test",
    "table": "t",
    "progress": 1, "progress_avg_msgcount": 1,
    /* 测试 */ "progress_lag_limt": 5,
    "status": 1
  }
]"#;
    assert_eq!(
        faults(text),
        ["f:7:14: `[0].progress_lag_limt`: unknown key; did you mean `progress_lag_limit`?"]
    );
}

#[test]
fn all_that_is_missing_is_reported() {
    let found = faults("[{}]");
    for key in [
        "name",
        "exec_cmd",
        "progress",
        "progress_lag_limit",
        "progress_avg_msgcount",
        "status",
    ] {
        let wanted = format!("f:1:2: `[0]`: `{key}` is missing: ");
        assert!(
            found.iter().any(|fault| fault.starts_with(&wanted)),
            "{key} {found:?}"
        );
    }
    assert!(
        found
            .iter()
            .any(|fault| fault.contains("a source is missing")),
        "{found:?}"
    );
    assert_eq!(found.len(), 7);
}

#[test]
fn an_entry_has_exactly_one_source() {
    for (source, wanted) in [
        (
            r#""topic": "t""#,
            "f:2:10: `[0].topic`: `topic` needs a `group_id`",
        ),
        (
            r#""group_id": "g""#,
            "f:2:13: `[0].group_id`: `group_id` needs a `topic`",
        ),
        (r#""key": """#, "f:1:2: `[0]`: a source is missing: one of"),
        (
            r#""key": "k", "table": "t""#,
            "f:1:2: `[0]`: wanted one of `topic` with `group_id`",
        ),
        (r#""key": "k", "topic": "t""#, "f:1:2: `[0]`: wanted one of"),
        (r#""key": 1"#, "f:2:8: `[0].key`: wanted a string, found 1"),
        (
            r#""topic": "订单", "group_id": "g""#,
            "f:2:11: `[0].topic`: a topic's name has only",
        ),
        (
            r#""key": "k", "kafka": "default""#,
            "f:2:22: `[0].kafka`: this entry's source is of another kind",
        ),
        (
            r#""key": "k", "redis": "cach""#,
            "f:2:22: `[0].redis`: `redis` of etc/dev.json has no server `cach`; did you mean `cache`?",
        ),
    ] {
        let found = faults_with(&format!(
            r#"{source}, "name": "a", "exec_cmd": "kafka_test", "status": 1"#
        ));
        assert!(
            found.len() == 1 && found[0].starts_with(wanted),
            "{source}\n{found:#?}"
        );
    }
}

#[test]
fn numbers_out_of_range_are_refused() {
    for (keys, wanted) in [
        (
            r#""progress": 0"#,
            "`[0].progress`: wanted a whole number from 1 to 10000, found 0",
        ),
        (r#""progress": -1"#, "found -1"),
        (r#""progress": 1e99"#, "found 1e99"),
        (r#""progress": 2.5"#, "found 2.5"),
        (r#""progress": 10001"#, "found 10001"),
        (
            r#""progress": 4, "max_progress": 3"#,
            "`[0].max_progress`: wanted at least `progress`, which is 4, found 3",
        ),
    ] {
        let text = format!(
            r#"[{{{KAFKA}, "progress_lag_limit": 0, "progress_avg_msgcount": 1, "status": 1, {keys}}}]"#
        );
        let found = faults(&text);
        assert!(
            found.len() == 1 && found[0].ends_with(wanted),
            "{keys}\n{found:#?}"
        );
    }
    for keys in [
        r#""status": 16"#,
        r#""status": 1, "timeout": 0"#,
        r#""status": 1, "backoff": 0"#,
        r#""status": 1, "max_attempts": 0"#,
        r#""status": 1, "batch_size": 0"#,
        r#""status": 1, "batch_wait": "soon""#,
    ] {
        assert_eq!(faults_with(&format!("{KAFKA}, {keys}")).len(), 1, "{keys}");
    }
    let ours = r#""status": 1, "timeout": null, "max_progress": null, "batch_wait": 0"#;
    assert_eq!(faults_with(&format!("{KAFKA}, {ours}")), [""; 0]);
}

#[test]
fn names_are_unique_even_of_faulty_entries() {
    let text = r#"[{"name": "a", "oops": 1},
{"name": "a"}]"#;
    let wanted =
        "f:2:10: `[1].name`: `a` is the name of another entry, first at 1:11; names are unique";
    assert!(
        faults(text).contains(&wanted.to_owned()),
        "{:?}",
        faults(text)
    );
}

#[test]
fn a_source_is_used_once_wherever_its_entries_are_live() {
    let entry = |name: &str, group: &str, status: u8| {
        format!(
            r#"{{{POOL}, "name": "{name}", "exec_cmd": "kafka_test", "topic": "t", "group_id": "{group}", "status": {status}}}"#
        )
    };
    for status in [0, 2, 3] {
        let text = format!("[{},\n{}]", entry("a", "g", 1), entry("b", "g", status));
        let faults = faults(&text);
        assert_eq!(faults.len(), 1, "{status}: {faults:?}");
        assert!(
            faults[0].starts_with("f:2:1: `[1]`: another entry has this source, first at 1:2"),
            "{faults:?}"
        );
    }
    let text = format!("[{},\n{}]", entry("a", "g", 1), entry("b", "h", 1));
    assert_eq!(faults(&text), [""; 0]);
}

#[test]
fn an_entry_live_elsewhere_may_name_unknown_servers() {
    let text = format!(r#"[{{{KAFKA}, {POOL}, "kafka": "big", "status": 4}}]"#);
    let (entries, faults, notes) = read_in(Environment::Dev, &text);
    assert_eq!((entries.len(), faults.len()), (1, 0));
    assert!(
        notes[0].contains("`kafka` of etc/dev.json has no server `big`"),
        "{notes:?}"
    );
    assert_eq!(read_in(Environment::Release, &text).1.len(), 1);
}

#[test]
fn another_document_is_refused() {
    assert_eq!(
        faults("{}"),
        ["f:1:1: wanted an array `[…]`, found an object `{…}`"]
    );
    assert_eq!(
        faults("[1]"),
        ["f:1:2: `[0]`: wanted an object `{…}`, found a number"]
    );
}
