//! Counts side by side, as a drawing.

use super::format::count;

/// Height of a drawing, and width of a bar with its gap.
const HEIGHT: u64 = 48;
const STEP: u64 = 8;

/// A drawing.
pub(super) struct Drawing {
    pub(super) label: String,
    /// Under its ends.
    pub(super) from: String,
    pub(super) to: String,
    pub(super) width: u64,
    pub(super) height: u64,
    pub(super) bars: Vec<DrawnBar>,
}

/// One bar of it, in the drawing's units.
pub(super) struct DrawnBar {
    pub(super) x: u64,
    pub(super) y: u64,
    pub(super) height: u64,
    /// It stands for more than it shows.
    pub(super) is_cut: bool,
    pub(super) title: String,
}

/// What a bar stands for.
pub(super) struct Count {
    pub(super) n: u64,
    pub(super) is_cut: bool,
    /// When: `in 5 min`.
    pub(super) when: String,
}

impl Drawing {
    /// `label` gets what all bars are together.
    pub(super) fn of(counts: &[Count], ends: (String, String), label: String) -> Self {
        let most = counts.iter().map(|count| count.n).max().unwrap_or(0).max(1);
        let filled = counts.iter().enumerate().filter(|(_, count)| count.n > 0);
        let bars = filled.map(|(at, one)| {
            // What is there once is seen beside what is there a thousand times.
            let height = (one.n.saturating_mul(HEIGHT) / most).max(2);
            let mark = if one.is_cut { "+" } else { "" };
            DrawnBar {
                x: u64::try_from(at).unwrap_or(0) * STEP,
                y: HEIGHT - height,
                height,
                is_cut: one.is_cut,
                title: format!("{}: {}{mark}", one.when, count(one.n)),
            }
        });
        Self {
            label,
            from: ends.0,
            to: ends.1,
            width: u64::try_from(counts.len()).unwrap_or(1) * STEP,
            height: HEIGHT,
            bars: bars.collect(),
        }
    }
}

/// The sum, and whether there may be more.
pub(super) fn sum(counts: &[Count]) -> String {
    let all = counts.iter().map(|count| count.n).sum();
    let is_cut = counts.iter().any(|count| count.is_cut);
    format!("{}{}", count(all), if is_cut { "+" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_high_as_its_count() {
        let of = |n, is_cut| Count {
            n,
            is_cut,
            when: "w".to_owned(),
        };
        let counts = [of(0, false), of(1, false), of(1000, false), of(2000, true)];
        let ends = (String::new(), String::new());
        let drawing = Drawing::of(&counts, ends, sum(&counts));
        let bars: Vec<_> = drawing
            .bars
            .iter()
            .map(|bar| (bar.x, bar.y, bar.height))
            .collect();
        assert_eq!(bars, [(8, 46, 2), (16, 24, 24), (24, 0, 48)]);
        assert_eq!(drawing.bars[2].title, "w: 2,000+");
        assert_eq!((drawing.label.as_str(), drawing.width), ("3,001+", 32));
    }
}
