//! Parts of pages that change by themselves: drawn here, and sent as server-sent events.

use std::convert::Infallible;
use std::time::Duration;

use askama::Template;
use axum::response::Sse;
use axum::response::sse::Event;
use futures::{Stream, stream};

use crate::web::Problem;

/// Between two looks.
const EVERY: Duration = Duration::from_secs(1);
/// A stream ends after so many looks, and the browser comes again: whoever may not look any more is
/// refused then, and a console that stops need not wait longer.
const LOOKS: u32 = 10;
/// When the browser comes again.
const AGAIN: Duration = Duration::from_millis(500);

/// Sends what `look` draws, once now and then whenever it is another; until it says that nothing more is to
/// come, which the event `end` tells.
///
/// # Errors
///
/// If the first look fails: a page that follows then says so, and comes again.
pub async fn stream<T, L, F>(look: L) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem>
where
    T: Template + Send + 'static,
    L: Fn() -> F + Send + 'static,
    F: Future<Output = Result<(T, bool), Problem>> + Send,
{
    struct State<L, T> {
        look: L,
        first: Option<(T, bool)>,
        shown: String,
        looks: u32,
        ended: bool,
    }
    let first = Some(look().await?);
    let state = State { look, first, shown: String::new(), looks: 0, ended: false };
    Ok(Sse::new(stream::unfold(state, |mut state| async move {
        if state.ended {
            return None;
        }
        while state.looks < LOOKS {
            state.looks += 1;
            let seen = if let Some(first) = state.first.take() {
                first
            } else {
                tokio::time::sleep(EVERY).await;
                // A database that is away comes back; the next stream begins with an answer that says so, or not.
                let Ok(seen) = (state.look)().await else { continue };
                seen
            };
            let (part, ended) = seen;
            let Ok(html) = part.render() else { continue };
            state.ended = ended;
            if ended || html != state.shown {
                let event = Event::default().event(if ended { "end" } else { "part" }).data(&html);
                state.shown = html;
                return Some((Ok(event.retry(AGAIN)), state));
            }
        }
        None
    })))
}
