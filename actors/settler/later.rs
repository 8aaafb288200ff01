//! Ends that could not be written while others could. They are tried again, a few at a time, and hold nobody up.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::queue::Queue;

/// Pause before they are tried again; none, when the last try has written one of them.
pub(super) const PAUSE: Duration = Duration::from_secs(1);

/// How many are tried again together. Each that is refused costs a transaction or two, and new ends wait meanwhile.
pub(super) const AGAIN: usize = 16;

/// How often refused ends are tried again once no more ends come, and how many of them together.
pub(super) const LAST_TRIES: u32 = 2;
const AGAIN_AT_LAST: usize = 256;

/// When this many wait, no new ones are taken: consumers wait then, and what runs again after a restart is bounded.
const MOST: usize = 10_000;

/// See the module's header.
pub(super) struct Later<'a, T> {
    what: &'a str,
    /// Those that have waited longest first, and whether each was refused: it waits for nobody's lock.
    ends: VecDeque<(T, bool)>,
    /// How many of the portion that is being written have been tried before.
    again: usize,
    next_try: Instant,
    /// When it began; its lines in the log are two, and one where it is too much.
    since: Option<Instant>,
    is_full: bool,
    /// Why the last one could not be written.
    why: String,
    /// How often they are tried once no more ends come.
    last_tries: u32,
}

impl<'a, T> Later<'a, T> {
    pub(super) fn new(what: &'a str) -> Self {
        Self {
            what,
            ends: VecDeque::new(),
            again: 0,
            next_try: Instant::now(),
            since: None,
            is_full: false,
            why: String::new(),
            last_tries: LAST_TRIES,
        }
    }

    /// What is to be written next: new ends, and some of these when their time has come. None: there is nothing any more.
    pub(super) async fn next(&mut self, queue: &Queue<T>) -> Option<Vec<T>> {
        let mut portion = Vec::new();
        self.again = 0;
        if self.ends.is_empty() {
            queue.portion(&mut portion).await?;
            return Some(portion);
        }
        let due = tokio::time::sleep_until(self.next_try);
        let mut is_over = false;
        if self.has_room() {
            tokio::select! {
                came = queue.portion(&mut portion) => is_over = came.is_none(),
                () = due => portion = queue.take(),
            }
        } else {
            due.await;
        }
        if is_over {
            if self.gives_up() {
                return None;
            }
            tokio::time::sleep_until(self.next_try).await;
        }
        if Instant::now() >= self.next_try {
            let most = if is_over { AGAIN_AT_LAST } else { AGAIN };
            self.again = most.min(self.ends.len());
            portion.extend(self.ends.drain(..self.again).map(|(end, _)| end));
        }
        Some(portion)
    }

    /// Whoever runs waits where too many of them have gathered.
    fn has_room(&mut self) -> bool {
        let is_full = self.ends.len() >= MOST;
        if is_full && !self.is_full {
            log::error!(
                "{}: {} ends cannot be written; nothing new ends until some can",
                self.what,
                self.ends.len()
            );
        }
        self.is_full = is_full;
        !is_full
    }

    /// At a stop what the database refuses would be waited for until the deadline, and be refused to the last.
    fn gives_up(&mut self) -> bool {
        if self.ends.iter().any(|(_, refused)| !refused) {
            return false;
        }
        if self.last_tries > 0 {
            self.last_tries -= 1;
            return false;
        }
        log::error!(
            "{}: {} ends are not written, and what they end will run again: {}",
            self.what,
            self.ends.len(),
            self.why
        );
        true
    }

    /// Those of the portion that could not be written, and why.
    pub(super) fn add(&mut self, (ends, why): (Vec<T>, Option<String>), only_refused: bool) {
        let is_first = self.ends.is_empty() && self.again == 0;
        if self.again > 0 {
            let some_are_written = ends.len() < self.again;
            let pause = if some_are_written {
                Duration::ZERO
            } else {
                PAUSE
            };
            self.next_try = Instant::now() + pause;
            if some_are_written {
                self.last_tries = LAST_TRIES;
            }
        }
        let Some(why) = why else {
            return;
        };
        if self.since.is_none() {
            self.since = Some(Instant::now());
            log::warn!(
                "{}: {} ends cannot be written yet and are tried again, the others go on: {why}",
                self.what,
                ends.len()
            );
        }
        self.why = why;
        self.ends
            .extend(ends.into_iter().map(|end| (end, only_refused)));
        if is_first {
            self.next_try = Instant::now() + PAUSE;
        }
    }

    pub(super) fn end_if_empty(&mut self) {
        if self.ends.is_empty()
            && let Some(since) = self.since.take()
        {
            let seconds = since.elapsed().as_secs_f64();
            log::info!("{}: all ends are written after {seconds:.1} s", self.what);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(later: &mut Later<'_, usize>, ends: Vec<usize>) {
        later.add((ends, Some("refused".to_owned())), true);
    }

    #[tokio::test(start_paused = true)]
    async fn later_refusals_do_not_move_the_next_try() {
        let mut later = Later::new("it");
        later.add((vec![1], Some("locked".to_owned())), false);
        let next_try = later.next_try;
        tokio::time::advance(PAUSE / 2).await;
        refused(&mut later, vec![2]);
        assert_eq!(later.next_try, next_try);
        assert!(!later.gives_up(), "one of them is only locked");
        assert_eq!(later.ends, [(1, false), (2, true)]);
    }

    #[tokio::test(start_paused = true)]
    async fn however_many_are_refused_new_ends_are_taken() {
        let (sender, queue) = super::super::queue::queue(Duration::ZERO);
        let mut later = Later::new("it");
        refused(&mut later, (0..MOST - 1).collect());
        for end in 0..3 {
            sender.settle(MOST + end).await;
            assert_eq!(later.next(&queue).await, Some(vec![MOST + end]));
            later.add((Vec::new(), None), true);
        }
        let tried = later.next(&queue).await.unwrap();
        assert_eq!(
            tried,
            (0..AGAIN).collect::<Vec<_>>(),
            "those that waited longest"
        );
        refused(&mut later, tried);
        let begun = Instant::now();
        let tried = later.next(&queue).await.unwrap();
        assert_eq!(tried[0], AGAIN, "the next ones");
        assert_eq!(begun.elapsed(), PAUSE);
        refused(&mut later, tried[1..].to_vec());
        let begun = Instant::now();
        assert_eq!(later.next(&queue).await.unwrap()[0], 2 * AGAIN);
        assert!(begun.elapsed().is_zero(), "one could be written");
    }

    #[tokio::test(start_paused = true)]
    async fn too_many_refused_ends_hold_up_those_who_run() {
        let (sender, queue) = super::super::queue::queue(Duration::ZERO);
        let mut later = Later::new("it");
        refused(&mut later, (0..MOST).collect());
        sender.settle(MOST).await;
        let tried = later.next(&queue).await.unwrap();
        assert_eq!(tried, (0..AGAIN).collect::<Vec<_>>());
        later.add((Vec::new(), None), true);
        let mut next = later.next(&queue).await.unwrap();
        next.sort_unstable();
        assert_eq!(next.pop(), Some(MOST), "there is room again");
    }
}
