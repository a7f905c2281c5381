use std::ops::Range;
use std::time::Duration;

/// Random choices that a seed decides (<https://prng.di.unimi.it/splitmix64.c>).
#[derive(Debug)]
pub(super) struct Dice(u64);

impl Dice {
    /// The dice of one of those who choose.
    pub(super) fn new(seed: u64, player: u64) -> Self {
        let mut dice = Self(seed ^ player.wrapping_mul(0xd6e8_feb8_6659_fd93));
        dice.next();
        dice
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One of a range that is not empty.
    pub(super) fn within(&mut self, range: Range<u64>) -> u64 {
        range.start + self.next() % (range.end - range.start)
    }

    pub(super) fn chance(&mut self, percent: u64) -> bool {
        self.within(0..100) < percent
    }

    pub(super) fn micros(&mut self, range: Range<u64>) -> Duration {
        Duration::from_micros(self.within(range))
    }

    /// One of some, of which there is at least one.
    pub(super) fn pick<'a>(&mut self, of: &'a [String]) -> &'a str {
        &of[self.within(0..of.len() as u64) as usize]
    }
}
