//! Sends messages to a list, as other producers do: `LPUSH`.

use bb8_redis::redis::cmd;
use bytes::Bytes;

use super::error::Fault;
use super::server::{Answer, Server};

/// Messages in one command: enough that the round trip costs little, few enough not to delay other clients.
const PORTION: usize = 1000;

impl Server {
    /// Pushes messages onto a list in their order. Returns how many were pushed, and why the rest was not. A portion whose
    /// answer was lost is not pushed again: the server may have it.
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
