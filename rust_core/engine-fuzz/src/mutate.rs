//! Damage to bytes: bits, fields, pieces, and pieces of other inputs.

use crate::chance::Chance;

/// Numbers at which decoders like to be wrong.
const NUMBERS: [u64; 28] = [
    0,
    1,
    2,
    7,
    8,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0x8000,
    0xFFFF,
    0x7FFF_FFFF,
    0x8000_0000,
    0xFFFF_FFFF,
    1 << 53,
    (1 << 53) + 1,
    i64::MAX.cast_unsigned(),
    i64::MIN.cast_unsigned(),
    u64::MAX,
    0x7FF0_0000_0000_0000, // infinity
    0x7FF8_0000_0000_0000, // not a number
    0x3FF0_0000_0000_0000, // 1.0
    0xBFF0_0000_0000_0000, // -1.0
    0x01A5_6E1F_C2F8_F359, // 1e-300
    0x430C_6BF5_2634_0000, // 1e15
    0x43AB_C16D_674E_C800, // 1e18
    0x4630_0000_0000_0000, // about 1e30
    0x4C70_0000_0000_0000, // about 1e60
];

/// Returns a damaged copy of `seed`, at most `most` bytes long.
///
/// `others` lend pieces; `words` are numbers that mean something in this format: keys, times.
#[must_use]
pub fn damaged(
    seed: &[u8],
    others: &[Vec<u8>],
    words: &[u64],
    most: usize,
    chance: &mut Chance,
) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    let times = 1 << chance.below(4);
    for _ in 0..times {
        once(&mut bytes, others, words, chance);
    }
    bytes.truncate(most);
    bytes
}

fn once(bytes: &mut Vec<u8>, others: &[Vec<u8>], words: &[u64], chance: &mut Chance) {
    let length = bytes.len();
    if length == 0 {
        bytes.extend(chance.bits().to_le_bytes());
        return;
    }
    let at = chance.below(length);
    match chance.below(10) {
        0 => bytes[at] ^= 1 << chance.below(8),
        1 => bytes[at] = chance.bits().to_le_bytes()[0],
        2 => put(bytes, chance, *chance.clone().of(&NUMBERS)),
        3 if !words.is_empty() => put(bytes, chance, *chance.clone().of(words)),
        4 => step(bytes, at, chance),
        5 => {
            bytes.truncate(at);
        }
        6 => {
            let end = (at + 1 + chance.below(48)).min(length);
            bytes.drain(at..end);
        }
        7 => {
            let end = (at + 1 + chance.below(96)).min(length);
            let piece = bytes[at..end].to_vec();
            let to = chance.below(length);
            bytes.splice(to..to, piece);
        }
        8 if !others.is_empty() => {
            let other = chance.of(others);
            let from = chance.below(other.len());
            let end = (from + 1 + chance.below(128)).min(other.len());
            let piece = other.get(from..end).unwrap_or_default();
            let until = (at + piece.len()).min(length);
            bytes.splice(at..until, piece.iter().copied());
        }
        _ => {
            let fill = *chance.of(&[0, 0xFF, 0x7F, 1]);
            let end = (at + 1 + chance.below(16)).min(length);
            bytes[at..end].fill(fill);
        }
    }
}

/// Writes a number over a field of 1, 2, 4 or 8 bytes, most often an aligned one.
fn put(bytes: &mut [u8], chance: &mut Chance, number: u64) {
    let _ = chance.bits(); // the caller drew the number from a copy
    let width = *chance.of(&[1, 2, 4, 8, 8]);
    let mut at = chance.below(bytes.len());
    if !chance.once_in(4) {
        at -= at % width;
    }
    for (to, from) in bytes[at..].iter_mut().take(width).zip(number.to_le_bytes()) {
        *to = from;
    }
}

/// Adds a little to a field, or takes it away.
fn step(bytes: &mut [u8], at: usize, chance: &mut Chance) {
    let Some(field) = bytes.get_mut(at..at + 4) else {
        bytes[at] = bytes[at].wrapping_add(1);
        return;
    };
    let value = u32::from_le_bytes([field[0], field[1], field[2], field[3]]);
    let by = u32::from(chance.bits().to_le_bytes()[0] % 35);
    let value = if chance.once_in(2) {
        value.wrapping_add(by)
    } else {
        value.wrapping_sub(by)
    };
    field.copy_from_slice(&value.to_le_bytes());
}
