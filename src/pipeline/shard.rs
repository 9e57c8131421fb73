use std::{fmt, str::FromStr};

use super::ParseError;

/// One of several equal parts of a dataset, for as many processes that write one output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// From 1.
    index: usize,
    count: usize,
}

impl Shard {
    /// The shard `index`, from 1, of `count`.
    ///
    /// # Errors
    /// [`ParseError`] for an index that is not in `1..=count`.
    pub fn new(index: usize, count: usize) -> Result<Self, ParseError> {
        match (1..=count).contains(&index) {
            true => Ok(Self { index, count }),
            false => Err(expected(&format!("{index}/{count}"))),
        }
    }

    /// Whether a case belongs to the shard; `position` counts the dataset's usable cases from 0.
    pub fn has(self, position: usize) -> bool {
        position % self.count == self.index - 1
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

fn expected(found: &str) -> ParseError {
    ParseError::new(format!(
        "'{found}': expected I/N with I from 1 to N, such as 3/16"
    ))
}

impl FromStr for Shard {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text.split_once('/');
        let numbers = parts.and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
        let (index, count) = numbers.ok_or_else(|| expected(text))?;
        Self::new(index, count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_is_in_one_shard() {
        let shards: Vec<Shard> = (1..=3).map(|i| Shard::new(i, 3).unwrap()).collect();
        assert_eq!("2/3".parse(), Ok(shards[1]));
        for position in 0..10 {
            let owners = shards.iter().filter(|shard| shard.has(position));
            assert_eq!(owners.count(), 1);
        }
        for text in ["0/3", "4/3", "1", "1/0", "a/b", "-1/2"] {
            assert!(text.parse::<Shard>().is_err(), "{text}");
        }
    }
}
