//! Texts of all pages.

use super::language::texts;

texts! {
    tab_now: "Now", "现状";
    tab_queues: "Queues", "队列";
    skip_to_content: "Skip to the content", "跳到正文";
    navigation: "Pages", "页面";
    partition: "Partition", "分区";
    environment: "Environment", "环境";
    host: "Host", "主机";
    version: "Version", "版本";
    process: "Process", "进程";
    up_since: "Up since", "启动于";
    interface: "JSON interface", "JSON 接口";
    metrics: "Metrics", "指标";
    no_answer: "No answer from the daemon since", "守护进程无应答，始于";
    close: "Close", "关闭";
    is_read_only: "This port is read-only (`http.read_only`): it refuses every order.", "此端口为只读（`http.read_only`）：拒绝一切操作。";
    search: "Search", "搜索";
    name: "Name", "名称";
    only_in_trouble: "Only those in trouble", "只看有问题的";
    clear: "Clear", "清除";
    page_of(page, pages): "Page {page} of {pages}", "第 {page} / {pages} 页";
    earlier_page: "Previous", "上一页";
    later_page: "Next", "下一页";
    shown_of(shown, all): "{shown} of {all}", "{shown} / {all}";
    since: "since", "始于";
    before_now(age): "{age} ago", "{age}前";
    ahead_by(age): "in {age}", "{age}后";
    due_now: "now", "现在";
    really: "Yes, do it", "确认执行";
    pause: "Pause", "暂停";
    resume: "Resume", "恢复";
    paused: "paused", "已暂停";
    paused_by(who): "paused by {who}", "由 {who} 暂停";
    everything: "everything", "全部";
    queue_named(name): "queue `{name}`", "队列 `{name}`";
    cron_named(name): "cron `{name}`", "定时任务 `{name}`";
    delay_queue: "the delay queue", "延时队列";
    is_paused_now(what): "Paused: {what}. Every daemon sees it within a second.", "已暂停：{what}。所有守护进程一秒内生效。";
    is_resumed_now(what): "Resumed: {what}. Every daemon sees it within a second.", "已恢复：{what}。所有守护进程一秒内生效。";
    was_paused_before(what): "Nothing changed: {what} was paused already.", "没有变化：{what} 之前已暂停。";
    was_not_paused(what): "Nothing changed: {what} was not paused.", "没有变化：{what} 并未暂停。";
    not_written(cause): "The order is not written: {cause}", "操作没有写入：{cause}";
    database_is_slow: "The database has not answered within 5 seconds. The order waits for it, and holds once it is written.", "数据库 5 秒内没有应答。操作在排队，写入后即生效。";
    nothing_called(name): "Nothing here is called `{name}`.", "没有名为 `{name}` 的对象。";
    unknown_order: "This order is not known.", "未知操作。";
    refused_title: "Refused", "已拒绝";
    did_you_mean(name): " Did you mean `{name}`?", "是否想找 `{name}`？";
    back_to_page: "Back", "返回";
    refused_host: "This port does not answer under this name of the host. Add the name to `http.hosts`, or use the address.", "此端口不以该主机名应答。请把它加入 `http.hosts`，或改用 IP 地址。";
    refused_token: "This port needs `http.token`: enter any user name, and the token as the password. The user name appears in the audit.", "此端口需要 `http.token`：用户名任意，密码填令牌。用户名会出现在审计记录里。";
    refused_read_only: "The order is refused: this port is read-only (`http.read_only`).", "操作被拒绝：此端口为只读（`http.read_only`）。";
    refused_origin: "The order is refused: it did not come from this port's own page.", "操作被拒绝：它不是从此端口自己的页面发出的。";
    refused_body: "The order is refused: a request has 64 KiB at most.", "操作被拒绝：请求不得超过 64 KiB。";
}
