//! A JSON logger whose lines are written by a thread of its own: for callers that may not wait for a disk.
//!
//! A line that does not fit is counted, and the count is a line of the log. The end of the process waits for what is queued.

use std::fmt::Display;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Local};
use log::Level;
use parking_lot::Mutex;
use serde_json::{Map, Value};

use super::queue::{Pushed, Queue, WhenFull};
use super::record::{self, Severity};
use super::registry::{self, Sink};

/// Lines are written one by one.
const ONE_LINE: usize = 0;

type Lines = Queue<DateTime<Local>>;

/// Those of this process, whose last lines its end waits for.
static QUEUES: Mutex<Vec<Arc<Lines>>> = Mutex::new(Vec::new());

/// See the module's header.
pub(crate) struct QueuedLogger {
    sink: Arc<Sink>,
    queue: Arc<Lines>,
}

impl QueuedLogger {
    /// Starts the thread. It lives as long as the process.
    ///
    /// # Errors
    ///
    /// When the system gives no thread.
    pub(crate) fn start(name: &'static str) -> io::Result<Self> {
        let sink = registry::sink(name);
        let writes = Arc::clone(&sink);
        let queue = Queue::start(
            "queued-log",
            "the writing of a logger's lines",
            WhenFull::Drop,
            ONE_LINE,
            move |_, lines| {
                for (now, line) in lines {
                    writes.write(now, &line);
                }
            },
        )?;
        let mut queues = QUEUES.lock();
        queues.push(Arc::clone(&queue));
        drop(queues);
        Ok(Self { sink, queue })
    }

    /// Never waits.
    pub(crate) fn warn(&self, message: &dyn Display, fields: &Map<String, Value>) {
        if !self.sink.takes(Level::Warn) {
            return;
        }
        let now = Local::now();
        let line = record::render(now, Severity::Warn, message, None, fields);
        let pushed = self.queue.push((now, line), |dropped| {
            let text = format!("lines dropped here, as they came too fast: {dropped}");
            (now, record::warning(now, &text))
        });
        if pushed == Pushed::Full {
            log::warn!(
                "logger `{}`: lines come faster than they are written, and those that do not fit are dropped",
                self.sink.name
            );
        }
    }
}

/// Waits until all lines are written, for `patience` at most.
pub(crate) fn flush_queued(patience: Duration) {
    let queues = QUEUES.lock();
    let all: Vec<Arc<Lines>> = queues.clone();
    drop(queues);
    for queue in all {
        queue.flush(patience);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_in_the_file_when_the_queue_was_flushed() {
        let dir = tempfile::tempdir().unwrap();
        // The registry of the process is the test's own place: nothing else of this name writes there.
        let sink = registry::Registry::new(dir.path()).sink("QueuedTest");
        let writes = Arc::clone(&sink);
        let queue = Queue::start("q", "q", WhenFull::Drop, ONE_LINE, move |_, lines| {
            for (now, line) in lines {
                writes.write(now, &line);
            }
        })
        .unwrap();
        let logger = QueuedLogger { sink, queue };
        let mut fields = Map::new();
        fields.insert("flag".to_owned(), "pay".into());
        for n in 0..100 {
            logger.warn(&format_args!("message {n}"), &fields);
        }
        logger.queue.flush(Duration::from_secs(20));
        let day = Local::now().format("%Y%m%d");
        let path = dir.path().join(format!("QueuedTest/app-{day}.log"));
        let text = std::fs::read_to_string(path).unwrap();
        let last = text.lines().last().unwrap();
        assert_eq!(text.lines().count(), 100);
        assert!(last.contains("\"message\":\"message 99\""), "{last}");
        assert!(last.contains("\"fields\":{\"flag\":\"pay\"}"), "{last}");
    }
}
