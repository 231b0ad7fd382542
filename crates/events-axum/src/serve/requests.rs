//! From hyper's requests to the application, and back.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use axum::{
    Router,
    body::Body,
    http::{Request, Response},
};
use hyper::{body::Incoming, service::Service};
use hyper_util::service::{TowerToHyperService, TowerToHyperServiceFuture};
use pin_project_lite::pin_project;

use super::handover::{Handover, Outgoing};

/// Answers requests with an application.
#[derive(Clone, Debug)]
pub(super) struct Requests {
    app: TowerToHyperService<Router>,
    /// Of a connection that can be taken over.
    handover: Option<Arc<Handover>>,
}

impl Requests {
    pub(super) fn new(app: Router, handover: Option<Arc<Handover>>) -> Self {
        Self {
            app: TowerToHyperService::new(app),
            handover,
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
    }
}

impl Future for Answering {
    type Output = Result<Response<Outgoing>, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response: Response<Body> = ready!(this.answer.poll(context))?;
        Poll::Ready(Ok(match this.offer.take() {
            Some(handover) => handover.offer(response),
            None => response.map(Outgoing::kept),
        }))
    }
}
