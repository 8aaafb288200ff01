//! The group as its coordinator describes it: whether there is a coordinator, and whether this user may join.
//!
//! rdkafka does not wrap this query of librdkafka.

use std::ffi::CString;
use std::ptr;
use std::time::Duration;

use rdkafka::bindings as sys;
use rdkafka::bindings::{
    rd_kafka_AclOperation_t as Operation, rd_kafka_AdminOptions_t as Options,
    rd_kafka_consumer_group_state_t as State, rd_kafka_event_t, rd_kafka_queue_t, rd_kafka_t,
};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::RDKafkaErrorCode as Code;

use super::super::native::Owned;
use super::{Lack, Listener};

/// Added to the query's own time-out, after which librdkafka returns an error.
const MARGIN: Duration = Duration::from_secs(1);

/// The state of the group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GroupState {
    /// The group waits for its members to join, or to get their partitions.
    Rebalancing { members: usize },
    /// Any other state.
    Other,
}

/// Queries the coordinator.
pub(super) fn describe(
    client: &BaseConsumer<Listener>,
    group: &str,
    patience: Duration,
) -> Result<GroupState, Lack> {
    let name = CString::new(group).map_err(|cause| Lack::Other(cause.to_string()))?;
    let client = client.client().native_ptr();
    let answer = ask(client, &name, patience).ok_or_else(no_coordinator)?;
    read(&answer)
}

fn no_coordinator() -> Lack {
    Lack::Coordinator {
        reason: String::new(),
    }
}

/// None: no answer.
fn ask(
    client: *mut rd_kafka_t,
    group: &CString,
    patience: Duration,
) -> Option<Owned<rd_kafka_event_t>> {
    let millis = |time: Duration| i32::try_from(time.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: the client outlives this call; options and queue live until the end of it, and librdkafka copies what the
    // question needs of them and of the name.
    unsafe {
        let kind = sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS;
        let options: Owned<Options> = Owned::new(
            sys::rd_kafka_AdminOptions_new(client, kind),
            sys::rd_kafka_AdminOptions_destroy,
        )?;
        sys::rd_kafka_AdminOptions_set_request_timeout(
            options.get(),
            millis(patience),
            ptr::null_mut(),
            0,
        );
        let refused =
            sys::rd_kafka_AdminOptions_set_include_authorized_operations(options.get(), 1);
        drop(Owned::new(refused, sys::rd_kafka_error_destroy));
        let queue: Owned<rd_kafka_queue_t> =
            Owned::new(sys::rd_kafka_queue_new(client), sys::rd_kafka_queue_destroy)?;
        let mut groups = [group.as_ptr()];
        sys::rd_kafka_DescribeConsumerGroups(
            client,
            groups.as_mut_ptr(),
            groups.len(),
            options.get(),
            queue.get(),
        );
        let event = sys::rd_kafka_queue_poll(queue.get(), millis(patience + MARGIN));
        Owned::new(event, sys::rd_kafka_event_destroy)
    }
}

fn read(answer: &Owned<rd_kafka_event_t>) -> Result<GroupState, Lack> {
    // SAFETY: all that is read belongs to the event, which lives. The result is null for an event of another kind, and
    // then there is nothing to read.
    unsafe {
        let result = sys::rd_kafka_event_DescribeConsumerGroups_result(answer.get());
        if result.is_null() {
            return Err(no_coordinator());
        }
        let mut count = 0;
        let groups = sys::rd_kafka_DescribeConsumerGroups_result_groups(result, &raw mut count);
        if count == 0 || groups.is_null() {
            return Err(no_coordinator());
        }
        let group = *groups;
        let error = sys::rd_kafka_ConsumerGroupDescription_error(group);
        if !error.is_null() {
            return answered_with(sys::rd_kafka_error_code(error).into());
        }
        let operations =
            sys::rd_kafka_ConsumerGroupDescription_authorized_operations(group, &raw mut count);
        // Brokers that do not show the state return none.
        if !operations.is_null() && count > 0 {
            let ours = std::slice::from_raw_parts(operations, count);
            let reads = |operation: &Operation| {
                matches!(
                    operation,
                    Operation::RD_KAFKA_ACL_OPERATION_READ | Operation::RD_KAFKA_ACL_OPERATION_ALL
                )
            };
            if !ours.iter().any(reads) {
                return Err(Lack::GroupRight);
            }
        }
        Ok(match sys::rd_kafka_ConsumerGroupDescription_state(group) {
            State::RD_KAFKA_CONSUMER_GROUP_STATE_PREPARING_REBALANCE
            | State::RD_KAFKA_CONSUMER_GROUP_STATE_COMPLETING_REBALANCE => {
                GroupState::Rebalancing {
                    members: sys::rd_kafka_ConsumerGroupDescription_member_count(group),
                }
            }
            _ => GroupState::Other,
        })
    }
}

/// The meaning of an error code: a broker that answers for the group is its coordinator, or knows that there is none.
fn answered_with(code: Code) -> Result<GroupState, Lack> {
    match code {
        Code::GroupAuthorizationFailed => Err(Lack::GroupRight),
        Code::OperationTimedOut
        | Code::RequestTimedOut
        | Code::BrokerTransportFailure
        | Code::WaitingForCoordinator
        | Code::CoordinatorNotAvailable
        | Code::NotCoordinator
        | Code::CoordinatorLoadInProgress => Err(no_coordinator()),
        // Such as a group that is not there yet.
        _ => Ok(GroupState::Other),
    }
}
