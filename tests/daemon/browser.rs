//! A browser, for what only a browser does: Chromium without a window.
//!
//! ```ignore
//! let Some(browser) = Browser::start(&world) else { return };   // not installed: prints LEFT OUT, once
//! let title = browser.run(async |page| {
//!     page.goto("http://127.0.0.1:7100/").await?;
//!     page.find(Locator::Css("button")).await?.click().await?;
//!     page.wait().for_element(Locator::Css(".done")).await?;
//!     page.title().await
//! });
//! ```

use std::time::Duration;

use fantoccini::error::CmdError;
use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::time::timeout;

use crate::servers::chromium::ChromeDriver;
use crate::wait::PATIENCE;
use crate::world::World;

/// Of a browser that is asked to end; then it is killed.
const LONGEST_END: Duration = Duration::from_secs(10);

/// One window with a profile of its own, below the world's folder. It ends when it is dropped.
pub struct Browser {
    /// None once it has been asked to end.
    page: Option<Client>,
    runtime: Runtime,
    /// Ends after the page.
    _driver: ChromeDriver,
}

impl Browser {
    /// `None`: it is not installed.
    pub fn start(world: &World) -> Option<Self> {
        let driver = ChromeDriver::below(&world.path("browser"))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let capabilities = json!({ "goog:chromeOptions": { "args": driver.arguments() } });
        let Value::Object(capabilities) = capabilities else {
            unreachable!("it is an object")
        };
        let page = runtime.block_on(async {
            ClientBuilder::new(HttpConnector::new())
                .capabilities(capabilities)
                .connect(&driver.url())
                .await
                .unwrap()
        });
        Some(Self {
            page: Some(page),
            runtime,
            _driver: driver,
        })
    }

    /// Does this in the window, within [`PATIENCE`]. A step that fails fails the test.
    #[track_caller]
    pub fn run<T>(&self, steps: impl AsyncFnOnce(&Client) -> Result<T, CmdError>) -> T {
        let page = self.page.as_ref().unwrap();
        let done = async { timeout(PATIENCE, steps(page)).await };
        let done = self.runtime.block_on(done);
        done.unwrap_or_else(|_| panic!("the steps took longer than {PATIENCE:?}"))
            .unwrap_or_else(|cause| panic!("{cause}"))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if let Some(page) = self.page.take() {
            // Whatever comes of it, the driver's end is the browser's too.
            let end = async { timeout(LONGEST_END, page.close()).await };
            let _ = self.runtime.block_on(end);
        }
    }
}
