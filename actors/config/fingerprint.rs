//! Whether the files hold what they held before, without reading them as a configuration.

use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Read;

use super::Places;
use crate::jsonc::file::LARGEST;

/// Of the three files together. Two of one process may be compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Fingerprint(u64);

impl Fingerprint {
    /// A file that is missing, or cannot be read, counts as one that holds nothing of its own kind.
    pub(crate) fn of(places: &Places) -> Self {
        let mut hasher = DefaultHasher::new();
        for path in [places.settings(), places.queues(), places.crontab()] {
            let mut bytes = Vec::new();
            let is_file = path.metadata().is_ok_and(|metadata| metadata.is_file());
            let read = File::open(&path)
                .ok()
                .filter(|_| is_file)
                .map(|file| file.take(LARGEST + 1).read_to_end(&mut bytes).is_ok());
            (read, &bytes).hash(&mut hasher);
        }
        Self(hasher.finish())
    }

    #[cfg(test)]
    pub(crate) fn of_test(number: u64) -> Self {
        Self(number)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn it_follows_what_the_files_hold_and_not_when_they_were_written() {
        let dir = tempfile::tempdir().unwrap();
        let places = Places {
            etc: dir.path().to_owned(),
            environment: crate::config::Environment::Dev,
            partition: crate::config::Partition::default(),
        };
        let missing = Fingerprint::of(&places);
        let write = |text: &str| {
            fs::write(places.queues(), text).unwrap();
            Fingerprint::of(&places)
        };
        let first = write("[]");
        assert_ne!(first, missing);
        assert_ne!(write("[ ]"), first);
        assert_ne!(write(""), missing);
        assert_eq!(write("[]"), first);
        fs::rename(places.queues(), places.crontab()).unwrap();
        assert_ne!(Fingerprint::of(&places), first);
    }
}
