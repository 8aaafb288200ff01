//! Which writes make one transaction: all of a batch, or halves of it where one of them is the reason that it failed.
//!
//! **A refusal is not an outage.** What fails while the server answers a ping fails for what is in it: halves of it are
//! tried, each in its own transaction, until the write that is the reason stands alone and is refused, with the
//! server's reason. Only when the ping fails too is it away: even "read-only" and "the disk is full" may be what a
//! trigger raises for one row, or what holds for one table.

use std::collections::HashSet;
use std::mem::discriminant;

use super::making::Making;
use super::writer::{Failed, ServerWriter};
use crate::store::error::DbError;
use crate::store::traits::Applied;
use crate::store::truncate::Plain;
use crate::store::write::{Write, Written};

/// How often a connection may break under a single write, with a server that answers in between, before that is refused.
const BREAKS_OF_ONE: u32 = 3;
/// And under several, before halves of them are tried: the first time it may have been the server's restart.
const BREAKS_OF_SEVERAL: u32 = 2;

/// Writes that make one transaction.
struct Portion {
    /// In the batch, in their order.
    places: Vec<usize>,
    /// How often the connection broke under it.
    breaks: u32,
    making: Making,
    /// Why it was refused as it is.
    refused: Option<String>,
}

impl Portion {
    fn of(places: Vec<usize>) -> Self {
        Self {
            places,
            breaks: 0,
            making: Making::default(),
            refused: None,
        }
    }

    /// In their order, on a stack: the former half on top.
    fn halves(mut self) -> [Self; 2] {
        let latter = self.places.split_off(self.places.len() / 2);
        [Self::of(latter), Self::of(self.places)]
    }

    fn is_one(&self) -> bool {
        self.places.len() == 1
    }

    /// Those for which it holds, by their place in the portion and in the batch, and the others.
    fn split(self, holds: impl Fn(usize, usize) -> bool) -> (Vec<usize>, Vec<usize>) {
        let places = self.places.into_iter().enumerate();
        let (held, others): (Vec<_>, Vec<_>) = places.partition(|(place, at)| holds(*place, *at));
        let ats = |list: Vec<(usize, usize)>| list.into_iter().map(|(_, at)| at).collect();
        (ats(held), ats(others))
    }
}

impl ServerWriter {
    /// See the module's header. What waits for another transaction's lock is left out, and the others are tried again
    /// without it.
    pub(super) async fn apply_all(&mut self, batch: &[Write]) -> Applied {
        let mut applied = Applied::none_of(batch.len());
        let mut first = 0;
        if let Some(kept) = self.unsure.take() {
            match self.was_committed().await {
                Ok(true) => {
                    first = kept.len();
                    applied.answer(0..first, kept);
                }
                Ok(false) => {}
                Err(cause) => {
                    self.unsure = Some(kept);
                    return applied.unsure(cause);
                }
            }
        }
        // Kinds of writes of which one waited. When a second one does it is no single row: each of them would wait as long.
        let mut locked = HashSet::new();
        // A stack, the next portion on top.
        let mut portions = vec![Portion::of((first..batch.len()).collect())];
        while let Some(portion) = portions.pop() {
            if portion.places.is_empty() {
                continue;
            }
            match self.write(batch, &portion).await {
                Ok(written) => {
                    let plain = portion.making.plain;
                    if let (Some(why), true) = (portion.refused, plain != Plain::AsItIs) {
                        log::warn!("a text is not written as it is, but {plain}: {why}");
                    }
                    applied.answer(portion.places, written);
                }
                Err(Failed::Held(why, places)) => {
                    let kinds: Vec<_> = places
                        .iter()
                        .map(|place| discriminant(&batch[portion.places[*place]]))
                        .collect();
                    let (again, new): (Vec<_>, Vec<_>) =
                        kinds.into_iter().partition(|kind| locked.contains(kind));
                    locked.extend(new);
                    let (held, others) = portion.split(|place, at| {
                        places.contains(&place) || again.contains(&discriminant(&batch[at]))
                    });
                    applied.hold(held, &DbError::Away(why));
                    portions.push(Portion::of(others));
                }
                Err(Failed::Refused(_) | Failed::Conflict(_)) if !portion.is_one() => {
                    portions.extend(portion.halves());
                }
                Err(Failed::Refused(why) | Failed::Duplicate(why)) => {
                    refused(batch, portion, why, &mut portions, &mut applied);
                }
                Err(Failed::Closed(why)) => match self.ping_for_room().await {
                    Ok(()) if portion.is_one() => {
                        refused(batch, portion, why, &mut portions, &mut applied);
                    }
                    Ok(()) => portions.extend(portion.halves()),
                    Err(away) => return applied.away(DbError::Away(away)),
                },
                Err(Failed::Conflict(why)) => applied.hold(portion.places, &DbError::Away(why)),
                Err(Failed::Broken(why)) => match self.ping().await {
                    Ok(()) => broke(batch, portion, why, &mut portions, &mut applied),
                    Err(away) => return applied.away(DbError::Away(away)),
                },
                Err(Failed::Silent(why)) => match self.ping().await {
                    Ok(()) if portion.is_one() => {
                        applied.hold(portion.places, &DbError::Away(why));
                    }
                    Ok(()) => portions.extend(portion.halves()),
                    Err(_) => return applied.away(DbError::Away(why)),
                },
                Err(Failed::Away(why)) => return applied.away(DbError::Away(why)),
                Err(Failed::Unsure(why, written)) => {
                    self.unsure = Some(written);
                    return applied.unsure(DbError::Away(why));
                }
            }
        }
        applied
    }

    async fn write(&mut self, batch: &[Write], portion: &Portion) -> Result<Vec<Written>, Failed> {
        let places = portion.places.as_slice();
        match places {
            [first, ..] if places.last() == Some(&(first + places.len() - 1)) => {
                let writes = &batch[*first..first + places.len()];
                self.transaction(writes, portion.making).await
            }
            places => {
                let writes: Vec<Write> = places.iter().map(|at| batch[*at].clone()).collect();
                self.transaction(&writes, portion.making).await
            }
        }
    }
}

/// It stands alone. Where there is another way to make it, that is tried.
fn refused(
    batch: &[Write],
    mut portion: Portion,
    why: String,
    portions: &mut Vec<Portion>,
    applied: &mut Applied,
) {
    let why = portion.refused.take().unwrap_or(why);
    let next = match portion.places.as_slice() {
        [at] => portion.making.next(&batch[*at]),
        _ => None,
    };
    match next {
        Some(making) => portions.push(Portion {
            making,
            refused: Some(why),
            ..Portion::of(portion.places)
        }),
        None => applied.refuse(portion.places, &DbError::Refused(why)),
    }
}

/// The connection broke, and the server takes other writes.
fn broke(
    batch: &[Write],
    mut portion: Portion,
    why: String,
    portions: &mut Vec<Portion>,
    applied: &mut Applied,
) {
    portion.breaks += 1;
    match (portion.is_one(), portion.breaks) {
        (true, BREAKS_OF_ONE..) => {
            let why = format!(
                "the connection breaks each time, and the server takes other writes: {why}"
            );
            refused(batch, portion, why, portions, applied);
        }
        (false, BREAKS_OF_SEVERAL..) => portions.extend(portion.halves()),
        _ => portions.push(portion),
    }
}
