//! The last line of defence: the address at the other end of the socket.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::Extensions;
use hyper_util::client::legacy::connect::{Connection, HttpInfo};
use tower_layer::Layer;
use tower_service::Service;

use super::address::AddressPolicy;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Drops every new connection whose peer may not be connected to, before a byte
/// of a request goes out: whatever way we got there, that is where we are.
#[derive(Clone)]
pub struct CheckPeer(pub Arc<AddressPolicy>);

/// A connector with that check behind it.
#[derive(Clone)]
pub struct Checked<C> {
    connector: C,
    policy: Arc<AddressPolicy>,
}

impl<C> Layer<C> for CheckPeer {
    type Service = Checked<C>;

    fn layer(&self, connector: C) -> Checked<C> {
        Checked { connector, policy: self.0.clone() }
    }
}

impl<C, R> Service<R> for Checked<C>
where
    C: Service<R>,
    C::Future: Send + 'static,
    C::Response: Connection,
    C::Error: Into<BoxError>,
{
    type Response = C::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<C::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.connector.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, destination: R) -> Self::Future {
        let (connecting, policy) = (self.connector.call(destination), self.policy.clone());
        Box::pin(async move {
            let connection = connecting.await.map_err(Into::into)?;
            let mut about = Extensions::new();
            connection.connected().get_extras(&mut about);
            let peer: &HttpInfo = about.get().ok_or("the peer has no address")?;
            policy.check(peer.remote_addr().ip())?;
            Ok(connection)
        })
    }
}
