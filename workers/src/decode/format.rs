//! Tells the format of a picture by its first bytes.

use image::ImageFormat;

use super::Undecodable;

/// A format that the fleet decodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Jpeg,
    Png,
    Gif,
    WebP,
    Bmp,
    Tiff,
}

impl Format {
    /// The format of `bytes`, by content.
    pub(super) fn of(bytes: &[u8]) -> Result<Self, Undecodable> {
        if bytes.is_empty() {
            return Err(Undecodable::Empty);
        }
        match image::guess_format(bytes) {
            Ok(ImageFormat::Jpeg) => Ok(Self::Jpeg),
            Ok(ImageFormat::Png) => Ok(Self::Png),
            Ok(ImageFormat::Gif) => Ok(Self::Gif),
            Ok(ImageFormat::WebP) => Ok(Self::WebP),
            Ok(ImageFormat::Bmp) => Ok(Self::Bmp),
            Ok(ImageFormat::Tiff) => Ok(Self::Tiff),
            Ok(other) => {
                let name = *other.extensions_str().first().unwrap_or(&"other");
                Err(Undecodable::UnsupportedFormat(name.into()))
            }
            Err(_) => Err(foreign(bytes)),
        }
    }

    /// The word of [`Self::name`] that `word` is.
    pub(super) fn word(word: &str) -> Option<&'static str> {
        const ALL: [Format; 6] =
            [Format::Jpeg, Format::Png, Format::Gif, Format::WebP, Format::Bmp, Format::Tiff];
        ALL.map(Self::name).into_iter().find(|name| *name == word)
    }

    /// Short, stable word: a metric label, so never rename one.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Jpeg => "jpeg",
            Self::Png => "png",
            Self::Gif => "gif",
            Self::WebP => "webp",
            Self::Bmp => "bmp",
            Self::Tiff => "tiff",
        }
    }
}

/// Tells the formats that `image` does not know from what is no image at all.
fn foreign(bytes: &[u8]) -> Undecodable {
    const SIGNATURES: [(&[u8], &str); 5] = [
        (b"\0\0\0\x0cJXL \r\n", "jxl"),
        (b"\xff\x0a", "jxl"),
        (b"\0\0\0\x0cjP  \r\n", "jp2"),
        (b"II\xbc\x01", "jxr"),
        (b"8BPS", "psd"),
    ];
    const BRANDS: [(&[u8], &str); 8] = [
        (b"avis", "avif"),
        (b"heic", "heif"),
        (b"heix", "heif"),
        (b"hevc", "heif"),
        (b"heim", "heif"),
        (b"heis", "heif"),
        (b"mif1", "heif"),
        (b"msf1", "heif"),
    ];
    if let Some((_, name)) = SIGNATURES.iter().find(|(signature, _)| bytes.starts_with(signature)) {
        return Undecodable::UnsupportedFormat((*name).into());
    }
    if bytes.get(4..8) == Some(b"ftyp")
        && let Some((_, name)) = BRANDS.iter().find(|(brand, _)| bytes.get(8..12) == Some(brand))
    {
        return Undecodable::UnsupportedFormat((*name).into());
    }
    if is_svg(bytes) { Undecodable::UnsupportedFormat("svg".into()) } else { Undecodable::NotAnImage }
}

/// An XML document whose root is `<svg`: nothing but a prologue comes before it.
fn is_svg(bytes: &[u8]) -> bool {
    const LOOKED_AT: usize = 4096;
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(LOOKED_AT)]);
    let head = head.trim_start_matches('\u{feff}').trim_start();
    let prologue = ["<svg", "<?xml", "<!DOCTYPE svg", "<!--"].iter().any(|start| head.starts_with(start));
    prologue && head.contains("<svg")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_told_by_content() {
        let accepted: [(&[u8], &str); 7] = [
            (b"\xff\xd8\xff\xe0rest", "jpeg"),
            (b"\x89PNG\r\n\x1a\nrest", "png"),
            (b"GIF89arest", "gif"),
            (b"RIFF\x10\0\0\0WEBPVP8 ", "webp"),
            (b"BMrest", "bmp"),
            (b"II*\0rest", "tiff"),
            (b"MM\0*rest", "tiff"),
        ];
        for (bytes, name) in accepted {
            assert_eq!(Format::of(bytes).unwrap().name(), name);
        }
    }

    #[test]
    fn what_the_fleet_does_not_read_is_told_from_what_is_no_image() {
        let refused: [(&[u8], &str, &str); 8] = [
            (b"", "empty", "no bytes"),
            (b"\0\0\0\x1cftypavif\0\0\0\0", "unsupported_format", "avif is not a supported format"),
            (b"\0\0\0\x18ftypheic\0\0\0\0", "unsupported_format", "heif is not a supported format"),
            (
                b"<?xml version='1.0'?>\n<svg xmlns=''/>",
                "unsupported_format",
                "svg is not a supported format",
            ),
            (b"<?xml version='1.0'?><Error/>", "unknown_format", "not an image"),
            (b"<!doctype html><svg></svg>", "unknown_format", "not an image"),
            (b"{\"error\": \"not found\"}", "unknown_format", "not an image"),
            (b"\xff", "unknown_format", "not an image"),
        ];
        for (bytes, reason, message) in refused {
            let error = Format::of(bytes).unwrap_err();
            assert_eq!((error.reason(), error.to_string().as_str()), (reason, message));
        }
    }
}
