//! Bearer tokens of the process: as configured, or random ones that the demo makes and prints.

use crate::config::Config;

/// Random bytes of a token that the demo makes: 192 bits.
const TOKEN_BYTES: usize = 24;

/// Who may come in.
pub struct Tokens {
    /// The organiser's.
    pub organizer: Option<String>,
    /// His gates', only where it is configured.
    pub gate: Option<String>,
    /// The auditor's.
    pub auditor: Option<String>,
}

impl Tokens {
    /// As configured; where they are not, the demo makes its own, new at each start.
    #[must_use]
    pub fn of(config: &Config, with_demo: bool) -> Self {
        let or_random = |token: &Option<String>| token.clone().or_else(|| with_demo.then(random_token));
        Self {
            organizer: or_random(&config.organizer_token),
            gate: config.gate_token.clone(),
            auditor: or_random(&config.auditor_token),
        }
    }
}

fn random_token() -> String {
    let mut bytes = [0_u8; TOKEN_BYTES];
    rand::fill(&mut bytes);
    hex::encode(bytes)
}
