use super::*;

/// Of the message at this place, 1 for the first.
fn receipt(batch: u64, place: usize) -> RedisReceipt {
    RedisReceipt {
        batch,
        index: place - 1,
        generation: 0,
    }
}

fn batches(sizes: &[usize]) -> Batches {
    let mut batches = Batches::default();
    for (number, size) in (1..).zip(sizes) {
        let stored = (1..=*size).map(|place| format!("m{place}")).collect();
        batches.open(number, Batch::new("b".into(), 7, stored, None));
    }
    batches
}

fn places(report: &BatchReport) -> Vec<usize> {
    match &report.what {
        What::Finished(_) => Vec::new(),
        What::Some(ends) => ends.iter().map(|end| end.place).collect(),
    }
}

#[test]
fn a_batch_is_removed_whole_once_all_of_it_is_finished() {
    let (mut batches, now) = (batches(&[2]), Instant::now());
    batches.note(receipt(1, 1), Instruction::Remove, now);
    assert!(batches.due(now, Hurry::MayWait).is_empty());
    assert_eq!(batches.ended(), 1);
    batches.note(receipt(1, 2), Instruction::Remove, now);
    assert_eq!(batches.ended(), 2);
    let due = batches.due(now, Hurry::MayWait);
    assert_eq!(due[0].what, What::Finished(Vec::new()));
    assert_eq!(batches.ended(), 0, "the server may not count them any more");
    batches.reported(&due[0]);
    assert!(!batches.holds(1) && !batches.any_waits());
}

#[test]
fn what_is_released_is_reported_at_once_the_youngest_first() {
    let (mut batches, now) = (batches(&[3, 3]), Instant::now());
    for (number, place) in [(1, 2), (1, 3), (2, 1), (2, 2), (2, 3)] {
        batches.note(receipt(number, place), Instruction::Release, now);
    }
    let due = batches.due(now, Hurry::MayWait);
    assert_eq!(due.iter().map(|t| t.number).collect::<Vec<_>>(), [2, 1]);
    assert_eq!(places(&due[0]), [1, 2, 3]);
    assert_eq!(places(&due[1]), [2, 3]);
    due.iter().for_each(|report| batches.reported(report));
    assert!(batches.holds(1) && !batches.holds(2));
    assert!(batches.due(now, Hurry::No).is_empty());
}

#[test]
fn an_end_waits_for_its_batch_and_not_for_ever() {
    let (mut batches, now) = (batches(&[3]), Instant::now());
    batches.note(receipt(1, 1), Instruction::Remove, now);
    batches.note(receipt(1, 3), Instruction::Retry(now), now);
    assert!(batches.due(now, Hurry::MayWait).is_empty());
    assert_eq!(places(&batches.due(now, Hurry::No)[0]), [1, 3]);
    let later = batches.due(now + LONGEST_WAIT, Hurry::MayWait);
    assert_eq!(places(&later[0]), [1, 3]);
    batches.reported(&later[0]);
    batches.note(receipt(1, 1), Instruction::Release, now);
    assert!(
        batches.due(now, Hurry::No).is_empty(),
        "it has ended already"
    );
    batches.note(receipt(1, 2), Instruction::Remove, now);
    assert_eq!(places(&batches.due(now, Hurry::No)[0]), [2]);
}

#[test]
fn receipts_of_what_is_not_here_change_nothing() {
    let (mut batches, now) = (batches(&[1]), Instant::now());
    for wrong in [receipt(2, 1), receipt(1, 2)] {
        batches.note(wrong, Instruction::Remove, now);
    }
    assert!(batches.due(now, Hurry::No).is_empty());
}

#[test]
fn a_batch_of_which_something_moved_elsewhere_is_reported_by_its_places() {
    let (mut batches, now) = (batches(&[2]), Instant::now());
    batches.note(receipt(1, 1), Instruction::Retry(now), now);
    let due = batches.due(now, Hurry::No);
    assert!(due[0].sure);
    batches.reported(&due[0]);
    batches.note(receipt(1, 2), Instruction::Remove, now);
    let due = batches.due(now, Hurry::No);
    assert_eq!(
        places(&due[0]),
        [2],
        "an older server may still have the first one there"
    );
    let again = batches.due(now, Hurry::No);
    assert!(!again[0].sure, "the first report may have arrived");
    batches.reported(&again[0]);
    assert!(!batches.holds(1));
}
