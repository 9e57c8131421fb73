/// The number of a certain rank among many that are visited in parts, and how many are before it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OrderStatistic {
    /// The number.
    pub value: f32,
    /// Numbers below it.
    pub below: u64,
    /// Numbers that equal it, itself included.
    pub equal: u64,
}

/// What is shown some of the numbers at a time.
pub type See<'a> = &'a mut dyn FnMut(&[f32]);

/// The number of that `rank`, from 0, in the order of [`f32::total_cmp`]: exactly, without keeping the numbers. `visit` shows all of
/// them, in any order and in parts of any size, and is called twice. `None` where there are not so many.
pub fn order_statistic(rank: u64, visit: &mut dyn FnMut(See<'_>)) -> Option<OrderStatistic> {
    let mut histogram = vec![0u64; 1 << 16];
    visit(&mut |values| {
        for &value in values {
            histogram[(sortable(value) >> 16) as usize] += 1;
        }
    });
    let (high, below) = bin_of(rank, &histogram)?;
    histogram.fill(0);
    visit(&mut |values| {
        let keys = values.iter().map(|&value| sortable(value));
        for key in keys.filter(|key| (key >> 16) as usize == high) {
            histogram[(key & 0xFFFF) as usize] += 1;
        }
    });
    let (low, within) = bin_of(rank.checked_sub(below)?, &histogram)?;
    let key = (high << 16 | low) as u32;
    let bits = match key >> 31 {
        1 => key ^ (1 << 31),
        _ => !key,
    };
    Some(OrderStatistic {
        value: f32::from_bits(bits),
        below: below + within,
        equal: histogram[low],
    })
}

/// Numbers whose order is that of [`f32::total_cmp`].
fn sortable(value: f32) -> u32 {
    let bits = value.to_bits();
    match bits >> 31 {
        0 => bits ^ (1 << 31),
        _ => !bits,
    }
}

/// The bin that holds the number of that rank, and how many are in the bins before it.
fn bin_of(rank: u64, histogram: &[u64]) -> Option<(usize, u64)> {
    let mut below = 0;
    for (bin, &count) in histogram.iter().enumerate() {
        if rank < below + count {
            return Some((bin, below));
        }
        below += count;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_sorting_finds() {
        let mut values: Vec<f32> = (0..5000u32)
            .map(|i| f32::from_bits(i.wrapping_mul(0x9E37_79B9)))
            .chain([0.0, -0.0, 1.0, 1.0, 1.0, f32::INFINITY, f32::NAN])
            .collect();
        let shown = values.clone();
        values.sort_by(f32::total_cmp);
        let count = |keep: &dyn Fn(f32) -> bool| values.iter().filter(|&&v| keep(v)).count() as u64;
        for rank in (0..values.len()).step_by(13).chain([values.len() - 1]) {
            let found = order_statistic(rank as u64, &mut |see| shown.chunks(700).for_each(see));
            let (found, expected) = (found.unwrap(), values[rank]);
            assert_eq!(found.value.to_bits(), expected.to_bits());
            assert_eq!(found.below, count(&|v| v.total_cmp(&expected).is_lt()));
            assert_eq!(found.equal, count(&|v| v.total_cmp(&expected).is_eq()));
        }
        assert!(order_statistic(values.len() as u64, &mut |see| see(&shown)).is_none());
        assert!(order_statistic(0, &mut |_| ()).is_none());
    }
}
