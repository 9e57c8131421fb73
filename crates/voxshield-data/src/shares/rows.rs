use std::ops::Range;

/// Rows of numbers, each as runs of equal ones where that is smaller: `[end, number, ...]`, a word each, which is less than a word
/// for each number.
#[derive(Clone, Debug)]
pub(super) struct Rows {
    width: usize,
    words: Vec<u32>,
    /// Where the words of each row end.
    ends: Vec<usize>,
    /// What there is of the next row.
    next: Vec<f32>,
}

impl Rows {
    pub(super) fn new(width: usize) -> Self {
        Self {
            width,
            words: Vec::new(),
            ends: Vec::new(),
            next: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, number: f32) {
        self.next.push(number);
        if self.next.len() < self.width {
            return;
        }
        let start = self.words.len();
        let same = |a: &f32, b: &f32| a.to_bits() == b.to_bits();
        let mut end = 0;
        for run in self.next.chunk_by(same) {
            end += run.len();
            let number = run.first().copied().unwrap_or_default();
            self.words.extend([end as u32, number.to_bits()]);
        }
        if self.words.len() - start >= self.width {
            self.words.truncate(start);
            self.words
                .extend(self.next.iter().map(|number| number.to_bits()));
        }
        self.ends.push(self.words.len());
        self.next.clear();
    }

    /// Gives back the memory for rows that did not come.
    pub(super) fn finish(mut self) -> Self {
        self.words.shrink_to_fit();
        self
    }

    /// The numbers in these columns of a row; none of a row that is not complete.
    pub(super) fn part(&self, row: usize, columns: Range<usize>) -> impl Iterator<Item = f32> + '_ {
        let start = row.checked_sub(1).and_then(|before| self.ends.get(before));
        let (start, end) = (start.copied().unwrap_or(0), self.ends.get(row).copied());
        let words = self
            .words
            .get(start..end.unwrap_or(start))
            .unwrap_or_default();
        let (dense, runs) = match words.len() == self.width {
            true => (words.get(columns.clone()).unwrap_or_default(), &[][..]),
            false => (&[][..], words),
        };
        let runs = runs.as_chunks::<2>().0;
        let first = runs.partition_point(|[end, _]| *end as usize <= columns.start);
        let mut from = columns.start;
        let runs = runs[first..].iter().flat_map(move |&[end, number]| {
            let end = (end as usize).min(columns.end);
            let length = end.saturating_sub(from);
            from = end.max(from);
            std::iter::repeat_n(number, length)
        });
        dense.iter().copied().chain(runs).map(f32::from_bits)
    }
}
