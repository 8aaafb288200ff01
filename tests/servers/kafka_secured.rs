//! Brokers that take nobody without TLS and a name: certificates, users, and a server that gives tokens.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

/// Who may come, by any mechanism.
pub const USER: &str = "daemon";
pub const PASSWORD: &str = "hunter2";

/// Writes `ca.pem`, and for broker and client a key with its certificate: `broker.pem`, and `client.key` and `client.pem`.
pub fn write_certificates(into: &Path) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    // One name for all of them would make each its own authority.
    params.distinguished_name.push(DnType::CommonName, "ca");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    fs::write(into.join("ca.pem"), ca.pem()).unwrap();
    let signed = |name: &str| {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.signed_by(&key, &ca).unwrap();
        (key.serialize_pem(), certificate.pem())
    };
    let (key, certificate) = signed("127.0.0.1");
    fs::write(into.join("broker.pem"), key + &certificate).unwrap();
    let (key, certificate) = signed(USER);
    fs::write(into.join("client.key"), key).unwrap();
    fs::write(into.join("client.pem"), certificate).unwrap();
}

/// Settings of a broker for a listener `OUTSIDE` with TLS.
pub fn with_tls(certificates: &Path, client: ClientCertificate) -> String {
    let client = match client {
        ClientCertificate::Required => "required",
        ClientCertificate::NotAsked => "none",
    };
    format!(
        "listener.name.outside.ssl.keystore.type=PEM\n\
         listener.name.outside.ssl.keystore.location={0}/broker.pem\n\
         listener.name.outside.ssl.truststore.type=PEM\n\
         listener.name.outside.ssl.truststore.location={0}/ca.pem\n\
         listener.name.outside.ssl.client.auth={client}\n",
        certificates.display()
    )
}

#[derive(Debug, Clone, Copy)]
pub enum ClientCertificate {
    Required,
    NotAsked,
}

/// Settings of a broker for a listener `OUTSIDE` with each mechanism of SASL that is tested.
pub fn with_sasl() -> String {
    const MODULES: &str = "org.apache.kafka.common.security";
    let module = |mechanism: &str, class: &str, options: &str| {
        format!(
            "listener.name.outside.{mechanism}.sasl.jaas.config={MODULES}.{class} required {options};\n"
        )
    };
    [
        "listener.name.outside.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER\n".to_owned(),
        module(
            "plain",
            "plain.PlainLoginModule",
            &format!("user_{USER}=\"{PASSWORD}\""),
        ),
        module("scram-sha-256", "scram.ScramLoginModule", ""),
        module("scram-sha-512", "scram.ScramLoginModule", ""),
        module(
            "oauthbearer",
            "oauthbearer.OAuthBearerLoginModule",
            "unsecuredLoginStringClaim_sub=\"broker\"",
        ),
    ]
    .concat()
}

/// A server that gives a token to every caller, as an OpenID provider would. Answers its address. The broker takes the
/// token without a signature: what is tested is the way of one.
pub fn give_tokens() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            thread::spawn(|| answer(stream.unwrap()));
        }
    });
    format!("http://{address}/token")
}

fn answer(mut stream: TcpStream) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap() == 0 {
            return;
        }
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let now = now.as_secs();
    let encoded = |json: String| URL_SAFE_NO_PAD.encode(json);
    let token = format!(
        "{}.{}.",
        encoded("{\"alg\":\"none\"}".to_owned()),
        encoded(format!(
            "{{\"sub\":\"{USER}\",\"iat\":{now},\"exp\":{}}}",
            now + 3600
        )),
    );
    let body =
        format!("{{\"access_token\":\"{token}\",\"token_type\":\"Bearer\",\"expires_in\":3600}}");
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).unwrap();
}
