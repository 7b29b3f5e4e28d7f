//! One download, from the URL to the headers; [`answer`](super::answer) goes on from there.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, HeaderMap, HeaderValue};
use reqwest::{Client, Response, StatusCode, redirect};
use rustls::crypto::CryptoProvider;
use tagfleet_shared::lane::{Lane, LaneWeights};
use url::Url;

use super::address::AddressPolicy;
use super::answer::{Answer, report};
use super::clock::Clock;
use super::config::DownloadConfig;
use super::destination::redirected;
use super::error::{DownloadError, Limit, Undownloadable};
use super::hosts::{HostCounts, Hosts, Politeness, Turn, server_of};
use super::memory::{Memory, Room};
use super::peer::CheckPeer;
use super::resolver::{Names, Resolver};
use super::status::{self, Next};
use super::transport;
use super::validators::Validators;

/// JPEG first, as it is decoded fastest. Formats that cost more (WebP) or that
/// the decoder does not know (AVIF) are not named, so that servers that choose
/// the format by this header do not choose them.
const ACCEPTED: &str = "image/jpeg,image/png;q=0.9,image/*;q=0.8,*/*;q=0.1";

/// An unused connection is kept for so long: less than most servers do, or it
/// would be used just when the server closes it.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// Downloads images, within limits, from public addresses only.
///
/// Cheap to clone; clones share connections, resolved names, turns at hosts and memory.
#[derive(Clone, Debug)]
pub struct Downloader {
    client: Client,
    /// For the hosts that may lead anywhere, if there are such. Connections are
    /// not shared with the others.
    trusting: Option<Client>,
    policy: Arc<AddressPolicy>,
    pub(super) hosts: Hosts,
    memory: Memory,
    pub(super) config: Arc<DownloadConfig>,
}

/// A picture's bytes, and what they take of the memory for all of them.
#[derive(Debug)]
pub struct Downloaded {
    /// The whole file.
    pub bytes: Bytes,
    /// What the server says of it, for the next time.
    pub validators: Validators,
    /// Given back when it is dropped: keep it for as long as the bytes.
    pub room: Room,
}

/// What a server answers to whoever knows the picture already (a conditional GET).
#[derive(Debug)]
pub enum Revalidated<T> {
    /// It sends a picture: another one, or it does not say.
    Sent(T),
    /// It is still the one that is known (304): what the server says of it now.
    NotModified(Validators),
}

/// Why there can be no downloader.
#[derive(Debug, thiserror::Error)]
pub enum DownloaderError {
    /// Values that make no sense, all of them.
    #[error("invalid settings: {}", .0.join("; "))]
    Config(Vec<String>),

    /// The process has chosen no cryptography.
    #[error("no TLS provider is installed; install rustls::crypto::ring's at the start of the process")]
    NoCryptoProvider,

    /// The user agent is no valid header, or the system has no CA certificates.
    #[error("cannot set up the HTTP client")]
    Client(#[from] reqwest::Error),
}

impl Downloader {
    /// Sets up connections, resolver and TLS. The process must have installed a
    /// rustls [`CryptoProvider`] before. Turns at a host are shared by `lanes`,
    /// and who is put off comes back after one of `delays`, which ascend.
    ///
    /// # Errors
    ///
    /// If settings make no sense, there is no TLS provider, or the system has no CA certificates.
    pub fn new(
        config: DownloadConfig,
        lanes: LaneWeights,
        delays: Vec<Duration>,
    ) -> Result<Self, DownloaderError> {
        Self::with_names(config, lanes, delays, &Names::system())
    }

    /// The same, but for who is asked for the addresses of names.
    pub(super) fn with_names(
        config: DownloadConfig,
        lanes: LaneWeights,
        delays: Vec<Duration>,
        names: &Names,
    ) -> Result<Self, DownloaderError> {
        let problems = config.problems();
        if !problems.is_empty() {
            return Err(DownloaderError::Config(problems));
        }
        if CryptoProvider::get_default().is_none() {
            return Err(DownloaderError::NoCryptoProvider);
        }
        let policy = Arc::new(AddressPolicy::new(config.allow_networks.clone(), &config.allow_hosts));
        let client = client(&config, Resolver::new(policy.clone(), names))?;
        let trusting = match policy.trusts_hosts() {
            true => Some(self::client(&config, Resolver::new(AddressPolicy::trusting().into(), names))?),
            false => None,
        };
        let DownloadConfig { per_host, per_host_rate, longest_pause, .. } = config;
        let hosts = Hosts::new(Politeness { per_host, per_host_rate, longest_pause, lanes, delays });
        let memory = Memory::new(config.max_memory_bytes);
        Ok(Self { client, trusting, policy, hosts, memory, config: Arc::new(config) })
    }

    /// The largest body that is kept, in bytes.
    pub fn max_bytes(&self) -> usize {
        self.config.max_bytes
    }

    /// Counts the hosts that are remembered, by how they are.
    pub fn hosts(&self) -> HostCounts {
        self.hosts.counts()
    }

    /// Waits for a turn at the host of `url`; that wait is part of no limit of the settings.
    ///
    /// # Errors
    ///
    /// If `url` must not be asked for, the host is to be left alone for now, or too many wait for it.
    pub async fn turn(&self, url: &Url, lane: Lane) -> Result<Turn, DownloadError> {
        self.policy.check_url(url)?;
        Ok(self.hosts.turn(url, lane).await?)
    }

    /// Waits for room for a small picture that somebody else brings; [`Room::fit`] makes it larger.
    pub async fn room(&self) -> Room {
        self.memory.room().await
    }

    /// Downloads the image at `url`, whose host has given a turn: asks, and collects.
    ///
    /// # Errors
    ///
    /// Those of [`Self::ask`] and [`Self::collect`].
    pub async fn fetch(&self, url: &Url, turn: Turn) -> Result<Downloaded, DownloadError> {
        let answer = self.ask(url, turn).await?;
        self.collect(answer).await
    }

    /// Asks for the image at `url`, whose host has given a turn, until the headers are there. Where it
    /// redirects to another host, it waits for a turn there: for two minutes at most, what it has waited for `turn`
    /// included.
    ///
    /// # Errors
    ///
    /// If there is no answer in time, or one without a picture; those of [`Self::turn`] there.
    pub async fn ask(&self, url: &Url, turn: Turn) -> Result<Answer, DownloadError> {
        self.answer(url, turn, None).await
    }

    /// As [`Self::ask`], but a picture that is `known` is sent only where it is another one now.
    ///
    /// # Errors
    ///
    /// Those of [`Self::ask`].
    pub async fn ask_again(
        &self,
        url: &Url,
        turn: Turn,
        known: &Validators,
    ) -> Result<Revalidated<Answer>, DownloadError> {
        let answer = self.answer(url, turn, Some(known)).await?;
        if answer.response.status() != StatusCode::NOT_MODIFIED {
            return Ok(Revalidated::Sent(answer));
        }
        let Answer { turn, url, response, mut clock, .. } = answer;
        turn.ended(None, clock.lap());
        Ok(Revalidated::NotModified(Validators::of(&url, response.headers()).or(known)))
    }

    async fn answer(
        &self,
        url: &Url,
        mut turn: Turn,
        known: Option<&Validators>,
    ) -> Result<Answer, DownloadError> {
        let (mut url, mut clock) = (url.clone(), Clock::start(self.config.total_timeout));
        let mut asked = HashSet::new();
        self.admit(&mut url, &mut asked)?;
        loop {
            match self.follow(&mut url, &mut asked, known, &clock).await {
                Ok(Some(response)) => {
                    return Ok(Answer { turn, url, response, clock, since: Instant::now() });
                }
                // Whoever redirects has answered: what it redirects to may belong to an enemy of it.
                Ok(None) => {
                    let (lane, waited) = (turn.lane(), turn.waited());
                    turn.ended(None, clock.lap());
                    turn = clock.stopped(self.hosts.turn_after(waited, &url, lane)).await?;
                }
                Err(error) => {
                    report(turn, &mut clock, Some(&error));
                    return Err(error);
                }
            }
        }
    }

    /// Asks for `url`, and for what it redirects to, until there is a body, or a 304 for who has
    /// asked whether the picture is another one than the one that is `known`; `None` where `url` is
    /// at another server now, and may be asked for there.
    async fn follow(
        &self,
        url: &mut Url,
        asked: &mut HashSet<Url>,
        known: Option<&Validators>,
        clock: &Clock,
    ) -> Result<Option<Response>, DownloadError> {
        let server = server_of(url);
        loop {
            let conditions = known.map(|known| known.conditions(url)).unwrap_or_default();
            let conditional = !conditions.is_empty();
            let response = self.request(url, conditions, clock).await?;
            if conditional && response.status() == StatusCode::NOT_MODIFIED {
                return Ok(Some(response));
            }
            match status::judge(response.status(), response.headers())? {
                Next::Body => return Ok(Some(response)),
                Next::Redirect(location) => *url = redirected(url, location)?,
            }
            self.admit(url, asked)?;
            if server_of(url) != server {
                return Ok(None);
            }
        }
    }

    /// Judges what is to be asked for next: before anybody waits for a turn there, only to be refused.
    fn admit(&self, url: &mut Url, asked: &mut HashSet<Url>) -> Result<(), Undownloadable> {
        let limit = self.config.max_redirects;
        url.set_fragment(None);
        self.policy.check_url(url)?;
        if !asked.insert(url.clone()) {
            return Err(Undownloadable::RedirectLoop);
        }
        if asked.len() > limit + 1 {
            return Err(Undownloadable::TooManyRedirects { limit });
        }
        Ok(())
    }

    /// Sends one request and waits for the headers of the answer.
    async fn request(
        &self,
        url: &Url,
        conditions: HeaderMap,
        clock: &Clock,
    ) -> Result<Response, DownloadError> {
        let answer = async { self.send(url, conditions).await.map_err(transport::failed_to_ask) };
        clock.within(self.config.header_timeout, Limit::Headers, answer).await
    }

    /// A server may close a kept connection just when it is used again. That is
    /// nobody's failure, and no reason to wait: the request goes out once more.
    async fn send(&self, url: &Url, conditions: HeaderMap) -> reqwest::Result<Response> {
        let client = self.trusting.as_ref().filter(|_| self.policy.trusts(url)).unwrap_or(&self.client);
        let request = || client.get(url.clone()).headers(conditions.clone());
        match request().send().await {
            Err(error) if transport::broke_off(&error) => request().send().await,
            outcome => outcome,
        }
    }
}

/// A client whose connections lead where `resolver` and its policy let them.
fn client(config: &DownloadConfig, resolver: Resolver) -> reqwest::Result<Client> {
    Client::builder()
        .user_agent(config.user_agent())
        .default_headers(HeaderMap::from_iter([
            (ACCEPT, HeaderValue::from_static(ACCEPTED)),
            (ACCEPT_ENCODING, HeaderValue::from_static("identity")),
        ]))
        .connector_layer(CheckPeer(resolver.policy()))
        .dns_resolver(resolver)
        // A proxy would make the connection in our place, unchecked.
        .no_proxy()
        .redirect(redirect::Policy::none())
        .connect_timeout(config.connect_timeout)
        .pool_idle_timeout(KEEP_ALIVE)
        .tcp_nodelay(true)
        .http1_only()
        .http1_ignore_invalid_headers_in_responses(true)
        .build()
}
