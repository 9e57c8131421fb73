use std::ops::Range;

/// Codes of 1, 2, 4 or 8 bits, as few as the largest needs.
#[derive(Clone, Debug)]
pub(super) struct Packed {
    bits: u32,
    bytes: Vec<u8>,
    length: usize,
}

impl Packed {
    pub(super) fn new() -> Self {
        Self {
            bits: 1,
            bytes: Vec::new(),
            length: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.length
    }

    pub(super) fn push(&mut self, code: u8) {
        while self.bits < 8 && u32::from(code) >> self.bits > 0 {
            let wider = self.bits * 2;
            let old = std::mem::replace(self, Self::new());
            self.bits = wider;
            self.bytes.reserve(2 * old.bytes.len());
            for at in 0..old.length {
                self.push(old.get(at));
            }
        }
        let (byte, shift) = self.place(self.length);
        match self.bytes.get_mut(byte) {
            Some(byte) => *byte |= code << shift,
            None => self.bytes.push(code),
        }
        self.length += 1;
    }

    /// 0 where there is none.
    pub(super) fn get(&self, at: usize) -> u8 {
        let (byte, shift) = self.place(at);
        let mask = u8::MAX >> (8 - self.bits);
        self.bytes.get(byte).map_or(0, |byte| byte >> shift & mask)
    }

    pub(super) fn part(&self, part: Range<usize>) -> impl Iterator<Item = u8> + '_ {
        part.map(|at| self.get(at))
    }

    fn place(&self, at: usize) -> (usize, u32) {
        let each = (8 / self.bits) as usize;
        (at / each, (at % each) as u32 * self.bits)
    }
}
