//! A payload that a person has edited.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use bytes::Bytes;

use crate::bootstrap::failure::Failure;
use crate::delay_queue::params_refusal;
use crate::store::rows::ReplayTo;

/// The bytes as they are, to the last one.
#[derive(Debug)]
pub(super) struct Edited(Bytes);

impl Edited {
    pub(super) fn read(file: &Path) -> Result<Self, Failure> {
        let mut bytes = Vec::new();
        let read = match file == Path::new("-") {
            true => io::stdin().lock().read_to_end(&mut bytes).map(drop),
            false => fs::read(file).map(|read| bytes = read),
        };
        read.map_err(|cause| {
            let file = file.display();
            Failure::failed(format!("the payload cannot be read: `{file}`: {cause}"))
        })?;
        Ok(Self(bytes.into()))
    }

    /// The payload; or why the place where the letter runs does not take it.
    pub(super) fn for_letter(&self, to: &ReplayTo) -> Result<Bytes, String> {
        if *to == ReplayTo::DelayQueue {
            let params = str::from_utf8(&self.0);
            let params =
                params.map_err(|_| "the payload is no UTF-8 text, as params are".to_owned())?;
            if let Some(why) = params_refusal(params) {
                return Err(why);
            }
        }
        Ok(self.0.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delayed_task_takes_no_more_than_its_params() {
        let queue = ReplayTo::Queue("q".to_owned());
        for (bytes, refused) in [
            (b"good".to_vec(), None),
            ("测".repeat(500).into_bytes(), None),
            (b"x".repeat(501), Some("at most 500")),
            (b"a\0b".to_vec(), Some("NUL")),
            (b"\xff".to_vec(), Some("no UTF-8 text")),
        ] {
            let edited = Edited(bytes.clone().into());
            assert_eq!(edited.for_letter(&queue).unwrap(), bytes);
            match (edited.for_letter(&ReplayTo::DelayQueue), refused) {
                (Ok(payload), None) => assert_eq!(payload, bytes),
                (Err(why), Some(part)) => assert!(why.contains(part), "{why}"),
                (other, _) => panic!("{other:?}"),
            }
        }
    }
}
