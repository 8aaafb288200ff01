//! Handlers of every kind that count warnings, and own code that does.
//!
//! A body, a task's params and a run's are JSON: `flag`, `limit` and `seconds` of the warning, `times` to count one,
//! and `chunk`: this many are counted at a time and waited for, and then noted as a line of the file `answered`; 0:
//! none is waited for. The settings' `app.own` is a list of the same, with `every_ms` between two counts; each that is
//! made is a line of the file `FLAG.counted`.

use std::fs::OpenOptions;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use serde::Deserialize;
use simplest_script::{App, BoxError, Context, JobResult, Json, Warning};

#[derive(Debug, Clone, Deserialize)]
struct Order {
    flag: String,
    limit: u64,
    seconds: u64,
    times: u64,
    #[serde(default)]
    chunk: u64,
    #[serde(default)]
    every_ms: u64,
}

#[derive(Debug, Default, Deserialize)]
struct Settings {
    #[serde(default)]
    own: Vec<Order>,
}

fn main() -> ExitCode {
    App::new()
        .consumer("warn", count_async)
        .blocking_consumer("warn_blocking", count_blocking)
        .delayed("warn", count_async)
        .blocking_delayed("warn_blocking", count_blocking)
        .cron("warn", count_async)
        .blocking_cron("warn_blocking", count_blocking)
        .spawn(own_code)
        .main()
}

async fn count_async(Json(order): Json<Order>, _: Context) -> JobResult {
    let warning = order.warning();
    for chunk in order.chunks() {
        let mut all = Vec::new();
        for n in 0..chunk {
            let added = warning.add(1, [order.message(n)]);
            if order.chunk > 0 {
                all.push(added);
            }
        }
        for added in all {
            added.await?;
        }
        order.note(chunk)?;
    }
    Ok(())
}

fn count_blocking(Json(order): Json<Order>, _: Context) -> JobResult {
    let warning = order.warning();
    for chunk in order.chunks() {
        let mut all = Vec::new();
        for n in 0..chunk {
            all.push(warning.add(1, [order.message(n)]));
        }
        for added in all.into_iter().filter(|_| order.chunk > 0) {
            added.wait()?;
        }
        order.note(chunk)?;
    }
    Ok(())
}

async fn own_code(ctx: Context) -> JobResult {
    let settings: Option<Settings> = ctx.settings().app()?;
    let own = settings.unwrap_or_default().own;
    let all = own.iter().map(|order| count_slowly(order, &ctx));
    for ended in futures_util::future::join_all(all).await {
        ended?;
    }
    Ok(())
}

async fn count_slowly(order: &Order, ctx: &Context) -> Result<(), BoxError> {
    let warning = order.warning();
    for n in 0..order.times {
        if ctx.stopping() {
            break;
        }
        warning.add(1, [order.message(n)]);
        append(&format!("{}.counted", order.flag), "1")?;
        tokio::time::sleep(Duration::from_millis(order.every_ms)).await;
    }
    Ok(())
}

impl Order {
    fn warning(&self) -> Warning {
        Warning::new(self.flag.as_str()).period(self.limit, self.seconds)
    }

    /// How many are counted at a time.
    fn chunks(&self) -> impl Iterator<Item = u64> {
        let chunk = match self.chunk {
            0 => self.times,
            chunk => chunk,
        };
        let whole = self.times / chunk.max(1);
        let rest = self.times % chunk.max(1);
        (0..whole)
            .map(move |_| chunk)
            .chain((rest > 0).then_some(rest))
    }

    fn message(&self, n: u64) -> String {
        format!("{} {n} of process {}", self.flag, std::process::id())
    }

    fn note(&self, count: u64) -> Result<(), BoxError> {
        match self.chunk {
            0 => Ok(()),
            _ => append("answered", &format!("{} {count}", std::process::id())),
        }
    }
}

/// One line, in one write.
fn append(file: &str, line: &str) -> Result<(), BoxError> {
    let mut file = OpenOptions::new().append(true).create(true).open(file)?;
    file.write_all(format!("{line}\n").as_bytes())?;
    Ok(())
}
