//! The write of permits.

use super::Operation;
use crate::store::permits::{Granted, PermitAsk};

/// Permits of a limit that all daemons share.
#[derive(Debug, Clone)]
pub(crate) struct TakePermits(pub(crate) PermitAsk);

impl Operation for TakePermits {
    type Reply = Granted;
}
