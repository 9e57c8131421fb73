//! The exact difference between two blocks of stored words.

use std::io::{self, Read, Write};

use crate::nifti::Endian;

/// Words handled at a time.
const CHUNK: usize = 1 << 16;

/// How words lie in a block of voxels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Words {
    /// Bytes a word: 1, 2, 4 or 8.
    pub(super) size: usize,
    pub(super) endian: Endian,
}

impl Words {
    fn read(self, bytes: &[u8]) -> u64 {
        let join = |word: u64, byte: &u8| word << 8 | u64::from(*byte);
        match self.endian {
            Endian::Little => bytes.iter().rev().fold(0, join),
            Endian::Big => bytes.iter().fold(0, join),
        }
    }

    fn write(self, word: u64, bytes: &mut [u8]) {
        let byte = |at: usize| (word >> (8 * at)) as u8;
        match self.endian {
            Endian::Little => (0..).zip(bytes).for_each(|(at, to)| *to = byte(at)),
            Endian::Big => (0..)
                .zip(bytes.iter_mut().rev())
                .for_each(|(at, to)| *to = byte(at)),
        }
    }

    fn bits(self) -> u32 {
        8 * self.size as u32
    }

    fn mask(self) -> u64 {
        u64::MAX >> (64 - self.bits())
    }

    /// `before - after` modulo 2^bits, with the sign in the lowest bit, so that small differences of either sign have zeros above.
    fn difference(self, before: u64, after: u64) -> u64 {
        let unused = 64 - self.bits();
        let signed = (before.wrapping_sub(after) << unused) as i64 >> unused;
        ((signed << 1) ^ (signed >> 63)) as u64 & self.mask()
    }

    fn restore(self, after: u64, difference: u64) -> u64 {
        let signed = (difference >> 1) as i64 ^ -((difference & 1) as i64);
        after.wrapping_add(signed as u64) & self.mask()
    }

    /// Writes one byte of each difference: the planes of all bytes, lowest first, are the residual. The upper planes are zeros, which
    /// cost nothing compressed.
    ///
    /// Both blocks have the same length, a multiple of the word's size.
    pub(super) fn encode(
        self,
        byte: usize,
        before: &[u8],
        after: &[u8],
        writer: &mut impl Write,
    ) -> io::Result<()> {
        let pairs = before
            .chunks_exact(self.size)
            .zip(after.chunks_exact(self.size));
        let plane: Vec<u8> = pairs
            .map(|(before, after)| {
                (self.difference(self.read(before), self.read(after)) >> (8 * byte)) as u8
            })
            .collect();
        writer.write_all(&plane)
    }

    /// Fills a block with the differences of its words, little endian, from their planes.
    pub(super) fn decode(self, block: &mut [u8], reader: &mut impl Read) -> io::Result<()> {
        let mut plane = vec![0; CHUNK];
        for byte in 0..self.size {
            for words in block.chunks_mut(CHUNK * self.size) {
                let plane = plane.get_mut(..words.len() / self.size).unwrap_or_default();
                reader.read_exact(plane)?;
                for (word, &value) in words.chunks_exact_mut(self.size).zip(plane.iter()) {
                    if let Some(to) = word.get_mut(byte) {
                        *to = value;
                    }
                }
            }
        }
        Ok(())
    }

    /// Turns differences into the block before, from the block after.
    pub(super) fn restore_block(self, differences: &mut [u8], after: &[u8]) {
        let little = Self {
            endian: Endian::Little,
            ..self
        };
        for (word, after) in differences
            .chunks_exact_mut(self.size)
            .zip(after.chunks_exact(self.size))
        {
            let before = self.restore(self.read(after), little.read(word));
            self.write(before, word);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(words: Words, before: &[u8], after: &[u8]) -> Vec<u8> {
        let mut encoded = Vec::new();
        for byte in 0..words.size {
            words.encode(byte, before, after, &mut encoded).unwrap();
        }
        encoded
    }

    proptest! {
        #[test]
        fn any_words_come_back(bytes in prop::collection::vec(any::<(u8, u8)>(), 0..70), size in 0usize..4, big: bool) {
            let size = 1 << size;
            let words = Words { size, endian: if big { Endian::Big } else { Endian::Little } };
            let length = bytes.len() / size * size;
            let (before, after): (Vec<u8>, Vec<u8>) = bytes[..length].iter().copied().unzip();
            let encoded = encoded(words, &before, &after);
            prop_assert_eq!(encoded.len(), length);
            let mut block = vec![0; length];
            words.decode(&mut block, &mut &encoded[..]).unwrap();
            words.restore_block(&mut block, &after);
            prop_assert_eq!(block, before);
        }
    }

    #[test]
    fn small_changes_of_either_sign_are_small_numbers() {
        let words = Words {
            size: 2,
            endian: Endian::Big,
        };
        let before: Vec<u8> = [5i16, -3, i16::MIN]
            .iter()
            .flat_map(|v| v.to_be_bytes())
            .collect();
        let after: Vec<u8> = [4i16, -1, i16::MAX]
            .iter()
            .flat_map(|v| v.to_be_bytes())
            .collect();
        // +1, -2 and, around the corner, +1.
        assert_eq!(encoded(words, &before, &after), [2, 3, 2, 0, 0, 0]);
    }
}
