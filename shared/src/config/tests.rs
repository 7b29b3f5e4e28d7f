use super::*;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    broker: Broker,
    wait: Wait,
}
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Broker {
    url: String,
    prefetch: u16,
    hosts: Vec<String>,
    client_password: String,
    token: String,
}
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wait {
    #[serde(with = "humantime_serde")]
    grace: std::time::Duration,
}
impl Check for Settings {
    fn check(&self, problems: &mut Vec<String>) {
        if self.broker.prefetch == 0 {
            problems.push("broker.prefetch must be at least 1".into());
        }
    }
}

const DEFAULTS: &str = "
    [broker]\nurl = ''\nprefetch = 8\nhosts = []\nclient_password = ''\ntoken = ''\n[wait]\ngrace = '25s'\n";

fn with(variables: &[(&str, &str)]) -> Result<Loaded<Settings>, ConfigError> {
    load(DEFAULTS, None, variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())))
}

#[test]
fn the_environment_wins_over_the_file_and_the_file_over_the_defaults() {
    let dir = std::env::temp_dir().join(format!("tagfleet-config-{}", std::process::id()));
    std::fs::write(&dir, "[broker]\nprefetch = 9\nurl = 'amqp://file'\n").unwrap();
    let variables = [("TAGFLEET__BROKER__URL".to_owned(), "amqp://env".to_owned())];
    let loaded: Loaded<Settings> = load(DEFAULTS, Some(&dir), variables).unwrap();
    std::fs::remove_file(&dir).unwrap();
    assert_eq!(loaded.config.broker.prefetch, 9);
    assert_eq!(loaded.config.broker.url, "amqp://env");
    assert_eq!(loaded.config.wait.grace.as_secs(), 25);
}

#[test]
fn every_problem_is_told_at_once() {
    let error = with(&[
        ("TAGFLEET__BROKER__PREFETCH", "many"),
        ("TAGFLEET__BROKER__PREFECH", "4"),
        ("TAGFLEET__WAIT__GRACE", "soon"),
    ])
    .unwrap_err();
    assert_eq!(error.0.len(), 3, "{error}");
    let text = error.to_string();
    assert!(text.contains(
        "broker.prefech (TAGFLEET__BROKER__PREFECH): no such setting, did you mean broker.prefetch?"
    ));
    assert!(text.contains("broker.prefetch (TAGFLEET__BROKER__PREFETCH): "), "{text}");
    assert!(text.contains("wait.grace (TAGFLEET__WAIT__GRACE): "), "{text}");
}

#[test]
fn a_value_that_cannot_work_is_told_by_its_key() {
    let error = with(&[("TAGFLEET__BROKER__PREFETCH", "0")]).unwrap_err();
    assert_eq!(error.0, ["broker.prefetch must be at least 1"]);
}

#[test]
fn a_list_is_separated_by_commas() {
    let loaded = with(&[("TAGFLEET__BROKER__HOSTS", "10.0.0.0/8, 127.0.0.1/32")]).unwrap();
    assert_eq!(loaded.config.broker.hosts, ["10.0.0.0/8", "127.0.0.1/32"]);
}

#[test]
fn passwords_are_never_shown() {
    let loaded = with(&[("TAGFLEET__BROKER__URL", "amqp://me:secret@host/%2f")]).unwrap();
    assert!(loaded.shown.contains("amqp://me:hidden@host/%2f"), "{}", loaded.shown);
    assert!(!loaded.shown.contains("secret"));
    let lists = with(&[("TAGFLEET__BROKER__HOSTS", "amqp://a:secret@b, amqp://:secret@c")]).unwrap();
    assert!(!lists.shown.contains("secret"), "{}", lists.shown);
}

/// A password that stands in no URL is one all the same.
#[test]
fn a_setting_that_is_a_secret_as_a_whole_is_never_shown() {
    let loaded = with(&[("TAGFLEET__BROKER__CLIENT_PASSWORD", "hush"), ("TAGFLEET__BROKER__TOKEN", "1234")]);
    let Loaded { config: Settings { broker, .. }, shown } = loaded.unwrap();
    assert_eq!((&*broker.client_password, &*broker.token), ("hush", "1234"));
    assert!(
        shown.contains("client_password = \"hidden\"\n") && shown.contains("token = \"hidden\"\n"),
        "{shown}"
    );
    assert!(!shown.contains("hush") && !shown.contains("1234"), "{shown}");
    assert!(with(&[]).unwrap().shown.contains("client_password = \"\"\n"));
}

#[test]
fn a_mistake_in_a_file_is_told_without_what_stands_there() {
    for mistake in
        ["[broker]\nurl = \"amqp://me:secret@host", "[broker]\nurl = 'a'\nurl = 'amqp://me:secret@b'"]
    {
        let path = std::env::temp_dir().join(format!("tagfleet-mistake-{}", uuid::Uuid::new_v4()));
        std::fs::write(&path, mistake).unwrap();
        let error = load::<Settings>(DEFAULTS, Some(&path), []).unwrap_err().to_string();
        std::fs::remove_file(&path).unwrap();
        assert!(error.contains(": line ") && !error.contains("secret"), "{error}");
    }
}

/// As Kubernetes mounts a secret.
#[test]
fn a_secret_may_come_from_a_file_of_its_own() {
    let path = std::env::temp_dir().join(format!("tagfleet-secret-{}", uuid::Uuid::new_v4()));
    std::fs::write(&path, "amqp://me:secret@host/%2f\n").unwrap();
    let loaded = with(&[("TAGFLEET__BROKER__URL_FILE", path.to_str().unwrap())]).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(loaded.config.broker.url, "amqp://me:secret@host/%2f");
    assert!(!loaded.shown.contains("secret"), "{}", loaded.shown);

    let error = with(&[("TAGFLEET__BROKER__URL_FILE", path.to_str().unwrap())]).unwrap_err().to_string();
    assert!(error.contains("broker.url_file (TAGFLEET__BROKER__URL_FILE): "), "{error}");
    assert!(with(&[("TAGFLEET__BROKER__NAME_FILE", "/dev/null")]).is_err());
}
