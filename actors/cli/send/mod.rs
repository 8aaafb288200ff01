//! `send`: messages onto a configured queue, from a shell.

mod lines;
mod stopped;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use bytes::Bytes;
use clap::Args;

use self::lines::{Lines, Portion};
use self::stopped::Stopped;
use super::print::print;
use crate::app::App;
use crate::bootstrap::failure::{Failure, chain};
use crate::bootstrap::{mini_system, open};
use crate::config::{Config, Places, QueueEntry, SourceConfig, did_you_mean};
use crate::db::Db;
use crate::source::{Clusters, Inside, RedisServers, Routes, SendError, Sender, SentOnce};
use crate::store::idempotency::NewKey;
use crate::store::rows::NewMessage;

#[derive(Debug, Args)]
pub(crate) struct SendArgs {
    /// The queue entry's `name`
    queue: String,
    /// The messages; `-`: one a line from standard input; after `--` they may start with a `-`
    #[arg(
        required_unless_present = "file",
        allow_negative_numbers = true,
        value_name = "MESSAGE"
    )]
    pub(crate) messages: Vec<String>,
    /// A file with one message a line
    #[arg(long, value_name = "FILE", conflicts_with = "messages")]
    file: Option<PathBuf>,
    /// The key of the messages; not for Redis
    #[arg(long)]
    pub(crate) key: Option<String>,
    /// A header of the messages, `NAME=VALUE`; may be given several times; not for Redis
    #[arg(long, value_name = "NAME=VALUE")]
    header: Vec<String>,
    /// Names the one message that is sent: a repetition with the same key sends nothing more
    #[arg(long, value_name = "KEY", allow_hyphen_values = true)]
    idempotency_key: Option<String>,
}

/// Prints how many messages are durable.
pub(crate) fn send<S: Send + Sync + 'static>(
    app: &App<S>,
    places: &Places,
    args: SendArgs,
) -> Result<ExitCode, Failure> {
    let config = open::configuration(app, places)?;
    let entry = entry(&config, &args.queue)?;
    let wrapping = wrapping(entry, args.key, &args.header)?;
    let lines = match args.file {
        Some(path) => Lines::of_file(path)?,
        None if args.messages == ["-"] => Lines::of_stdin(),
        None => Lines::of_arguments(args.messages),
    };
    // A list or topic is sent to without our own database, where there is no key that this keeps.
    let key = args.idempotency_key.as_deref();
    let writes = matches!(entry.source, SourceConfig::Table { .. }) || key.is_some();
    if let Some(refusal) = key.and_then(NewKey::refusal) {
        return Err(Failure::misused(refusal));
    }
    let store = match writes {
        true => mini_system::migrated_store(&config)?,
        false => mini_system::own_store(&config),
    };
    let sent = mini_system::in_system(async {
        let db = match writes {
            true => mini_system::start_db(&store),
            false => Db::new(store.as_ref()),
        };
        let clusters = Clusters::new(&config.settings.kafka, Inside::Elsewhere);
        let redis = RedisServers::new(&config.settings);
        let outlet = Outlet {
            sender: Sender::new(
                db,
                Routes::of(&config.queues),
                Arc::new(clusters),
                Arc::new(redis),
            ),
            queue: &args.queue,
            wrapping,
        };
        match key {
            Some(key) => outlet.send_once(key, lines).await,
            None => outlet.send_lines(lines).await.map(Sent::Messages),
        }
    })?;
    print(&sent.describe(&args.queue))?;
    Ok(ExitCode::SUCCESS)
}

fn entry<'a>(config: &'a Config, queue: &str) -> Result<&'a QueueEntry, Failure> {
    let queues = &config.queues;
    queues
        .iter()
        .find(|entry| entry.name == queue)
        .ok_or_else(|| {
            let known = queues.iter().map(|entry| entry.name.clone()).collect();
            let hint = did_you_mean(queue, &known);
            Failure::misused(format!("no queue is named `{queue}`{hint}"))
        })
}

/// What became of the messages.
enum Sent {
    Messages(usize),
    Once(SentOnce),
}

impl Sent {
    fn describe(&self, queue: &str) -> String {
        match self {
            Self::Messages(sent) => format!("sent to `{queue}`: {sent}\n"),
            Self::Once(SentOnce { id, is_new }) => {
                let how = match is_new {
                    true => "1",
                    false => "0, as the message with this idempotency key was sent before",
                };
                let id = id.map_or_else(String::new, |id| format!("; id {id}"));
                format!("sent to `{queue}`: {how}{id}\n")
            }
        }
    }
}

/// What goes with each payload.
struct Wrapping {
    key: Option<Bytes>,
    headers: Vec<(String, Bytes)>,
}

fn wrapping(
    entry: &QueueEntry,
    key: Option<String>,
    headers: &[String],
) -> Result<Wrapping, Failure> {
    let bare = matches!(entry.source, SourceConfig::Redis { .. });
    if bare && (key.is_some() || !headers.is_empty()) {
        return Err(Failure::misused(format!(
            "queue `{}` is a Redis list, whose messages are payloads and nothing else: without `--key` and `--header` it \
             would be right",
            entry.name
        )));
    }
    let headers = headers.iter().map(|text| header(text));
    Ok(Wrapping {
        key: key.map(Bytes::from),
        headers: headers.collect::<Result<_, _>>()?,
    })
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

/// Where the messages go.
struct Outlet<'a> {
    sender: Sender,
    queue: &'a str,
    wrapping: Wrapping,
}

impl Outlet<'_> {
    async fn send(&self, payloads: &[Bytes]) -> Result<(), SendError> {
        let message = |payload: &Bytes| NewMessage {
            payload: payload.clone(),
            key: self.wrapping.key.clone(),
            headers: self.wrapping.headers.clone(),
        };
        let messages = payloads.iter().map(message).collect();
        self.sender.send(self.queue, messages).await.map(drop)
    }

    async fn send_portion(&self, payloads: Vec<Vec<u8>>) -> Result<(), Stopped> {
        let payloads: Vec<Bytes> = payloads.into_iter().map(Bytes::from).collect();
        match self.send(&payloads).await {
            Ok(()) => Ok(()),
            // A table takes a portion as a whole or not at all. Sent one by one it shows which message it refuses.
            Err(SendError::Database(_)) if payloads.len() > 1 => self.send_singly(&payloads).await,
            Err(error) => {
                let cause = chain(&error);
                Err(match error {
                    SendError::Refused {
                        unsent, in_doubt, ..
                    } => Stopped {
                        unsent,
                        upto: payloads.len(),
                        in_doubt,
                        cause,
                    },
                    _ => Stopped {
                        unsent: (0..payloads.len()).collect(),
                        upto: payloads.len(),
                        in_doubt: true,
                        cause,
                    },
                })
            }
        }
    }

    async fn send_singly(&self, payloads: &[Bytes]) -> Result<(), Stopped> {
        for (sent, payload) in payloads.iter().enumerate() {
            if let Err(cause) = self.send(std::slice::from_ref(payload)).await {
                return Err(Stopped {
                    unsent: vec![sent],
                    upto: sent + 1,
                    in_doubt: true,
                    cause: chain(&cause),
                });
            }
        }
        Ok(())
    }

    /// A key names one message; more are refused before the first one is sent.
    async fn send_once(&self, key: &str, mut lines: Lines) -> Result<Sent, Failure> {
        let mut payloads = Vec::new();
        while payloads.len() < 2
            && let Some(portion) = lines.next().await
        {
            payloads.extend(portion.payloads);
            if let Some(cause) = portion.failed {
                return Err(Failure::failed(format!(
                    "{} could not be read, and nothing was sent: {cause}",
                    lines.name()
                )));
            }
        }
        let [payload] = payloads.as_mut_slice() else {
            return Err(Failure::misused(format!(
                "`--idempotency-key` names one message, and {} has {}; nothing was sent",
                lines.name(),
                match payloads.len() {
                    0 => "none",
                    _ => "more",
                }
            )));
        };
        let message = NewMessage {
            payload: std::mem::take(payload).into(),
            key: self.wrapping.key.clone(),
            headers: self.wrapping.headers.clone(),
        };
        match self.sender.send_once(self.queue, key, message).await {
            Ok(sent) => Ok(Sent::Once(sent)),
            Err(refused @ SendError::Key(_)) => Err(Failure::misused(refused)),
            Err(cause) => Err(Failure::failed(chain(&cause))),
        }
    }

    /// Portion by portion, so that what is large is never in memory as a whole, and each is acknowledged before the next
    /// one is sent: what stands before a portion that fails is sent, and nothing that stands behind it.
    async fn send_lines(&self, mut lines: Lines) -> Result<usize, Failure> {
        let mut sent = 0;
        while let Some(Portion { payloads, failed }) = lines.next().await {
            let upto = sent + payloads.len();
            if !payloads.is_empty() {
                let portion = self.send_portion(payloads).await;
                portion.map_err(|stopped| lines.stopped(sent, &stopped))?;
            }
            sent = upto;
            if let Some(cause) = failed {
                return Err(Failure::failed(format!(
                    "{}; then {} could not be read: {cause}; {}",
                    lines.sent(sent),
                    lines.name(),
                    lines.rest(sent + 1)
                )));
            }
        }
        Ok(sent)
    }
}
