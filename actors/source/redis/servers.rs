//! Redis servers by name: all users of one server share its connections, and its outages are logged once.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::server::Server;
use crate::config::{RedisSettings, Settings};

/// See the module's header.
pub(crate) struct RedisServers {
    settings: BTreeMap<String, RedisSettings>,
    made: Mutex<BTreeMap<String, Arc<Server>>>,
}

impl RedisServers {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            settings: settings.redis.clone().into_iter().collect(),
            made: Mutex::default(),
        }
    }

    /// The server of this name. It is made at the first use, inside a runtime without business code, where its connections
    /// are opened.
    ///
    /// # Errors
    ///
    /// When the settings do not name it, or its address is not valid.
    pub(crate) fn get(&self, name: &str) -> Result<Arc<Server>, String> {
        let mut made = self.made.lock();
        if let Some(server) = made.get(name) {
            return Ok(Arc::clone(server));
        }
        let settings = self.settings.get(name);
        let settings = settings.ok_or_else(|| format!("the settings have no `redis.{name}`"))?;
        let server = Server::new(name, settings);
        let server = server.map_err(|cause| format!("redis `{name}`: {cause}"))?;
        made.insert(name.to_owned(), Arc::clone(&server));
        Ok(server)
    }
}
