//! What becomes of a stream: the state that its events have led to.

/// A typed reducer of one stream, such as an AG-UI thread: it takes the stream's events in their order, and can
/// tell a reader who has missed some of them where things stand.
///
/// ```
/// use events_core::Fold;
///
/// /// Counts; an event says by how much.
/// #[derive(Default)]
/// struct Sum(i64);
///
/// impl Fold for Sum {
///     type Event = i64;
///     type Open = i64;
///     type Refusal = &'static str;
///
///     fn apply(&mut self, event: i64) -> Result<(), &'static str> {
///         self.0 = self.0.checked_add(event).ok_or("the sum is too large")?;
///         Ok(())
///     }
///
///     fn prelude(&self) -> Vec<i64> {
///         vec![self.0]
///     }
///
///     fn open(&self) -> i64 {
///         self.0
///     }
///
///     fn catch_up(&self, since: &i64) -> Vec<i64> {
///         vec![self.0 - since]
///     }
///
///     fn size(&self) -> usize {
///         size_of::<Self>()
///     }
/// }
///
/// let mut sum = Sum::default();
/// sum.apply(3)?;
/// let since = sum.open();
/// sum.apply(4)?;
/// assert_eq!((sum.prelude(), sum.catch_up(&since)), (vec![7], vec![4]));
/// # Ok::<(), &'static str>(())
/// ```
pub trait Fold {
    /// One event of the stream.
    type Event;
    /// What is begun and not ended, at one moment of the stream.
    type Open;
    /// Why an event is not taken.
    type Refusal;

    /// Takes the next event in.
    ///
    /// # Errors
    ///
    /// The protocol forbids the event here; then nothing has changed.
    fn apply(&mut self, event: Self::Event) -> Result<(), Self::Refusal>;

    /// Makes the shortest valid events that put a fresh client in the right state; the stream's next event
    /// may follow them.
    fn prelude(&self) -> Vec<Self::Event>;

    /// Returns what is open now.
    fn open(&self) -> Self::Open;

    /// Makes the events that bring a client to the present who has lost the events since `since`; the stream's
    /// next event may follow them.
    fn catch_up(&self, since: &Self::Open) -> Vec<Self::Event>;

    /// Returns what the fold takes, roughly, in bytes.
    fn size(&self) -> usize;
}
