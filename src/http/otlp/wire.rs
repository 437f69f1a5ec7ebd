//! The outer messages of an export, walked without building them: their fields, as the bytes that they are.

use super::Refusal;
use prost::{
    bytes::Buf as _,
    encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field},
};

/// The number of `resource_metrics` in an export.
pub(super) const RESOURCE_METRICS: u32 = 1;
/// The number of `resource` in those.
pub(super) const RESOURCE: u32 = 1;
/// And of `scope_metrics`.
pub(super) const SCOPE_METRICS: u32 = 2;
/// The number of `metrics` in those.
pub(super) const METRICS: u32 = 2;

/// Hands on each field of a message that has a length, with its number; the others are passed over.
pub(super) fn fields<'a>(
    message: &'a [u8],
    take: &mut dyn FnMut(u32, &'a [u8]) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let malformed = |_error| Refusal::Malformed;
    let mut rest = message;
    while rest.has_remaining() {
        let (field, wire_type) = decode_key(&mut rest).map_err(malformed)?;
        if wire_type == WireType::LengthDelimited {
            let length = decode_varint(&mut rest).map_err(malformed)?;
            let length = usize::try_from(length).map_err(|_error| Refusal::Malformed)?;
            let (bytes, behind) = rest.split_at_checked(length).ok_or(Refusal::Malformed)?;
            rest = behind;
            take(field, bytes)?;
        } else {
            skip_field(wire_type, field, &mut rest, DecodeContext::default()).map_err(malformed)?;
        }
    }
    Ok(())
}
