//! A daemon, and a browser that visits its page.

use super::address;
use crate::browser::Browser;
use crate::process::Daemon;
use crate::world::World;

pub struct Visited {
    pub world: World,
    pub browser: Browser,
    pub daemon: Daemon,
    pub origin: String,
}

impl Visited {
    /// None where there is no browser.
    pub fn of(world: World) -> Option<Self> {
        let browser = Browser::start(&world)?;
        let mut daemon = world.start();
        let origin = format!("http://{}", address(&mut daemon));
        Some(Self {
            world,
            browser,
            daemon,
            origin,
        })
    }
}
