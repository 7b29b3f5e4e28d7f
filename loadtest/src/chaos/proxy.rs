//! A TCP proxy that misbehaves as networks do.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What the network does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Carries everything.
    Pass,
    /// Ends every connection, and each new one at once.
    Cut,
    /// Carries nothing, and ends nothing: what is sent arrives when it passes again.
    BlackHole,
    /// Carries one byte a second, each way.
    Trickle,
    /// The far end of every connection that is open is gone, and the near end does not hear of it before
    /// the network is well. New connections pass.
    HalfOpen,
}

/// A mode, and how many there were before it: a connection knows whether it is older.
type Weather = (Mode, u64);

/// One way between two parts of the fleet.
#[derive(Debug)]
pub struct Proxy {
    /// Where to connect to.
    pub address: SocketAddr,
    weather: watch::Sender<Weather>,
    listening: JoinHandle<()>,
}

impl Proxy {
    /// Opens the way to `upstream` on a free port of this machine.
    pub async fn open(upstream: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (weather, now) = watch::channel((Mode::Pass, 0));
        let listening = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, upstream, now.clone()));
            }
        });
        Ok(Self { address, weather, listening })
    }

    /// From now on the network does this.
    pub fn set(&self, mode: Mode) {
        self.weather.send_modify(|(now, number)| (*now, *number) = (mode, *number + 1));
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

/// One connection from its beginning to its end.
async fn carry(mut client: TcpStream, upstream: SocketAddr, mut weather: watch::Receiver<Weather>) {
    let born = weather.borrow().1;
    if until(&mut weather, |mode| mode != Mode::BlackHole).await == Some(Mode::Cut) {
        return;
    }
    let Ok(mut upstream) = TcpStream::connect(upstream).await else { return };
    let _ = (client.set_nodelay(true), upstream.set_nodelay(true));
    let forgotten = {
        let ((client_out, client_in), (server_out, server_in)) = (client.split(), upstream.split());
        let mut sky = weather.clone();
        tokio::select! {
            () = pump(client_out, server_in, weather.clone()) => false,
            () = pump(server_out, client_in, weather.clone()) => false,
            _ = sky.wait_for(|(mode, number)| *mode == Mode::HalfOpen && *number > born) => true,
            _ = weather.wait_for(|(mode, _)| *mode == Mode::Cut) => false,
        }
    };
    drop(upstream);
    if forgotten {
        // Whatever the client sends, nobody says that nobody hears it.
        until(&mut weather, |mode| mode != Mode::HalfOpen).await;
    }
}

/// Waits for a mode of this kind; none when the proxy is gone.
async fn until(weather: &mut watch::Receiver<Weather>, is: impl Fn(Mode) -> bool) -> Option<Mode> {
    weather.wait_for(|(mode, _)| is(*mode)).await.ok().map(|now| now.0)
}

/// Carries bytes one way until the connection ends.
async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut weather: watch::Receiver<Weather>,
) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let mode = weather.borrow_and_update().0;
        let room = if mode == Mode::Trickle { 1 } else { buffer.len() };
        tokio::select! {
            read = from.read(&mut buffer[..room]), if mode != Mode::BlackHole => match read {
                Ok(0) | Err(_) => return,
                Ok(bytes) => if to.write_all(&buffer[..bytes]).await.is_err() { return },
            },
            changed = weather.changed() => match changed {
                Ok(()) => continue,
                Err(_) => return,
            },
        }
        if mode == Mode::Trickle {
            let _ = tokio::time::timeout(Duration::from_secs(1), weather.changed()).await;
            weather.mark_changed();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that sends back what it is sent, behind a proxy, and a client of it.
    async fn echo() -> (Proxy, TcpStream) {
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let proxy = Proxy::open(server.local_addr().unwrap()).await.unwrap();
        tokio::spawn(async move {
            while let Ok((mut connection, _)) = server.accept().await {
                tokio::spawn(async move {
                    let (mut read, mut write) = connection.split();
                    tokio::io::copy(&mut read, &mut write).await
                });
            }
        });
        let mut client = TcpStream::connect(proxy.address).await.unwrap();
        says(&mut client, b"hello").await;
        (proxy, client)
    }

    async fn says(client: &mut TcpStream, text: &[u8]) {
        client.write_all(text).await.unwrap();
        let mut heard = vec![0; text.len()];
        client.read_exact(&mut heard).await.unwrap();
        assert_eq!(heard, text);
    }

    async fn ends(client: &mut TcpStream) {
        let mut rest = Vec::new();
        let _ = client.read_to_end(&mut rest).await;
        assert_eq!(rest, b"");
    }

    #[tokio::test]
    async fn a_cut_ends_open_connections_and_new_ones() {
        let (proxy, mut client) = echo().await;
        proxy.set(Mode::Cut);
        ends(&mut client).await;
        ends(&mut TcpStream::connect(proxy.address).await.unwrap()).await;

        proxy.set(Mode::Pass);
        says(&mut TcpStream::connect(proxy.address).await.unwrap(), b"again").await;
    }

    #[tokio::test]
    async fn what_falls_into_a_black_hole_arrives_when_the_network_is_well() {
        let (proxy, mut client) = echo().await;
        proxy.set(Mode::BlackHole);
        client.write_all(b"patience").await.unwrap();
        let mut second = TcpStream::connect(proxy.address).await.unwrap();
        second.write_all(b"me too").await.unwrap();
        let mut heard = [0; 8];
        let early = tokio::time::timeout(Duration::from_millis(50), client.read(&mut heard)).await;
        assert!(early.is_err(), "nothing comes through");

        proxy.set(Mode::Pass);
        client.read_exact(&mut heard).await.unwrap();
        second.read_exact(&mut heard[..6]).await.unwrap();
        assert_eq!(&heard[..6], b"me too");
    }

    #[tokio::test]
    async fn a_trickle_carries_something_and_then_the_rest() {
        let (proxy, mut client) = echo().await;
        proxy.set(Mode::Trickle);
        client.write_all(b"slowly").await.unwrap();
        let mut heard = [0; 6];
        client.read_exact(&mut heard[..1]).await.unwrap();

        proxy.set(Mode::Pass);
        client.read_exact(&mut heard[1..]).await.unwrap();
        assert_eq!(&heard, b"slowly");
    }

    #[tokio::test]
    async fn a_half_open_connection_is_silent_until_the_network_is_well_and_new_ones_pass() {
        let (proxy, mut client) = echo().await;
        proxy.set(Mode::HalfOpen);
        client.write_all(b"anybody?").await.unwrap();
        says(&mut TcpStream::connect(proxy.address).await.unwrap(), b"new").await;
        let mut heard = [0; 8];
        let early = tokio::time::timeout(Duration::from_millis(50), client.read(&mut heard)).await;
        assert!(early.is_err(), "not even an end");

        proxy.set(Mode::Pass);
        ends(&mut client).await;
    }
}
