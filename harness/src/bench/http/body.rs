use anyhow::{Context as _, bail, ensure};

/// Maximum size of a body or chunk, in bytes: far more than the largest page of a mailbox.
const MAX_BODY: usize = 64 << 20;

/// Decodes the body of a response as its bytes arrive, with or without chunked transfer encoding.
#[derive(Debug)]
pub(super) struct Decoder {
    state: State,
    chunked: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Expects the line with the size of a chunk.
    Size,
    /// Expects this number of bytes of data.
    Data(usize),
    /// Expects the end of line after the data of a chunk.
    EndOfChunk,
    /// Expects the trailer: the lines after the last chunk.
    Trailer,
    Done,
}

impl Decoder {
    pub(super) fn length(length: usize) -> anyhow::Result<Self> {
        ensure!(length <= MAX_BODY, "the body has {length} bytes, more than {MAX_BODY}");
        Ok(Self { state: if length == 0 { State::Done } else { State::Data(length) }, chunked: false })
    }

    pub(super) fn chunked() -> Self {
        Self { state: State::Size, chunked: true }
    }

    pub(super) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Decodes the received bytes `input`, and appends the decoded bytes to `body`. Returns how many bytes of `input`
    /// were decoded.
    pub(super) fn decode(&mut self, input: &[u8], body: &mut Vec<u8>) -> anyhow::Result<usize> {
        let mut used = 0;
        loop {
            let rest = &input[used..];
            match self.state {
                State::Done => return Ok(used),
                State::Data(left) => {
                    let taken = left.min(rest.len());
                    ensure!(body.len() + taken <= MAX_BODY, "the body has more than {MAX_BODY} bytes");
                    body.extend_from_slice(&rest[..taken]);
                    used += taken;
                    self.state = match left - taken {
                        0 if self.chunked => State::EndOfChunk,
                        0 => State::Done,
                        left => State::Data(left),
                    };
                    if left > taken {
                        return Ok(used);
                    }
                }
                State::Size => {
                    let parsed = httparse::parse_chunk_size(rest).ok().context("the size of a chunk is invalid")?;
                    let httparse::Status::Complete((line, size)) = parsed else { return Ok(used) };
                    used += line;
                    self.state = match usize::try_from(size)? {
                        0 => State::Trailer,
                        size => State::Data(size),
                    };
                }
                State::EndOfChunk => match rest {
                    [b'\r', b'\n', ..] => {
                        used += 2;
                        self.state = State::Size;
                    }
                    [] | [b'\r'] => return Ok(used),
                    _ => bail!("a chunk is longer than its size"),
                },
                State::Trailer => {
                    let Some(end) = rest.windows(2).position(|pair| pair == b"\r\n") else { return Ok(used) };
                    used += end + 2;
                    if end == 0 {
                        self.state = State::Done;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decodes the input in pieces of `size` bytes. Returns the body, the number of bytes that were not decoded, and
    /// whether the body is complete.
    fn decode(mut decoder: Decoder, input: &[u8], size: usize) -> (Vec<u8>, usize, bool) {
        let (mut pending, mut body) = (Vec::new(), Vec::new());
        for piece in input.chunks(size) {
            pending.extend_from_slice(piece);
            let used = decoder.decode(&pending, &mut body).unwrap();
            pending.drain(..used);
        }
        (body, pending.len(), decoder.is_done())
    }

    #[test]
    fn chunks_are_joined_wherever_the_input_is_cut() {
        let input = b"4\r\nwoos\r\nA;x=1\r\nh is fast!\r\n0\r\nx-trailer: 1\r\n\r\nnext";
        for size in 1..input.len() {
            let (body, left, done) = decode(Decoder::chunked(), input, size);
            assert_eq!((body.as_slice(), left, done), (b"woosh is fast!".as_slice(), 4, true), "{size}");
        }
    }

    #[test]
    fn a_body_with_a_length_ends_after_it() {
        for size in 1..9 {
            assert_eq!(decode(Decoder::length(5).unwrap(), b"woosh123", size), (b"woosh".to_vec(), 3, true));
        }
        assert_eq!(decode(Decoder::length(9).unwrap(), b"woosh", 9), (b"woosh".to_vec(), 0, false));
        assert!(Decoder::length(0).unwrap().is_done());
    }

    #[test]
    fn invalid_chunks_are_refused() {
        for input in ["x\r\n", "1\r\nab\r\n"] {
            assert!(Decoder::chunked().decode(input.as_bytes(), &mut Vec::new()).is_err(), "{input:?}");
        }
    }
}
