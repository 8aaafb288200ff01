//! Words for keys that have no row in the tables of `docs/`, in English and in Chinese.

/// By path: keys that hold others, and what is inside a value. A row of a document goes before these.
pub(super) const OTHERS: [(&str, &str, &str); 45] = [
    (
        "$schema",
        "where this file's JSON Schema is, for editors",
        "本文件的 JSON Schema 的位置，供编辑器使用",
    ),
    (
        "database",
        "the daemon's own database",
        "守护进程自己的数据库",
    ),
    (
        "databases",
        "more databases, for handlers, by name",
        "供处理函数使用的其他数据库，按名称",
    ),
    ("databases.*", "a database", "一个数据库"),
    (
        "redis",
        "Redis servers by name; `default` is meant where a queue names none",
        "Redis 服务器，按名称；队列未指定时使用 `default`",
    ),
    ("redis.*", "a Redis server", "一个 Redis 服务器"),
    (
        "kafka",
        "Kafka clusters by name; `default` is meant where a queue names none",
        "Kafka 集群，按名称；队列未指定时使用 `default`",
    ),
    ("kafka.*", "a Kafka cluster", "一个 Kafka 集群"),
    (
        "kafka.*.properties.*",
        "a setting of librdkafka",
        "librdkafka 的一个参数",
    ),
    (
        "delayed",
        "time limit and retries of delayed tasks, by `exec_cmd`",
        "延时任务的超时和重试，按 `exec_cmd`",
    ),
    ("delayed.*", "a delayed task", "一个延时任务"),
    (
        "delayed.*.backoff.base",
        "the wait after the first failed attempt",
        "第一次失败后的等待时间",
    ),
    (
        "delayed.*.backoff.max",
        "the longest wait",
        "最长的等待时间",
    ),
    (
        "backoff.base",
        "the wait after the first failed attempt",
        "第一次失败后的等待时间",
    ),
    ("backoff.max", "the longest wait", "最长的等待时间"),
    (
        "misfire.catch_up",
        "how many of the missed fires are run, the last ones",
        "补跑最后多少次错过的触发",
    ),
    ("logger", "the log files", "日志文件"),
    (
        "http",
        "the HTTP port; `null`: none",
        "HTTP 端口；`null`：不监听",
    ),
    ("alert", "alerts, and where they go", "告警及其接收方"),
    (
        "alert.webhooks.url",
        "the receiver's address",
        "接收方的地址",
    ),
    (
        "alert.webhooks.kind",
        "the form of the message; else the address's host says it",
        "消息的格式；未写时由地址的主机名决定",
    ),
    (
        "alert.webhooks",
        "the receivers of alerts: an address, or an object with its key `url`",
        "告警的接收方：一个地址，或带有 `url` 键的对象",
    ),
    (
        "alert.webhooks.secret",
        "what messages are signed with",
        "消息签名所用的密钥",
    ),
    (
        "alert.webhooks.basic",
        "a user and a password for the receiver",
        "接收方要求的用户名和密码",
    ),
    ("alert.webhooks.basic.user", "the user", "用户名"),
    ("alert.webhooks.basic.password", "the password", "密码"),
    (
        "alert.webhooks.bearer",
        "a token for the receiver",
        "接收方要求的 token",
    ),
    (
        "alert.webhooks.environments",
        "the environments in which alerts are sent there; `release` where none is named",
        "在哪些环境中向它发送告警；未写时只有 `release`",
    ),
    (
        "alert.rules.lag.severity",
        "how much depends on it; `warning` where none is named",
        "严重程度；未写时为 `warning`",
    ),
    (
        "alert.rules.dead_letters.severity",
        "how much depends on it; `warning` where none is named",
        "严重程度；未写时为 `warning`",
    ),
    (
        "alert.rules.cron_runs.severity",
        "how much depends on it; `warning` where none is named",
        "严重程度；未写时为 `warning`",
    ),
    (
        "alert.rules.misfires.severity",
        "how much depends on it; `warning` where none is named",
        "严重程度；未写时为 `warning`",
    ),
    (
        "alert.rules.outages.severity",
        "how much depends on it; `critical` where none is named",
        "严重程度；未写时为 `critical`",
    ),
    (
        "alert.rules.late_tasks.severity",
        "how much depends on it; `warning` where none is named",
        "严重程度；未写时为 `warning`",
    ),
    (
        "alert.rules.restarts.severity",
        "how much depends on it; `critical` where none is named",
        "严重程度；未写时为 `critical`",
    ),
    (
        "alert.rules.disk.severity",
        "how much depends on it; `critical` where none is named",
        "严重程度；未写时为 `critical`",
    ),
    (
        "alert.ping",
        "the address of a dead man's switch, which is called each minute while the daemon, its database and its actors work",
        "存活监控（dead man's switch）的地址：守护进程、它的数据库和各 actor 正常时每分钟调用一次",
    ),
    ("alert.ping.url", "the address to call", "调用的地址"),
    (
        "alert.ping.environments",
        "the environments in which it is called; all where none is named",
        "在哪些环境中调用；未写时为所有环境",
    ),
    (
        "ping",
        "the address of a dead man's switch, which is called when a run starts and when it ends",
        "存活监控（dead man's switch）的地址：运行开始和结束时各调用一次",
    ),
    ("ping.url", "the address to call", "调用的地址"),
    (
        "ping.environments",
        "the environments in which it is called; wherever the entry is live where none is named",
        "在哪些环境中调用；未写时为条目生效的所有环境",
    ),
    ("queue", "the queues of one partition", "一个分区的队列"),
    (
        "crontab",
        "the cron entries of one partition",
        "一个分区的定时任务",
    ),
    (
        "settings",
        "the daemon's settings in one environment",
        "守护进程在一个环境中的配置",
    ),
];
