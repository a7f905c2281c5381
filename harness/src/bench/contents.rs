//! The contents of messages: a mark that identifies the message, then text that can hardly be compressed.

use anyhow::{Context as _, ensure};

/// The length in bytes of a mark, which identifies a message at the start of its contents: five digits for the sender,
/// a dot, ten digits for the message, and a dot.
const MARK: usize = 17;
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+_";

/// Minimum size of contents, in bytes.
pub(super) const MIN_SIZE: usize = 32;

/// Writes the contents of messages, all of the same size, and checks the contents that readers receive.
#[derive(Debug)]
pub(super) struct Contents {
    filler: String,
}

impl Contents {
    pub(super) fn new(size: usize) -> Self {
        // Uses a fixed seed, so that all runs send the same text.
        let mut random = fastrand::Rng::with_seed(7);
        let filler = (MARK..size).map(|_| char::from(ALPHABET[random.usize(..ALPHABET.len())])).collect();
        Self { filler }
    }

    /// Appends the contents of the message `number` of the sender `sender` to `output`.
    pub(super) fn write(&self, sender: u32, number: u32, output: &mut Vec<u8>) {
        use std::io::Write as _;
        // Writing to a vector can't fail.
        let _ = write!(output, "{sender:05}.{number:010}.{}", self.filler);
    }

    /// Reads the number of the sender and the number of the message at the start of received contents, and returns
    /// both. Fails if the rest of the contents differs from what [`Self::write`] appends.
    pub(super) fn check(&self, contents: &str) -> anyhow::Result<(u32, u32)> {
        let parts = contents.split_at_checked(MARK).filter(|(_, filler)| *filler == self.filler);
        let mark = parts.and_then(|(mark, _)| mark.strip_suffix('.')?.split_once('.'));
        let parsed = mark.and_then(|(sender, number)| Some((sender.parse().ok()?, number.parse().ok()?)));
        let length = self.filler.len() + MARK;
        ensure!(contents.len() == length, "contents of {} bytes were received, but {length} were sent", contents.len());
        parsed.with_context(|| format!("contents were received that were not sent: {contents:.40}…"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_say_which_message_they_are_and_changes_are_noticed() {
        let contents = Contents::new(100);
        let mut text = Vec::new();
        contents.write(12, 345, &mut text);
        let text = String::from_utf8(text).unwrap();
        assert_eq!((text.len(), contents.check(&text).unwrap()), (100, (12, 345)));
        let changed = text.replace(&text[40..44], "????");
        assert!(contents.check(&changed).is_err());
        assert!(contents.check(&text[..99]).is_err());
        assert!(contents.check("").is_err());
        assert!(contents.check(&text.replacen('0', "x", 1)).is_err());
    }
}
