//! What a slot costs: figures, not facts.

use std::hint::black_box;
use std::time::Instant;

use super::{identity, slots};

#[test]
#[ignore = "a measurement: run it with --release, --ignored and --nocapture"]
fn what_a_slot_costs() {
    let data = tempfile::tempdir().unwrap();
    let slots = slots(data.path());
    let nanoseconds = |rounds: u32, work: &dyn Fn()| {
        work();
        let start = Instant::now();
        (0..rounds).for_each(|_| work());
        start.elapsed().as_secs_f64() * 1e9 / f64::from(rounds)
    };
    let slot = slots.take(&identity("1")).unwrap();
    let one = identity("1234567/89");
    let batch: Vec<_> = (0..100)
        .map(|number| identity(number.to_string()))
        .collect();
    let enter = nanoseconds(100_000_000, &|| slot.enter(|| black_box(())));
    let take = nanoseconds(5_000_000, &|| drop(black_box(slots.take(&one).unwrap())));
    let batch = nanoseconds(100_000, &|| {
        drop(black_box(slots.take_batch(&batch).unwrap()))
    });
    let name = nanoseconds(5_000_000, &|| drop(black_box(identity("1234567/89"))));
    let beat = nanoseconds(2_000, &|| slots.note_heartbeat());
    println!(
        "enter and leave {enter:.2} ns, take and drop {take:.0} ns, a batch of 100 {batch:.0} ns"
    );
    println!("an identity {name:.0} ns, a heartbeat {beat:.0} ns");
}
