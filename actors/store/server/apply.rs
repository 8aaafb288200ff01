//! The statements of one transaction: writes of one kind are gathered into statements of many rows.

use diesel::QueryResult;
use diesel::result::Error;

use super::dialect::Connection;
use super::single::single;
use super::{messages, tasks, warnings};
use crate::store::claims::Acceptance;
use crate::store::statements::{Step, steps};
use crate::store::warnings::CountAdd;
use crate::store::write::{Settlement, Write, Written};

/// A step that failed.
pub(super) struct Stopped {
    pub(super) error: Error,
    /// The writes that it was about.
    pub(super) places: Vec<usize>,
}

/// The answers, in the order of the writes.
pub(super) async fn apply(
    connection: &mut Connection,
    writes: &[Write],
) -> Result<Vec<Written>, Stopped> {
    let mut answers: Vec<(usize, Written)> = Vec::with_capacity(writes.len());
    for step in steps(writes).into_iter().flat_map(Step::into_smallest) {
        let made = make(connection, writes, &step).await;
        let stopped = |error| Stopped {
            error,
            places: step.places(),
        };
        answers.append(&mut made.map_err(stopped)?);
    }
    answers.sort_unstable_by_key(|(at, _)| *at);
    Ok(answers.into_iter().map(|(_, written)| written).collect())
}

/// Each answer with the place of its write.
async fn make(
    connection: &mut Connection,
    writes: &[Write],
    step: &Step<'_>,
) -> QueryResult<Vec<(usize, Written)>> {
    Ok(match step {
        Step::InsertTasks(rows) => {
            let ids = tasks::insert(connection, rows.items()).await?;
            let shares = rows.share_out(ids);
            shares
                .map(|(at, ids)| (at, Written::InsertTasks(ids)))
                .collect()
        }
        Step::InsertMessages(rows) => {
            let ids = messages::insert(connection, rows.items()).await?;
            let shares = rows.share_out(ids);
            shares
                .map(|(at, ids)| (at, Written::InsertMessages(ids)))
                .collect()
        }
        Step::EndTasks { owner, ends } => {
            let acceptance = tasks::end(connection, owner, ends.items()).await?;
            let ids = ends.items().iter().map(|end| end.id);
            let shares = ends.share_out(ids.zip(acceptance).collect());
            shares
                .map(|(at, ends)| (at, Written::EndTasks(settlement(ends))))
                .collect()
        }
        Step::EndMessages { owner, ends } => {
            let acceptance = messages::end(connection, owner, ends.items()).await?;
            let ids = ends.items().iter().map(|end| end.id);
            let shares = ends.share_out(ids.zip(acceptance).collect());
            shares
                .map(|(at, ends)| (at, Written::EndMessages(settlement(ends))))
                .collect()
        }
        Step::AddCounts(adds) => {
            let (places, adds): (Vec<usize>, Vec<&CountAdd>) = adds.iter().copied().unzip();
            let counted = warnings::add(connection, &adds).await?;
            let counted = counted.into_iter().map(Written::AddCount);
            places.into_iter().zip(counted).collect()
        }
        Step::Singles(places) => {
            let mut answers = Vec::with_capacity(places.len());
            for at in places {
                answers.push((*at, single(connection, &writes[*at]).await?));
            }
            answers
        }
    })
}

fn settlement(ends: Vec<(i64, Acceptance)>) -> Settlement {
    let mut settlement = Settlement::default();
    for (id, acceptance) in ends {
        match acceptance {
            Acceptance::Counts => {}
            Acceptance::Stale => settlement.stale.push(id),
            Acceptance::Held => settlement.held.push(id),
        }
    }
    settlement
}
