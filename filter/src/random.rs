//! Chance, one source for each VM and scope.
//!
//! xoshiro256++ (Blackman and Vigna), for it is fifteen lines, passes every test that matters here and has a period
//! that no proxy lives to see. It hides nothing: neither a draw nor an affinity id is a secret.

use serin_route::Dice;

#[derive(Debug)]
pub(crate) struct Random([u64; 4]);

impl Random {
    pub(crate) fn seeded(seed: [u64; 4]) -> Self {
        // All zeros is the one state that never leaves itself.
        Self(if seed == [0; 4] { [0x9e37_79b9_7f4a_7c15; 4] } else { seed })
    }

    /// A generator of its own, for another scope.
    pub(crate) fn fork(&mut self) -> Self {
        Self::seeded([self.draw(), self.draw(), self.draw(), self.draw()])
    }

    pub(crate) fn draw(&mut self) -> u64 {
        let [a, b, c, d] = self.0;
        let drawn = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
        let (c, d) = (c ^ a, d ^ b);
        self.0 = [a ^ d, b ^ c, c ^ (b << 17), d.rotate_left(45)];
        drawn
    }

    /// What one decision needs.
    pub(crate) fn dice(&mut self) -> Dice {
        let id = u128::from(self.draw()) << 64 | u128::from(self.draw());
        Dice { draw: self.draw(), id }
    }
}
