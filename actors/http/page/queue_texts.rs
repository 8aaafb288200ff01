//! Texts of the page of one queue.

use super::language::texts;

texts! {
    source: "Source", "来源";
    handler: "Handler", "处理函数";
    lag_limit: "Lag limit", "积压上限";
    configured_size: "Configured consumers", "配置的消费者数";
    oldest_age: "Oldest message", "最早的消息";
    in_flight: "In flight", "处理中";
    busy: "busy", "忙碌";
    since_start: "Since the daemon's start", "自守护进程启动以来";
    completed: "Completed", "已完成";
    retried: "Retried", "已重试";
    dead_lettered: "Dead letters", "死信";
    released: "Released", "已释放";
    errors: "Errors", "错误";
    timeouts: "Timeouts", "超时";
    panics: "Panics", "崩溃";
    half_and_most(half, most): "half within {half}, 99 % within {most}", "半数在 {half} 内，99 % 在 {most} 内";
    no_dead_letters_of_queue: "No dead letters came from this queue.", "该队列没有死信。";
    all_dead_letters_of_queue: "All its dead letters, by error", "全部死信（按错误分组）";
    check_lag_now: "Check the lag now", "立即检查积压";
    lag_is_checked: "The lag is checked now; the pool may change its size.", "正在检查积压；消费者数量可能随之调整。";
    pool_is_starting: "The pool of this queue is being started. Try again in a moment.", "该队列的消费者池正在启动，请稍后再试。";
    chart_lag: "Lag", "积压";
    chart_rate: "Messages a second", "每秒消息数";
    chart_handler: "Handler time", "处理耗时";
    chart_consumers: "Consumers", "消费者";
    series_done: "done", "完成";
    series_failed: "failed", "失败";
    series_wanted: "wanted", "需要";
    series_present: "present", "实有";
    series_mean: "mean", "平均";
    runs_now: "What runs now", "正在运行";
    runs_nothing: "No message has run for half a second or longer.", "没有已运行半秒以上的消息。";
    and_more_run(n): "{n} more run, which are not listed.", "另有 {n} 条在运行，未列出。";
    message: "Message", "消息";
    started: "Started", "开始";
    last_failures: "Last failures", "最近的失败";
    no_failures: "No attempt has failed since the daemon's start.", "自守护进程启动以来没有失败。";
    at_time: "Time", "时间";
    attempt: "Attempt", "第几次";
    cause: "Cause", "原因";
    error: "Error", "错误";
    cause_error: "error", "错误";
    cause_timeout: "timeout", "超时";
    cause_panic: "panic", "崩溃";
    size_changes: "Changes of size", "规模变化";
    no_size_changes: "The number of consumers has not changed since the daemon's start.", "自守护进程启动以来消费者数量没有变化。";
    size_change: "Size", "规模";
    reason: "Reason", "原因";
    lag_read(ago): "read {ago}", "{ago}读取";
}
