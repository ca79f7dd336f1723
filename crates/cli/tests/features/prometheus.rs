//! A strict reader of the text format of Prometheus, version 0.0.4: it refuses what a scraper may.
//!
//! Written from the format's description: families that follow each other, each with its HELP and
//! TYPE first, samples that are of it, names and labels of their alphabets, escapes that exist, no
//! sample twice, histograms whose buckets add up.

use std::collections::{BTreeMap, BTreeSet};

/// Every sample by its name with its labels, without quotes: `name{a=b,c=d}`.
pub(crate) fn read(text: &str) -> Result<BTreeMap<String, f64>, String> {
    if !text.ends_with('\n') {
        return Err("the last line has no end".to_owned());
    }
    let (mut found, mut families, mut family) = (BTreeMap::new(), BTreeSet::new(), Family::default());
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            family.check_whole(&found)?;
            let (name, words) = help.split_once(' ').ok_or_else(|| format!("no words of help: {line}"))?;
            if !is_name(name) || !families.insert(name.to_owned()) {
                return Err(format!("no name, or one that was there before: {line}"));
            }
            unescaped(words, false)?;
            family = Family { name: name.to_owned(), kind: String::new() };
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let kind = kind.strip_prefix(&format!("{} ", family.name)).unwrap_or("of another family");
            if !["counter", "gauge", "histogram"].contains(&kind) || !family.kind.is_empty() {
                return Err(format!("no type: {line}"));
            }
            kind.clone_into(&mut family.kind);
        } else {
            let (key, value) = sample(line, &family)?;
            if found.insert(key, value).is_some() {
                return Err(format!("twice: {line}"));
            }
        }
    }
    family.check_whole(&found)?;
    Ok(found)
}

#[derive(Default)]
struct Family {
    name: String,
    kind: String,
}

impl Family {
    fn has(&self, name: &str) -> bool {
        let suffix = name.strip_prefix(&self.name);
        match self.kind.as_str() {
            "counter" => suffix == Some("") && name.ends_with("_total"),
            "gauge" => suffix == Some(""),
            "histogram" => suffix.is_some_and(|suffix| ["_bucket", "_sum", "_count"].contains(&suffix)),
            _ => false,
        }
    }

    /// The buckets of each histogram add up to its count.
    fn check_whole(&self, found: &BTreeMap<String, f64>) -> Result<(), String> {
        if self.kind != "histogram" {
            return Ok(());
        }
        let counts = found
            .iter()
            .filter_map(|(key, value)| Some((key.strip_prefix(&format!("{}_count", self.name))?, *value)));
        for (labels, count) in counts {
            let labels = labels.trim_matches(['{', '}']);
            let start = format!("{}_bucket{{{labels}", self.name);
            let mut buckets: Vec<(f64, f64)> = found
                .iter()
                .filter(|(key, _)| key.starts_with(&start))
                .filter_map(|(key, value)| {
                    let (_, le) = key.trim_end_matches('}').rsplit_once("le=")?;
                    Some((le.parse().ok()?, *value))
                })
                .collect();
            buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
            let grows = buckets.is_sorted_by(|one, other| one.1 <= other.1);
            if !grows || buckets.last() != Some(&(f64::INFINITY, count)) {
                return Err(format!("the buckets of {}{{{labels}}} do not add up", self.name));
            }
        }
        Ok(())
    }
}

fn sample(line: &str, family: &Family) -> Result<(String, f64), String> {
    let wrong = |what: &str| format!("{what}: {line}");
    let end = line.find(['{', ' ']).ok_or_else(|| wrong("no value"))?;
    let (name, rest) = line.split_at(end);
    if !is_name(name) || !family.has(name) {
        return Err(wrong("no sample of this family"));
    }
    let (labels, value) = match rest.strip_prefix('{') {
        Some(rest) => {
            let (labels, value) = rest.rsplit_once("} ").ok_or_else(|| wrong("no end of the labels"))?;
            (read_labels(labels)?, value)
        }
        None => (Vec::new(), &rest[1..]),
    };
    let names: BTreeSet<&String> = labels.iter().map(|(name, _)| name).collect();
    if names.len() < labels.len() {
        return Err(wrong("a label twice"));
    }
    let value: f64 = value.parse().map_err(|_| wrong("no number"))?;
    if value < 0.0 && family.kind != "gauge" {
        return Err(wrong("a count below 0"));
    }
    let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
    Ok((format!("{name}{labels}"), value))
}

fn read_labels(mut text: &str) -> Result<Vec<(String, String)>, String> {
    let mut labels = Vec::new();
    loop {
        let (name, rest) = text.split_once("=\"").ok_or_else(|| format!("no label: {text}"))?;
        if !is_name(name) || name.contains(':') {
            return Err(format!("no name of a label: {name}"));
        }
        let mut before = ' ';
        let end = rest.find(|c| {
            let ends = c == '"' && before != '\\';
            before = if before == '\\' { ' ' } else { c };
            ends
        });
        let (value, rest) = rest.split_at(end.ok_or_else(|| format!("no end of a label: {rest}"))?);
        labels.push((name.to_owned(), unescaped(value, true)?));
        match &rest[1..] {
            "" => return Ok(labels),
            rest => text = rest.strip_prefix(',').ok_or_else(|| format!("no comma: {rest}"))?,
        }
    }
}

fn unescaped(text: &str, quoted: bool) -> Result<String, String> {
    let (mut plain, mut characters) = (String::new(), text.chars());
    while let Some(next) = characters.next() {
        plain.push(match next {
            '\\' => match characters.next() {
                Some('\\') => '\\',
                Some('n') => '\n',
                Some('"') if quoted => '"',
                other => return Err(format!("no such escape: {other:?} in {text}")),
            },
            next => next,
        });
    }
    Ok(plain)
}

fn is_name(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    text.chars().all(fits) && text.chars().next().is_some_and(|first| !first.is_ascii_digit())
}

/// What a scraper would refuse, or read wrongly.
const WRONG: [&str; 12] = [
    "# HELP a x\n# TYPE a gauge\na 1",
    "a 1\n",
    "# HELP a x\n# TYPE a gauge\nb 1\n",
    "# HELP a x\n# TYPE a counter\na 1\n",
    "# HELP a x\n# TYPE a gauge\na one\n",
    "# HELP a x\n# TYPE a gauge\na 1\na 1\n",
    "# HELP a x\n# TYPE a gauge\na{b=\"c\" 1\n",
    "# HELP a x\n# TYPE a gauge\na{b=\"c\\t\"} 1\n",
    "# HELP a x\n# TYPE a gauge\na{b=\"c\",b=\"d\"} 1\n",
    "# HELP a x\n# TYPE a gauge\n# HELP a x\n# TYPE a gauge\n",
    "# HELP a x\n# TYPE a histogram\na_bucket{le=\"+Inf\"} 2\na_sum 1\na_count 3\n",
    "# HELP a x\n# TYPE a histogram\na_bucket{le=\"1\"} 3\na_bucket{le=\"+Inf\"} 2\na_sum 1\na_count 2\n",
];

/// A checker that cannot fail proves nothing.
pub(crate) fn check_the_checker() {
    for wrong in WRONG {
        assert!(read(wrong).is_err(), "this was read: {wrong}");
    }
    let right = "# HELP a_total x\n# TYPE a_total counter\na_total{b=\"c\\\"\\\\,}\"} 1\n";
    assert_eq!(read(right), Ok(BTreeMap::from([("a_total{b=c\"\\,}}".to_owned(), 1.0)])));
}
