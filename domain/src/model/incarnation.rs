use std::fmt;
use std::str::FromStr;

/// Identifies one numbering of a mailbox: 64 random bits. A mailbox gets an incarnation when it is created. It gets
/// another incarnation after its store was restored from a backup: from then on, the mailbox may assign sequence
/// numbers a second time. The text form has 16 hexadecimal digits in lower case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Incarnation(i64);

/// The text is not the text form of an incarnation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("has to be 16 hexadecimal digits in lower case")]
pub struct IncarnationError;

impl Incarnation {
    /// The length of the text form.
    const DIGITS: usize = 16;

    /// Creates an incarnation from random bits.
    pub fn from_random(bits: [u8; 32]) -> Self {
        let [a, b, c, d, e, f, g, h, ..] = bits;
        Self(i64::from_be_bytes([a, b, c, d, e, f, g, h]))
    }

    /// Creates an incarnation from its stored number.
    pub const fn new(value: i64) -> Self {
        Self(value)
    }

    /// Returns the incarnation as a number, the form in which stores keep it.
    pub fn get(self) -> i64 {
        self.0
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:0width$x}", self.0, width = Self::DIGITS)
    }
}

impl FromStr for Incarnation {
    type Err = IncarnationError;

    fn from_str(text: &str) -> Result<Self, IncarnationError> {
        if text.len() != Self::DIGITS || !text.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(IncarnationError);
        }
        let bits = u64::from_str_radix(text, 16).map_err(|_| IncarnationError)?;
        Ok(Self(bits.cast_signed()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_form_has_all_bits_in_16_digits() {
        for (value, text) in
            [(0, "0000000000000000"), (1, "0000000000000001"), (-1, "ffffffffffffffff"), (i64::MIN, "8000000000000000")]
        {
            assert_eq!(Incarnation::new(value).to_string(), text);
            assert_eq!(text.parse(), Ok(Incarnation::new(value)));
        }
        let mut bits = [0; 32];
        bits[..8].copy_from_slice(&[0xa7, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(Incarnation::from_random(bits).to_string(), "a701020304050607");
    }

    #[test]
    fn any_other_text_is_refused() {
        for text in
            ["", "1", "00000000000000001", "A701020304050607", "+701020304050607", "a70102030405060g", "éééééééé"]
        {
            assert_eq!(text.parse::<Incarnation>(), Err(IncarnationError), "{text}");
        }
    }
}
