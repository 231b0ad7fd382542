//! Reading: from a place on, page by page, and what other replicas have acknowledged.

use events_core::Record;

use super::samples::{append_each, now_ms, numbered, numbers, places, read_all, sized, user};
use super::{Engine, Kept, ensure};

pub(super) async fn after(engine: &dyn Engine) -> Kept {
    let (log, ada) = (engine.open().await, user("after"));
    for batch in [0..1, 1..6, 6..7, 7..9] {
        let batch: Vec<Record> = batch.map(numbered).collect();
        log.append(&ada, &batch, now_ms(), None).await?;
    }
    let all = places(&read_all(&log, &ada, 0).await?.records);
    ensure!(all.len() == 9, "9 records were appended, {all:?} are read");
    let mut before = 0;
    for (index, place) in all.iter().enumerate() {
        // A small page too: the least that a page has is an append, of which a part may be before the place.
        for max_bytes in [1, 1_000_000] {
            let page = log.read(&ada, before, max_bytes).await?;
            let read = places(&page.records);
            ensure!(
                page.previous == before && all[index..].starts_with(&read) && !read.is_empty(),
                "after {before} of {all:?} the page is {read:?}, its previous place {}",
                page.previous
            );
        }
        before = *place;
    }
    let end = log.read(&ada, before, 1_000).await?;
    ensure!(
        end.records.is_empty() && end.previous == before && end.last == before,
        "after the last place {before} there is {end:?}"
    );
    Ok(())
}

pub(super) async fn pages(engine: &dyn Engine) -> Kept {
    let (log, ada) = (engine.open().await, user("pages"));
    for n in 0..60 {
        let batch = if n % 10 == 0 {
            vec![sized(1_000), sized(1_000)]
        } else {
            vec![sized(1_000)]
        };
        log.append(&ada, &batch, now_ms(), None).await?;
    }
    let all = places(&read_all(&log, &ada, 0).await?.records);
    ensure!(
        all.len() == 66,
        "66 records were appended, {} are read",
        all.len()
    );
    for max_bytes in [1, 1_500, 10_000, 100_000] {
        let (mut read, mut after, mut n_pages) = (Vec::new(), 0, 0);
        loop {
            let page = log.read(&ada, after, max_bytes).await?;
            let bytes: usize = page
                .records
                .iter()
                .map(|logged| logged.record.json.len())
                .sum();
            ensure!(
                bytes <= max_bytes + max_bytes / 2 + 2_000,
                "a page of {bytes} bytes when {max_bytes} were asked for"
            );
            ensure!(
                page.last == all[65],
                "a page after {after} says that {} is the last place, not {}",
                page.last,
                all[65]
            );
            ensure!(!page.records.is_empty(), "an empty page after {after}");
            n_pages += 1;
            read.extend(places(&page.records));
            after = read.last().copied().unwrap_or(0);
            if after == page.last {
                break;
            }
        }
        ensure!(
            read == all,
            "pages of {max_bytes} bytes have {read:?}, not {all:?}"
        );
        ensure!(
            n_pages >= 66_000 / (2 * max_bytes + 2_000),
            "{n_pages} pages of {max_bytes} bytes"
        );
    }
    Ok(())
}

pub(super) async fn at_once(engine: &dyn Engine) -> Kept {
    let (one, other, ada) = (engine.open().await, engine.open().await, user("at once"));
    let mut after = 0;
    for n in 0..100 {
        let (writer, reader) = if n % 2 == 0 {
            (&one, &other)
        } else {
            (&other, &one)
        };
        let place = writer
            .append(&ada, &[numbered(n)], now_ms(), Some(after))
            .await?;
        let page = reader.read(&ada, after, 1_000).await?;
        ensure!(
            numbers(&page.records) == [n] && page.last == place,
            "{place} was acknowledged, and a read after {after} has {page:?}"
        );
        after = place;
    }
    Ok(())
}

pub(super) async fn unknown(engine: &dyn Engine) -> Kept {
    let (log, ada) = (engine.open().await, user("unknown"));
    let page = log.read(&ada, 0, 1_000).await?;
    ensure!(
        page.records.is_empty() && page.previous == 0 && page.last == 0,
        "an unknown user has {page:?}"
    );
    let parts = log.load(&ada).await?;
    ensure!(parts.is_empty(), "an unknown user has {parts:?}");
    // Asking has made nobody known.
    append_each(&log, &ada, 0..1).await?;
    let page = read_all(&log, &ada, 0).await?;
    ensure!(
        numbers(&page.records) == [0],
        "the first record is {page:?}"
    );
    Ok(())
}
