//! A real Chromium, driven over `WebDriver`.
//!
//! By `fantoccini`: it is kept, small, and in the language of the harness, so that a test has the fleet, the
//! database and the browser in one place, without a second runtime.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fantoccini::actions::{
    Actions, InputSource, KeyAction, KeyActions, MOUSE_BUTTON_LEFT, MouseActions, PointerAction,
};
use fantoccini::key::Key;
use fantoccini::wd::TimeoutConfiguration;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};

use crate::wait::lacks;
use crate::{Console, eventually, repository};

/// A small phone with fingers instead of a mouse.
pub const PHONE: &str =
    r#"{"deviceMetrics": {"width": 390, "height": 844, "pixelRatio": 2.0, "mobile": true, "touch": true}}"#;

/// A browser, and the console that it looks at. Closed with the value.
pub struct Browser {
    /// For what has no word below.
    pub client: Client,
    console: String,
    driver: Child,
    port: u16,
    session: String,
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver ends its browser where it is asked to, and leaves it behind where it is killed.
        let _ = self.quit();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

impl Browser {
    /// Opens one that looks at `console`; none where there is no Chromium and none was promised.
    pub async fn open(console: &Console) -> Option<Self> {
        Self::open_as(console, Value::Null).await
    }

    /// The same, on another device: null, or a `mobileEmulation`.
    pub async fn open_as(console: &Console, device: impl Into<Value>) -> Option<Self> {
        let driver = Command::new("chromedriver").arg("--port=0").stdout(Stdio::piped()).spawn();
        let Ok(mut driver) = driver else {
            lacks("chromedriver", "no chromedriver (scripts/setup.sh installs it)");
            return None;
        };
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines().map_while(Result::ok);
        let port = lines.find_map(|line| {
            let (_, port) = line.split_once("started successfully on port ")?;
            port.trim_end_matches('.').parse::<u16>().ok()
        });
        let port = port.unwrap();
        // What it says later must go somewhere, or it waits for ever.
        std::thread::spawn(move || lines.for_each(drop));
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
            "--force-prefers-reduced-motion",
            // Whatever the pages say, this browser reaches our server only.
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        ];
        let mut options = json!({ "args": arguments });
        let device = device.into();
        if device != Value::Null {
            options["mobileEmulation"] = serde_json::from_str(device.as_str().unwrap()).unwrap();
        }
        let wishes = json!({ "goog:chromeOptions": options });
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(wishes.as_object().unwrap().clone())
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .unwrap();
        // axe looks at every element, on a machine that may have more to do.
        let patient = Some(crate::PATIENCE);
        client.update_timeouts(TimeoutConfiguration::new(patient, patient, None)).await.unwrap();
        let session = client.session_id().await.unwrap().unwrap();
        let browser = Self { client, console: format!("http://{}", console.address), driver, port, session };
        browser.size(1280, 900).await;
        Some(browser)
    }

    /// Ends the session, and the browser with it. By hand: nothing can be awaited where a value is dropped.
    fn quit(&self) -> std::io::Result<()> {
        let mut driver = TcpStream::connect(("127.0.0.1", self.port))?;
        driver.set_read_timeout(Some(crate::PATIENCE))?;
        let session = &self.session;
        write!(driver, "DELETE /session/{session} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n")?;
        // It answers when the browser has gone.
        driver.read(&mut [0; 64]).map(drop)
    }

    /// Makes the window so large.
    pub async fn size(&self, width: u32, height: u32) {
        self.client.set_window_size(width, height).await.unwrap();
    }

    /// Goes to a page, and waits until its scripts run.
    pub async fn go(&self, path: &str) {
        self.client.goto(&format!("{}{path}", self.console)).await.unwrap();
    }

    /// What a script gives; `script` is an expression.
    pub async fn see(&self, script: &str) -> Value {
        self.client.execute(&format!("return ({script})"), Vec::new()).await.unwrap()
    }

    /// Waits until an expression is true.
    pub async fn until(&self, script: &str) {
        eventually(script, || async {
            (self.client.execute(&format!("return ({script})"), Vec::new()).await.ok()? == json!(true))
                .then_some(())
        })
        .await;
    }

    /// Waits until the page says this.
    pub async fn reads(&self, text: &str) {
        self.until(&format!("document.body.innerText.includes({})", json!(text))).await;
    }

    /// Clicks on the first element that a selector finds.
    pub async fn click(&self, selector: &str) {
        self.until(&format!("document.querySelector({}) !== null", json!(selector))).await;
        self.client.find(Locator::Css(selector)).await.unwrap().click().await.unwrap();
    }

    /// Clicks on it while Shift is held.
    pub async fn shift_click(&self, selector: &str) {
        let element = self.client.find(Locator::Css(selector)).await.unwrap();
        let (none, shift) = (Duration::ZERO, char::from(Key::Shift));
        let keys = KeyActions::new("keys".into())
            .then(KeyAction::Down { value: shift })
            .then(KeyAction::Pause { duration: none })
            .then(KeyAction::Pause { duration: none })
            .then(KeyAction::Up { value: shift });
        let mouse = MouseActions::new("mouse".into())
            .then(PointerAction::MoveToElement { element, duration: Some(none), x: 0.0, y: 0.0 })
            .then(PointerAction::Down { button: MOUSE_BUTTON_LEFT })
            .then(PointerAction::Up { button: MOUSE_BUTTON_LEFT });
        self.client.perform_actions(Actions::from(keys).and(mouse)).await.unwrap();
    }

    /// Presses a key, as people do who have no mouse, once the page's scripts listen.
    pub async fn press(&self, keys: &str) {
        self.until("document.readyState === 'complete'").await;
        self.client.active_element().await.unwrap().send_keys(keys).await.unwrap();
    }

    /// Keeps what it looks like in `target/screenshots`, for a person to look at.
    pub async fn keep(&self, name: &str) {
        // Also those that are loaded lazily and in sight. To ask where one is that is not drawn would draw it.
        self.until("[...document.images].filter(i => { if (!i.checkVisibility({contentVisibilityAuto: true})) return false; const r = i.getBoundingClientRect(); return r.bottom > 0 && r.top < innerHeight }).every(i => i.complete)").await;
        let folder = repository().join("target/screenshots");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(format!("{name}.png")), self.client.screenshot().await.unwrap()).unwrap();
    }

    /// Has axe look at the page; fails on what it calls serious or critical. Skips it where there is no axe.
    pub async fn is_accessible(&self, what: &str) {
        let file: PathBuf = repository().join(".tagfleet/axe/axe.min.js");
        let Ok(axe) = std::fs::read_to_string(&file) else {
            let reason = format!("no axe at {} (scripts/setup.sh fetches it)", file.display());
            lacks("axe", &reason);
            return;
        };
        self.client.execute(&axe, Vec::new()).await.unwrap();
        let run = "const done = arguments[0]; axe.run().then((all) => done(all.violations
            .filter((found) => ['serious', 'critical'].includes(found.impact))
            .map((found) => `${found.id}: ${found.help}: ${found.nodes.map((node) => node.html + ' ' + node.failureSummary).join(' | ')}`)),
            (error) => done([String(error)]))";
        let found = self.client.execute_async(run, Vec::new()).await.unwrap();
        assert_eq!(found, json!([]), "{what}");
    }
}

/// A key that is no character, to be pressed.
pub fn key(key: Key) -> String {
    char::from(key).to_string()
}

/// A key that is pressed while another is held.
pub fn chord(held: Key, pressed: impl Into<char>) -> String {
    format!("{}{}", char::from(held), pressed.into())
}
