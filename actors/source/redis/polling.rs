//! Takes messages from a list.
//!
//! Each request has a number. When its answer was lost, the request is sent again with the same number, and finds the
//! messages that the first one took in the batch of this number. A number that was answered is never used again. Two
//! requests may be under way at once: where they arrive in the other order, the older one finds nothing, and its poller
//! sends one with a new number.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::batches::Batches;
use super::deliver::{Deliver, Name};
use super::error::Fault;
use super::list::List;
use super::pollers::{Asked, Poller, Pollers, Who};
use super::registration::Registration;
use super::scripts::TAKE;
use super::server::Answer;
use super::taken::Taken;
use super::trouble::Deed;
use super::wait::{LONGEST_WAIT, Waited, Waiting};
use crate::source::{Fetched, nothing};
use crate::stop::StopListener;
use crate::store::Most;

/// Messages that a script can pass to one command, at most.
const MOST: u32 = 1000;
/// Bytes of messages in one reply, unless one message is larger. A reply keeps its connection busy, on a link of 100 Mbit/s
/// for a third of a second, and others wait for the connection. After a lost reply no more than this is sent again.
const REPLY_BYTES: u32 = 4 << 20;
/// Pause between two polls of a server that cannot run `BLMOVE`: one that is out of memory moves nothing, not even in place.
const POLL: Duration = Duration::from_millis(100);

/// See the module's header.
pub(super) struct Polling {
    list: Arc<List>,
    pub(super) pollers: Arc<Pollers>,
    registration: Arc<Registration>,
    batches: Arc<Mutex<Batches>>,
}

impl Polling {
    pub(super) fn new(
        list: &Arc<List>,
        pollers: &Arc<Pollers>,
        registration: &Arc<Registration>,
        batches: &Arc<Mutex<Batches>>,
    ) -> Self {
        Self {
            list: Arc::clone(list),
            pollers: Arc::clone(pollers),
            registration: Arc::clone(registration),
            batches: Arc::clone(batches),
        }
    }

    pub(super) async fn take_messages(&self, most: Most, stop: &mut StopListener) -> Fetched {
        let most = Most {
            count: most.count.min(MOST),
            bytes: most.bytes.min(REPLY_BYTES),
        };
        if let Some(mut poller) = self.pollers.second() {
            let found = self.poll(&mut poller, Who::Second, most, stop).await;
            if found.len() > 0 {
                return found;
            }
        }
        let mut poller = tokio::select! {
            biased;
            () = stop.quiet() => return nothing(),
            poller = self.pollers.first() => poller,
        };
        self.poll(&mut poller, Who::First, most, stop).await
    }

    /// Returns when messages are found or a stop begins. The second poller also returns when none are found.
    async fn poll(
        &self,
        poller: &mut Poller,
        who: Who,
        most: Most,
        stop: &mut StopListener,
    ) -> Fetched {
        while !stop.begun() {
            let turn = tokio::select! {
                biased;
                () = stop.quiet() => return nothing(),
                turn = self.list.server().turn() => turn,
            };
            // Not raced against the stop: a request under way must be answered, or its messages would be orphaned.
            let asked = async {
                if turn.is_some() {
                    // A `take` that finds nothing does not show whether the server takes writes again.
                    self.registration.beat().await?;
                    self.list.server().wrote();
                }
                self.ask(poller, who, most).await
            }
            .await;
            match &asked {
                Err(Fault::Away(why)) => self.list.server().failed(why, turn.as_ref()),
                Err(Fault::Refused(_)) => self.list.server().answered(),
                Ok(Found::Messages(_)) => self.list.server().wrote(),
                Ok(Found::Nothing(_)) => {}
            }
            drop(turn);
            match asked {
                Ok(Found::Messages(messages)) => {
                    self.list.trouble.accepted(Deed::Take);
                    let full = u32::try_from(messages.len()) == Ok(most.count);
                    self.pollers.set_plenty(full);
                    return messages;
                }
                Ok(Found::Nothing(next_due_ms)) => {
                    self.list.trouble.accepted(Deed::Take);
                    self.pollers.set_plenty(false);
                    if who == Who::Second {
                        return nothing();
                    }
                    self.wait(&mut poller.waiting, next_due_ms, stop).await;
                }
                Err(Fault::Refused(why)) => {
                    let pause = self.list.trouble.refused(Deed::Take, &why);
                    tokio::select! {
                        () = tokio::time::sleep(pause) => {}
                        () = stop.quiet() => {}
                    }
                }
                Err(Fault::Away(_)) => {}
            }
        }
        nothing()
    }

    async fn ask(&self, poller: &mut Poller, who: Who, most: Most) -> Answer<Found> {
        loop {
            let generation = self.registration.registered().await?;
            let boot = self.registration.boot.in_generation(generation);
            let Asked {
                number,
                is_repeated,
            } = self.pollers.ask(poller, who);
            let turn = if number % 2 == 0 { "retries" } else { "list" };
            let mut script = TAKE.key(self.list.key());
            script.arg(&*boot).arg(number).arg(most.count);
            script
                .arg(if is_repeated { "again" } else { "first" })
                .arg(turn)
                .arg(most.bytes)
                .arg(self.batches.lock().highest(&boot));
            let answer = self.list.server().run(&script).await;
            if let Err(Fault::Refused(_)) = &answer {
                // The request arrived, and took nothing; see the script. Where only the answer is at fault, such as one that
                // cannot be read, the server has its batch, and the heartbeat finds it.
                self.pollers.answered(poller, who);
                self.pollers.forget(who);
            }
            let taken = answer?;
            self.pollers.answered(poller, who);
            match taken {
                // The heartbeat puts back the messages that are held here.
                Taken::Unknown | Taken::Older => self.registration.beat().await?,
                Taken::Nothing(Some(0)) => {}
                Taken::Nothing(due) => return Ok(Found::Nothing(due)),
                Taken::Batch(taken) => {
                    let name = Name {
                        boot,
                        generation,
                        number,
                    };
                    let (messages, batch) = Deliver::new(&self.list, name).deliver(taken);
                    self.batches.lock().open(number, batch);
                    // The batch is held from here on. Once it has ended, a batch of its number is one that came back.
                    self.pollers.forget(who);
                    return Ok(Found::Messages(messages));
                }
            }
        }
    }

    /// Returns when there may be something to take, and when a stop begins.
    async fn wait(&self, waiting: &mut Waiting, next_due_ms: Option<u64>, stop: &mut StopListener) {
        let due = next_due_ms.map_or(LONGEST_WAIT, Duration::from_millis);
        tokio::select! {
            biased;
            () = stop.quiet() => {}
            () = self.pollers.woken() => {}
            () = tokio::time::sleep(due.min(LONGEST_WAIT)) => {}
            () = self.arrival(waiting) => {}
        }
    }

    async fn arrival(&self, waiting: &mut Waiting) {
        let arrived = async {
            if waiting.arrival(&self.list).await? == Waited::Moved {
                self.registration.beat().await?;
            }
            Ok(())
        };
        let arrived: Answer<()> = arrived.await;
        if let Err(fault) = arrived {
            // The next poll reports the cause better.
            let (queue, why) = (self.list.queue(), fault.text());
            log::debug!("queue `{queue}`: cannot wait for messages: {why}");
            tokio::time::sleep(POLL).await;
        }
    }
}

enum Found {
    Messages(Fetched),
    Nothing(Option<u64>),
}
