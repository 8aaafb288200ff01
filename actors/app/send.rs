//! `send`: messages onto a configured queue, from a shell.

use std::io::{self, BufRead};
use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use tokio::sync::mpsc;

use super::failure::{Failure, chain};
use super::print::print;
use super::{App, start, writer};
use crate::config::{Config, Places, SourceConfig};
use crate::db::Db;
use crate::db::rows::NewMessage;

/// Messages in one transaction: enough for the commit to cost little, few enough for the memory.
const PORTION: usize = 1000;
/// So long a line waits for others to share its transaction: a person watching notices nothing.
const GATHERING: Duration = Duration::from_millis(100);

#[derive(Debug, Args)]
pub(super) struct SendArgs {
    /// The queue entry's `name`
    queue: String,
    /// The messages; `-`: one a line from standard input; after `--` they may start with a `-`
    #[arg(required = true, allow_negative_numbers = true, value_name = "MESSAGE")]
    pub(super) messages: Vec<String>,
    /// The key of the messages
    #[arg(long)]
    pub(super) key: Option<String>,
    /// A header of the messages, `NAME=VALUE`; may be given several times
    #[arg(long, value_name = "NAME=VALUE")]
    header: Vec<String>,
}

/// Prints how many messages are durable.
pub(super) fn send<S: Send + Sync + 'static>(
    app: &App<S>,
    places: &Places,
    args: SendArgs,
) -> Result<ExitCode, Failure> {
    let config = start::configuration(app, places)?;
    let table = table(&config, &args.queue)?;
    let headers = args
        .header
        .iter()
        .map(|text| header(text))
        .collect::<Result<Vec<_>, _>>()?;
    let key = args.key.map(Bytes::from);
    let store = writer::migrated_store(&config)?;
    let message = move |payload: Vec<u8>| NewMessage {
        payload: payload.into(),
        key: key.clone(),
        headers: headers.clone(),
    };
    let sent = writer::in_system(async move {
        let db = writer::start_db(&store);
        if args.messages == ["-"] {
            from_stdin(&db, &table, message).await
        } else {
            let payloads = args.messages.into_iter().map(String::into_bytes);
            let messages: Vec<_> = payloads.map(message).collect();
            insert(&db, &table, messages).await
        }
    })?;
    print(&format!("sent to `{}`: {sent}\n", args.queue))?;
    Ok(ExitCode::SUCCESS)
}

fn table(config: &Config, queue: &str) -> Result<String, Failure> {
    let Some(entry) = config.queues.iter().find(|entry| entry.name == queue) else {
        let known = config
            .queues
            .iter()
            .map(|entry| entry.name.clone())
            .collect();
        let hint = crate::config::did_you_mean(queue, &known);
        return Err(Failure::misused(format!(
            "no queue is named `{queue}`{hint}"
        )));
    };
    match &entry.source {
        SourceConfig::Table { table } => Ok(table.clone()),
        SourceConfig::Kafka { .. } | SourceConfig::Redis { .. } => Err(Failure::misused(format!(
            "queue `{queue}` is no `table` queue; this version sends to those only"
        ))),
    }
}

fn header(text: &str) -> Result<(String, Bytes), Failure> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => {
            Ok((name.to_owned(), Bytes::from(value.to_owned())))
        }
        _ => Err(Failure::misused(format!(
            "`--header {text}`: `NAME=VALUE` would be right"
        ))),
    }
}

async fn from_stdin(
    db: &Db,
    table: &str,
    message: impl Fn(Vec<u8>) -> NewMessage,
) -> Result<usize, Failure> {
    let mut lines = stdin_lines();
    let mut sent = 0;
    while let Some(first) = lines.recv().await {
        let (portion, failed) = portion(first, &mut lines).await;
        let messages: Vec<_> = portion.into_iter().map(&message).collect();
        if !messages.is_empty() {
            sent += insert(db, table, messages).await?;
        }
        if let Some(cause) = failed {
            return Err(Failure::failed(format!(
                "{sent} messages sent, then: {cause}"
            )));
        }
    }
    Ok(sent)
}

/// A line of standard input, or why there is none.
type Line = io::Result<Vec<u8>>;

/// Lines as they come, read on a thread of their own: reading may block for ever.
fn stdin_lines() -> mpsc::Receiver<Line> {
    let (tell, lines) = mpsc::channel(PORTION);
    std::thread::spawn(move || {
        let mut lines = io::stdin().lock().split(b'\n');
        // Nobody takes them any more once a portion could not be stored.
        while let Some(line) = lines.next()
            && tell.blocking_send(line.map(without_cr)).is_ok()
        {}
    });
    lines
}

/// The lines that go into one transaction: all that come soon, as many as it takes.
async fn portion(
    first: Line,
    lines: &mut mpsc::Receiver<Line>,
) -> (Vec<Vec<u8>>, Option<io::Error>) {
    let until = tokio::time::Instant::now() + GATHERING;
    let mut portion = Vec::new();
    let mut next = Some(first);
    while let Some(line) = next {
        match line {
            Ok(line) => portion.push(line),
            Err(cause) => return (portion, Some(cause)),
        }
        if portion.len() >= PORTION {
            break;
        }
        next = match lines.try_recv() {
            Ok(line) => Some(line),
            Err(_) => tokio::time::timeout_at(until, lines.recv())
                .await
                .unwrap_or(None),
        };
    }
    (portion, None)
}

fn without_cr(mut line: Vec<u8>) -> Vec<u8> {
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    line
}

async fn insert(db: &Db, table: &str, messages: Vec<NewMessage>) -> Result<usize, Failure> {
    db.insert_messages(table.to_owned(), messages)
        .await
        .map(|ids| ids.len())
        .map_err(|cause| Failure::failed(chain(&cause)))
}
