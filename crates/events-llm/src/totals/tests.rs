//! Sums, and who gets a place of their own.

use super::*;

fn key(model: &str) -> ModelKey {
    ModelKey {
        provider: Some("p".to_owned()),
        model: model.to_owned(),
    }
}

fn complete(cost: Option<u128>) -> Ended {
    Ended {
        is_complete: true,
        input_tokens: Some(10),
        cached_input_tokens: Some(4),
        output_tokens: Some(2),
        cost_usd: cost.map(Usd::from_picos),
        ..Ended::default()
    }
}

fn names(totals: &Totals) -> Vec<(String, u64, u64)> {
    let models = totals.models().into_iter();
    models
        .map(|model| (model.model, model.totals.started, model.totals.completed))
        .collect()
}

#[test]
fn what_is_known_is_added_and_what_is_not_is_counted() {
    let mut totals = Totals::new(4);
    for ended in [complete(Some(3)), complete(Some(4)), complete(None)] {
        let key = totals.begin(key("m"));
        totals.end(Some(&key), &ended);
    }
    let key = totals.begin(key("m"));
    totals.end(Some(&key), &Ended::default());
    let refused = Ended {
        is_refused: true,
        ..Ended::default()
    };
    let key = totals.begin(key.clone());
    totals.end(Some(&key), &refused);
    let expected = StreamTotals {
        started: 5,
        completed: 3,
        failed: 2,
        input_tokens: 30,
        cached_input_tokens: 12,
        output_tokens: 6,
        cost_usd: Usd::from_picos(7),
        unpriced: 2,
        unreported: 1,
    };
    assert_eq!(totals.all(), expected);
    assert_eq!(totals.models()[0].totals, expected);
}

#[test]
fn models_beyond_the_bound_are_counted_as_one() {
    let mut totals = Totals::new(2);
    for model in ["a", "b", "b", "c", "d", "c"] {
        let key = totals.begin(key(model));
        totals.end(Some(&key), &complete(Some(1)));
    }
    assert_eq!(
        names(&totals),
        [
            ("b".to_owned(), 2, 2),
            ("a".to_owned(), 1, 1),
            (OTHER.to_owned(), 3, 3)
        ]
    );
    let sum: u64 = totals.models().iter().map(|m| m.totals.started).sum();
    assert_eq!(sum, totals.all().started);
}

#[test]
fn made_up_models_do_not_keep_real_ones_out() {
    let mut totals = Totals::new(2);
    for model in ["x1", "x2", "x3", "x4"] {
        let key = totals.begin(key(model));
        totals.end(Some(&key), &Ended::default());
    }
    let running = totals.begin(key("slow"));
    for _ in 0..2 {
        let real = totals.begin(key("real"));
        totals.end(Some(&real), &complete(None));
    }
    totals.end(Some(&running), &complete(None));
    assert_eq!(
        names(&totals),
        [
            ("real".to_owned(), 2, 2),
            ("slow".to_owned(), 1, 1),
            (OTHER.to_owned(), 4, 0)
        ]
    );
}
