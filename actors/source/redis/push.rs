//! What a producer does: `LPUSH`.

use bb8_redis::redis::cmd;
use bytes::Bytes;

use super::error::Fault;
use super::server::{Answer, Server};

/// Messages in one command: enough for the way there and back to cost little, few enough not to hold up others.
const PORTION: usize = 1000;

impl Server {
    /// Pushes onto a list, the first one first. Answers how many were pushed, and why the rest was not. After an answer
    /// that was lost it is not tried again: it may have been done.
    pub(crate) async fn push(&self, key: &str, payloads: &[Bytes]) -> (usize, Option<String>) {
        let mut pushed = 0;
        for portion in payloads.chunks(PORTION) {
            match self.push_portion(key, portion).await {
                Ok(()) => pushed += portion.len(),
                Err(Fault::Away(why) | Fault::Refused(why)) => return (pushed, Some(why)),
            }
        }
        (pushed, None)
    }

    async fn push_portion(&self, key: &str, portion: &[Bytes]) -> Answer<()> {
        let mut connection = self.connection().await?;
        let mut push = cmd("LPUSH");
        push.arg(key);
        portion.iter().for_each(|payload| {
            push.arg(&payload[..]);
        });
        let pushed = connection.inner.query::<u64>(&push).await;
        let pushed = pushed.inspect_err(|fault| {
            self.failed_on(&mut connection, fault);
            connection.broken = true;
        });
        pushed.map(drop)
    }
}
