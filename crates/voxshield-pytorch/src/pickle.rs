use std::collections::HashMap;
use std::io::{self, BufRead, Read};

/// What an object takes without its texts. An entry of a dictionary counts as two: tables are not full.
const OBJECT: u64 = 128;

/// How reading ends where bytes are no pickle, and where they end too early.
const MALFORMED: [io::ErrorKind; 2] = [io::ErrorKind::InvalidData, io::ErrorKind::UnexpectedEof];

/// The bytes that pytorch-reader takes for the objects of a pickle, a byte of which is enough for one, or for copies of them if these are more: it
/// copies an object where Python would share it, and gives each tensor the names of everything that it lies in. Its own limit leaves out the objects
/// themselves, the keys of dictionaries and these names, so that a kilobyte could take gigabytes.
///
/// Nothing is built: the pickle's machine runs on sizes. What is wrong in a pickle ends it early, as it ends pytorch-reader.
///
/// Reads to the end of the pickle, or until there are more than `most`.
pub(super) fn taken_bytes(pickle: &mut impl BufRead, most: u64) -> io::Result<u64> {
    let mut machine = Machine::default();
    machine.run(pickle, most)?;
    Ok(machine.taken())
}

/// An object and all that it holds, at most.
#[derive(Clone, Copy, Default)]
struct Size {
    bytes: u64,
    tensors: u64,
    /// The names of its tensors, together.
    names: u64,
    /// Its longest text, which may become the key of a dictionary.
    text: u64,
    /// Where the memo keeps a copy that `BUILD` refreshes.
    slot: Option<u32>,
}

impl Size {
    fn text(length: u64) -> Self {
        Self {
            bytes: OBJECT + length,
            text: length,
            ..Self::default()
        }
    }

    /// With what is put into it.
    fn with(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.saturating_add(other.bytes),
            tensors: self.tensors.saturating_add(other.tensors),
            names: self.names.saturating_add(other.names),
            text: self.text.max(other.text),
            slot: self.slot,
        }
    }

    /// Under a key of at most so many characters. An integer may be a key too, or the place in a list.
    fn below(mut self, key: u64) -> Self {
        let more = self.tensors.saturating_mul(key.max(20) + 1);
        self.names = self.names.saturating_add(more);
        self
    }
}

#[derive(Default)]
struct Machine {
    stack: Vec<Size>,
    marks: Vec<usize>,
    memo: HashMap<u32, Size>,
    /// Bytes of copies and names, and of all objects that were put onto the stack.
    copied: u64,
    made: u64,
}

impl Machine {
    fn run(&mut self, pickle: &mut impl BufRead, most: u64) -> io::Result<()> {
        while self.taken() <= most {
            match self.step(pickle) {
                Ok(true) => continue,
                Ok(false) => {
                    let names = self.pop().names;
                    self.copied = self.copied.saturating_add(names.saturating_mul(2));
                    break;
                }
                Err(error) if MALFORMED.contains(&error.kind()) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Each is bounded for itself: many small tensors in the format before 1.6 come close to the bound in both.
    fn taken(&self) -> u64 {
        self.copied.max(self.made)
    }

    /// Carries out one opcode; false at the last.
    fn step(&mut self, pickle: &mut impl BufRead) -> io::Result<bool> {
        match number(pickle, 1)? as u8 {
            b'.' => return Ok(false),
            // Version and frame.
            0x80 => skip(pickle, 1)?,
            0x95 => skip(pickle, 8)?,

            // What has no length, a number, a line, and what is counted.
            b'N' | 0x88 | 0x89 | b')' | b']' | b'}' | 0x8f => self.push(Size::text(0)),
            b'K' => self.number(pickle, 1)?,
            b'M' => self.number(pickle, 2)?,
            b'J' => self.number(pickle, 4)?,
            b'G' => self.number(pickle, 8)?,
            b'I' | b'L' | b'F' | b'V' | b'P' => self.line(pickle)?,
            b'c' => {
                let length = line(pickle)?.len() + line(pickle)?.len();
                self.push(Size::text(length as u64));
            }
            0x8a | 0x8c | b'U' | b'C' => self.counted(pickle, 1)?,
            0x8b | b'X' | b'T' | b'B' => self.counted(pickle, 4)?,
            0x8d | 0x8e | 0x96 => self.counted(pickle, 8)?,

            // Tuples and lists; a list and a dictionary grow where they lie.
            b'(' => self.marks.push(self.stack.len()),
            0x85 => self.sequence(1),
            0x86 => self.sequence(2),
            0x87 => self.sequence(3),
            b't' | b'l' | 0x91 => {
                let items = self.above_mark();
                self.sequence(items);
            }
            b'a' => self.append(1),
            b'e' | 0x90 => {
                let items = self.above_mark();
                self.append(items);
            }
            b'd' => {
                let items = self.above_mark();
                let at = self.stack.len() - items;
                self.stack.insert(at, Size::text(0));
                self.set(items);
            }
            b's' => self.set(2),
            b'u' => {
                let items = self.above_mark();
                self.set(items);
            }

            // A mark alone on top is what `POP` takes.
            b'0' if self.marks.last() == Some(&self.stack.len()) => drop(self.marks.pop()),
            b'0' => drop(self.take(1)),
            b'1' => {
                let items = self.above_mark();
                self.take(items);
            }
            b'2' => {
                let top = self.stack.last().copied().unwrap_or_default();
                self.copy(top);
                self.push(top);
            }

            b'g' => {
                let slot = slot(&line(pickle)?)?;
                self.get(slot);
            }
            b'h' => self.get(number(pickle, 1)? as u32),
            b'j' => self.get(number(pickle, 4)? as u32),
            b'p' => {
                let slot = slot(&line(pickle)?)?;
                self.put(slot);
            }
            b'q' => self.put(number(pickle, 1)? as u32),
            b'r' => self.put(number(pickle, 4)? as u32),
            0x94 => self.put(self.memo.len() as u32),

            // A storage or a tensor, a class, an object of a class.
            b'Q' => self.call(1),
            0x93 | 0x81 | b'R' => self.call(2),
            0x92 => self.call(3),
            b'b' => self.build(),
            _ => return Err(io::ErrorKind::InvalidData.into()),
        }
        Ok(true)
    }

    fn push(&mut self, object: Size) {
        self.made = self.made.saturating_add(OBJECT);
        self.stack.push(object);
    }

    /// Too few objects are an error of pytorch-reader's: what is said here then does not matter.
    fn pop(&mut self) -> Size {
        self.stack.pop().unwrap_or_default()
    }

    /// How many objects lie above the mark, which goes.
    fn above_mark(&mut self) -> usize {
        let mark = self.marks.pop().unwrap_or_default();
        self.stack.len().saturating_sub(mark)
    }

    fn take(&mut self, count: usize) -> Vec<Size> {
        let from = self.stack.len().saturating_sub(count);
        self.stack.split_off(from)
    }

    fn number(&mut self, pickle: &mut impl Read, width: usize) -> io::Result<()> {
        number(pickle, width)?;
        self.push(Size::text(0));
        Ok(())
    }

    fn line(&mut self, pickle: &mut impl BufRead) -> io::Result<()> {
        let length = line(pickle)?.len() as u64;
        self.push(Size::text(length));
        Ok(())
    }

    fn counted(&mut self, pickle: &mut impl Read, width: usize) -> io::Result<()> {
        let length = number(pickle, width)?;
        skip(pickle, length)?;
        self.push(Size::text(length));
        Ok(())
    }

    fn sequence(&mut self, items: usize) {
        let items = self.take(items);
        self.push(Size::text(0));
        self.extend(items);
    }

    fn append(&mut self, items: usize) {
        let items = self.take(items);
        self.extend(items);
    }

    fn extend(&mut self, items: Vec<Size>) {
        let list = self.pop();
        let add = |list: Size, item: Size| list.with(item.below(0));
        self.push(items.into_iter().fold(list, add));
    }

    fn set(&mut self, items: usize) {
        let items = self.take(items);
        let dictionary = self.pop();
        let add = |dictionary: Size, pair: &[Size]| match pair {
            [key, value] => dictionary.with(*key).with(value.below(key.text)),
            _ => dictionary,
        };
        self.push(items.chunks(2).fold(dictionary, add));
    }

    /// A tensor perhaps, or a dictionary of pairs.
    fn call(&mut self, arguments: usize) {
        let arguments = self.take(arguments).into_iter();
        let made = arguments.fold(Size::default(), Size::with);
        let made = made.below(made.text);
        self.push(Size {
            tensors: made.tensors.max(1),
            ..made
        });
    }

    fn build(&mut self) {
        let state = self.pop();
        let object = self.pop();
        let built = object.with(state);
        if let Some(slot) = object.slot {
            self.copied = self.copied.saturating_add(built.bytes);
            self.memo.insert(slot, built);
        }
        self.push(Size {
            slot: None,
            ..built
        });
    }

    /// What is not there counts as well: the memo grows by it.
    fn copy(&mut self, object: Size) {
        self.copied = self.copied.saturating_add(object.bytes.max(OBJECT));
    }

    fn get(&mut self, slot: u32) {
        let object = self.memo.get(&slot).copied().unwrap_or_default();
        self.copy(object);
        self.push(object);
    }

    fn put(&mut self, slot: u32) {
        let object = Size {
            slot: Some(slot),
            ..self.pop()
        };
        self.copy(object);
        self.memo.insert(slot, object);
        self.push(object);
    }
}

/// An unsigned number of so many bytes, at most 8, the lowest first.
fn number(pickle: &mut impl Read, width: usize) -> io::Result<u64> {
    let mut bytes = [0; 8];
    pickle.read_exact(&mut bytes[..width])?;
    Ok(u64::from_le_bytes(bytes))
}

fn skip(pickle: &mut impl Read, length: u64) -> io::Result<()> {
    let read = io::copy(&mut pickle.by_ref().take(length), &mut io::sink())?;
    match read == length {
        true => Ok(()),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

fn line(pickle: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    pickle.read_until(b'\n', &mut line)?;
    match line.pop() {
        Some(b'\n') => Ok(line),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

fn slot(line: &[u8]) -> io::Result<u32> {
    let text = std::str::from_utf8(line).ok();
    let number = text.and_then(|text| text.trim_end_matches('\r').parse().ok());
    number.ok_or_else(|| io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What CPython writes at every protocol (`tests/golden/README.md`), and one byte after it.
    #[test]
    fn pickles_end_where_they_end() {
        let golden: [&[u8]; 6] = [
            include_bytes!("../tests/golden/protocol_0.pkl"),
            include_bytes!("../tests/golden/protocol_1.pkl"),
            include_bytes!("../tests/golden/protocol_2.pkl"),
            include_bytes!("../tests/golden/protocol_3.pkl"),
            include_bytes!("../tests/golden/protocol_4.pkl"),
            include_bytes!("../tests/golden/protocol_5.pkl"),
        ];
        for (protocol, pickle) in golden.into_iter().enumerate() {
            let bytes = [pickle, b"!"].concat();
            let mut rest = &bytes[..];
            let taken = taken_bytes(&mut rest, u64::MAX).expect("in memory");
            assert_eq!(rest, b"!", "protocol {protocol}");
            // The 260 texts of three digits at most go into the memo.
            let texts = 260 * (OBJECT + 1);
            assert!(taken > texts && taken < 20 * texts, "{taken}");
        }
    }

    fn copied(pickle: &[u8]) -> u64 {
        let mut machine = Machine::default();
        assert!(machine.run(&mut &pickle[..], u64::MAX).is_ok());
        machine.copied
    }

    /// A byte makes an object, and beyond the limit nothing more is read.
    #[test]
    fn every_object_counts() {
        let most = 1000 * OBJECT;
        for opcode in [&b"N"[..], b"K\x01", b"]", b"c\n\n", b"2", b"h\x00", b"\x94"] {
            let pickle = opcode.repeat(100_000);
            let mut rest = &pickle[..];
            let taken = taken_bytes(&mut rest, most).expect("in memory");
            let read = (pickle.len() - rest.len()) / opcode.len();
            assert!(taken > most && read == 1001, "{opcode:?}: {read}");
        }
    }

    /// `["aaa"] * 3` of CPython: an empty list and a text go into the memo, the text comes out twice.
    #[test]
    fn every_copy_counts() {
        let list = b"\x80\x02]q\x00(X\x03\x00\x00\x00aaaq\x01h\x01h\x01e.";
        assert_eq!(copied(list), OBJECT + 3 * (OBJECT + 3));
        // DUP copies what it doubles.
        assert_eq!(copied(b"K\x012\x862\x86."), OBJECT + 3 * OBJECT);
        // What an object was given before it was built again is refreshed in the memo, and copied when it is asked for.
        let built = b"}q\x00}X\x02\x00\x00\x00aaNsbh\x00.";
        let dictionary = 2 * OBJECT + (OBJECT + 2) + OBJECT;
        assert_eq!(copied(built), OBJECT + 2 * dictionary);
    }

    /// Two tensors below the keys `ab` and, in a list, `c`.
    #[test]
    fn every_name_counts() {
        let tensors = b"}X\x02\x00\x00\x00ab}X\x01\x00\x00\x00c](cm\nf\n)R2ess.";
        let tensor = 2 * OBJECT + 2;
        // A key counts as 20 characters at least, and each has a point.
        assert_eq!(copied(tensors), tensor + 2 * 2 * (21 + 21 + 21));
    }

    #[test]
    fn what_is_no_pickle_copies_nothing() {
        for bytes in [&b""[..], b"\xff", b"X\xff\xff\xff\xffa", b"e.", b"g1"] {
            assert_eq!(copied(bytes), 0, "{bytes:?}");
        }
    }
}
