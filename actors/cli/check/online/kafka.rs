//! Kafka clusters, and the topics that live entries read: for each a fetch from every leader, and its group.

use std::thread;

use rdkafka::ClientConfig;

use super::{Found, FoundQueue, PATIENCE};
use crate::bootstrap::failure::chain;
use crate::config::{Brokers, Config, KafkaSettings, QueueEntry, SourceConfig};
use crate::source::{Clusters, Inside, ReachedTopic, probe_kafka, reach_kafka};

/// A live entry, and what its member would be made with.
struct Wanted {
    queue: FoundQueue,
    group: String,
    config: ClientConfig,
}

pub(super) async fn inspect(config: &Config, name: &str, settings: &KafkaSettings) -> Found {
    let found = Found::new("kafka", name, settings.brokers.to_string());
    if let Brokers::Mock(_) = settings.brokers {
        return Found {
            reached: true,
            note: Some(
                "a cluster inside the daemon's process: there is nothing to reach".to_owned(),
            ),
            ..found
        };
    }
    let clusters = Clusters::new(&config.settings.kafka, Inside::Elsewhere);
    let made = clusters.member_config(name, "simplest_script-check");
    let wanted = wanted(config, &clusters, name);
    let (client, wanted) = match (made, wanted) {
        (Ok(client), Ok(wanted)) => (client, wanted),
        (Err(cause), _) | (_, Err(cause)) => return found.failed(chain(&cause)),
    };
    // librdkafka's calls block their thread.
    let asked = actix_rt::task::spawn_blocking(move || {
        reach_kafka(&client, PATIENCE).map(|cluster| (cluster, ask(wanted)))
    });
    match asked.await {
        Ok(Ok((cluster, queues))) => Found {
            reached: true,
            brokers: Some(cluster.brokers),
            topics: Some(cluster.topics),
            queues,
            ..found
        },
        Ok(Err(lack)) => found.failed(lack),
        Err(cause) => found.failed(cause),
    }
}

/// The live entries that read topics of this cluster.
pub(super) fn entries<'a>(
    config: &'a Config,
    name: &'a str,
) -> impl Iterator<Item = (&'a QueueEntry, &'a String, &'a String)> {
    let live = config.live_queues();
    live.filter_map(move |entry| match &entry.source {
        SourceConfig::Kafka {
            topic,
            group_id,
            cluster,
        } if cluster == name => Some((entry, topic, group_id)),
        _ => None,
    })
}

fn wanted(
    config: &Config,
    clusters: &Clusters,
    name: &str,
) -> Result<Vec<Wanted>, crate::source::ClusterError> {
    let wanted = entries(config, name).map(|(entry, topic, group)| {
        Ok(Wanted {
            queue: FoundQueue {
                queue: entry.name.clone(),
                source: topic.clone(),
                ..FoundQueue::default()
            },
            group: group.clone(),
            config: clusters.member_config(name, group)?,
        })
    });
    wanted.collect()
}

/// All at once: where something lacks, each waits for its own.
fn ask(wanted: Vec<Wanted>) -> Vec<FoundQueue> {
    thread::scope(|scope| {
        let asked = wanted.into_iter().map(|wanted| {
            scope.spawn(move || {
                let Wanted {
                    queue,
                    group,
                    config,
                } = wanted;
                match probe_kafka(&config, &queue.source, &group, PATIENCE) {
                    Ok(ReachedTopic { partitions, .. }) => FoundQueue {
                        partitions: Some(partitions),
                        ..queue
                    },
                    Err(lack) => FoundQueue {
                        problem: Some(lack.to_string()),
                        ..queue
                    },
                }
            })
        });
        let asked: Vec<_> = asked.collect();
        let answers = asked.into_iter().map(thread::ScopedJoinHandle::join);
        answers
            .map(|answer| answer.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}
