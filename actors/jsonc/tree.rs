//! A file's text as a tree in which each value knows its place.

use std::cell::RefCell;

use super::fault::{Fault, FileFaults, LISTED_FAULTS, Place};
use super::interpolate::Lookup;
use super::lines::Lines;
use super::node::Node;
use super::{quote, syntax};

/// One file being read: its text, and the faults found so far.
pub(crate) struct FileReader<'t> {
    name: &'t str,
    text: &'t str,
    lines: Lines,
    environment: Lookup<'t>,
    faults: RefCell<Found>,
}

/// Faults with their byte offsets, by which they are put in order at the end.
#[derive(Default)]
struct Found {
    listed: Vec<(usize, Fault)>,
    unlisted: usize,
}

/// Reads a file's text with `read`, which gets its root; `empty` is what to write into a file
/// without a value.
pub(crate) fn read<T>(
    name: &str,
    text: &str,
    environment: Lookup<'_>,
    empty: &str,
    read: impl FnOnce(&Node<'_>) -> T,
) -> (Option<T>, FileFaults) {
    let file = FileReader {
        name,
        text,
        lines: Lines::of(text),
        environment,
        faults: RefCell::default(),
    };
    let value = match syntax::parse(text) {
        Ok(Some(tree)) => Some(read(&Node::root(&file, &tree))),
        Ok(None) => {
            let fault = Fault::of_file(name, format!("is empty; {empty}"));
            return (None, fault.into());
        }
        Err((offset, message)) => {
            file.fault(offset, "", message);
            None
        }
    };
    (value, file.into_faults())
}

impl<'t> FileReader<'t> {
    pub(crate) fn text(&self) -> &'t str {
        self.text
    }

    pub(crate) fn environment(&self) -> Lookup<'t> {
        self.environment
    }

    pub(crate) fn place(&self, offset: usize) -> Place {
        self.lines.place(self.text, offset)
    }

    /// Whether further faults are only counted, so that their messages need no work.
    pub(crate) fn is_full(&self) -> bool {
        self.faults.borrow().listed.len() >= LISTED_FAULTS
    }

    /// Records a fault at a byte of the text.
    pub(crate) fn fault(&self, offset: usize, path: &str, message: impl Into<String>) {
        let mut found = self.faults.borrow_mut();
        if found.listed.len() < LISTED_FAULTS {
            // What others wrote stands in messages too: one line each, whatever it was.
            let message = quote::one_line(message.into());
            let fault = Fault::at(self.name, self.place(offset), path, message);
            found.listed.push((offset, fault));
        } else {
            found.unlisted += 1;
        }
    }

    fn into_faults(self) -> FileFaults {
        let Found {
            mut listed,
            unlisted,
        } = self.faults.into_inner();
        listed.sort_by_key(|(offset, _)| *offset);
        FileFaults {
            listed: listed.into_iter().map(|(_, fault)| fault).collect(),
            unlisted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::faults;

    #[test]
    fn a_file_without_a_value_is_empty() {
        for text in ["", " \n", "// nothing"] {
            assert_eq!(faults(text, |_| ()), ["f: is empty; write `[]`"]);
        }
    }

    #[test]
    fn faults_come_in_the_order_of_their_places() {
        let all = faults("[1,\n2]", |root| {
            let mut nodes = root.array().unwrap_or_default();
            nodes.reverse();
            nodes.iter().for_each(|node| node.fault("odd"));
        });
        assert_eq!(all, ["f:1:2: `[0]`: odd", "f:2:1: `[1]`: odd"]);
    }

    #[test]
    fn broken_and_cut_texts_never_panic() {
        let seed =
            "{\"a\": [1, -2.5e3, \"测\\u6d4b${X}\\n\", null], /* c */ \"b\": {\"c\": true,}} // 测";
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..20_000 {
            let mut bytes = seed.as_bytes().to_vec();
            for _ in 0..random.usize(1..4) {
                let at = random.usize(..bytes.len());
                bytes[at] = *random
                    .choice(b"\"'{}[],:/*\\u0-+.eE$x\n\r\x00\xe6\xb5")
                    .unwrap_or(&0);
            }
            bytes.truncate(random.usize(..=bytes.len()));
            let text = String::from_utf8_lossy(&bytes);
            faults(&text, |root| {
                root.string();
                root.json();
                root.object(|o| o.optional("a", 0, |node| node.array().map(|all| all.len())));
            });
        }
    }
}
