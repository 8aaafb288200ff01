//! A payload that a person has edited.

use bytes::Bytes;

use crate::store::rows::ReplayTo;

/// The bytes as they are, to the last one.
#[derive(Debug, Clone)]
pub(crate) struct Edited {
    bytes: Bytes,
    refuses: RefusesParams,
}

/// Why a text cannot be the params of a delayed task, as the delay queue knows it.
pub(crate) type RefusesParams = fn(&str) -> Option<String>;

impl Edited {
    pub(crate) fn new(bytes: Bytes, refuses: RefusesParams) -> Self {
        Self { bytes, refuses }
    }

    /// The payload; or why the place where the dead letter runs does not take it.
    pub(crate) fn for_dead_letter(&self, to: &ReplayTo) -> Result<Bytes, String> {
        if *to == ReplayTo::DelayQueue {
            let params = str::from_utf8(&self.bytes);
            let params =
                params.map_err(|_| "the payload is no UTF-8 text, as params are".to_owned())?;
            if let Some(why) = (self.refuses)(params) {
                return Err(why);
            }
        }
        Ok(self.bytes.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delayed_task_takes_no_more_than_its_params() {
        let queue = ReplayTo::Queue("q".to_owned());
        for (bytes, refused) in [
            (b"good".to_vec(), Some("too long")),
            ("测".as_bytes().to_vec(), None),
            (b"\xff".to_vec(), Some("no UTF-8 text")),
        ] {
            let refuses = |params: &str| (params.len() > 3).then(|| "too long".to_owned());
            let edited = Edited::new(bytes.clone().into(), refuses);
            assert_eq!(edited.for_dead_letter(&queue).unwrap(), bytes);
            match (edited.for_dead_letter(&ReplayTo::DelayQueue), refused) {
                (Ok(payload), None) => assert_eq!(payload, bytes),
                (Err(why), Some(part)) => assert!(why.contains(part), "{why}"),
                (other, _) => panic!("{other:?}"),
            }
        }
    }
}
