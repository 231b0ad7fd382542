use super::*;

fn id(seq: u64) -> String {
    format!("aaaaaaaa.{seq}.bbbbb")
}

fn publisher(n: u64) -> PublisherRecord {
    let mark = |seq: u64| format!("event {seq}");
    let acked = |seq| Acked {
        mark: mark(seq),
        id: id(seq),
        sent_at: Instant::now(),
    };
    PublisherRecord {
        name: "publisher".to_owned(),
        sent: (1..=n).map(mark).collect(),
        acked: (1..=n).map(acked).collect(),
        ..PublisherRecord::default()
    }
}

fn client(seqs: &[u64]) -> ClientRecord {
    let sight = |seq: &u64| Sight::Event {
        id: id(*seq),
        mark: format!("event {seq}"),
    };
    ClientRecord {
        name: "client".to_owned(),
        attached_at: Some(Instant::now()),
        sights: seqs.iter().map(sight).collect(),
        ..ClientRecord::default()
    }
}

fn found(publisher: PublisherRecord, client: ClientRecord) -> Vec<What> {
    let findings = check(&[publisher], &[client]);
    findings.iter().map(|finding| finding.what).collect()
}

#[test]
fn a_client_with_everything_in_order_is_well() {
    assert_eq!(found(publisher(4), client(&[1, 2, 3, 4])), []);
    // What it began behind was sent before it came.
    let publisher = publisher(4);
    let mut late = client(&[3, 4]);
    late.began = 2;
    assert_eq!(found(publisher, late), []);
}

#[test]
fn each_broken_promise_has_its_name() {
    assert_eq!(found(publisher(3), client(&[1, 3])), [What::Lost]);
    assert_eq!(found(publisher(3), client(&[1, 2])), [What::Lost]);
    assert_eq!(found(publisher(3), client(&[1, 2, 2, 3])), [What::Twice]);
    assert_eq!(found(publisher(3), client(&[1, 3, 2])), [What::OutOfOrder]);
    assert_eq!(found(publisher(2), client(&[1, 2, 3])), [What::Phantom]);

    let mut unacked = publisher(3);
    unacked.acked.remove(1);
    let clients = [client(&[1, 2, 3]), client(&[1, 3])];
    let findings = check(&[unacked], &clients);
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!(findings[0].what, What::Unshared);

    let mut gap = client(&[1, 3]);
    let reason = "trimmed".to_owned();
    gap.sights.insert(1, Sight::Gap { reason, to: 2 });
    assert_eq!(found(publisher(3), gap), [What::Gap]);

    let mut other = client(&[1, 2]);
    other.sights[1] = Sight::Event {
        id: id(2),
        mark: "event 1".to_owned(),
    };
    assert_eq!(found(publisher(2), other), [What::Differs, What::Repeated]);

    let mut swapped = publisher(3);
    swapped.acked.swap(0, 1);
    assert_eq!(found(swapped, client(&[1, 2, 3])), [What::AckOrder]);

    let mut silent = client(&[]);
    silent.attached_at = None;
    assert_eq!(found(publisher(1), silent), [What::NeverBegan]);

    let mut ahead = client(&[3]);
    ahead.began = 2;
    ahead.attached_at = Some(Instant::now() - std::time::Duration::from_secs(1));
    assert_eq!(found(publisher(3), ahead), [What::BeganTooFar]);
}
