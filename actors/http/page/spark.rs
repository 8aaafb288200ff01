//! The last hour of one thing, as a small drawing and as the numbers of a row.

use super::html::{Html, PathClass, svg_path};
use crate::state::view::{HistoryView, SeriesView};

/// Width and height of a drawing, and how many bars it has: a minute each.
const WIDTH: f32 = 120.0;
const HEIGHT: f32 = 24.0;
const BARS: usize = 60;
/// Points of a minute.
const MINUTE: usize = 6;

/// See the module's header.
#[derive(Debug, Clone)]
pub(super) struct Spark {
    pub(super) paths: Html,
    /// Sums of the hour.
    pub(super) done: u64,
    pub(super) failed: u64,
    /// Of the last minute.
    pub(super) per_second: f64,
    pub(super) handler: Option<f64>,
    pub(super) lateness: Option<f64>,
    /// Of the hour.
    pub(super) hour_lateness: Option<f64>,
}

impl Spark {
    pub(super) fn of(history: &HistoryView) -> Self {
        let series = &history.series;
        let (done, failed) = (bars(&series.done), bars(&series.failed));
        let most = done
            .iter()
            .zip(&failed)
            .map(|(done, failed)| done + failed)
            .max()
            .unwrap_or(0);
        Self {
            paths: paths(&done, &failed, most),
            done: done.iter().sum(),
            failed: failed.iter().sum(),
            per_second: rate(series, history.interval_seconds),
            handler: mean(&series.handler_seconds, MINUTE),
            lateness: mean(&series.lateness_seconds, MINUTE),
            hour_lateness: mean(&series.lateness_seconds, BARS * MINUTE),
        }
    }
}

/// Sums of a minute each, the oldest first; the last one ends with the last point.
fn bars(points: &[u32]) -> Vec<u64> {
    let sums = points.rchunks(MINUTE).take(BARS);
    let sums = sums.map(|minute| minute.iter().copied().map(u64::from).sum());
    let mut bars: Vec<u64> = sums.collect();
    bars.resize(BARS, 0);
    bars.reverse();
    bars
}

/// Messages a second within the last minute, failed attempts not counted.
#[expect(clippy::cast_precision_loss, reason = "of counts of a minute")]
fn rate(series: &SeriesView, interval_seconds: u64) -> f64 {
    let last = series.done.iter().rev().take(MINUTE);
    let (sum, points) = last.fold((0, 0), |(sum, n), done| (sum + u64::from(*done), n + 1));
    match points * interval_seconds {
        0 => 0.0,
        seconds => sum as f64 / seconds as f64,
    }
}

/// Of the last points, those that have one.
fn mean(points: &[Option<f32>], last: usize) -> Option<f64> {
    let known = points.iter().rev().take(last).copied().flatten();
    let (sum, n) = known.fold((0.0, 0.0), |(sum, n), mean| {
        (sum + f64::from(mean), n + 1.0)
    });
    (n > 0.0).then(|| sum / n)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "of a drawing of 24 units' height"
)]
fn paths(done: &[u64], failed: &[u64], most: u64) -> Html {
    let step = WIDTH / BARS as f32;
    let scale = |n: u64| match n {
        0 => 0.0,
        // What happened once is seen beside what happened often.
        n => (n as f32 / most as f32 * HEIGHT).max(1.5),
    };
    let bottom = HEIGHT;
    let mut bad = Vec::new();
    let mut good = Vec::new();
    for (at, (done, failed)) in done.iter().zip(failed).enumerate() {
        let x = at as f32 * step;
        let (good_height, bad_height) = (scale(*done), scale(*failed));
        let bar = |of: &mut Vec<_>, from: f32, height: f32| {
            if height > 0.0 {
                of.push(('M', x, from));
                of.push(('V', f32::NAN, (from - height).max(0.0)));
                of.push(('H', x + step - 0.4, f32::NAN));
                of.push(('V', f32::NAN, from));
            }
        };
        bar(&mut good, bottom, good_height);
        bar(&mut bad, (bottom - good_height).max(bad_height), bad_height);
    }
    let mut all = svg_path(PathClass::Done, &good);
    all.join(svg_path(PathClass::Failed, &bad));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_is_drawn_and_its_last_minute_has_numbers() {
        let mut done = vec![0; 354];
        done.extend([10; 6]);
        let history = HistoryView {
            interval_seconds: 10,
            last_ms: Some(1),
            series: SeriesView {
                failed: vec![1; 6],
                handler_seconds: vec![Some(9.0), None, None, None, None, None, Some(0.5)],
                done,
                ..SeriesView::default()
            },
        };
        let spark = Spark::of(&history);
        assert_eq!((spark.done, spark.failed), (60, 6));
        assert!((spark.per_second - 1.0).abs() < 1e-9);
        assert_eq!((spark.handler, spark.lateness), (Some(0.5), None));
        let drawn = spark.paths.to_string();
        assert!(
            drawn.starts_with("<path class=\"done\" d=\"M118 24V"),
            "{drawn}"
        );
        assert_eq!(drawn.matches("<path").count(), 2);
    }

    #[test]
    fn nothing_is_drawn_of_nothing() {
        let spark = Spark::of(&HistoryView::default());
        assert_eq!(spark.paths.to_string(), "");
        assert!(spark.per_second.abs() < f64::EPSILON);
    }
}
