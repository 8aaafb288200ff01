//! Texts of cron entries and their runs.

use super::language::texts;

texts! {
    tab_cron: "Cron", "定时任务";
    no_entries: "No cron entry is live here.", "这里没有生效的定时任务。";
    no_entries_teach(file): "A cron entry is an entry of `{file}` whose `status` has the bit of this environment:", "定时任务是 `{file}` 里的一项，其 `status` 需含当前环境的位：";
    all_entries(n): "All {n} cron entries", "全部 {n} 个定时任务";
    schedule: "Schedule", "时间表达式";
    next_fire: "Next fire", "下次触发";
    last_fire: "Last fire", "上次触发";
    last_success: "Last success", "上次成功";
    never_again: "never", "不再触发";
    not_since_start: "not since the daemon's start", "守护进程启动以来没有";
    next_fires: "Next fires", "接下来的触发";
    usual_duration: "Duration", "耗时";
    runs_now_n(n): "{n} running", "{n} 个运行中";
    last_runs: "Last runs", "最近的运行";
    no_runs: "No run of it is recorded.", "没有运行记录。";
    no_runs_teach: "To run it now, press the button above, or type:", "要立即运行，请按上方按钮，或输入：";
    bars_label(n): "The last {n} runs by duration and outcome, the newest at the right", "最近 {n} 次运行的耗时与结果，最新的在右侧";
    run: "Run", "运行";
    scheduled: "Scheduled", "计划时间";
    duration: "Duration", "耗时";
    status: "Status", "状态";
    by_schedule: "schedule", "时间表";
    runs_unknown(cause): "The runs are not known: {cause}", "无法得知运行记录：{cause}";
    same_name(n): "{n} entries have this name; a pause is of all of them.", "有 {n} 项使用此名称；暂停对它们全部生效。";

    status_success: "success", "成功";
    status_failed: "failed", "失败";
    status_timeout: "timeout", "超时";
    status_killed: "killed", "被终止";
    status_lost: "lost", "失联";
    status_skipped: "skipped", "已跳过";
    status_starting: "starting", "启动中";
    status_running: "running", "运行中";

    why_title: "Why did it not run?", "为什么没有运行？";
    why_moment: "When it was due", "应当运行的时刻";
    why_ask: "Find out", "查询";
    why_zone_daemon(zone): "in the daemon's time zone ({zone})", "按守护进程的时区（{zone}）";
    why_not_a_moment: "Type a moment as `2026-11-29T03:00`.", "请按 `2026-11-29T03:00` 的格式输入时刻。";
    why_future(at): "That moment is ahead: it fires at {at}.", "该时刻尚未到来：将于 {at} 触发。";
    why_ran(at, status): "It ran: the fire of {at} ended as `{status}`.", "它运行了：{at} 的触发以 `{status}` 结束。";
    why_runs(at): "It runs: the fire of {at} has not ended yet.", "它在运行：{at} 的触发尚未结束。";
    why_ordered(at, status): "It ran, but not by its schedule: a run was ordered at {at}, and is `{status}`.", "它运行了，但不是按时间表：{at} 有人下令运行，状态为 `{status}`。";
    why_skipped(at): "The fire of {at} was skipped, as an earlier run still ran and `overlap` is `forbid`.", "{at} 的触发被跳过：前一次运行尚未结束，而 `overlap` 为 `forbid`。";
    why_skipped_for(at, run, started): "The fire of {at} was skipped, as run {run} still ran, which started at {started}, and `overlap` is `forbid`.", "{at} 的触发被跳过：{started} 启动的运行 {run} 尚未结束，而 `overlap` 为 `forbid`。";
    why_not_started(at): "The fire of {at} was claimed, and no process was started in time: its grace was over, or the database was away.", "{at} 的触发已被认领，但进程没能及时启动：已过宽限时间，或数据库不可用。";
    why_not_due(expression, before, after): "It was not due then. `{expression}` fires at {before} before, and at {after} after that.", "当时不该触发。`{expression}` 在此之前于 {before} 触发，之后于 {after} 触发。";
    why_not_due_first(expression, after): "It was not due then. `{expression}` fires at {after} after that.", "当时不该触发。`{expression}` 之后于 {after} 触发。";
    why_not_due_every(expression, before): "It counts from its last fire (`{expression}`): that was at {before}.", "它从上次触发起算（`{expression}`）：上次是 {before}。";
    why_paused(at, what, since, who): "The fire of {at} was not made: {who} had paused {what} at {since}.", "{at} 的触发没有执行：{who} 于 {since} 暂停了{what}。";
    why_not_live(at, since): "The fire of {at} was not made: the entry is live only since {since}. Before, it was not configured, or its `status` had no bit of this environment.", "{at} 的触发没有执行：该项自 {since} 起才生效；之前没有配置，或其 `status` 不含当前环境的位。";
    why_away(at, partition): "The fire of {at} was not made: no daemon of partition {partition} was alive.", "{at} 的触发没有执行：分区 {partition} 没有存活的守护进程。";
    why_away_until(at, partition, seen, next): "The fire of {at} was not made: no daemon of partition {partition} was alive. The last one was seen at {seen}, the next one started at {next}.", "{at} 的触发没有执行：分区 {partition} 没有存活的守护进程。上一个最后出现于 {seen}，下一个启动于 {next}。";
    why_misfire(at): "The fire of {at} was missed: a daemon was alive and did not make it within the grace period (`misfire_grace`). Its machine slept or was overloaded, or the database was away. `misfire` says whether such fires are made up for.", "{at} 的触发被错过：守护进程存活，但没能在宽限时间（`misfire_grace`）内执行；机器休眠、过载，或数据库不可用。是否补跑由 `misfire` 决定。";
    why_too_old(at): "The fire of {at} is older than the runs that are kept: nobody knows any more.", "{at} 的触发早于保留的运行记录：已无从得知。";
    ask_about(at): "Ask about {at}", "查询 {at}";
    see_that_run: "See the run", "查看该次运行";
    see_run_in_its_way: "See the earlier run that still ran", "查看当时尚未结束的那次运行";
    last_pauses: "Pauses", "暂停记录";
    pauses_unknown(cause): "The pauses are not known: {cause}", "无法得知暂停记录：{cause}";
    pause_began: "Paused", "暂停于";
    pause_ended: "Resumed", "恢复于";
    still_paused: "still paused", "仍在暂停";
    older_pauses: "Older pauses of this entry, in the audit", "该任务更早的暂停（审计记录）";
    unknown_daemon_moment: "an unknown time", "未知时间";
}
