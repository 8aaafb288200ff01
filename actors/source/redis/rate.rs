//! The `rate_limit` of a list, kept by its server.

use std::time::Duration;

use super::error::Fault;
use super::scripts::PERMITS;
use super::server::Server;
use crate::store::permits::{CATCH_UP_US, Granted, PermitAsk};

impl Server {
    /// # Errors
    ///
    /// Why there is no answer; none where the server's outage is in the log.
    pub(crate) async fn take_permits(
        &self,
        list: &str,
        ask: &PermitAsk,
    ) -> Result<Granted, Option<String>> {
        let mut script = PERMITS.key(list);
        script.arg(ask.lasts_us()).arg(CATCH_UP_US);
        match self.run::<u64>(&script).await {
            Ok(0) => {
                self.wrote();
                Ok(Granted::Permits(ask.permits))
            }
            Ok(wait_us) => Ok(Granted::Wait(Duration::from_micros(wait_us))),
            Err(Fault::Away(why)) => {
                self.failed(&why, None);
                Err(None)
            }
            Err(Fault::Refused(why)) => Err(Some(why)),
        }
    }
}
