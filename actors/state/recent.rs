//! The last few of something.

use std::collections::VecDeque;

use parking_lot::Mutex;

/// Characters of an error that are kept.
const MOST_CHARS: usize = 200;

/// Keeps the last ones, up to a number.
#[derive(Debug)]
pub(crate) struct Recent<T> {
    most: usize,
    items: Mutex<VecDeque<T>>,
}

impl<T: Clone> Recent<T> {
    pub(crate) const fn new(most: usize) -> Self {
        Self {
            most,
            items: Mutex::new(VecDeque::new()),
        }
    }

    pub(crate) fn push(&self, item: T) {
        let mut items = self.items.lock();
        if items.len() == self.most {
            items.pop_front();
        }
        items.push_back(item);
    }

    /// The newest first.
    pub(crate) fn newest(&self) -> Vec<T> {
        self.items.lock().iter().rev().cloned().collect()
    }
}

/// A text from outside, at most 200 characters of it. An ellipsis shows that there was more.
pub(crate) fn cut(text: &str) -> String {
    match text.char_indices().nth(MOST_CHARS) {
        None => text.to_owned(),
        Some(_) => text.chars().take(MOST_CHARS - 1).chain(['…']).collect(),
    }
}
