//! From hyper's requests to the application, and back.

use std::{
    convert::Infallible,
    future::Future,
    net::IpAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use axum::{
    Router,
    body::Body,
    http::{HeaderValue, Method, Request, Response, StatusCode, Version, header},
    response::IntoResponse as _,
};
use events_broadcast::Transport;
use hyper::{body::Incoming, service::Service};
use hyper_util::service::{TowerToHyperService, TowerToHyperServiceFuture};

use super::{
    handover::{Handover, Outgoing},
    proxies::Proxies,
};
use crate::{ClientAddress, Edge, Problem};

/// Answers requests with an application.
#[derive(Clone, Debug)]
pub(super) struct Requests {
    app: TowerToHyperService<Router>,
    /// Who is at the other end of the socket, and whom we believe.
    peer: (IpAddr, Arc<Proxies>),
    /// Of a connection that can be taken over.
    handover: Option<Arc<Handover>>,
    edge: Edge,
}

impl Requests {
    pub(super) fn new(
        app: Router,
        peer: (IpAddr, Arc<Proxies>),
        handover: Option<Arc<Handover>>,
        edge: Edge,
    ) -> Self {
        Self {
            app: TowerToHyperService::new(app),
            peer,
            handover,
            edge,
        }
    }
}

impl Service<Request<Incoming>> for Requests {
    type Response = Response<Outgoing>;
    type Error = Infallible;
    type Future = Answering;

    fn call(&self, mut request: Request<Incoming>) -> Answering {
        let (peer, proxies) = &self.peer;
        let client = ClientAddress(proxies.client(*peer, request.headers()));
        request.extensions_mut().insert(client);
        // hyper drops a Content-Length beside it without a word, so a proxy may see another end of this request than we
        // do. RFC 9112, 6.3: then the connection is closed behind the answer.
        // Behind a CONNECT stands what is for somebody else.
        let is_last = request.headers().contains_key(header::TRANSFER_ENCODING)
            || request.method() == Method::CONNECT;
        let handover = self.handover.as_ref();
        let offer = handover.filter(|handover| handover.could_take(&request));
        Answering {
            offer: offer.cloned(),
            is_last,
            transport: match request.version() {
                Version::HTTP_2 => Transport::Http2,
                _ => Transport::Http1,
            },
            answer: Box::pin(self.app.call(request)),
            edge: self.edge.clone(),
        }
    }
}

/// An answer that is being made.
pub(super) struct Answering {
    /// Whom it may be offered to.
    offer: Option<Arc<Handover>>,
    /// Whether no further request of the connection is read.
    is_last: bool,
    /// By what it goes.
    transport: Transport,
    /// In a box, which goes when the answer is made: hyper keeps the room of this future for as long as the connection
    /// lasts, and streams last.
    answer: Pin<Box<TowerToHyperServiceFuture<Router, Request<Incoming>>>>,
    edge: Edge,
}

impl Future for Answering {
    type Output = Result<Response<Outgoing>, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let answer = this.answer.as_mut();
        // A handler that panics has harmed its own request; it is not polled again.
        let polled = catch_unwind(AssertUnwindSafe(|| answer.poll(context)));
        let mut response: Response<Body> = match polled {
            Ok(polled) => ready!(polled)?,
            Err(_payload) => {
                // The panic itself is told by the program's hook.
                this.edge.count_panic();
                let detail = "the request failed by a mistake in this program; its log has more";
                Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail).into_response()
            }
        };
        if this.is_last {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
        }
        Poll::Ready(Ok(match this.offer.take() {
            Some(handover) => handover.offer(response),
            None => response.map(|body| Outgoing::kept(body, this.transport)),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// hyper keeps this much for each open stream that is not taken over.
    #[test]
    fn an_answer_that_is_being_made_is_small() {
        let n_bytes = size_of::<Answering>();
        assert!(n_bytes <= 64, "{n_bytes} bytes");
    }
}
