//! The hub's own events on a stream: a gap in what the client has seen, and the reason why a stream ends.

use events_core::{EventError, EventResult, Frame};
use serde::{Deserialize, Serialize};

use crate::{encode::encode_named, to_sse::ToSse};

/// Why events between a client's cursor and the present are not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum GapReason {
    /// The events are older than the history's age.
    Expired,
    /// The cursor is of an earlier life of the log.
    Epoch,
    /// The cursor is malformed, another user's, or names an event that never was.
    Unknown,
    /// The history had to drop the events to stay within its size.
    Trimmed,
    /// The client was too slow for a stream that has no history.
    Overflow,
    /// A reason that this version does not know. It is read, and never sent.
    #[serde(other)]
    Other,
}

/// Says that events are missing: the data of `event: gap`, whose id is the new cursor.
///
/// `{"reason":"expired","from":"0000000v.3.0","to":"0000000v.9.0","lost":5}`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// Why they are missing.
    pub reason: GapReason,
    /// The cursor that the client had, as it sent it.
    pub from: Option<String>,
    /// The cursor that the client has from here on.
    pub to: String,
    /// The number of events between the two, if it is known.
    pub lost: Option<u64>,
}

impl Gap {
    /// The event name on the wire.
    pub const EVENT: &'static str = "gap";

    /// Appends the frame: `id: <to>`, `event: gap`, the JSON.
    ///
    /// # Errors
    ///
    /// [`EventError::Encode`] if there is no JSON form; nothing is written then.
    pub fn encode(&self, out: &mut Vec<u8>) -> EventResult<()> {
        let data = to_json(self)?;
        encode_named(Self::EVENT, Some(&self.to), &data, out);
        Ok(())
    }
}

impl ToSse for Gap {
    /// Makes the frame without its id, which frames do not carry; [`Gap::encode`] writes both.
    fn to_frame(&self) -> EventResult<Frame> {
        Ok(Frame::json(to_json(self)?).named(Self::EVENT))
    }
}

/// Why a stream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ClosingReason {
    /// The process is going away; another one, or the next, takes the client back.
    Draining,
    /// The token's time is over; come back with a new one.
    TokenExpired,
    /// An operator has ended the user's streams.
    Revoked,
    /// A newer connection of the same user took the place.
    Replaced,
    /// The client did not read for too long.
    Slow,
    /// This connection is over and nothing else is: it has lived for as long as it may, or an operator has closed it.
    /// Come back at once.
    MaxAge,
    /// A reason that this version does not know. It is read, and never sent.
    #[serde(other)]
    Other,
}

impl ClosingReason {
    /// Tells whether the same client, with the same token, is welcome again at once.
    ///
    /// `false` for [`Self::TokenExpired`], [`Self::Revoked`] and [`Self::Replaced`].
    #[must_use]
    pub const fn is_reconnect_welcome(self) -> bool {
        !matches!(self, Self::TokenExpired | Self::Revoked | Self::Replaced)
    }
}

/// Says that the stream ends now: the data of `event: closing`, which has no id.
///
/// `{"reason":"draining"}`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closing {
    /// Why it ends.
    pub reason: ClosingReason,
}

impl Closing {
    /// The event name on the wire.
    pub const EVENT: &'static str = "closing";

    /// Appends the frame: `event: closing` and the JSON.
    ///
    /// # Errors
    ///
    /// [`EventError::Encode`] if there is no JSON form; nothing is written then.
    pub fn encode(&self, out: &mut Vec<u8>) -> EventResult<()> {
        let data = to_json(self)?;
        encode_named(Self::EVENT, None, &data, out);
        Ok(())
    }
}

impl ToSse for Closing {
    fn to_frame(&self) -> EventResult<Frame> {
        Ok(Frame::json(to_json(self)?).named(Self::EVENT))
    }
}

/// A control frame, as a client reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Control {
    /// Events are missing.
    Gap(Gap),
    /// The stream ends.
    Closing(Closing),
    /// The stream lives; the visible form of the heartbeat.
    Heartbeat,
}

impl Control {
    /// Reads a control frame from an event's name and data; `None` if the name is not one of a control frame.
    ///
    /// # Errors
    ///
    /// [`DecodeControlError`] if the name is one, and the data is not.
    pub fn decode(event: &str, data: &str) -> Result<Option<Self>, DecodeControlError> {
        let control = match event {
            Gap::EVENT => serde_json::from_str(data).map(Self::Gap),
            Closing::EVENT => serde_json::from_str(data).map(Self::Closing),
            crate::HEARTBEAT_EVENT => return Ok(Some(Self::Heartbeat)),
            _ => return Ok(None),
        };
        control.map(Some).map_err(DecodeControlError)
    }
}

/// An event has the name of a control frame, and data that is none.
#[derive(Debug, thiserror::Error)]
#[error("malformed control frame")]
pub struct DecodeControlError(#[source] serde_json::Error);

fn to_json(value: &impl Serialize) -> EventResult<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| EventError::Encode(error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Decoder, DecoderOptions, Item};

    fn gap() -> Gap {
        Gap {
            reason: GapReason::Trimmed,
            from: Some("a\r\nid: b\"".to_owned()),
            to: "0000000v.9.0".to_owned(),
            lost: None,
        }
    }

    #[test]
    fn a_gap_carries_the_new_cursor_and_writes_unknown_as_null() {
        let mut out = Vec::new();
        gap().encode(&mut out).unwrap();
        assert_eq!(
            String::from_utf8(out.clone()).unwrap(),
            "id: 0000000v.9.0\nevent: gap\ndata: {\"reason\":\"trimmed\",\
             \"from\":\"a\\r\\nid: b\\\"\",\"to\":\"0000000v.9.0\",\"lost\":null}\n\n"
        );
        let mut decoder = Decoder::new(DecoderOptions::default());
        let Some(Item::Event(event)) = decoder.feed(&out).next() else {
            panic!("the frame is complete");
        };
        let control = Control::decode(&event.event, &event.data).unwrap();
        assert_eq!(control, Some(Control::Gap(gap())));
        assert_eq!(decoder.last_event_id(), Some("0000000v.9.0"));
    }

    #[test]
    fn a_closing_has_no_id_and_says_who_may_come_back() {
        for (reason, text, is_welcome) in [
            (ClosingReason::Draining, "draining", true),
            (ClosingReason::TokenExpired, "token_expired", false),
            (ClosingReason::Revoked, "revoked", false),
            (ClosingReason::Replaced, "replaced", false),
            (ClosingReason::Slow, "slow", true),
            (ClosingReason::MaxAge, "max_age", true),
        ] {
            let mut out = Vec::new();
            Closing { reason }.encode(&mut out).unwrap();
            let expected = format!("event: closing\ndata: {{\"reason\":\"{text}\"}}\n\n");
            assert_eq!(String::from_utf8(out).unwrap(), expected);
            assert_eq!(reason.is_reconnect_welcome(), is_welcome);
        }
    }

    #[test]
    fn every_gap_reason_has_the_contract_s_word() {
        for (reason, text) in [
            (GapReason::Expired, "\"expired\""),
            (GapReason::Epoch, "\"epoch\""),
            (GapReason::Unknown, "\"unknown\""),
            (GapReason::Trimmed, "\"trimmed\""),
            (GapReason::Overflow, "\"overflow\""),
        ] {
            assert_eq!(serde_json::to_string(&reason).unwrap(), text);
            assert_eq!(serde_json::from_str::<GapReason>(text).unwrap(), reason);
        }
    }

    #[test]
    fn an_old_reader_takes_a_new_reason_and_new_members() {
        let control = Control::decode("closing", r#"{"reason":"lunch","until":1}"#).unwrap();
        let reason = ClosingReason::Other;
        assert_eq!(control, Some(Control::Closing(Closing { reason })));
        let control = Control::decode("gap", r#"{"reason":"new","to":"x","more":[]}"#).unwrap();
        assert!(matches!(
            control,
            Some(Control::Gap(Gap { lost: None, .. }))
        ));
        assert!(Control::decode("gap", "{}").is_err());
        assert!(Control::decode("message", "{}").unwrap().is_none());
    }
}
