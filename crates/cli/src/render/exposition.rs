//! Numbers in the text format of Prometheus (version 0.0.4), and the same as JSON.

use std::fmt::Write as _;

use agents_application::counters::Durations;
use serde_json::{Map, Value, json};

/// What kind of numbers a family is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// They only grow.
    Counter,
    /// They go up and down.
    Gauge,
    /// How often something was how much.
    Histogram,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// Numbers of one name.
#[derive(Debug, Clone, PartialEq)]
pub struct Family {
    name: &'static str,
    kind: Kind,
    help: &'static str,
    samples: Vec<Sample>,
}

#[derive(Debug, Clone, PartialEq)]
struct Sample {
    suffix: &'static str,
    labels: Vec<(&'static str, String)>,
    value: f64,
}

/// The labels of a number, by name.
pub(super) type Labels<'a, const N: usize> = [(&'static str, &'a str); N];

impl Family {
    /// A family without numbers yet.
    pub(super) const fn new(name: &'static str, kind: Kind, help: &'static str) -> Self {
        Self { name, kind, help, samples: Vec::new() }
    }

    /// Adds a number.
    #[must_use]
    pub(super) fn with<const N: usize>(mut self, labels: Labels<'_, N>, value: f64) -> Self {
        self.add("", &labels, value);
        self
    }

    /// Adds the numbers of a histogram.
    #[must_use]
    pub(super) fn with_durations<const N: usize>(mut self, labels: Labels<'_, N>, of: &Durations) -> Self {
        let mut so_far = 0;
        for (bound, count) in Durations::BOUNDS.iter().zip(of.within) {
            so_far += count;
            let bound = bound.as_secs_f64().to_string();
            self.add("_bucket", &[&labels[..], &[("le", &bound)]].concat(), float(so_far));
        }
        self.add("_bucket", &[&labels[..], &[("le", "+Inf")]].concat(), float(of.count));
        self.add("_sum", &labels, of.sum.as_secs_f64());
        self.add("_count", &labels, float(of.count));
        self
    }

    fn add(&mut self, suffix: &'static str, labels: &[(&'static str, &str)], value: f64) {
        let labels = labels.iter().map(|(name, text)| (*name, (*text).to_owned())).collect();
        self.samples.push(Sample { suffix, labels, value });
    }
}

/// A count as these formats have it: exact up to 2⁵³.
#[expect(clippy::cast_precision_loss, reason = "the format knows no other numbers")]
pub(super) const fn float(count: u64) -> f64 {
    count as f64
}

/// For Prometheus.
pub fn families_text(families: &[Family]) -> String {
    let mut text = String::new();
    for family in families {
        let (name, help) = (family.name, escaped(family.help, false));
        let kind = family.kind.as_str();
        // Writing to a text does not fail.
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for sample in &family.samples {
            let label = |(name, value): &(&str, String)| format!("{name}=\"{}\"", escaped(value, true));
            let labels: Vec<String> = sample.labels.iter().map(label).collect();
            let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
            let _ = writeln!(text, "{name}{}{labels} {}", sample.suffix, sample.value);
        }
    }
    text
}

fn escaped(text: &str, quoted: bool) -> String {
    let text = text.replace('\\', "\\\\").replace('\n', "\\n");
    if quoted { text.replace('"', "\\\"") } else { text }
}

/// For other programs.
pub fn families_view(families: &[Family]) -> Value {
    let sample = |family: &Family, sample: &Sample| {
        let labels: Map<String, Value> =
            sample.labels.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        json!({ "name": format!("{}{}", family.name, sample.suffix), "labels": labels, "value": sample.value })
    };
    let view = |family: &Family| {
        let samples: Vec<Value> = family.samples.iter().map(|one| sample(family, one)).collect();
        json!({
            "name": family.name, "type": family.kind.as_str(), "help": family.help, "samples": samples,
        })
    };
    families.iter().map(view).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_has_a_meaning_in_the_format_is_escaped() {
        let family = Family::new("a_total", Kind::Counter, "back\\slash\nand \"quotes\"");
        let family = family.with([("name", "a\\b\n\"c\"")], 2.0).with([], 0.5);
        let expected = "# HELP a_total back\\\\slash\\nand \"quotes\"\n# TYPE a_total counter\n\
                        a_total{name=\"a\\\\b\\n\\\"c\\\"\"} 2\na_total 0.5\n";
        assert_eq!(families_text(&[family]), expected);
    }

    #[test]
    fn the_buckets_of_a_histogram_add_up() {
        let mut durations = Durations { count: 4, sum: Duration::from_millis(1500), ..Durations::default() };
        (durations.within[0], durations.within[2]) = (1, 2);
        let family =
            Family::new("wait_seconds", Kind::Histogram, "…").with_durations([("of", "x")], &durations);
        let text = families_text(std::slice::from_ref(&family));
        for line in [
            "wait_seconds_bucket{of=\"x\",le=\"0.001\"} 1",
            "wait_seconds_bucket{of=\"x\",le=\"0.005\"} 1",
            "wait_seconds_bucket{of=\"x\",le=\"0.025\"} 3",
            "wait_seconds_bucket{of=\"x\",le=\"86400\"} 3",
            "wait_seconds_bucket{of=\"x\",le=\"+Inf\"} 4",
            "wait_seconds_sum{of=\"x\"} 1.5",
            "wait_seconds_count{of=\"x\"} 4",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        let view = families_view(&[family]);
        assert_eq!(
            (view[0]["type"].as_str(), view[0]["samples"][2]["value"].as_f64()),
            (Some("histogram"), Some(3.0))
        );
    }
}
