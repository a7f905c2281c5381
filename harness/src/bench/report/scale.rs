/// Maps values to coordinates of a plot, linearly or logarithmically.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    from: f64,
    to: f64,
    start: f64,
    end: f64,
    logarithmic: bool,
}

impl Scale {
    /// Creates a linear scale that maps zero to the coordinate `start`, and `max` to the coordinate `end`.
    pub(super) fn linear(max: f64, start: f64, end: f64) -> Self {
        Self { from: 0.0, to: max.max(f64::MIN_POSITIVE), start, end, logarithmic: false }
    }

    /// Creates a logarithmic scale that contains `min` and `max`, which must be positive. The first and the last value
    /// of the scale are powers of ten. The scale maps them to the coordinates `start` and `end`.
    pub(super) fn logarithmic(min: f64, max: f64, start: f64, end: f64) -> Self {
        let from = min.log10().floor();
        let to = max.log10().ceil().max(from + 1.0);
        Self { from, to, start, end, logarithmic: true }
    }

    pub(super) fn position(&self, value: f64) -> f64 {
        let value = if self.logarithmic { value.log10() } else { value };
        self.start + (value - self.from) / (self.to - self.from) * (self.end - self.start)
    }

    /// Returns round values at which the plot draws grid lines.
    pub(super) fn ticks(&self) -> Vec<f64> {
        if self.logarithmic {
            return (self.from as i32..=self.to as i32).map(|exponent| 10_f64.powi(exponent)).collect();
        }
        let rough = self.to / 4.0;
        let power = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power).into_iter().find(|step| *step >= rough);
        let step = step.unwrap_or(rough);
        (0..=(self.to / step) as u32).map(|index| f64::from(index) * step).collect()
    }
}

/// Returns a short label for a grid line.
pub(super) fn label(value: f64) -> String {
    match value {
        value if value >= 1e6 => format!("{} M", value / 1e6),
        value if value >= 1e4 => format!("{} k", value / 1e3),
        value => format!("{}", (value * 1e6).round() / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_within_the_scale() {
        assert_eq!(Scale::linear(142_000.0, 0.0, 1.0).ticks(), [0.0, 50_000.0, 100_000.0]);
        assert_eq!(Scale::linear(0.09, 0.0, 1.0).ticks().len(), 2);
        assert_eq!(Scale::logarithmic(0.2, 30.0, 0.0, 1.0).ticks(), [0.1, 1.0, 10.0, 100.0]);
        assert_eq!([0.0, 0.05, 100.0, 50_000.0, 2e6].map(label), ["0", "0.05", "100", "50 k", "2 M"]);
    }

    #[test]
    fn positions_follow_the_scale() {
        let linear = Scale::linear(10.0, 100.0, 200.0);
        assert!((linear.position(5.0) - 150.0).abs() < 1e-9);
        let logarithmic = Scale::logarithmic(0.1, 10.0, 0.0, 100.0);
        assert!((logarithmic.position(1.0) - 50.0).abs() < 1e-9);
    }
}
