use super::*;

/// How many keys are remembered.
fn kept<K, const N: usize>(buckets: &Buckets<K, N>) -> usize {
    let n_keys = |shard: &Mutex<Shard<K, N>>| shard.lock().unwrap().buckets.len();
    buckets.shards.iter().map(n_keys).sum()
}

/// The refusal of a single rate.
fn short(wait: Duration) -> Result<(), Short> {
    Err(Short { rate: 0, wait })
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[tokio::test(start_paused = true)]
async fn a_bucket_gives_its_burst_and_then_its_rate() {
    let buckets = Buckets::new([Rate::new(2, 10)]);
    for n in 0..10 {
        assert_eq!(buckets.take(&"ada", [1]), Ok(()), "{n}");
    }
    let half = Duration::from_millis(500);
    assert_eq!(buckets.take(&"ada", [1]), short(half));
    assert_eq!(buckets.look(&"ada", [4]), short(seconds(2)));
    assert_eq!(buckets.take(&"bob", [10]), Ok(()), "each key has its own");
    tokio::time::advance(half).await;
    assert_eq!(buckets.take(&"ada", [1]), Ok(()));
    assert!(buckets.take(&"ada", [1]).is_err());
    // Rest fills it up to the burst, and no further.
    tokio::time::advance(seconds(3_600)).await;
    assert_eq!(buckets.take(&"ada", [10]), Ok(()));
    assert!(buckets.take(&"ada", [1]).is_err());
}

#[tokio::test(start_paused = true)]
async fn what_is_more_than_a_bucket_holds_is_taken_from_a_full_one_and_paid_off() {
    let buckets = Buckets::new([Rate::new(10, 20)]);
    assert_eq!(buckets.take(&"ada", [1]), Ok(()));
    assert_eq!(
        buckets.take(&"ada", [100]),
        short(Duration::from_millis(100))
    );
    tokio::time::advance(Duration::from_millis(100)).await;
    assert_eq!(buckets.take(&"ada", [100]), Ok(()));
    // 80 below empty: one more in 8.1 seconds.
    assert_eq!(
        buckets.take(&"ada", [1]),
        short(Duration::from_millis(8_100))
    );
}

#[tokio::test(start_paused = true)]
async fn what_was_refused_elsewhere_is_put_back_and_what_was_done_is_owed() {
    let buckets = Buckets::new([Rate::new(1, 5)]);
    assert_eq!(buckets.take(&"ada", [5]), Ok(()));
    buckets.put_back(&"ada", [5]);
    assert_eq!(buckets.take(&"ada", [5]), Ok(()));
    buckets.owe(&"ada", [2]);
    assert_eq!(buckets.look(&"ada", [1]), short(seconds(3)));
    // Nobody is known by a name that was only looked at or put back for.
    buckets.put_back(&"bob", [1]);
    assert_eq!(buckets.look(&"bob", [5]), Ok(()));
    assert_eq!(kept(&buckets), 1);
}

#[tokio::test(start_paused = true)]
async fn without_a_rate_nothing_is_refused_and_nobody_is_remembered() {
    let buckets = Buckets::new([Rate::OFF]);
    assert_eq!(buckets.take(&7, [u64::MAX]), Ok(()));
    buckets.owe(&7, [1]);
    assert_eq!(kept(&buckets), 0);
}

#[tokio::test(start_paused = true)]
async fn keys_are_forgotten_when_their_buckets_are_full_and_never_too_many_are_kept() {
    let buckets = Buckets::new([Rate::new(1, 2)]);
    for key in 0..100_000 {
        assert_eq!(buckets.take(&key, [1]), Ok(()));
    }
    let many = kept(&buckets);
    assert!(many > 10_000, "{many}");
    assert!(many <= SHARDS * MAX_KEYS, "{many}");
    // The last one that came is still known.
    assert_eq!(buckets.take(&99_999, [1]), Ok(()));
    assert!(buckets.take(&99_999, [1]).is_err());
    tokio::time::advance(seconds(10)).await;
    for key in 0..40_000 {
        assert_eq!(buckets.take(&key, [1]), Ok(()));
        tokio::time::advance(Duration::from_millis(100)).await;
    }
    let few = kept(&buckets);
    assert!(few <= SHARDS * FEW_KEYS, "{few}");
}

#[tokio::test(start_paused = true)]
async fn of_two_rates_the_one_that_is_short_refuses_and_nothing_is_taken_from_the_other() {
    let buckets = Buckets::new([Rate::new(1, 10), Rate::new(2, 100)]);
    assert_eq!(buckets.take(&"ada", [1, 99]), Ok(()));
    let refused = Short {
        rate: 1,
        wait: Duration::from_millis(500),
    };
    assert_eq!(buckets.take(&"ada", [1, 2]), Err(refused));
    assert_eq!(buckets.take(&"ada", [9, 1]), Ok(()));
    let refused = Short {
        rate: 0,
        wait: seconds(1),
    };
    assert_eq!(buckets.take(&"ada", [1, 0]), Err(refused));
    // One that is off is not looked at.
    let buckets = Buckets::new([Rate::OFF, Rate::new(1, 1)]);
    assert_eq!(buckets.take(&"ada", [u64::MAX, 1]), Ok(()));
    assert_eq!(
        buckets.take(&"ada", [0, 1]),
        Err(Short { rate: 1, ..refused })
    );
}
