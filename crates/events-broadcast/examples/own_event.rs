//! Broadcasts an event type of your own: per-user logs, cursors and caps, without the router.
//!
//! `cargo run -p events-broadcast --example own_event`

use events_broadcast::{Attach, Batch, GenericBroadcaster, Limits};
use events_core::{EventResult, Frame, UserId};
use events_sse::ToSse;

/// The price of something, in cents.
struct Price(u32);

impl ToSse for Price {
    fn to_frame(&self) -> EventResult<Frame> {
        Ok(Frame::json(format!(r#"{{"cents":{}}}"#, self.0)).named("price"))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let limits = Limits {
        connections_per_user: 3,
        ..Limits::default()
    };
    let prices = GenericBroadcaster::<Price>::with_limits(limits);
    let ada = UserId::new("ada");
    let mut screen = prices.connect(&ada, Attach::now())?;
    let delivery = prices.publish(&ada, &Price(4_200))?;
    assert_eq!(delivery.reached(&prices).woken, 1);

    let mut batch = Batch::default();
    let _next = screen.next(&mut batch).await;
    let (id, frame) = &batch.events[0];
    assert_eq!(
        (frame.event, &frame.data[..]),
        (Some("price"), &br#"{"cents":4200}"#[..])
    );

    // The id is a cursor: whoever comes back with it gets what came after.
    prices
        .publish(&ada, &Price(4_300))?
        .ids
        .first()
        .ok_or("an id")?;
    let cursor = id.map(|id| id.to_string());
    let mut again = prices.connect(&ada, Attach::from_cursor(cursor.as_deref()))?;
    let _next = again.next(&mut batch).await;
    assert_eq!(&batch.events[0].1.data[..], br#"{"cents":4300}"#);
    Ok(())
}
