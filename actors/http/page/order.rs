//! A button that gives an order: a form, which works without scripts. `parts::order` shows it.

/// See the module's header.
#[derive(Debug, Clone)]
pub(super) struct Order {
    /// The path that takes it, below the base.
    pub(super) to: &'static str,
    pub(super) label: &'static str,
    pub(super) fields: Vec<(&'static str, String)>,
    /// Of an order that destroys: what it does. The button is behind this sentence then.
    pub(super) confirm: Option<String>,
    /// What may be typed with it: the field's name, and its label.
    pub(super) input: Option<(&'static str, &'static str)>,
}

impl Order {
    pub(super) fn new(
        to: &'static str,
        label: &'static str,
        fields: &[(&'static str, &str)],
    ) -> Self {
        let fields = fields
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()));
        Self {
            to,
            label,
            fields: fields.collect(),
            confirm: None,
            input: None,
        }
    }
}
