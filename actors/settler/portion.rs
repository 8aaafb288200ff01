//! Ends that are written together, and those among them that keep the others from it.

use super::Refusal;
use crate::task::caught;

/// What became of a portion.
pub(super) struct Tried<T, E> {
    /// Not tried.
    pub(super) left: Vec<T>,
    /// Those that cannot be written while others can, and why.
    pub(super) apart: (Vec<T>, Option<String>),
    /// They are refused, each of them; none waits for another transaction's lock.
    pub(super) only_refused: bool,
    /// Why nothing can be written.
    pub(super) away: Option<E>,
}

/// Halves of what is refused are written on their own, until the refused ends stand alone.
pub(super) async fn write_portion<T, F, Fut, E>(write: &F, portion: Vec<T>) -> Tried<T, E>
where
    T: Clone,
    F: Fn(Vec<T>) -> Fut,
    Fut: Future<Output = Result<Vec<T>, E>>,
    E: Refusal,
{
    let (mut apart, mut why) = (Vec::new(), None);
    let mut only_refused = true;
    let mut parts = vec![portion];
    while let Some(mut part) = parts.pop() {
        let written = caught(async { write(part.clone()).await }).await;
        let written = match written {
            Ok(written) => written,
            // The ends of its panic count as refused: they stand alone in the end, and the others are written.
            Err(_) if part.len() > 1 => {
                let half = part.split_off(part.len() / 2);
                parts.extend([half, part]);
                continue;
            }
            Err(panic) => {
                apart.append(&mut part);
                why = Some(panic);
                continue;
            }
        };
        match written {
            Ok(held) if held.is_empty() => {}
            Ok(held) => {
                apart.extend(held);
                only_refused = false;
                why = Some("another transaction has locked their rows".to_owned());
            }
            Err(cause) if cause.is_refusal() && part.len() > 1 => {
                let half = part.split_off(part.len() / 2);
                parts.extend([half, part]);
            }
            Err(cause) if cause.is_refusal() => {
                apart.append(&mut part);
                why = Some(cause.to_string());
            }
            Err(cause) => {
                part.extend(parts.into_iter().flatten());
                return Tried {
                    left: part,
                    apart: (apart, why),
                    only_refused,
                    away: Some(cause),
                };
            }
        }
    }
    Tried {
        left: Vec::new(),
        apart: (apart, why),
        only_refused,
        away: None,
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::fmt;

    use super::*;

    #[derive(Debug)]
    enum Fault {
        Refused,
        Away,
    }

    impl fmt::Display for Fault {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{self:?}")
        }
    }

    impl Refusal for Fault {
        fn is_refusal(&self) -> bool {
            matches!(self, Self::Refused)
        }
    }

    #[actix::test]
    async fn a_refused_end_leaves_the_others_alone() {
        let written = RefCell::new(Vec::new());
        let calls = Cell::new(0);
        let write = |part: Vec<i32>| {
            calls.set(calls.get() + 1);
            let refused = part.iter().any(|end| [7, 400].contains(end));
            if !refused {
                written.borrow_mut().extend(part);
            }
            let answer = match refused {
                true => Err(Fault::Refused),
                false => Ok(Vec::new()),
            };
            std::future::ready(answer)
        };
        let tried = write_portion(&write, (0..500).collect()).await;
        assert!(tried.away.is_none() && tried.left.is_empty());
        let (mut apart, why) = tried.apart;
        apart.sort_unstable();
        assert_eq!((apart, why), (vec![7, 400], Some("Refused".to_owned())));
        let mut written = written.take();
        written.sort_unstable();
        let others = (0..500).filter(|end| ![7, 400].contains(end));
        assert!(written.into_iter().eq(others), "each once");
        assert!(calls.get() < 50, "{}", calls.get());
    }

    #[actix::test]
    async fn nothing_is_forgotten_when_it_goes_away_in_the_middle() {
        let written = RefCell::new(Vec::new());
        let write = |part: Vec<i32>| {
            let answer = match part.len() {
                1 => Err(Fault::Away),
                _ if part.contains(&0) => Err(Fault::Refused),
                _ => Ok(Vec::new()),
            };
            if answer.is_ok() {
                written.borrow_mut().extend(part);
            }
            std::future::ready(answer)
        };
        let tried = write_portion(&write, (0..64).collect()).await;
        assert!(matches!(tried.away, Some(Fault::Away)));
        let mut all = tried.left;
        all.extend(written.take());
        all.sort_unstable();
        assert!(all.into_iter().eq(0..64));
    }
}
