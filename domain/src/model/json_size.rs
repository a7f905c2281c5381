/// Returns the number of bytes that a text takes inside a JSON string, where a quotation mark takes two bytes, and most
/// control characters take six. Does not count the quotation marks around the string.
pub fn json_size(text: &[u8]) -> usize {
    // The sum over 32 bytes is at most 160, which fits into a `u8`. With such small sums, the compiler can use vector
    // instructions.
    let added = text.chunks(32).map(|chunk| usize::from(chunk.iter().map(|byte| added_by_escape(*byte)).sum::<u8>()));
    text.len() + added.sum::<usize>()
}

fn added_by_escape(byte: u8) -> u8 {
    let is_short = matches!(byte, b'"' | b'\\' | 0x08 | b'\t' | b'\n' | 0x0C | b'\r');
    match (is_short, byte < 0x20) {
        (true, _) => 1,
        (false, true) => 5,
        (false, false) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_is_that_of_the_text_as_json() {
        let every: String = (0..=0x2FF).filter_map(char::from_u32).collect();
        for text in ["", "plain", "\"\\\u{8}\t\n\u{C}\r", &"\u{1}".repeat(100), &"\u{7F}é\u{1F54A}".repeat(50), &every]
        {
            let json = serde_json::to_string(text).unwrap();
            assert_eq!(json_size(text.as_bytes()), json.len() - 2, "{text:?}");
        }
    }
}
