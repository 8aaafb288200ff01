//! How a write is made: as it is, and, where that is refused, in ways that the server may take.

use crate::store::parts::Manner;
use crate::store::truncate::Plain;
use crate::store::write::Write;

/// See the module's header.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Making {
    /// What the columns hold is read again first: people alter them while we are connected.
    pub(super) measures: bool,
    pub(super) plain: Plain,
    pub(super) manner: Manner,
}

impl Making {
    /// Not the first way.
    pub(super) fn is_another(self) -> bool {
        self != Self::default()
    }

    /// The next way to make a write that was refused, if there is one: words that fit the columns, plainer words, none at
    /// all; and at last without those of its parts that are refused.
    pub(super) fn next(self, write: &Write) -> Option<Self> {
        if self.manner == Manner::ByParts {
            return None;
        }
        let by_parts = || {
            write.has_parts().then_some(Self {
                measures: true,
                plain: Plain::AsItIs,
                manner: Manner::ByParts,
            })
        };
        if !write.has_words_of_one() {
            return by_parts();
        }
        match self.measures {
            false => Some(Self {
                measures: true,
                ..self
            }),
            true => match self.plain.plainer() {
                Some(plain) => Some(Self { plain, ..self }),
                None => by_parts(),
            },
        }
    }
}
