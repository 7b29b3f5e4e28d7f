//! What stands where there is no picture.

/// A drawing that says why; one of the stable words. Gray enough to be read on light and on dark.
pub fn blank(reason: &str) -> String {
    let words = reason.replace('_', " ");
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 320 240" width="320" height="240">
<rect width="320" height="240" fill="#5b6470"/>
<g fill="none" stroke="#aeb6c1" stroke-width="6" stroke-linejoin="round" stroke-linecap="round">
<rect x="110" y="56" width="100" height="76" rx="8"/><path d="m118 124 26-32 20 22 14-14 24 24"/><path d="m96 152 128-116"/></g>
<text x="160" y="188" fill="#fff" font-family="system-ui,sans-serif" font-size="22" text-anchor="middle">{words}</text>
</svg>"##
    )
}
