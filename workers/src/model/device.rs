//! The device that models run on.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

/// The device that models shall run on: `auto`, `cpu` or `cuda:N`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Device {
    /// The first GPU where there is one that works, else the CPU.
    Auto,
    /// The CPU, even where there is a GPU.
    Cpu,
    /// That GPU and nothing else: where it cannot be had, nothing starts.
    Cuda(u16),
}

/// Not the name of a device.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no device: use auto, cpu or cuda:N")]
pub struct UnknownDevice(String);

impl FromStr for Device {
    type Err = UnknownDevice;

    fn from_str(text: &str) -> Result<Self, UnknownDevice> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            _ => text
                .strip_prefix("cuda:")
                .and_then(|number| number.parse().ok())
                .map(Self::Cuda)
                .ok_or_else(|| UnknownDevice(text.into())),
        }
    }
}

impl TryFrom<String> for Device {
    type Error = UnknownDevice;

    fn try_from(text: String) -> Result<Self, UnknownDevice> {
        text.parse()
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(number) => write!(f, "cuda:{number}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_read_as_it_is_written() {
        for text in ["auto", "cpu", "cuda:0", "cuda:12"] {
            assert_eq!(text.parse::<Device>().unwrap().to_string(), text);
        }
        for text in ["", "gpu", "CPU", "cuda", "cuda:", "cuda:-1", "cuda:99999"] {
            let error = text.parse::<Device>().unwrap_err();
            assert_eq!(error.to_string(), format!("{text:?} is no device: use auto, cpu or cuda:N"));
        }
    }
}
