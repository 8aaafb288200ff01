//! Which jobs a crash is recorded for, from a dead file's slots alone: no files, no clock.

use std::fmt;

use super::Identity;
use super::layout::{SLOT_BYTES, level};

/// How a message's handler ended the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Death {
    /// By a fatal signal of its own making.
    Signal(i32),
    /// By a call of `exit`.
    Exit,
    /// By the kernel's out-of-memory killer, while the handler ran: a suspicion.
    OutOfMemory,
}

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match *self {
            Self::Signal(libc::SIGABRT) => "SIGABRT",
            Self::Signal(libc::SIGSEGV) => "SIGSEGV",
            Self::Signal(libc::SIGBUS) => "SIGBUS",
            Self::Signal(libc::SIGILL) => "SIGILL",
            Self::Signal(libc::SIGFPE) => "SIGFPE",
            Self::Signal(libc::SIGTRAP) => "SIGTRAP",
            Self::Signal(libc::SIGSYS) => "SIGSYS",
            Self::Signal(number) => return write!(f, "signal {number}"),
            Self::Exit => "the process called exit",
            Self::OutOfMemory => "the kernel ended the process for want of memory",
        })
    }
}

/// The identity and the state of every slot in use; a follower has its leader's state.
pub(crate) fn taken_slots(bytes: &[u8]) -> Vec<(Identity<'static>, u32)> {
    // What does not fill a slot is a growth that was cut short: nothing is in it yet.
    let (slots, _) = bytes.as_chunks::<SLOT_BYTES>();
    let word = |slot: &[u8; SLOT_BYTES], at: usize| {
        u32::from_ne_bytes(std::array::from_fn(|byte| slot[at + byte]))
    };
    let state_of = |slot: &[u8; SLOT_BYTES]| {
        let own = word(slot, 0);
        if level::of(own) != level::FOLLOWER {
            return own;
        }
        let leader = slots.get(word(slot, 4) as usize);
        leader.map_or(level::FREE, |leader| word(leader, 0))
    };
    slots
        .iter()
        .filter_map(|slot| {
            let state = state_of(slot);
            let in_use = matches!(level::of(state), level::IDLE | level::POLLED | level::FATAL);
            let record = slot.last_chunk()?;
            Some((in_use.then(|| Identity::decode(record))??, state))
        })
        .collect()
}

/// The jobs that crashed: the fatal ones; without any, after the out-of-memory killer, the polled ones.
pub(crate) fn deaths(
    taken: &[(Identity<'static>, u32)],
    oom_at_work: bool,
) -> Vec<(Identity<'static>, Death)> {
    let crashed = |cause: fn(u32) -> Option<Death>| -> Vec<_> {
        let one =
            |(identity, state): &(Identity<'static>, u32)| Some((identity.clone(), cause(*state)?));
        taken.iter().filter_map(one).collect()
    };
    let fatal = crashed(|state| {
        (level::of(state) == level::FATAL).then(|| match level::signal_of(state) {
            0 => Death::Exit,
            signal => Death::Signal(signal),
        })
    });
    if !fatal.is_empty() || !oom_at_work {
        return fatal;
    }
    crashed(|state| (level::of(state) == level::POLLED).then_some(Death::OutOfMemory))
}

#[cfg(test)]
mod tests {
    use super::super::Kind;
    use super::super::layout::RECORD_BYTES;
    use super::*;

    fn identity(id: &str) -> Identity<'_> {
        Identity::new(Kind::Queue, "orders", id, 0)
    }

    fn slots(states: &[(u32, u32)]) -> Vec<u8> {
        let slot = |(number, (state, leader)): (usize, &(u32, u32))| {
            let mut record = [0; RECORD_BYTES];
            identity(&number.to_string()).encode(&mut record);
            [&state.to_ne_bytes()[..], &leader.to_ne_bytes(), &record].concat()
        };
        states.iter().enumerate().flat_map(slot).collect()
    }

    fn crashed(states: &[(u32, u32)], oom_at_work: bool) -> Vec<(String, Death)> {
        let deaths = deaths(&taken_slots(&slots(states)), oom_at_work);
        deaths
            .into_iter()
            .map(|(who, death)| (who.id().to_owned(), death))
            .collect()
    }

    #[test]
    fn the_fatal_slots_are_charged_and_no_others() {
        let states = [
            (level::POLLED, 0),
            (level::fatal(libc::SIGSEGV), 0),
            (level::IDLE, 0),
            (level::fatal(0), 0),
            (level::FREE, 0),
        ];
        for oom_at_work in [false, true] {
            assert_eq!(
                crashed(&states, oom_at_work),
                [
                    ("1".to_owned(), Death::Signal(libc::SIGSEGV)),
                    ("3".to_owned(), Death::Exit)
                ]
            );
        }
    }

    #[test]
    fn polled_slots_are_charged_only_after_the_out_of_memory_killer() {
        let states = [(level::POLLED, 0), (level::IDLE, 0), (level::FREE, 0)];
        assert_eq!(crashed(&states, false), []);
        assert_eq!(
            crashed(&states, true),
            [("0".to_owned(), Death::OutOfMemory)]
        );
    }

    #[test]
    fn a_batch_shares_the_level_of_its_leader() {
        let batch = |leader| [(leader, 0), (level::FOLLOWER, 0), (level::FOLLOWER, 0)];
        assert_eq!(crashed(&batch(level::fatal(libc::SIGABRT)), false).len(), 3);
        assert_eq!(crashed(&batch(level::POLLED), true).len(), 3);
        assert_eq!(taken_slots(&slots(&batch(level::IDLE))).len(), 3);
        assert_eq!(taken_slots(&slots(&batch(level::FREE))).len(), 0);
    }

    #[test]
    fn slots_that_make_no_sense_are_passed_over() {
        let states = [
            (level::FOLLOWER, 99),
            (level::FOLLOWER, 1),
            (77, 0),
            (level::POLLED, 0),
        ];
        let mut bytes = slots(&states);
        bytes.extend([1; SLOT_BYTES - 1]);
        let taken = taken_slots(&bytes);
        assert_eq!(taken, [(identity("3"), level::POLLED)]);
        bytes[3 * SLOT_BYTES + 8..].fill(0xff);
        assert_eq!(taken_slots(&bytes), []);
    }

    #[test]
    fn a_death_reads_as_a_sentence_part() {
        assert_eq!(Death::Signal(libc::SIGABRT).to_string(), "SIGABRT");
        assert_eq!(Death::Signal(64).to_string(), "signal 64");
        assert_eq!(Death::Exit.to_string(), "the process called exit");
        assert!(Death::OutOfMemory.to_string().contains("want of memory"));
    }
}
