//! The key `environments`: where something holds.

use crate::config::Environment;
use crate::jsonc::node::Node;

/// The environments by name.
const NAMES: [(&str, Environment); 4] = [
    ("dev", Environment::Dev),
    ("test", Environment::Test),
    ("release", Environment::Release),
    ("pre", Environment::Pre),
];

/// One or more, each once.
pub(super) fn read(node: &Node<'_>) -> Option<Vec<Environment>> {
    let nodes = node.array()?;
    node.has_each_once();
    if nodes.is_empty() {
        node.fault(
            "an empty list means nowhere; `[\"release\"]` would be right, or no entry at all",
        );
        return None;
    }
    let mut environments = Vec::new();
    let mut all_right = true;
    for node in &nodes {
        match node.one_of(&NAMES) {
            Some(environment) if environments.contains(&environment) => {
                node.fault(format!("`{environment}` is here twice"));
                all_right = false;
            }
            Some(environment) => environments.push(environment),
            None => all_right = false,
        }
    }
    all_right.then_some(environments)
}
