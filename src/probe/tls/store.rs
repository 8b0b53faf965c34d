//! Files that the gateway's TLS needs: anchors, the host's own anchors, the client certificate with its key.
//!
//! Read as whoever we are; what may not be read makes the answer unknown. A key is used for the handshake and told to nobody.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rustls::{
    crypto::ring,
    pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, pem::PemObject as _},
    sign::CertifiedKey,
};

use super::super::x509::{Cert, crl::Crl};
use crate::{
    model::TrustSettings,
    sys::{self, Root, Sys},
};

/// How long reading may take: a file system that hangs is not waited for.
const READ: Duration = Duration::from_secs(1);
/// Bytes of a file of certificates: the largest bundle of public anchors has 250 kB.
const BYTES: u64 = 4 << 20;
/// Bytes of a file of revocation lists.
const CRL_BYTES: u64 = 16 << 20;
/// Files of a folder that are read.
const FILES: usize = 1_000;
/// Files that are remembered.
const REMEMBERED: usize = 64;
/// Where distributions keep the host's anchors: Debian and Alpine, RHEL, openSUSE, others.
const SYSTEM: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/ssl/cert.pem",
];

/// Anchors, file by file, and where they are from.
pub(super) type Anchors = (Vec<Arc<Vec<Cert>>>, String);

/// A file as it was read: by path, size and time.
type Key = (PathBuf, u64, i64, (u64, u64));
static MEMORY: Mutex<Option<HashMap<Key, Arc<Vec<Cert>>>>> = Mutex::new(None);

/// The anchors of these settings.
pub(super) async fn anchors(sys: &Sys, settings: &TrustSettings) -> Result<Anchors, String> {
    let (root, settings) = (sys.root.clone(), settings.clone());
    sys::blocking(READ, move || read_anchors(&root, &settings))
        .await
        .unwrap_or_else(|| Err("its files were not read in time".to_owned()))
}

fn read_anchors(root: &Root, settings: &TrustSettings) -> Result<Anchors, String> {
    let (mut all, mut told) = (Vec::new(), Vec::new());
    if let Some(file) = &settings.ca_file {
        all.push(certificates(root, file)?);
        told.push(file.display().to_string());
    }
    if let Some(folder) = &settings.ca_dir {
        for name in root.list(folder).map_err(|error| error.to_string())?.into_iter().take(FILES) {
            // A folder has links, READMEs and keys in it, too.
            if let Ok(certs) = certificates(root, &folder.join(name)) {
                all.push(certs);
            }
        }
        told.push(folder.display().to_string());
    }
    if settings.system_roots {
        let found = SYSTEM.iter().map(Path::new).find_map(|path| Some((path, certificates(root, path).ok()?)));
        let (path, certs) = found.ok_or("this host has no file of public authorities where one is looked for")?;
        all.push(certs);
        told.push(path.display().to_string());
    }
    Ok((all, told.join(" and ")))
}

/// The revocation lists of these settings. `None`: the gateway uses none, or they can't be read.
pub(super) async fn lists(sys: &Sys, settings: &TrustSettings) -> Option<Vec<Crl>> {
    if settings.crl_file.is_none() && settings.crl_dir.is_none() {
        return None;
    }
    let (root, settings) = (sys.root.clone(), settings.clone());
    sys::blocking(READ, move || read_lists(&root, &settings)).await.flatten()
}

fn read_lists(root: &Root, settings: &TrustSettings) -> Option<Vec<Crl>> {
    let of = |path: &Path| -> Option<Vec<Crl>> {
        let (bytes, more) = root.read_at_most(path, CRL_BYTES).ok()?;
        let pem = CertificateRevocationListDer::pem_slice_iter(&bytes);
        (!more).then(|| pem.map(|der| Crl::read(&der.ok()?)).collect()).flatten()
    };
    let mut all = Vec::new();
    if let Some(file) = &settings.crl_file {
        all.extend(of(file)?);
    }
    if let Some(folder) = &settings.crl_dir {
        // A folder has links, READMEs and others in it, too.
        all.extend(root.list(folder).ok()?.into_iter().take(FILES).filter_map(|name| of(&folder.join(name))).flatten());
    }
    Some(all)
}

/// The certificates of a file; remembered while the file does not change.
fn certificates(root: &Root, path: &Path) -> Result<Arc<Vec<Cert>>, String> {
    let info = root.stat(path).map_err(|error| error.to_string())?;
    let key: Key = (path.to_owned(), info.size, info.modified, info.id);
    let known = MEMORY.lock().unwrap_or_else(PoisonError::into_inner).as_ref().and_then(|memory| memory.get(&key).cloned());
    if let Some(known) = known {
        return Ok(known);
    }
    let (bytes, more) = root.read_at_most(path, BYTES).map_err(|error| error.to_string())?;
    if more {
        return Err(format!("{} has more than {} MB", path.display(), BYTES >> 20));
    }
    let certs: Vec<Cert> = CertificateDer::pem_slice_iter(&bytes).filter_map(|der| Cert::read(&der.ok()?)).collect();
    if certs.is_empty() {
        return Err(format!("{} has no certificate that can be read", path.display()));
    }
    let certs = Arc::new(certs);
    let mut memory = MEMORY.lock().unwrap_or_else(PoisonError::into_inner);
    let memory = memory.get_or_insert_default();
    if memory.len() >= REMEMBERED {
        memory.clear();
    }
    memory.insert(key, Arc::clone(&certs));
    Ok(certs)
}

/// The gateway's client certificate and key. `None`: it has none.
pub(super) async fn client(sys: &Sys, settings: &TrustSettings) -> Option<Result<Arc<CertifiedKey>, String>> {
    let certificate = settings.client_cert.clone()?;
    let key = settings.client_key.clone().unwrap_or_else(|| certificate.clone());
    let root = sys.root.clone();
    let read = sys::blocking(READ, move || read_client(&root, &certificate, &key)).await;
    Some(read.unwrap_or_else(|| Err("its files were not read in time".to_owned())))
}

fn read_client(root: &Root, certificate: &Path, key: &Path) -> Result<Arc<CertifiedKey>, String> {
    let bytes = |path: &Path| root.read_at_most(path, BYTES).map(|(bytes, _)| bytes).map_err(|error| error.to_string());
    let certs: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&bytes(certificate)?).filter_map(Result::ok).collect();
    if certs.is_empty() {
        return Err(format!("{} has no certificate", certificate.display()));
    }
    let of_key = |what: &str| format!("{}: {what}", key.display());
    let der =
        PrivateKeyDer::from_pem_slice(&bytes(key)?).map_err(|_| of_key("no private key that can be read: it may be encrypted"))?;
    let signing = ring::default_provider()
        .key_provider
        .load_private_key(der)
        .map_err(|_| of_key("a key of a kind that is not known here"))?;
    Ok(Arc::new(CertifiedKey::new(certs, signing)))
}
