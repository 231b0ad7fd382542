//! Types whose frames cannot be made.

use super::*;

/// Panics when it is asked for its frame, if it is poisoned.
struct Moody {
    is_poisoned: bool,
}

impl ToSse for Moody {
    fn to_frame(&self) -> EventResult<Frame> {
        assert!(!self.is_poisoned, "poison");
        Ok(Frame::json("1".to_owned()))
    }
}

#[test]
fn a_frame_that_panics_is_its_publishers_error_and_harms_nobody_else() {
    let moods = GenericBroadcaster::<Moody>::new();
    let mut readers: Vec<Subscription> = ["ada", "grace"]
        .map(|user| moods.connect(&UserId::new(user), Attach::now()).unwrap())
        .into();
    let (well, poisoned) = (Moody { is_poisoned: false }, Moody { is_poisoned: true });
    let published = |mood| moods.publish(&ada(), mood).map(drop);
    published(&well).unwrap();
    let error = published(&poisoned).unwrap_err();
    assert!(matches!(error, EventError::Encode(_)), "{error:?}");
    assert!(!error.is_retryable());
    // The same user goes on, and so do others; what was refused is no gap.
    published(&well).unwrap();
    drop(moods.publish(&UserId::new("grace"), &well).unwrap());
    let of_ada = poll(&mut readers[0]).unwrap();
    assert_eq!(of_ada, (Next::Events, vec!["1".to_owned(), "1".to_owned()]));
    let of_grace = poll(&mut readers[1]).unwrap();
    assert_eq!(of_grace, (Next::Events, vec!["1".to_owned()]));
    assert_eq!(moods.store().stats().snapshot().encode_panics, 1);
}
