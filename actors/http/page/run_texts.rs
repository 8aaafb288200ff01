//! Texts of one run of a cron entry.

use super::language::texts;

texts! {
    run_params: "Other params than those of the entry (empty: its own)", "本次运行的参数（留空则用该项自己的参数）";
    run_is_ordered(run): "Ordered: run {run}. A daemon of the partition makes it within a second or two.", "已下令：运行 {run}。分区内的守护进程会在一两秒内执行。";
    run_paused_too: "It is paused; this run is made all the same.", "该项已暂停；此次运行照常执行。";
    end_run: "End the run", "终止运行";
    end_confirm(run): "Ends run {run} with all its processes: SIGTERM, after 10 s SIGKILL.", "终止运行 {run} 及其全部进程：先 SIGTERM，10 秒后 SIGKILL。";
    end_is_ordered(run): "Ordered: run {run} ends. Its daemon does so within a second or two.", "已下令：终止运行 {run}。所在的守护进程会在一两秒内执行。";
    run_taken_back(run): "Run {run} is taken back: it had not begun.", "运行 {run} 已撤回：尚未开始。";
    not_possible(cause): "Not done: {cause}", "未执行：{cause}";
    run_waits: "The run is ordered, and waits for a daemon of the partition.", "运行已下令，等待分区内的守护进程。";
    ended: "Ended", "结束";
    end_ordered_by: "End ordered by", "下令终止者";
    output: "Output", "输出";
    output_of_day: "Output of all runs of that day", "当天各次运行的输出";
    output_shared: "The runs of this entry share one file a day. Its end is shown, with the lines of other runs. This daemon can show a run's lines alone only for the last 20 runs of the entry that it started, until their file is full.", "该任务同一天的运行共用一个文件，这里显示文件的末尾，其中有其他运行的输出。只有当前守护进程启动的该任务最近 20 次运行，才能单独显示其输出，且仅限于文件写满之前。";
    output_is_its: "All that this run printed.", "此次运行的全部输出。";
    output_end_is_its: "The end of what this run printed.", "此次运行输出的末尾部分。";
    output_of_others(n): "Other runs of the entry went on at the same time: {n}. Their lines are among these.", "该任务另有 {n} 次运行同时进行，其输出也在其中。";
    output_none(why): "No output: {why}", "没有输出：{why}";
    output_live: "It is shown as it comes, while the run goes on.", "运行期间实时显示。";
    output_all: "The last 100,000 lines of that file, on the command line:", "用命令行查看该文件的最后 100,000 行：";
    started_by: "Started by", "启动者";
    by_made_up: "schedule, made up for a missed fire", "时间表（补跑错过的触发）";
    by_order_of(who): "order of {who}", "{who} 下令";
    by_an_order: "an order that is not kept any more", "一条已不再保留的指令";
    result_is_empty: "It returned nothing.", "没有返回结果。";
    result_not_kept: "Results and exit statuses are kept of entries with `is_log: 1`. Of others the page shows what this daemon saw of their last failures.", "只有 `is_log: 1` 的任务会保存结果与退出状态；其他任务只显示当前守护进程见到的最近失败。";
    result_unknown(cause): "The result is not known: {cause}", "无法得知结果：{cause}";
    not_live_title: "Not live here", "此处未生效";
    not_live_why: "Why", "原因";
}
