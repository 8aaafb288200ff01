//! The certificates of the authorities that a server's certificate is checked against.

use std::fs::File;
use std::io::BufReader;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// Those in the file, each of which must be one; without a file those of the system, of which some may be of no use.
pub(super) fn authorities(file: Option<&str>) -> Result<Vec<CertificateDer<'static>>, String> {
    let mut roots = RootCertStore::empty();
    let Some(file) = file else {
        let mut certificates = rustls_native_certs::load_native_certs().certs;
        certificates.retain(|certificate| roots.add(certificate.clone()).is_ok());
        return Ok(certificates);
    };
    let bad = |cause: &dyn std::fmt::Display| format!("`{file}`: {cause}");
    let opened = File::open(file).map_err(|cause| bad(&cause))?;
    let mut certificates = Vec::new();
    for certificate in CertificateDer::pem_reader_iter(BufReader::new(opened)) {
        let certificate = certificate.map_err(|cause| bad(&cause))?;
        roots
            .add(certificate.clone())
            .map_err(|cause| bad(&cause))?;
        certificates.push(certificate);
    }
    match certificates.is_empty() {
        true => Err(bad(&"no certificate in it")),
        false => Ok(certificates),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_certificate_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.pem");
        let missing = authorities(file.to_str()).unwrap_err();
        assert!(missing.contains("a.pem"), "{missing}");
        std::fs::write(&file, "nothing").unwrap();
        let empty = authorities(file.to_str()).unwrap_err();
        assert!(empty.contains("no certificate"), "{empty}");
    }
}
