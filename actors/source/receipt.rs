//! Receipts name deliveries to the source that fetched them. Each source makes and reads its own variant; consumers only
//! keep receipts.

/// Names one delivery. It is never only a position or a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Receipt {
    Table(TableReceipt),
    /// The claim of a replayed dead letter, whose row is in a table beside the queue of its entry.
    Replay(TableReceipt),
    Kafka(KafkaReceipt),
    Redis(RedisReceipt),
}

/// The claim of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TableReceipt {
    /// The id of the row.
    pub(crate) id: i64,
    /// The number of the claim.
    pub(crate) fence: i64,
    /// The generation of this boot when it claimed the row.
    pub(crate) generation: u64,
}

/// A record that was given out under a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KafkaReceipt {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    /// No two leases of a process have the same number.
    pub(crate) lease: u64,
}

/// A message of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RedisReceipt {
    /// The number of the batch.
    pub(crate) batch: u64,
    /// The index of the message in its batch, 0 for the first one.
    pub(crate) index: usize,
    /// The generation of this boot at the list's server when it took the batch.
    pub(crate) generation: u64,
}

impl Receipt {
    /// # Panics
    ///
    /// When the receipt is of another kind of source, as the two methods below. No such receipt gets here: a consumer settles
    /// at the source that it fetched from (`Origin` in `consumer/in_flight.rs`), and `Replayed` distinguishes its two sources
    /// by the variant. If one did, it would settle nothing: its message stays claimed, and is released when this daemon ends.
    pub(super) fn of_table(&self) -> TableReceipt {
        match self {
            Self::Table(receipt) | Self::Replay(receipt) => *receipt,
            foreign => foreign.is_foreign("a table"),
        }
    }

    /// # Panics
    ///
    /// See [`Receipt::of_table`].
    pub(super) fn of_kafka(&self) -> KafkaReceipt {
        match self {
            Self::Kafka(receipt) => *receipt,
            foreign => foreign.is_foreign("Kafka"),
        }
    }

    /// # Panics
    ///
    /// See [`Receipt::of_table`].
    pub(super) fn of_redis(&self) -> RedisReceipt {
        match self {
            Self::Redis(receipt) => *receipt,
            foreign => foreign.is_foreign("Redis"),
        }
    }

    #[cold]
    fn is_foreign(&self, source: &str) -> ! {
        unreachable!("the source of {source} was handed a receipt of another source: {self:?}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "the source of Redis was handed a receipt of another source: Kafka")]
    fn a_receipt_of_another_source_settles_nothing() {
        let receipt = Receipt::Kafka(KafkaReceipt {
            partition: 0,
            offset: 1,
            lease: 1,
        });
        receipt.of_redis();
    }
}
