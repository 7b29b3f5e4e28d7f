//! How long what is known of an image is taken for granted.

use std::time::{Duration, Instant};

use tagfleet_download::Validators;
use tagfleet_shared::ids::{BytesHash, ImageId};

/// A picture that could not be looked at again is let alone for so long.
const AFTER_A_FAILURE: Duration = Duration::from_secs(3600);

/// When pictures are due to be looked at again. There is none where that is
/// never.
#[derive(Clone, Copy, Debug)]
pub struct Freshness(Duration);

/// The last look at a picture: what was seen of it.
#[derive(Clone, Debug, PartialEq)]
pub struct LastLook {
    /// What its server said of it.
    pub validators: Validators,
    /// When it is due to be looked at again; never, where there is none.
    pub due: Option<Instant>,
    /// When that look began.
    pub began: Instant,
    /// Whether that look trusted nothing that was known: it was told that the picture was replaced.
    pub anew: bool,
    /// The bytes that were known of it before, where they were others.
    pub replaces: Option<BytesHash>,
}

impl Freshness {
    /// Due after so long, and up to a quarter longer; `None` for zero: never.
    pub fn after(revalidate_after: Duration) -> Option<Self> {
        (!revalidate_after.is_zero()).then_some(Self(revalidate_after))
    }

    /// When `image`, which was looked at `ago`, is due.
    pub fn due(self, image: ImageId, ago: Duration) -> Instant {
        Instant::now() + self.lifetime(image).saturating_sub(ago)
    }

    /// What `image`, which was looked at `ago`, is remembered with.
    pub fn last_look(self, image: ImageId, validators: Validators, ago: Duration) -> LastLook {
        let due = Some(self.due(image, ago));
        LastLook { validators, due, began: Instant::now(), anew: false, replaces: None }
    }

    /// Up to a quarter longer, by the image: those that were tagged in one day
    /// are not all due on one day.
    fn lifetime(self, image: ImageId) -> Duration {
        self.0 + self.0 / 1024 * u32::from(image.0.as_bytes()[0])
    }
}

impl LastLook {
    /// Whether it is time to look again.
    pub fn is_due(&self) -> bool {
        self.due.is_some_and(|due| due <= Instant::now())
    }

    /// The picture could not be looked at: it is due again in an hour.
    pub fn put_off(self) -> Self {
        Self { due: Some(Instant::now() + AFTER_A_FAILURE), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    const DAY: Duration = Duration::from_secs(86_400);

    #[test]
    fn an_image_is_due_after_its_time_and_not_all_on_one_day() {
        let freshness = Freshness::after(20 * DAY).unwrap();
        let due = |byte: u8, ago| {
            let image = ImageId(Uuid::from_bytes([byte; 16]));
            freshness.last_look(image, Validators::default(), ago).is_due()
        };

        assert_eq!([due(0, 19 * DAY), due(0, 20 * DAY)], [false, true]);
        assert_eq!([due(255, 24 * DAY), due(255, 25 * DAY)], [false, true]);
    }

    #[test]
    fn nothing_is_ever_due_after_no_time_at_all() {
        assert!(Freshness::after(Duration::ZERO).is_none());
    }
}
