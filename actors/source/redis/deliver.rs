//! Makes the deliveries of the messages that a batch brought.

use std::sync::Arc;

use bytes::Bytes;

use super::batches::{Batch, Member};
use super::envelope::{self, Head};
use super::list::List;
use super::taken::{Death, TakenBatch};
use crate::job::{Message, MessageSource, SourceKind};
use crate::source::{Delivery, Fetched, Receipt, RedisReceipt, made};

/// The name of a batch at the server.
pub(super) struct Name {
    pub(super) boot: Arc<str>,
    pub(super) generation: u64,
    pub(super) number: u64,
}

/// Makes deliveries of the messages of one batch.
pub(super) struct Deliver {
    name: Name,
    source: MessageSource,
}

impl Deliver {
    pub(super) fn new(list: &List, name: Name) -> Self {
        let source = MessageSource {
            queue: Arc::from(list.queue()),
            kind: SourceKind::Redis {
                server: list.config.server_name.as_str().into(),
                key: list.key().into(),
            },
        };
        Self { name, source }
    }

    /// The deliveries of the batch, and the batch to be kept. A delivery of a message without a frame is made on the thread
    /// that runs it; most messages have none.
    pub(super) fn deliver(self, taken: TakenBatch) -> (Fetched, Batch) {
        let boot = Arc::clone(&self.name.boot);
        let messages = taken.messages.messages().enumerate();
        let (fetched, framed): (Fetched, _) = match taken.deaths {
            None => {
                let bare = move |(index, payload)| self.bare(index, payload);
                (Box::new(messages.map(bare)), None)
            }
            Some(deaths) => {
                let framed = messages.zip(deaths).map(|((index, stored), death)| {
                    let member = member(&stored, death);
                    (self.framed(index, stored, &member), member)
                });
                let (deliveries, members): (Vec<_>, Vec<_>) = framed.unzip();
                (made(deliveries), Some(members))
            }
        };
        let batch = Batch::new(boot, taken.taken_ms, taken.messages, framed);
        (fetched, batch)
    }

    /// The message at this index of the batch, as its producer wrote it.
    fn bare(&self, index: usize, payload: Bytes) -> Delivery {
        let Name {
            boot,
            generation,
            number,
        } = &self.name;
        Delivery {
            message: Message {
                id: envelope::id(boot, *number, index + 1),
                payload,
                key: None,
                headers: Vec::new(),
                source: self.source.clone(),
                attempt: 1,
            },
            receipt: Receipt::Redis(RedisReceipt {
                batch: *number,
                index,
                generation: *generation,
            }),
            suspect: false,
            arrived_ms: None,
        }
    }

    /// A message that has failed, or whose boot died.
    fn framed(&self, index: usize, stored: Bytes, member: &Member) -> Delivery {
        let mut delivery = self.bare(index, stored);
        if let Some((head, payload)) = &member.frame {
            delivery.message.id.clone_from(&head.id);
            delivery.message.payload = payload.clone();
        }
        delivery.message.attempt = member.attempt;
        delivery.suspect = member.death.is_some();
        delivery
    }
}

fn member(stored: &Bytes, death: Death) -> Member {
    let frame = Head::split(stored);
    let failed = frame.as_ref().map_or(0, |(head, _)| head.attempts);
    Member {
        frame,
        attempt: failed.saturating_add(death.attempts).saturating_add(1),
        death: death.how,
    }
}
