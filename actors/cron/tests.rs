//! CronActor with real processes and a real database, on a paused clock. The entries are due in January; what fires is
//! what `misfire` makes up for at the start, so that no test waits for a second.

mod clock_jumps;
mod firing;
mod left_behind;
mod surviving;

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use futures_util::FutureExt;
use tokio::time::sleep;

use super::entry::tests::entry;
use super::testing::{World, YEARLY};
use crate::config::Misfire;
use crate::testing_support::{TestDb, soon};
