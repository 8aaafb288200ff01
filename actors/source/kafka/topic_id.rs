//! The id of the topic that a position belongs to. A topic that is deleted and made again has the same name and other
//! records.
//!
//! Since Kafka 2.8 brokers give each topic an id. librdkafka notices that the id has changed, but goes on at its old offset
//! and skips the records before it. So we read the id, and write it beside each position that we commit, where Kafka keeps
//! a text of the client. (Leader epochs do not show the change: those of both topics begin at 0.)

use std::ffi::CString;
use std::fmt;
use std::ptr;
use std::time::Duration;

use rdkafka::bindings as sys;
use rdkafka::bindings::{
    rd_kafka_AdminOptions_t as Options, rd_kafka_TopicCollection_t as Topics, rd_kafka_event_t,
    rd_kafka_queue_t, rd_kafka_t,
};

use super::native::Owned;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TopicId(u128);

/// The prefix of the id in the text that is committed beside a position.
const MARK: &str = "topic-id:";

impl fmt::Display for TopicId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:032x}", self.0)
    }
}

impl TopicId {
    /// The text that is committed beside a position.
    pub(super) fn metadata(self) -> String {
        format!("{MARK}{self}")
    }

    /// A number for the identities of the topic's records. Never 0.
    pub(super) fn fence(self) -> i64 {
        // Halves of a random number.
        #[expect(clippy::cast_possible_truncation, reason = "both halves are used")]
        let folded = (self.0 >> 64) as u64 ^ self.0 as u64;
        folded.max(1).cast_signed()
    }

    /// None: the position was committed by another program, or an earlier version.
    pub(super) fn of_metadata(metadata: &[u8]) -> Option<Self> {
        let id = str::from_utf8(metadata).ok()?.strip_prefix(MARK)?;
        u128::from_str_radix(id, 16).ok().map(Self)
    }
}

/// None: the brokers do not answer, have no such topic at this moment, or give topics no ids.
pub(super) fn ask(client: *mut rd_kafka_t, topic: &str, patience: Duration) -> Option<TopicId> {
    let topic = CString::new(topic).ok()?;
    let millis = i32::try_from(patience.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: the caller's client outlives this call; options, names and queue live until the end of it, and librdkafka
    // copies what the question needs of them.
    let answer = unsafe {
        let kind = sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS;
        let options: Owned<Options> = Owned::new(
            sys::rd_kafka_AdminOptions_new(client, kind),
            sys::rd_kafka_AdminOptions_destroy,
        )?;
        sys::rd_kafka_AdminOptions_set_request_timeout(options.get(), millis, ptr::null_mut(), 0);
        let queue: Owned<rd_kafka_queue_t> =
            Owned::new(sys::rd_kafka_queue_new(client), sys::rd_kafka_queue_destroy)?;
        let mut names = [topic.as_ptr()];
        let topics: Owned<Topics> = Owned::new(
            sys::rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), names.len()),
            sys::rd_kafka_TopicCollection_destroy,
        )?;
        sys::rd_kafka_DescribeTopics(client, topics.get(), options.get(), queue.get());
        let event = sys::rd_kafka_queue_poll(queue.get(), millis);
        Owned::new(event, sys::rd_kafka_event_destroy)?
    };
    read(&answer)
}

fn read(answer: &Owned<rd_kafka_event_t>) -> Option<TopicId> {
    // SAFETY: all that is read belongs to the event, which lives. The result is null for an event of another kind, and
    // then there is nothing to read.
    let (most, least) = unsafe {
        let result = sys::rd_kafka_event_DescribeTopics_result(answer.get());
        if result.is_null() {
            return None;
        }
        let mut count = 0;
        let topics = sys::rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
        if count == 0 || topics.is_null() {
            return None;
        }
        let topic = *topics;
        let error = sys::rd_kafka_TopicDescription_error(topic);
        if !error.is_null() {
            return None;
        }
        let id = sys::rd_kafka_TopicDescription_topic_id(topic);
        if id.is_null() {
            return None;
        }
        (
            sys::rd_kafka_Uuid_most_significant_bits(id),
            sys::rd_kafka_Uuid_least_significant_bits(id),
        )
    };
    let half = |bits: i64| u128::from(bits.cast_unsigned());
    let id = half(most) << 64 | half(least);
    // Of brokers that give none.
    (id != 0).then_some(TopicId(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_was_written() {
        for id in [TopicId(1), TopicId(u128::MAX), TopicId(0xabc << 70)] {
            assert_eq!(TopicId::of_metadata(id.metadata().as_bytes()), Some(id));
        }
        for other in ["", "x", "topic-id:", "topic-id:xyz", "consumer-7"] {
            assert_eq!(TopicId::of_metadata(other.as_bytes()), None);
        }
        assert_eq!(TopicId::of_metadata(b"\xff"), None);
    }
}
