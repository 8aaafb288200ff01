//! The key `ping` of `alert` and of cron entries: the address of a dead man's switch.

use url::Url;

use super::environments;
use crate::config::Environment;
use crate::config::secret::Secret;
use crate::jsonc::node::Node;

/// An address that is called to report that something has happened; anyone who has the address can report it too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ping {
    /// The address.
    pub url: Secret,
    /// Where it is called; `None`: wherever the entry is live.
    pub environments: Option<Vec<Environment>>,
}

impl Ping {
    /// The address, or `{"url": …, "environments": […]}`.
    pub(in crate::config) fn read(node: &Node<'_>) -> Option<Self> {
        if !node.is_object() {
            return Some(Self {
                url: address(node)?,
                environments: None,
            });
        }
        node.object(|o| {
            let url = o.required("url", "the address to call, `https://…`", address);
            let environments = o.maybe("environments", environments::read);
            Some(Self {
                url: url?,
                environments: environments?,
            })
        })
    }

    /// Whether it is called there.
    pub(crate) fn is_for(&self, environment: Environment) -> bool {
        self.environments
            .as_ref()
            .is_none_or(|all| all.contains(&environment))
    }
}

fn address(node: &Node<'_>) -> Option<Secret> {
    let text = node.secret_string()?;
    match Url::parse(&text) {
        Ok(url) if matches!(url.scheme(), "https" | "http") => Some(Secret::new(text)),
        _ => {
            node.fault("this is no address to call; `https://hc-ping.com/…` would be right");
            None
        }
    }
}
