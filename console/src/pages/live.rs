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
pub fn stream<T, L, F>(look: L) -> Sse<impl Stream<Item = Result<Event, Infallible>>>
where
    T: Template + Send,
    L: Fn() -> F + Send + 'static,
    F: Future<Output = Result<(T, bool), Problem>> + Send,
{
    struct State<L> {
        look: L,
        shown: String,
        looks: u32,
        ended: bool,
    }
    let state = State { look, shown: String::new(), looks: 0, ended: false };
    Sse::new(stream::unfold(state, |mut state| async move {
        if state.ended {
            return None;
        }
        while state.looks < LOOKS {
            if state.looks > 0 {
                tokio::time::sleep(EVERY).await;
            }
            state.looks += 1;
            // A database that is away comes back; until then the page shows what it has.
            let Ok((part, ended)) = (state.look)().await else { continue };
            let Ok(html) = part.render() else { continue };
            state.ended = ended;
            if ended || html != state.shown {
                let event = Event::default().event(if ended { "end" } else { "part" }).data(&html);
                state.shown = html;
                return Some((Ok(event.retry(AGAIN)), state));
            }
        }
        None
    }))
}
