//! Places in a text as editors show them.

use super::fault::Place;

/// Bytes from one counted position to the next. Because of the counts a place in a file of one long line takes no
/// longer than in any other: ten thousand entries on one line are ten thousand places.
const STRIDE: usize = 1_024;

/// Where each line of a text starts, and how many characters are before it.
pub(crate) struct Lines {
    starts: Vec<usize>,
    /// Characters before each `STRIDE` bytes.
    counts: Vec<usize>,
}

impl Lines {
    pub(crate) fn of(text: &str) -> Self {
        let bytes = text.as_bytes();
        let ends = (0..bytes.len()).filter(|&at| match bytes[at] {
            b'\n' => true,
            // Alone it ends a line too, as in editors; before a line feed it belongs to that.
            b'\r' => bytes.get(at + 1) != Some(&b'\n'),
            _ => false,
        });
        let counts = bytes.chunks(STRIDE).scan(0, |before, chunk| {
            let count = *before;
            *before += chars(chunk);
            Some(count)
        });
        Self {
            starts: std::iter::once(0).chain(ends.map(|at| at + 1)).collect(),
            counts: counts.collect(),
        }
    }

    /// The line and column of a byte, which must not be inside a character.
    pub(crate) fn place(&self, text: &str, offset: usize) -> Place {
        // The first line starts at 0, so at least one start is not after the offset.
        let line = self.starts.partition_point(|start| *start <= offset);
        let start = self.starts[line - 1];
        Place {
            line,
            column: self.chars_before(text, offset) - self.chars_before(text, start) + 1,
        }
    }

    fn chars_before(&self, text: &str, offset: usize) -> usize {
        let stride = offset / STRIDE;
        match self.counts.get(stride) {
            Some(count) => count + chars(&text.as_bytes()[stride * STRIDE..offset]),
            // The end of a text whose length is a multiple of the stride.
            None => text.chars().count(),
        }
    }
}

/// The characters that start in these bytes.
fn chars(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .filter(|byte| (**byte & 0b1100_0000) != 0b1000_0000)
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_and_every_line_end() {
        let text = "a\r\n测b\rc\n";
        let lines = Lines::of(text);
        let place = |offset| {
            let Place { line, column } = lines.place(text, offset);
            (line, column)
        };
        assert_eq!(place(0), (1, 1));
        assert_eq!(place(text.find('b').unwrap()), (2, 2));
        assert_eq!(place(text.find('c').unwrap()), (3, 1));
        assert_eq!(place(text.len()), (4, 1));
    }

    #[test]
    fn columns_of_a_long_line_are_those_counted_one_by_one() {
        for head in ["", "a", "测", "\n😀", &"b".repeat(STRIDE - 1)] {
            let text = head.to_owned() + &"测a😀".repeat(STRIDE / 8 * 3);
            let lines = Lines::of(&text);
            let line = head.matches('\n').count() + 1;
            let start = head.rfind('\n').map_or(0, |at| at + 1);
            let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
            for at in ends.filter(|at| *at >= start) {
                let column = text[start..at].chars().count() + 1;
                assert_eq!(lines.place(&text, at), Place { line, column }, "{at}");
            }
        }
        let whole = "a".repeat(2 * STRIDE);
        assert_eq!(
            Lines::of(&whole).place(&whole, whole.len()).column,
            2 * STRIDE + 1
        );
    }
}
