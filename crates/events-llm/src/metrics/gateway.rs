//! What a gateway counts beside its tap.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        counter::{ConstCounter, Counter},
        family::Family,
        gauge::Gauge,
    },
    registry::Registry,
};

use super::write_registry;
use crate::gateway::LlmGateway;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfEmission {
    outcome: &'static str,
}

impl LlmGateway {
    /// Appends what is measured in the text form of OpenMetrics, without the mark of the end: that of the tap, and
    /// what the gateway itself counts.
    pub fn write_metrics(&self, out: &mut String) {
        self.tap().write_metrics(out);
        let counts = self.counts();
        let mut registry = Registry::with_prefix("events_llm_gateway");
        let emissions = Family::<OfEmission, Counter>::default();
        for (outcome, n) in [
            ("published", counts.runs_published),
            ("too_slow", counts.runs_too_slow),
            ("refused", counts.runs_refused),
        ] {
            emissions.get_or_create(&OfEmission { outcome }).inc_by(n);
        }
        registry.register(
            "emissions",
            "Answers that were to be published as AG-UI runs, by what became of that",
            emissions,
        );
        registry.register(
            "refused_full",
            "Requests that were refused since the gateway was full",
            ConstCounter::new(counts.refused_full),
        );
        for (name, help, n) in [
            (
                "requests",
                "Requests that are forwarded or answered",
                counts.active,
            ),
            (
                "runs",
                "AG-UI runs that are being published",
                counts.active_runs,
            ),
            (
                "detached",
                "Answers that are read to their end without their client",
                counts.detached,
            ),
        ] {
            let gauge = Gauge::<i64>::default();
            gauge.set(i64::try_from(n).unwrap_or(i64::MAX));
            registry.register(name, help, gauge);
        }
        write_registry(&registry, out);
    }
}
