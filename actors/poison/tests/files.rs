//! Making, filling, locking and reading slot files, within one process.

use std::cell::Cell;
use std::fs::{self, File};
use std::future;
use std::mem::ManuallyDrop;
use std::path::PathBuf;
use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::{Duration, SystemTime};

use futures_util::FutureExt;

use super::{assert_crashed, identity, slots};
use crate::job::guarded::Business;
use crate::poison::cause_of_death;
use crate::poison::layout;
use crate::poison::{OwnSlot, SlotError, SlotFile, dead_files};

#[test]
fn a_living_daemon_is_not_judged() {
    let data = tempfile::tempdir().unwrap();
    let slots = slots(&data.path().join("made/for/it"));
    let data = &data.path().join("made/for/it");
    let slot = slots.take(&identity("1")).unwrap();
    slot.enter(|| {
        slots.note_heartbeat();
        assert!(dead_files(data).unwrap().is_empty());
    });
    drop(slot);
    drop(slots);
    let file = assert_crashed(data, &[]);
    assert_eq!(file.in_flight, []);
}

#[test]
fn a_slot_that_is_kept_says_nothing_of_the_messages_before() {
    let data = tempfile::tempdir().unwrap();
    let slots = slots(data.path());
    let file = || fs::read(data.path().join("running-script1-boot-1")).unwrap();
    let taken = || {
        let taken = cause_of_death::taken_slots(&file()[layout::HEADER_BYTES..]);
        taken
            .into_iter()
            .map(|(identity, _)| identity)
            .collect::<Vec<_>>()
    };
    let long = identity("a long name, of which nothing is to be seen later");
    let mut own = OwnSlot::keep(slots.take(&long).unwrap());
    assert_eq!(taken(), [long]);
    own.clear();
    assert_eq!(taken(), [], "it is not in flight any more");
    own.name(&identity("7"));
    assert_eq!(taken(), [identity("7")]);
}

#[test]
fn a_clean_stop_leaves_nothing() {
    let data = tempfile::tempdir().unwrap();
    let slots = slots(data.path());
    let late = slots.take(&identity("1")).unwrap();
    slots.remove();
    assert_eq!(fs::read_dir(data.path()).unwrap().count(), 0);
    late.enter(|| ());
    slots.remove();
}

#[test]
fn slots_grow_and_are_used_again() {
    let data = tempfile::tempdir().unwrap();
    let slots = slots(data.path());
    let take = |number: usize| slots.take(&identity(number.to_string())).unwrap();
    let size = || {
        fs::metadata(data.path().join("running-script1-boot-1"))
            .unwrap()
            .len()
    };
    let many: Vec<_> = (0..1000).map(take).collect();
    many.iter().for_each(|slot| slot.enter(|| ()));
    let grown = size();
    assert!(grown >= 1000 * layout::SLOT_BYTES as u64, "{grown}");
    drop(many);
    let batch: Vec<_> = (0..500)
        .map(|number| identity(number.to_string()))
        .collect();
    let taken = [
        slots.take_batch(&batch).unwrap(),
        slots.take_batch(&batch).unwrap(),
    ];
    assert_eq!(size(), grown);
    // As a crash would leave them.
    let _kept = taken.map(ManuallyDrop::new);
    let bytes = fs::read(data.path().join("running-script1-boot-1")).unwrap();
    assert_eq!(
        cause_of_death::taken_slots(&bytes[layout::HEADER_BYTES..]).len(),
        1000
    );
    assert!(matches!(slots.take_batch(&[]), Err(SlotError::NoIdentity)));
}

#[test]
fn an_unreadable_slot_file_does_not_stop_a_start() {
    let data = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: &[u8]| fs::write(data.path().join(name), bytes).unwrap();
    put("running-empty", b"");
    put("running-zeros", &[0; 9000]);
    put("running-cut", b"slotfile");
    put("running-newer", &[&b"slotfile"[..], &[9; 9000]].concat());
    put("running-notes.txt", b"a list of what is running");
    put("other", b"");
    assert!(dead_files(data.path()).unwrap().is_empty());
    let mut left: Vec<_> = fs::read_dir(data.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    left.sort_unstable();
    assert_eq!(left, ["other", "running-notes.txt"]);
}

#[test]
fn a_directory_that_is_not_there_holds_no_dead_files() {
    let data = tempfile::tempdir().unwrap();
    assert!(dead_files(&data.path().join("none")).unwrap().is_empty());
}

#[test]
fn a_name_that_is_no_file_name_is_refused() {
    let data = tempfile::tempdir().unwrap();
    for (partition, boot) in [
        ("", "1"),
        ("../x", "1"),
        ("a", "b/c"),
        ("a", &"b".repeat(64)),
    ] {
        let made = SlotFile::create(data.path(), partition, boot);
        assert!(
            matches!(made, Err(SlotError::Name(_))),
            "{partition} {boot}"
        );
    }
}

#[test]
fn a_future_is_dropped_inside_its_slot() {
    struct Witness(PathBuf, Rc<Cell<usize>>);
    impl Drop for Witness {
        fn drop(&mut self) {
            let bytes = fs::read(self.0.join("running-script1-boot-1")).unwrap();
            let taken = cause_of_death::taken_slots(&bytes[layout::HEADER_BYTES..]);
            self.1.set(
                taken
                    .iter()
                    .filter(|(_, state)| *state == layout::level::POLLED)
                    .count(),
            );
        }
    }
    let data = tempfile::tempdir().unwrap();
    let slots = slots(data.path());
    let slot = slots.take(&identity("1")).unwrap();
    let polled = Rc::new(Cell::new(0));
    let witness = Witness(data.path().to_owned(), Rc::clone(&polled));
    let call = || {
        let waits = async move {
            let _witness = witness;
            future::pending().await
        };
        waits.boxed_local()
    };
    let mut business = Business::<_, _, ()>::new(call, Some(&slot), None);
    let poll = business.poll_unpin(&mut Context::from_waker(Waker::noop()));
    assert!(poll.is_pending());
    drop(business);
    assert_eq!(polled.get(), 1);
}

#[test]
fn old_unlocked_slot_files_are_removed() {
    let data = tempfile::tempdir().unwrap();
    let put = |name: &str| File::create(data.path().join(name)).unwrap();
    let long_ago = SystemTime::now() - Duration::from_secs(2 * 3600);
    put(".starting-running-script1-old")
        .set_modified(long_ago)
        .unwrap();
    put(".starting-running-script1-new");
    assert!(dead_files(data.path()).unwrap().is_empty());
    assert!(!data.path().join(".starting-running-script1-old").exists());
    assert!(data.path().join(".starting-running-script1-new").exists());
}
