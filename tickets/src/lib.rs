//! Ticket codes and what they look like.
//!
//! A ticket's code is the text of its QR code, in the format TKZ1: a payload of 26 bytes, signed with Ed25519, in Base32, so that
//! a gate checks it without a network and without a list of tickets, and a stolen gate cannot make one.
//!
//! ```text
//! text      = "TKZ1:" + base32_nopad( payload (26 bytes) || signature (64 bytes) )     149 characters
//! signature = Ed25519( key[kid],  "TICKIZ-TICKET-V1" 0x00 || payload )
//! rotating  = text + "-" + unix seconds + "-" + TOTP of 8 digits                       169 characters
//! ```
//!
//! Every character is of the QR code's alphanumeric set, so the symbol stays small (version 6 at level M, 7 for the rotating
//! form), and none of them is trimmed, escaped or misread on the way through a URL, a page or a scanner that types. The reader is
//! strict: one ticket has one text.
//!
//! What this cannot do: two gates without a connection can each admit the same code once. A rotating suffix stops screenshots,
//! not somebody who copies the ticket's rotation key. A changed or refunded ticket stays well signed; gates learn of it by lists
//! ([`gate::Gate::min_rev`], [`gate::Gate::revoked`]).
//!
//! # Layout
//!
//! * [`payload`]: the 26 bytes.
//! * [`code`]: payload, signature and text; the strict reader.
//! * [`keys`]: who signs ([`TicketSigner`], [`KeyRing`]), who checks ([`TicketVerifier`]), and the public keys as JWKS.
//! * [`rotation`]: the suffix that changes every 15 seconds.
//! * [`gate`]: what a gate does offline with a code.
//! * [`bundle`]: what a gate takes with it where there is no network.
//! * [`qr`]: the code as an SVG document and as a PNG.
//! * [`base32`]: RFC 4648, strict.

pub mod base32;
pub mod bundle;
pub mod code;
pub mod gate;
pub mod keys;
pub mod payload;
pub mod qr;
pub mod rotation;

pub use bundle::{Bundle, BundleSigner, SignedBundle};
pub use code::{CodeError, SignedTicket};
pub use gate::{Gate, Refusal};
pub use keys::{Jwk, KeyRing, TicketSigner, TicketVerifier};
pub use payload::{Flags, TicketPayload};
pub use qr::{QrError, qr_png, qr_svg};
pub use rotation::RotationKey;
