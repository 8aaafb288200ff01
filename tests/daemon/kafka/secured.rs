//! Kafka over TLS, and by each mechanism of SASL. For builds that can: `make tls` makes one and runs these.

use serde_json::{Value, json};
use tempfile::TempDir;

use super::place::Place;
use crate::servers::kafka::{Kafka, Outside};
use crate::servers::kafka_secured::{
    ClientCertificate, PASSWORD, USER, give_tokens, with_sasl, with_tls, write_certificates,
};
use crate::wait::{LONG_PATIENCE, wait_until};

fn certificates() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    write_certificates(folder.path());
    folder
}

fn file(certificates: &TempDir, name: &str) -> String {
    certificates.path().join(name).display().to_string()
}

/// What is there is consumed, what is sent is too, and `check --online` finds all well.
#[track_caller]
fn all_is_well(place: &Place<'_>) {
    place.produce(&["of another program".to_owned()]);
    let checked = place.world.run(&["check", "--online"]);
    assert!(checked.status.success(), "{checked:?}");
    let daemon = place.world.start();
    place.world.output(&["send", "work", "of our own"]);
    wait_until("both records", LONG_PATIENCE, || {
        let ledger = place.world.ledger();
        let has = |body| !ledger.of_body(body).is_empty();
        has("of another program") && has("of our own")
    });
    daemon.stop();
    let observer = place.observer();
    assert_eq!(place.uncommitted(&observer), 0);
}

#[track_caller]
fn check_refuses(place: &Place<'_>, wanted: &str) {
    let checked = place.world.run(&["check", "--online"]);
    let said = String::from_utf8_lossy(&checked.stdout);
    assert_eq!(checked.status.code(), Some(1), "{said}");
    assert!(said.contains("NOT REACHED"), "{said}");
    assert!(said.contains(wanted), "{said}");
}

#[test]
#[cfg_attr(
    not(feature = "tls-system"),
    ignore = "this build lacks TLS: `make tls` runs it"
)]
fn a_topic_is_read_and_written_over_tls_with_a_certificate_on_both_sides() {
    let certificates = certificates();
    let outside = Outside::new("SSL");
    let address = outside.address.clone();
    let settings = with_tls(certificates.path(), ClientCertificate::Required);
    let Some(server) = Kafka::with_outside(outside, &settings) else {
        return;
    };
    let place = Place::new(&server, 2, &json!({}));
    let properties = json!({
        "security.protocol": "SSL",
        "ssl.ca.location": file(&certificates, "ca.pem"),
        "ssl.certificate.location": file(&certificates, "client.pem"),
        "ssl.key.location": file(&certificates, "client.key"),
    });
    place.reach_by(&address, &properties);
    all_is_well(&place);
    // The certificate of somebody else's authority.
    let other = self::certificates();
    place.reach_by(
        &address,
        &json!({ "ssl.ca.location": file(&other, "ca.pem") }),
    );
    check_refuses(&place, "certificate verify failed");
}

#[test]
#[cfg_attr(
    not(feature = "tls-system"),
    ignore = "this build lacks TLS: `make tls` runs it"
)]
fn a_topic_is_read_and_written_by_each_mechanism_of_sasl() {
    let certificates = certificates();
    let outside = Outside::new("SASL_SSL");
    let address = outside.address.clone();
    let settings = with_tls(certificates.path(), ClientCertificate::NotAsked) + &with_sasl();
    let Some(server) = Kafka::with_scram(outside, &settings) else {
        return;
    };
    let by_name = |mechanism: &str, password: &str| {
        json!({
            "security.protocol": "SASL_SSL",
            "ssl.ca.location": file(&certificates, "ca.pem"),
            "sasl.mechanism": mechanism,
            "sasl.username": USER,
            "sasl.password": password,
        })
    };
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let place = Place::new(&server, 2, &json!({}));
        place.reach_by(&address, &by_name(mechanism, PASSWORD));
        all_is_well(&place);
        place.reach_by(&address, &by_name(mechanism, "another"));
        check_refuses(&place, "Authentication failed");
        let log = place.world.all_logs();
        assert!(!log.contains(PASSWORD), "{mechanism}: {log}");
    }
}

#[test]
#[cfg_attr(
    not(feature = "oidc"),
    ignore = "this build asks for no tokens: `make tls` runs it"
)]
fn a_topic_is_read_and_written_with_tokens_of_an_openid_provider() {
    let certificates = certificates();
    let outside = Outside::new("SASL_SSL");
    let address = outside.address.clone();
    let settings = with_tls(certificates.path(), ClientCertificate::NotAsked) + &with_sasl();
    let Some(server) = Kafka::with_outside(outside, &settings) else {
        return;
    };
    let by_token = |server: &str| -> Value {
        json!({
            "security.protocol": "SASL_SSL",
            "ssl.ca.location": file(&certificates, "ca.pem"),
            "sasl.mechanism": "OAUTHBEARER",
            "sasl.oauthbearer.method": "oidc",
            "sasl.oauthbearer.client.id": USER,
            "sasl.oauthbearer.client.secret": PASSWORD,
            "sasl.oauthbearer.token.endpoint.url": server,
        })
    };
    let place = Place::new(&server, 2, &json!({}));
    place.reach_by(&address, &by_token(&give_tokens()));
    all_is_well(&place);
    // Where nobody gives tokens.
    place.reach_by(&address, &by_token("http://127.0.0.1:1/token"));
    check_refuses(&place, "OAUTHBEARER");
}
