//! A program for tests from outside: its handlers write down that they ran.
//!
//! Each `ledger` handler appends one JSON line to the file named by the environment variable `LEDGER`, in a single
//! write, when it has run and before it returns. The body of a message, or the params of a task or run, chooses what it
//! does: `sleep:MS:…`, `block:MS:…`, `fail:…`, `fail2:…`, `panic:…`, `abort:…`, `hang:…`, `push:S:…`, `log:NAME:N` (so
//! many lines to the logger of that name); anything else is done at once. Where `LEDGER_PUSH_LIST` is set, `push_list` pushes delayed tasks from a file.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::process::ExitCode;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use simplest_script::{App, BoxError, Context, JobResult, Message, PushItem, Run, Task};

fn main() -> ExitCode {
    let app = App::new()
        .consumer("ledger", consume)
        .delayed("ledger", delayed)
        .cron("ledger", cron)
        .consumer("noop", async |_: Message, _| Ok(()))
        .delayed("noop", async |_: Task, _| Ok(()))
        .cron("noop", async |_: Run, _| Ok(()))
        .batch_consumer("noop_batch", async |_: Vec<Message>, _| JobResult::Ok(()));
    // Only where it is asked for: reports name what is registered.
    let app = match std::env::var_os("LEDGER_PUSH_LIST") {
        Some(_) => app.cron("push_list", push_list),
        None => app,
    };
    app.main()
}

async fn consume(message: Message, ctx: Context) -> JobResult {
    let entry = Entry {
        kind: "queue",
        name: message.source.queue.to_string(),
        id: message.id.into(),
        body: String::from_utf8_lossy(&message.payload).into_owned(),
        attempt: message.attempt,
        late_us: None,
    };
    entry.act(&ctx).await
}

async fn delayed(task: Task, ctx: Context) -> JobResult {
    let late_us = now_us() - task.due.timestamp_micros();
    let entry = Entry {
        kind: "delay",
        name: task.name,
        id: task.id.into(),
        body: task.params,
        attempt: task.attempt,
        late_us: Some(late_us),
    };
    entry.act(&ctx).await
}

async fn cron(run: Run, ctx: Context) -> JobResult {
    let late_us = run.scheduled.map(|at| now_us() - at.timestamp_micros());
    let entry = Entry {
        kind: "cron",
        name: run.name,
        id: run.uk.into(),
        body: run.params,
        attempt: 1,
        late_us,
    };
    entry.act(&ctx).await
}

/// Pushes the list in the file that `params` names, for lists that no command line holds. Answers the ids.
async fn push_list(run: Run, ctx: Context) -> JobResult<Vec<i64>> {
    let items: Vec<PushItem> = serde_json::from_slice(&std::fs::read(run.params)?)?;
    Ok(ctx.push(items).await?)
}

struct Entry {
    kind: &'static str,
    name: String,
    id: Value,
    body: String,
    attempt: u32,
    late_us: Option<i64>,
}

impl Entry {
    async fn act(&self, ctx: &Context) -> JobResult {
        let (what, rest) = self
            .body
            .split_once(':')
            .unwrap_or((self.body.as_str(), ""));
        match what {
            "sleep" => tokio::time::sleep(millis(rest)?).await,
            "block" => std::thread::sleep(millis(rest)?),
            "push" => push(ctx, rest).await?,
            "log" => self.log(rest)?,
            _ => {}
        }
        self.write()?;
        match what {
            "fail" => Err("the body says fail")?,
            "fail2" if self.attempt <= 2 => Err("the body says fail twice")?,
            "panic" => panic!("the body says panic"),
            "abort" => std::process::abort(),
            "hang" => std::future::pending().await,
            _ => {}
        }
        Ok(())
    }

    /// `NAME:N`: lines of many lengths, with an end that shows whether a line is whole.
    fn log(&self, rest: &str) -> Result<(), BoxError> {
        let (name, count) = rest.rsplit_once(':').ok_or("`log:NAME:N` would be right")?;
        let log = simplest_script::logger(name);
        for number in 0..count.parse::<usize>()? {
            let (kind, id, filling) = (self.kind, &self.id, "测".repeat(1 + number % 200));
            let pid = std::process::id();
            log.info(format_args!("{kind}-{pid}-{id} {number} {filling} end"));
        }
        Ok(())
    }

    fn write(&self) -> Result<(), BoxError> {
        let line = json!({
            "kind": self.kind,
            "name": self.name,
            "id": self.id,
            "body": self.body,
            "attempt": self.attempt,
            "pid": std::process::id(),
            "at_us": now_us(),
            "late_us": self.late_us,
        });
        ledger()?.write_all(format!("{line}\n").as_bytes())?;
        Ok(())
    }
}

/// `MS:…`
fn millis(rest: &str) -> Result<Duration, BoxError> {
    let (number, _) = rest.split_once(':').unwrap_or((rest, ""));
    Ok(Duration::from_millis(number.parse()?))
}

/// `S:…`: a delayed task with what follows, this many seconds away.
async fn push(ctx: &Context, rest: &str) -> Result<(), BoxError> {
    let (seconds, params) = rest
        .split_once(':')
        .ok_or("`push:SECONDS:PARAMS` would be right")?;
    let item = PushItem {
        name: "pushed".to_owned(),
        exec_cmd: "ledger".to_owned(),
        params: params.to_owned(),
        delay_time: seconds.parse()?,
        ..PushItem::default()
    };
    ctx.push(vec![item]).await?;
    Ok(())
}

fn now_us() -> i64 {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX)
}

fn ledger() -> Result<&'static File, BoxError> {
    static LEDGER: OnceLock<File> = OnceLock::new();
    if let Some(file) = LEDGER.get() {
        return Ok(file);
    }
    let path = std::env::var("LEDGER").map_err(|_| "`LEDGER` must name a file")?;
    let file = OpenOptions::new().append(true).create(true).open(path)?;
    Ok(LEDGER.get_or_init(|| file))
}
