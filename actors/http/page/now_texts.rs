//! Texts of the page "Now", and of lists.

use super::language::texts;

texts! {
    whats_wrong: "What is wrong", "当前问题";
    nothing_is_wrong: "Nothing is wrong.", "一切正常。";
    and_more(n): "and {n} more", "另有 {n} 项";
    what_helps: "What helps:", "建议：";
    all_queues(n): "All {n} queues", "全部 {n} 个队列";
    no_queues: "No queue is live here.", "这里没有生效的队列。";
    no_queues_teach(file): "A queue is an entry of `{file}` whose `status` has the bit of this environment:", "队列是 `{file}` 里的一项，其 `status` 需含当前环境的位：";
    nothing_found: "Nothing matches the search.", "没有符合条件的结果。";
    last_hour: "Last hour", "最近一小时";
    speed: "Rate", "速率";
    lag: "Lag", "积压";
    failures: "Failures", "失败";
    failures_hour: "Failures in the last hour", "最近一小时失败数";
    waiting_time: "Wait", "等待";
    waiting_time_long: "Mean time from arrival to the handler, last minute", "最近一分钟从到达至处理的平均时间";
    handler_time: "Handler", "处理耗时";
    handler_time_long: "Mean time of the handler, last minute", "最近一分钟处理函数的平均耗时";
    consumers: "Consumers", "消费者";
    consumers_of(present, ceiling): "{present} of {ceiling}", "{present} / {ceiling}";
    running: "Running", "运行中";
    waiting: "Waiting", "等待中";
    lateness: "Lateness", "延迟";
    overdue(span): "the oldest {span} past its time", "最早的已过期 {span}";
    daemons: "Daemons", "守护进程";
    daemons_unknown(cause): "The daemons are not known: {cause}", "无法得知守护进程：{cause}";
    heartbeat: "Last heartbeat", "最近心跳";
    this_daemon: "this one", "当前";
    spark_label(done, failed): "Last hour: {done} done, {failed} failed", "最近一小时：完成 {done}，失败 {failed}";
    in_trouble: "in trouble", "有问题";

    wrong_readiness: "Readiness", "就绪状态";
    wrong_outage_remedy: "This daemon goes on by itself once the cause is gone.", "原因消除后守护进程会自行继续。";
    wrong_readiness_remedy: "The log says what the daemon tries.", "日志里有守护进程正在做的尝试。";
    wrong_away(cause): "Not available: {cause}", "不可用：{cause}";
    wrong_held_up(cause): "Held up: {cause}", "受阻：{cause}";
    wrong_behind(lag, limit, present, ceiling): "Lag {lag} is above {limit} at full size, {present} of {ceiling} consumers.", "积压 {lag}，超过上限 {limit}，消费者已满员（{present} / {ceiling}）。";
    wrong_growing(from, minutes): "It has grown from {from} within {minutes} min.", "{minutes} 分钟内从 {from} 增长而来。";
    wrong_shrinking(from, minutes): "It has shrunk from {from} within {minutes} min.", "{minutes} 分钟内从 {from} 下降而来。";
    wrong_behind_remedy: "Raise `max_progress`, add a partition, or make the handler faster.", "调大 `max_progress`、增加分区，或加快处理函数。";
    see_handler_time: "See the handler's time and what runs", "查看处理耗时与正在运行的消息";
    see_what_runs: "See what runs", "查看正在运行的消息";
    see_its_runs: "See its runs", "查看运行记录";
    wrong_unread: "Its lag cannot be read.", "无法读取积压数。";
    wrong_unread_last(lag, ago): "Its lag cannot be read; it was {lag} {ago}.", "无法读取积压数；{ago}为 {lag}。";
    wrong_unread_remedy: "The pool keeps its size meanwhile; the log says why.", "其间消费者数量保持不变；原因见日志。";
    wrong_long_run: "A handler has been running all that time.", "有处理函数一直在运行。";
    wrong_long_run_remedy: "A `timeout` of the entry would end it.", "为该项设置 `timeout` 即可终止它。";
    wrong_late(waiting, span, running): "{waiting} tasks wait, the oldest {span} past its time; {running} run.", "{waiting} 个任务在等待，最早的已过期 {span}；{running} 个在运行。";
    wrong_late_remedy: "Raise `delay_concurrency`, or make the handlers faster.", "调大 `delay_concurrency`，或加快处理函数。";
    wrong_runs(error): "The last run did not end well: {error}", "上次运行未正常结束：{error}";
    wrong_runs_row(n, error): "The last {n} runs did not end well: {error}", "最近连续 {n} 次运行未正常结束：{error}";
    wrong_runs_remedy: "Its page shows the runs and what they printed.", "它的页面里有每次运行及其输出。";
    wrong_dead_letters(n): "{n} dead letters wait for somebody.", "{n} 条死信等待处理。";
    wrong_dead_letters_remedy: "Their page shows them by error, and replays or purges them.", "其页面按错误分组列出，可在那里重放或清除。";
    wrong_dead_letters_title: "Dead letters", "死信";
    wrong_delay_title: "Delay queue", "延时队列";
}
