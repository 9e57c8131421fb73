use askama::Template;

/// A line chart as inline SVG, in a coordinate system of 360 x 230.
#[derive(Template)]
#[template(path = "report/chart.html")]
pub(super) struct Chart {
    title: String,
    description: String,
    x_label: String,
    y_label: String,
    x_ticks: Vec<Tick>,
    y_ticks: Vec<Tick>,
    lines: Vec<Line>,
    /// Name and style of each series.
    legend: Vec<(String, usize)>,
}

struct Tick {
    at: String,
    text: String,
}

struct Line {
    points: String,
    style: usize,
}

/// One curve: what it is called, which of the six styles it has, and its points.
///
/// Several of one name and style (seeds) share an entry of the legend.
pub(super) struct Series {
    pub(super) name: String,
    pub(super) style: usize,
    pub(super) points: Vec<[f64; 2]>,
}

/// How an axis runs.
#[derive(Clone, Copy)]
pub(super) struct Axis {
    pub(super) label: &'static str,
    /// Limits; those of the data where `None`.
    pub(super) limits: Option<[f64; 2]>,
    /// Powers of ten; values that are not positive are left out.
    pub(super) logarithmic: bool,
}

/// The plot's left, right, top and bottom edges.
const LEFT: f64 = 46.0;
const RIGHT: f64 = 352.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 192.0;

impl Chart {
    pub(super) fn new(
        title: String,
        description: String,
        [x, y]: [Axis; 2],
        series: &[Series],
    ) -> Self {
        let map = |axis: Axis, value: f64| match axis.logarithmic {
            true => value.log10(),
            false => value,
        };
        let shown = |series: &Series| -> Vec<[f64; 2]> {
            let mapped = series.points.iter().map(|p| [map(x, p[0]), map(y, p[1])]);
            mapped
                .filter(|p| p[0].is_finite() && p[1].is_finite())
                .collect()
        };
        let curves: Vec<Vec<[f64; 2]>> = series.iter().map(shown).collect();
        let limits = |axis: Axis, index: usize| {
            let given = axis.limits.map(|[lo, hi]| [map(axis, lo), map(axis, hi)]);
            given.unwrap_or_else(|| extent(curves.iter().flatten().map(|p| p[index])))
        };
        let (x_range, y_range) = (limits(x, 0), limits(y, 1));
        let place = |[lo, hi]: [f64; 2], value: f64, from: f64, to: f64| {
            from + (value.clamp(lo, hi) - lo) / (hi - lo) * (to - from)
        };
        let (x_ticks, y_ticks) = (ticks(x_range, x.logarithmic), ticks(y_range, y.logarithmic));
        let placed = |ticks: Vec<(f64, String)>, range, from, to| {
            let place = |(value, text)| Tick {
                at: format!("{:.1}", place(range, value, from, to)),
                text,
            };
            ticks.into_iter().map(place).collect()
        };
        let mut legend: Vec<(String, usize)> = Vec::new();
        for series in series {
            let entry = (series.name.clone(), series.style % STYLES);
            if !legend.contains(&entry) {
                legend.push(entry);
            }
        }
        let lines = series.iter().zip(&curves).map(|(series, curve)| Line {
            style: series.style % STYLES,
            points: curve
                .iter()
                .map(|[a, b]| {
                    let px = place(x_range, *a, LEFT, RIGHT);
                    let py = place(y_range, *b, BOTTOM, TOP);
                    format!("{px:.1},{py:.1}")
                })
                .collect::<Vec<_>>()
                .join(" "),
        });
        Self {
            title,
            description,
            x_label: x.label.into(),
            y_label: y.label.into(),
            x_ticks: placed(x_ticks, x_range, LEFT, RIGHT),
            y_ticks: placed(y_ticks, y_range, BOTTOM, TOP),
            lines: lines.collect(),
            legend,
        }
    }
}

/// Styles of lines that the style sheet knows, each a colour and a dash pattern.
const STYLES: usize = 12;

/// From the smallest to the largest value, never empty.
fn extent(values: impl Iterator<Item = f64>) -> [f64; 2] {
    let (lo, hi) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), v| {
        (lo.min(v), hi.max(v))
    });
    match (lo.is_finite(), hi > lo) {
        (true, true) => [lo, hi],
        (true, false) => [lo - 0.5, lo + 0.5],
        (false, _) => [0.0, 1.0],
    }
}

/// Round values within a range, about five of them, with their texts.
fn ticks([lo, hi]: [f64; 2], logarithmic: bool) -> Vec<(f64, String)> {
    let rough = (hi - lo) / 5.0;
    let step = if logarithmic {
        rough.ceil().max(1.0)
    } else {
        let power = 10f64.powf(rough.log10().floor());
        let steps = [1.0, 2.0, 5.0, 10.0].map(|multiple| multiple * power);
        steps
            .into_iter()
            .find(|step| *step >= rough)
            .unwrap_or(power)
    };
    let decimals = (-step.log10().floor()).max(0.0) as usize;
    let (first, last) = (
        (lo / step - 1e-9).ceil() as i64,
        (hi / step + 1e-9).floor() as i64,
    );
    (first..=last)
        .map(|i| {
            let value = i as f64 * step;
            let text = match logarithmic {
                true => format!("1e{value:.0}"),
                false => format!("{value:.decimals$}"),
            };
            (value, text)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(range: [f64; 2], logarithmic: bool) -> Vec<String> {
        ticks(range, logarithmic)
            .into_iter()
            .map(|(_, text)| text)
            .collect()
    }

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(
            texts([0.0, 1.0], false),
            ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]
        );
        assert_eq!(texts([0.0, 240.0], false), ["0", "50", "100", "150", "200"]);
        assert_eq!(texts([-4.2, -0.5], true), ["1e-4", "1e-3", "1e-2", "1e-1"]);
        assert_eq!(
            texts([0.0, 0.5], false),
            ["0.0", "0.1", "0.2", "0.3", "0.4", "0.5"]
        );
    }

    #[test]
    fn points_lie_where_their_values_belong() {
        let axis = |limits, logarithmic| Axis {
            label: "",
            limits,
            logarithmic,
        };
        let series = Series {
            name: "a".into(),
            style: 13,
            points: vec![[0.0, 1.0], [5.0, 10.0], [10.0, 100.0], [10.0, 0.0]],
        };
        let axes = [axis(None, false), axis(None, true)];
        let chart = Chart::new(String::new(), String::new(), axes, &[series]);
        // The logarithm of 0 is left out; the middle of both axes is the middle of the plot.
        let middle = format!("{:.1},{:.1}", (LEFT + RIGHT) / 2.0, (TOP + BOTTOM) / 2.0);
        assert_eq!(
            chart.lines[0].points,
            format!("46.0,192.0 {middle} 352.0,10.0")
        );
        assert_eq!(chart.legend, [("a".to_owned(), 1)]);
    }

    #[test]
    fn a_chart_without_points_has_axes() {
        let axis = Axis {
            label: "",
            limits: None,
            logarithmic: false,
        };
        let chart = Chart::new(String::new(), String::new(), [axis; 2], &[]);
        assert!(!chart.x_ticks.is_empty() && !chart.y_ticks.is_empty());
    }
}
