//! Families of metrics: a name, its help, and a value for each set of labels.

use std::fmt;

use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::exemplar::Exemplar;

use crate::state::Distribution;

/// Exemplars have no use here.
const NO_EXEMPLAR: Option<&Exemplar<Labels<'static, 0>, f64>> = None;

/// Names with values.
pub(super) type Labels<'a, const N: usize> = [(&'static str, &'a str); N];

/// Writes families.
pub(super) struct Families<'a>(pub(super) DescriptorEncoder<'a>);

impl Families<'_> {
    pub(super) fn counters<'v, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels<'v, N>, u64)>,
    ) -> fmt::Result {
        let mut family = self
            .0
            .encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, value) in values {
            family
                .encode_family(&labels)?
                .encode_counter(&value, NO_EXEMPLAR)?;
        }
        Ok(())
    }

    pub(super) fn gauges<'v, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels<'v, N>, f64)>,
    ) -> fmt::Result {
        let mut family = self
            .0
            .encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in values {
            family.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }

    pub(super) fn gauge(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        self.0
            .encode_descriptor(name, help, None, MetricType::Gauge)?
            .encode_gauge(&value)
    }

    pub(super) fn counter(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        self.0
            .encode_descriptor(name, help, None, MetricType::Counter)?
            .encode_counter(&value, NO_EXEMPLAR)
    }

    pub(super) fn histograms<'v, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels<'v, N>, Distribution)>,
    ) -> fmt::Result {
        let mut family = self
            .0
            .encode_descriptor(name, help, None, MetricType::Histogram)?;
        for (labels, values) in values {
            let bounds = values.scale.bounds().chain([f64::INFINITY]);
            let buckets: Vec<_> = bounds.zip(values.counts).collect();
            family
                .encode_family(&labels)?
                .encode_histogram::<Labels<'_, 0>>(values.sum(), values.count(), &buckets, None)?;
        }
        Ok(())
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge is a float, and exact up to 2^53"
)]
pub(super) fn float(n: u64) -> f64 {
    n as f64
}

#[expect(
    clippy::cast_precision_loss,
    reason = "milliseconds of a date are exact"
)]
pub(super) fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}
