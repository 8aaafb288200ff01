//! Rights on a broker that has an authorizer. rdkafka does not wrap these orders of librdkafka's.

use std::ffi::CString;
use std::ptr;

use rdkafka::bindings as sys;
use rdkafka::bindings::rd_kafka_AclOperation_t as Operation;
use rdkafka::bindings::rd_kafka_ResourceType_t as Resource;
use rdkafka::consumer::{BaseConsumer, Consumer};

use super::kafka::Kafka;

/// For the broker to take a right.
const PATIENCE_MS: i32 = 60_000;

/// Settings of a broker whose listener `OUTSIDE` takes one user, `daemon` with the password `secret`, who has no rights
/// at first. Whoever comes without a name may do everything.
pub const ONE_USER: &str = "\
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
sasl.enabled.mechanisms=PLAIN
listener.name.outside.sasl.enabled.mechanisms=PLAIN
listener.name.outside.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \
user_daemon=\"secret\";
";

#[derive(Debug, Clone, Copy)]
pub enum Right<'a> {
    DescribeTopic(&'a str),
    ReadTopic(&'a str),
    DescribeGroup(&'a str),
    ReadGroup(&'a str),
}

impl Kafka {
    /// The user `daemon` may do this from now on.
    #[track_caller]
    pub fn allow(&self, right: Right<'_>) {
        let (resource, name, operation) = match right {
            Right::DescribeTopic(topic) => (
                Resource::RD_KAFKA_RESOURCE_TOPIC,
                topic,
                Operation::RD_KAFKA_ACL_OPERATION_DESCRIBE,
            ),
            Right::ReadTopic(topic) => (
                Resource::RD_KAFKA_RESOURCE_TOPIC,
                topic,
                Operation::RD_KAFKA_ACL_OPERATION_READ,
            ),
            Right::DescribeGroup(group) => (
                Resource::RD_KAFKA_RESOURCE_GROUP,
                group,
                Operation::RD_KAFKA_ACL_OPERATION_DESCRIBE,
            ),
            Right::ReadGroup(group) => (
                Resource::RD_KAFKA_RESOURCE_GROUP,
                group,
                Operation::RD_KAFKA_ACL_OPERATION_READ,
            ),
        };
        let client: BaseConsumer = self.client().create().unwrap();
        let name = CString::new(name).unwrap();
        // SAFETY: the client outlives the order; all else is destroyed here, after the answer was read.
        unsafe {
            let client = client.client().native_ptr();
            let mut binding = sys::rd_kafka_AclBinding_new(
                resource,
                name.as_ptr(),
                sys::rd_kafka_ResourcePatternType_t::RD_KAFKA_RESOURCE_PATTERN_LITERAL,
                c"User:daemon".as_ptr(),
                c"*".as_ptr(),
                operation,
                sys::rd_kafka_AclPermissionType_t::RD_KAFKA_ACL_PERMISSION_TYPE_ALLOW,
                ptr::null_mut(),
                0,
            );
            assert!(!binding.is_null());
            let queue = sys::rd_kafka_queue_new(client);
            sys::rd_kafka_CreateAcls(client, &raw mut binding, 1, ptr::null(), queue);
            let event = sys::rd_kafka_queue_poll(queue, PATIENCE_MS);
            let result = sys::rd_kafka_event_CreateAcls_result(event);
            assert!(!result.is_null(), "no answer");
            let mut count = 0;
            let results = sys::rd_kafka_CreateAcls_result_acls(result, &raw mut count);
            assert_eq!(count, 1);
            let error = sys::rd_kafka_acl_result_error(*results);
            assert!(error.is_null(), "refused");
            sys::rd_kafka_event_destroy(event);
            sys::rd_kafka_queue_destroy(queue);
            sys::rd_kafka_AclBinding_destroy(binding);
        }
    }
}
