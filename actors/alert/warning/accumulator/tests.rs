//! Counts that wait to be written: segments, their messages and bounds.

use super::*;

fn key(flag: &str, seconds: i64) -> Key {
    Key {
        flag: flag.into(),
        periods: Arc::new([Period {
            limit: 100,
            seconds,
        }]),
    }
}

/// The number of an outcome, and whether a caller holds it besides the segment.
impl Awaited for Arc<usize> {
    fn is_held(&self) -> bool {
        Arc::strong_count(self) > 1
    }
}

struct World {
    accumulator: Accumulator<Arc<usize>>,
    begun: Instant,
    outcomes: usize,
}

impl World {
    fn new() -> Self {
        Self {
            accumulator: Accumulator::default(),
            begun: Instant::now(),
            outcomes: 0,
        }
    }

    fn add(&mut self, key: &Key, at_ms: u64, count: i64, message: &str) -> Put<Arc<usize>> {
        let at = self.begun + Duration::from_millis(at_ms);
        let messages = match message {
            "" => Vec::new(),
            message => vec![message.to_owned()],
        };
        let outcomes = &mut self.outcomes;
        self.accumulator.add(key, at, count, messages, || {
            *outcomes += 1;
            Arc::new(*outcomes)
        })
    }

    /// Of each segment: when it begins in milliseconds, its count, its outcomes.
    fn take(&mut self) -> Vec<(u128, i64, Vec<usize>)> {
        let taken = self.accumulator.take();
        let segments = taken.into_iter().flat_map(|(_, segments)| segments);
        let begun = self.begun;
        segments
            .map(|it| {
                let outcomes = it.outcomes.iter().map(|number| **number).collect();
                ((it.at - begun).as_millis(), it.count, outcomes)
            })
            .collect()
    }
}

#[test]
fn a_second_is_one_segment_with_one_outcome() {
    let mut world = World::new();
    let pay = key("pay", 60);
    for (at, count, outcome) in [
        (0, 1, 1),
        (400, 2, 1),
        (999, 3, 1),
        (1_000, 4, 2),
        (2_500, 5, 3),
    ] {
        assert_eq!(
            world.add(&pay, at, count, ""),
            Put::Waits(Arc::new(outcome), vec![]),
            "{at}"
        );
    }
    assert_eq!(
        world.take(),
        [(0, 6, vec![1]), (1_000, 4, vec![2]), (2_500, 5, vec![3])]
    );
}

#[test]
fn each_flag_has_one_write_at_a_time() {
    let mut world = World::new();
    let (pay, ship) = (key("pay", 60), key("ship", 60));
    world.add(&pay, 0, 1, "");
    assert_eq!(world.take().len(), 1);
    world.add(&pay, 100, 7, "");
    world.add(&ship, 100, 9, "");
    assert_eq!(world.take(), [(100, 9, vec![3])]);
    assert!(!world.accumulator.has_work());
    world.accumulator.settled(&pay);
    assert_eq!(world.take(), [(100, 7, vec![2])]);
    world.accumulator.settled(&pay);
    world.accumulator.settled(&ship);
    assert!(world.accumulator.is_empty());
}

#[test]
fn an_hour_of_an_outage_keeps_its_times_and_its_counts() {
    let mut world = World::new();
    let pay = key("pay", 60);
    let mut held = Vec::new();
    for second in 0..3_600_u64 {
        let Put::Waits(outcome, given_up) = world.add(&pay, second * 1_000, 1, "m") else {
            panic!("one flag");
        };
        assert_eq!(given_up, []);
        if second % 100 == 0 {
            held.push(outcome);
        }
    }
    let taken = world.accumulator.take().remove(0).1;
    assert_eq!(taken.len(), MOST_SEGMENTS);
    assert_eq!(taken.iter().map(|it| it.count).sum::<i64>(), 3_600);
    let outcomes: Vec<&Arc<usize>> = taken.iter().flat_map(|it| &it.outcomes).collect();
    assert!(
        outcomes.len() <= MOST_SEGMENTS + held.len(),
        "{}",
        outcomes.len()
    );
    assert!(held.iter().all(|outcome| outcomes.contains(&outcome)));
    let longest = taken.iter().map(|it| it.last - it.at).max().unwrap();
    assert!(longest < Duration::from_secs(20), "{longest:?}");
    let messages: usize = taken.iter().map(|it| it.messages.len()).sum();
    assert!(messages <= MOST_KEPT_MESSAGES, "{messages}");
    let last = taken.last().unwrap();
    assert!(!last.messages.is_empty(), "the last ones are kept");
}

#[test]
fn unmergeable_segments_are_given_up_oldest_first() {
    let mut world = World::new();
    let second = key("pay", 1);
    let given_up = (0..700_u64).flat_map(|n| match world.add(&second, n * 1_000, 1, "") {
        Put::Waits(_, given_up) => given_up,
        Put::TooManyFlags => panic!("one flag"),
    });
    let outcomes = given_up.flat_map(|it| it.outcomes);
    let outcomes: Vec<usize> = outcomes.map(|number| *number).collect();
    assert_eq!(outcomes, (1..=100).collect::<Vec<_>>());
}

#[test]
fn counts_in_flight_at_the_end_are_unknown() {
    let mut world = World::new();
    world.add(&key("pay", 60), 0, 5, "");
    world.add(&key("ship", 60), 0, 7, "");
    world.take();
    world.accumulator.settled(&key("ship", 60));
    world.add(&key("pay", 60), 100, 30, "");
    let given_up = world.accumulator.give_up();
    assert_eq!((sum(&given_up.segments), given_up.in_flight), (30, 5));
    let lines = given_up.lines();
    assert_eq!(lines.len(), 2);
    assert!(
        lines[0].starts_with("30 counts of warnings are not written"),
        "{lines:?}"
    );
    assert!(
        lines[1].starts_with("5 counts of warnings may not be written"),
        "{lines:?}"
    );
    assert!(world.accumulator.give_up().lines().is_empty());
}

#[test]
fn flags_are_bounded_and_make_room() {
    let mut world = World::new();
    for n in 0..MOST_FLAGS {
        world.add(&key(&format!("f{n}"), 60), 0, 1, "");
    }
    assert_eq!(world.add(&key("one more", 60), 0, 1, ""), Put::TooManyFlags);
    let known = key("f0", 60);
    assert!(matches!(world.add(&known, 0, 1, ""), Put::Waits(..)));
    world.take();
    world.accumulator.settled(&known);
    assert!(matches!(
        world.add(&key("one more", 60), 0, 1, ""),
        Put::Waits(..)
    ));
}

#[test]
fn the_last_messages_of_a_segment_are_kept() {
    let mut world = World::new();
    let pay = key("pay", 60);
    for n in 0..50 {
        world.add(&pay, 0, 1, &format!("m{n}"));
    }
    let messages = world.accumulator.take().remove(0).1.remove(0).messages;
    assert_eq!(messages.len(), MOST_MESSAGES);
    assert_eq!(
        (messages[0].as_str(), messages[19].as_str()),
        ("m30", "m49")
    );
}

#[test]
fn names_with_other_periods_are_counted_apart() {
    let mut world = World::new();
    world.add(&key("pay", 60), 0, 1, "");
    world.add(&key("pay", 5), 0, 2, "");
    world.add(&key("pay ", 60), 0, 3, "");
    assert_eq!(world.take().len(), 3);
}
