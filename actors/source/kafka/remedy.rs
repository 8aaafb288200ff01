//! Errors of joining a group, as texts for people: the fault, and the remedy.

use rdkafka::error::RDKafkaErrorCode as Code;

/// The text of any error. One that is in no list keeps librdkafka's text.
pub(super) fn of_group(code: Code, reason: &str) -> String {
    let words = match code {
        Code::GroupAuthorizationFailed => {
            "the cluster does not let us into the group; the right `READ` on the group would help"
        }
        Code::InconsistentGroupProtocol => {
            "the group's other members share out partitions by another strategy; `\"partition.assignment.strategy\": \"range,roundrobin\"` in the cluster's `properties` is what others mostly have, kafka-go's too"
        }
        Code::InvalidSessionTimeout => {
            "the brokers do not take this `session.timeout.ms`; it must lie between their `group.min.session.timeout.ms` (6000 by default) and `group.max.session.timeout.ms` (1800000)"
        }
        Code::GroupMaxSizeReached => {
            "the group has as many members as the brokers' `group.max.size` allows"
        }
        Code::InvalidGroupId => {
            "the brokers do not take the entry's `group_id`; another name would help"
        }
        Code::UnsupportedVersion | Code::UnsupportedFeature => {
            "the brokers are too old for what the cluster's `properties` ask; `\"group.protocol\": \"consumer\"` needs Kafka 4"
        }
        Code::UnsupportedAssignor => {
            "the brokers have no such `group.remote.assignor`; `uniform` and `range` are those of Kafka itself"
        }
        Code::PollExceeded => {
            "the process stood still for longer than `max.poll.interval.ms`, so the group went on without it; it joins again"
        }
        _ => return format!("{reason}; see the brokers' logs"),
    };
    format!("{words} ({reason})")
}
