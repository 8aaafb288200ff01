//! Places in a text as editors show them.

use super::fault::Place;

/// Where each line of a text starts.
pub(super) struct Lines(Vec<usize>);

impl Lines {
    pub(super) fn of(text: &str) -> Self {
        let bytes = text.as_bytes();
        let ends = (0..bytes.len()).filter(|&at| match bytes[at] {
            b'\n' => true,
            // Alone it ends a line too, as in editors; before a line feed it belongs to that.
            b'\r' => bytes.get(at + 1) != Some(&b'\n'),
            _ => false,
        });
        Self(std::iter::once(0).chain(ends.map(|at| at + 1)).collect())
    }

    /// The line and column of a byte, which must not be inside a character.
    pub(super) fn place(&self, text: &str, offset: usize) -> Place {
        // The first line starts at 0, so at least one start is not after the offset.
        let line = self.0.partition_point(|start| *start <= offset);
        let start = self.0[line - 1];
        Place {
            line,
            column: text[start..offset].chars().count() + 1,
        }
    }
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
}
