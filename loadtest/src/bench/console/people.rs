//! Those who look and those who correct, and the time that they think in between.

use std::fmt;
use std::ops::Range;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;
use serde_json::{Value, json};

use super::past::advertiser;
use crate::bench::results::percentile_95;

/// Seconds that a reader looks at a page of 120 pictures, or at 400 more: 10 on average. Their pictures are no part of
/// this: a browser gets them from the console's memory or not at all.
const LOOKS: Range<f64> = 5.0..15.0;

/// Seconds that an editor looks at a picture before they correct it: 5 on average.
const DECIDES: Range<f64> = 2.5..7.5;

/// Times that a reader asks for more, before they begin somewhere else.
const MORE: usize = 3;

/// Times of answers in milliseconds, by what was asked for.
#[derive(Default)]
pub struct Samples {
    /// The first page of the grid.
    pub grid: Vec<f64>,
    /// More of it.
    pub more: Vec<f64>,
    /// Corrections.
    pub fix: Vec<f64>,
}

impl Samples {
    /// With those of somebody else.
    pub fn extend(&mut self, other: Self) {
        self.grid.extend(other.grid);
        self.more.extend(other.more);
        self.fix.extend(other.fix);
    }
}

impl fmt::Display for Samples {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let p95 = |times: &[f64]| percentile_95(times).unwrap_or(f64::NAN);
        write!(f, "p95 of {} first pages {:.1} ms", self.grid.len(), p95(&self.grid))?;
        write!(f, ", of {} times more {:.1} ms", self.more.len(), p95(&self.more))?;
        write!(f, ", of {} fixes {:.1} ms", self.fix.len(), p95(&self.fix))
    }
}

/// Somebody who asks the console.
pub struct Caller {
    client: reqwest::Client,
    console: String,
    token: String,
}

/// What they are answered.
pub struct Answer {
    /// From the request until the whole answer had come.
    pub ms: f64,
    text: String,
}

impl Caller {
    /// Somebody with a connection of their own.
    pub fn new(address: &str, token: String) -> anyhow::Result<Self> {
        let client = reqwest::Client::builder().timeout(Duration::from_secs(60)).build()?;
        Ok(Self { client, console: format!("http://{address}"), token })
    }

    /// GETs something that is there.
    pub async fn get(&self, path: &str) -> anyhow::Result<Answer> {
        self.send(self.client.get(format!("{}{path}", self.console))).await
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> anyhow::Result<Answer> {
        let begun = Instant::now();
        let answer = request.bearer_auth(&self.token).send().await?;
        let (status, url) = (answer.status(), answer.url().clone());
        let text = answer.text().await?;
        let ms = begun.elapsed().as_secs_f64() * 1e3;
        ensure!(status.is_success(), "{url} answered {status}: {text}");
        Ok(Answer { ms, text })
    }

    /// Corrects the colour of an image as it was listed to them.
    async fn fix(&self, image: &Value, color: &str) -> anyhow::Result<Answer> {
        let text = |field: &str| image[field].as_str().with_context(|| format!("no {field} in {image}"));
        let url = format!("{}/v1/images/{}/fixes", self.console, text("image_id")?);
        let scope = json!({ "advertiser": text("advertiser_id")? });
        let body = json!({ "attribute": "color", "value": color, "scope": scope }).to_string();
        let request = self.client.post(url).header("if-match", text("version")?);
        self.send(request.header("content-type", "application/json").body(body)).await
    }
}

/// Looks through the pictures of one advertiser, of one colour of one advertiser, or of all, a page and then more of
/// it, until `counted` is over; answers that come within it count.
pub async fn read(
    caller: Caller,
    advertisers: usize,
    mut rng: Xoshiro256PlusPlus,
    counted: Range<Instant>,
) -> anyhow::Result<Samples> {
    let mut samples = Samples::default();
    // Nobody comes at the same moment as everybody else.
    think(rng.random_range(0.0..LOOKS.end)).await;
    while Instant::now() < counted.end {
        let of = advertiser(rng.random_range(0..advertisers));
        let mut path = match rng.random_range(0..4) {
            0 => "/images".to_owned(),
            1 => format!("/images?advertiser={of}&attribute=color&value=red"),
            _ => format!("/images?advertiser={of}"),
        };
        for step in 0..=MORE {
            let answer = caller.get(&path).await?;
            if counted.contains(&Instant::now()) {
                let times = if step == 0 { &mut samples.grid } else { &mut samples.more };
                times.push(answer.ms);
            }
            think(rng.random_range(LOOKS)).await;
            path = more(&answer.text).context("a page of the grid without more")?;
            if Instant::now() >= counted.end {
                break;
            }
        }
    }
    Ok(samples)
}

/// Where a page says that it goes on.
fn more(page: &str) -> Option<String> {
    let (_, rest) = page.split_once("data-more=\"")?;
    let (path, _) = rest.split_once('"')?;
    Some(path.replace("&#38;", "&").replace("&amp;", "&"))
}

/// Corrects one picture of an advertiser after the other, until `counted` is over.
pub async fn correct(
    caller: Caller,
    of: usize,
    mut rng: Xoshiro256PlusPlus,
    counted: Range<Instant>,
) -> anyhow::Result<Samples> {
    let mut samples = Samples::default();
    let first = format!("/v1/images?advertiser={}&limit=50", advertiser(of));
    let mut path = first.clone();
    while Instant::now() < counted.end {
        let page: Value = serde_json::from_str(&caller.get(&path).await?.text)?;
        for image in page["items"].as_array().context("no items")? {
            think(rng.random_range(DECIDES)).await;
            if Instant::now() >= counted.end {
                break;
            }
            let color = if image["tags"]["color"] == "black" { "white" } else { "black" };
            let answer = caller.fix(image, color).await?;
            if counted.contains(&Instant::now()) {
                samples.fix.push(answer.ms);
            }
        }
        path = page["next"].as_str().map_or_else(|| first.clone(), |next| format!("{first}&cursor={next}"));
    }
    Ok(samples)
}

async fn think(seconds: f64) {
    tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_says_where_it_goes_on() {
        let page = r#"<a id="more" data-more="/images/more?advertiser=a&#38;cursor=x" data-key="n">More</a>"#;
        assert_eq!(more(page).as_deref(), Some("/images/more?advertiser=a&cursor=x"));
        assert_eq!(more("<p>no more</p>"), None);
    }
}
