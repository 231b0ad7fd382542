//! From hyper's requests to the application, and back.

use std::{
    convert::Infallible,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use axum::{
    Router,
    body::Body,
    http::{Request, Response, StatusCode},
    response::IntoResponse as _,
};
use hyper::{body::Incoming, service::Service};
use hyper_util::service::{TowerToHyperService, TowerToHyperServiceFuture};
use pin_project_lite::pin_project;

use super::handover::{Handover, Outgoing};
use crate::{Edge, Problem};

/// Answers requests with an application.
#[derive(Clone, Debug)]
pub(super) struct Requests {
    app: TowerToHyperService<Router>,
    /// Of a connection that can be taken over.
    handover: Option<Arc<Handover>>,
    edge: Edge,
}

impl Requests {
    pub(super) fn new(app: Router, handover: Option<Arc<Handover>>, edge: Edge) -> Self {
        Self {
            app: TowerToHyperService::new(app),
            handover,
            edge,
        }
    }
}

impl Service<Request<Incoming>> for Requests {
    type Response = Response<Outgoing>;
    type Error = Infallible;
    type Future = Answering;

    fn call(&self, request: Request<Incoming>) -> Answering {
        let handover = self.handover.as_ref();
        let offer = handover.filter(|handover| handover.could_take(&request));
        Answering {
            offer: offer.cloned(),
            answer: self.app.call(request),
            edge: self.edge.clone(),
        }
    }
}

pin_project! {
    /// An answer that is being made.
    pub(super) struct Answering {
        // Whom it may be offered to.
        offer: Option<Arc<Handover>>,
        #[pin]
        answer: TowerToHyperServiceFuture<Router, Request<Incoming>>,
        edge: Edge,
    }
}

impl Future for Answering {
    type Output = Result<Response<Outgoing>, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answer = this.answer;
        // A handler that panics has harmed its own request; it is not polled again.
        let polled = catch_unwind(AssertUnwindSafe(|| answer.poll(context)));
        let response: Response<Body> = match polled {
            Ok(polled) => ready!(polled)?,
            Err(_payload) => {
                // The panic itself is told by the program's hook.
                this.edge.count_panic();
                let detail = "the request failed by a mistake in this program; its log has more";
                Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail).into_response()
            }
        };
        Poll::Ready(Ok(match this.offer.take() {
            Some(handover) => handover.offer(response),
            None => response.map(Outgoing::kept),
        }))
    }
}
