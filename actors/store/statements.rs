//! Gathers the writes of one transaction, so that many of one kind become one statement of many rows.
//!
//! Nobody has an answer to any of them yet, so none can depend on another: their order among inserts, ends and claims is
//! free. Those that release rows or judge boots stay where they are, with nothing moved across them.
//!
//! Claims of fires are made in one order in every daemon: two that claim the same hundred entries in one second would
//! else wait for each other's rows crosswise.

use super::rows::{MessageEnd, NewMessage, NewTask, TaskEnd};
use super::warnings::CountAdd;
use super::write::{ClaimFire, EndMessages, EndTasks, Write};

/// Items of several writes, and whose each is.
#[derive(Debug)]
pub(in crate::store) struct Gathered<T> {
    items: Vec<T>,
    /// The write and how many of the items are its own, in their order.
    shares: Vec<(usize, usize)>,
}

impl<T> Default for Gathered<T> {
    fn default() -> Self {
        Self {
            items: Vec::new(),
            shares: Vec::new(),
        }
    }
}

impl<T> Gathered<T> {
    fn add(&mut self, at: usize, items: impl Iterator<Item = T>) {
        let before = self.items.len();
        self.items.extend(items);
        self.shares.push((at, self.items.len() - before));
    }

    pub(in crate::store) fn items(&self) -> &[T] {
        &self.items
    }

    /// One answer for each item, shared out among their writes.
    pub(in crate::store) fn share_out<A>(
        &self,
        answers: Vec<A>,
    ) -> impl Iterator<Item = (usize, Vec<A>)> {
        let mut answers = answers.into_iter();
        self.shares
            .iter()
            .map(move |(at, count)| (*at, answers.by_ref().take(*count).collect()))
    }

    fn places(&self) -> impl Iterator<Item = usize> {
        self.shares.iter().map(|(at, _)| *at)
    }
}

/// One step of a transaction. The numbers are the places of the writes.
#[derive(Debug)]
pub(in crate::store) enum Step<'a> {
    /// Each row with the owner of those that are claimed.
    InsertTasks(Gathered<(&'a NewTask, &'a str)>),
    /// Each row with its queue.
    InsertMessages(Gathered<(&'a NewMessage, &'a str)>),
    EndTasks {
        owner: &'a str,
        ends: Gathered<&'a TaskEnd>,
    },
    EndMessages {
        owner: &'a str,
        ends: Gathered<&'a MessageEnd>,
    },
    /// Counts of warnings, each with the place of its write.
    AddCounts(Vec<(usize, &'a CountAdd)>),
    /// In the order in which they are to be made.
    Singles(Vec<usize>),
}

impl Step<'_> {
    /// The writes that it is about.
    pub(in crate::store) fn places(&self) -> Vec<usize> {
        match self {
            Self::InsertTasks(rows) => rows.places().collect(),
            Self::InsertMessages(rows) => rows.places().collect(),
            Self::EndTasks { ends, .. } => ends.places().collect(),
            Self::EndMessages { ends, .. } => ends.places().collect(),
            Self::AddCounts(adds) => adds.iter().map(|(at, _)| *at).collect(),
            Self::Singles(places) => places.clone(),
        }
    }

    /// Steps that fail for what is in one write each, as far as there are such.
    pub(in crate::store) fn into_smallest(self) -> Vec<Self> {
        match self {
            Self::Singles(places) => {
                let single = |at| Self::Singles(vec![at]);
                places.into_iter().map(single).collect()
            }
            gathered => vec![gathered],
        }
    }
}

/// The steps of a transaction with these writes.
pub(in crate::store) fn steps(writes: &[Write]) -> Vec<Step<'_>> {
    let mut steps = Vec::new();
    // Steps before this one are behind a write that nothing is moved across.
    let mut first_open = 0;
    for (at, write) in writes.iter().enumerate() {
        match write {
            Write::InsertTasks(insert) => {
                let rows = insert.rows.iter().map(|row| (row, insert.owner.as_str()));
                let open = steps[first_open..].iter_mut().find_map(|step| match step {
                    Step::InsertTasks(gathered) => Some(gathered),
                    _ => None,
                });
                match open {
                    Some(gathered) => gathered.add(at, rows),
                    None => steps.push(Step::InsertTasks(gathered(at, rows))),
                }
            }
            Write::InsertMessages(insert) => {
                let rows = insert.rows.iter().map(|row| (row, insert.queue.as_str()));
                let open = steps[first_open..].iter_mut().find_map(|step| match step {
                    Step::InsertMessages(gathered) => Some(gathered),
                    _ => None,
                });
                match open {
                    Some(gathered) => gathered.add(at, rows),
                    None => steps.push(Step::InsertMessages(gathered(at, rows))),
                }
            }
            Write::EndTasks(write) => {
                let EndTasks { owner, ends } = &**write;
                let open = steps[first_open..].iter_mut().find_map(|step| match step {
                    Step::EndTasks { owner: of, ends } if of == owner => Some(ends),
                    _ => None,
                });
                match open {
                    Some(gathered) => gathered.add(at, ends.iter()),
                    None => steps.push(Step::EndTasks {
                        owner,
                        ends: gathered(at, ends.iter()),
                    }),
                }
            }
            Write::EndMessages(write) => {
                let EndMessages { owner, ends } = &**write;
                let open = steps[first_open..].iter_mut().find_map(|step| match step {
                    Step::EndMessages { owner: of, ends } if of == owner => Some(ends),
                    _ => None,
                });
                match open {
                    Some(gathered) => gathered.add(at, ends.iter()),
                    None => steps.push(Step::EndMessages {
                        owner,
                        ends: gathered(at, ends.iter()),
                    }),
                }
            }
            Write::ClaimFire(_) => {
                let is_fire = |at: &usize| matches!(writes[*at], Write::ClaimFire(_));
                let open = steps[first_open..].iter_mut().find_map(|step| match step {
                    Step::Singles(fires) if fires.first().is_some_and(is_fire) => Some(fires),
                    _ => None,
                });
                match open {
                    Some(fires) => fires.push(at),
                    None => steps.push(Step::Singles(vec![at])),
                }
            }
            Write::AddCount(write) => {
                let add = (at, &write.0);
                let open = steps[first_open..].iter_mut().find_map(|step| match step {
                    Step::AddCounts(adds) => Some(adds),
                    _ => None,
                });
                match open {
                    Some(adds) => adds.push(add),
                    None => steps.push(Step::AddCounts(vec![add])),
                }
            }
            Write::ClaimTasks(_) | Write::ClaimMessages(_) => {
                steps.push(Step::Singles(vec![at]));
            }
            _ => {
                steps.push(Step::Singles(vec![at]));
                first_open = steps.len();
            }
        }
    }
    for step in &mut steps {
        if let Step::Singles(fires) = step {
            fires.sort_by_key(|at| place_of(&writes[*at]));
        }
    }
    steps
}

/// Of an entry the earlier second first: with `overlap: forbid` it is the one that runs.
fn place_of(write: &Write) -> Option<(&str, &str, i64)> {
    match write {
        Write::ClaimFire(claim) => {
            let ClaimFire(fire) = &**claim;
            Some((&fire.partition, &fire.entry, fire.scheduled_ms))
        }
        _ => None,
    }
}

fn gathered<T>(at: usize, items: impl Iterator<Item = T>) -> Gathered<T> {
    let mut gathered = Gathered::default();
    gathered.add(at, items);
    gathered
}

#[cfg(test)]
mod tests {
    use super::super::rows::{AtOverlap, Fire};
    use super::super::write::{ClaimTasks, InsertTasks, Most, ReleaseTasks};
    use super::*;

    fn push(params: &[&str]) -> Write {
        let row = |params: &&str| NewTask {
            name: String::new(),
            exec_cmd: String::new(),
            params: (*params).to_owned(),
            due_ms: 0,
            claimed: false,
            trace: None,
        };
        InsertTasks {
            rows: params.iter().map(row).collect(),
            owner: String::new(),
        }
        .into()
    }

    fn release() -> Write {
        ReleaseTasks {
            owner: String::new(),
            keep: Vec::new(),
        }
        .into()
    }

    fn claim() -> Write {
        ClaimTasks {
            owner: String::new(),
            from_s: None,
            until_s: 0,
            most: Most { count: 1, bytes: 1 },
        }
        .into()
    }

    fn fire(entry: &str, scheduled_ms: i64) -> Write {
        let fire = Fire {
            partition: "p".to_owned(),
            entry: entry.to_owned(),
            scheduled_ms,
            uk: String::new(),
            name: String::new(),
            exec_cmd: String::new(),
            params: String::new(),
            owner: String::new(),
            machine: String::new(),
            timeout_ms: 0,
            is_log: false,
            at_overlap: AtOverlap::Allow,
            expired: None,
            given_up: super::super::rows::GivenUp::default(),
            order: None,
        };
        ClaimFire(fire).into()
    }

    fn shape(writes: &[Write]) -> Vec<String> {
        let shape = |step: &Step<'_>| match step {
            Step::InsertTasks(gathered) => {
                let params = gathered.items().iter().map(|(row, _)| row.params.as_str());
                format!("insert {}", params.collect::<Vec<_>>().join(" "))
            }
            Step::Singles(places) => format!("singles {places:?}"),
            other => format!("{other:?}"),
        };
        steps(writes).iter().map(shape).collect()
    }

    #[test]
    fn pushes_are_gathered_across_claims_and_not_across_releases() {
        let writes = [
            push(&["a", "b"]),
            claim(),
            push(&["c"]),
            release(),
            push(&["d"]),
            push(&[]),
        ];
        let wanted = ["insert a b c", "singles [1]", "singles [3]", "insert d"];
        assert_eq!(shape(&writes), wanted);
    }

    #[test]
    fn fires_are_claimed_in_one_order_whichever_daemon_claims_them() {
        let writes = [
            fire("b", 2000),
            fire("b", 1000),
            push(&["x"]),
            fire("a", 2000),
            release(),
            fire("a", 1000),
        ];
        let wanted = [
            "singles [3, 1, 0]",
            "insert x",
            "singles [4]",
            "singles [5]",
        ];
        assert_eq!(shape(&writes), wanted);
    }

    #[test]
    fn each_write_is_answered_with_its_own() {
        let mut gathered = Gathered::default();
        gathered.add(3, ["a", "b"].into_iter());
        gathered.add(5, std::iter::empty());
        gathered.add(4, ["c"].into_iter());
        let shared: Vec<_> = gathered.share_out(vec![1, 2, 3]).collect();
        assert_eq!(shared, [(3, vec![1, 2]), (5, vec![]), (4, vec![3])]);
    }
}
