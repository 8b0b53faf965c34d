//! The line of a configuration that a cause, a finding or a probe is about: where an editor is to be opened.

use std::path::PathBuf;

use super::{Assessment, Scene};
use crate::model::{Address, Cause, Gateway, Place, ProbeJob};

/// A file, and a line from 1.
pub type At = (PathBuf, u32);

fn at(place: &Place) -> At {
    (place.file.as_ref().clone(), place.line)
}

/// `/etc/nginx/conf.d/shop.conf:14`, as findings tell it.
fn read(place: &str) -> Option<At> {
    let (file, line) = place.rsplit_once(':')?;
    let line = line.parse().ok()?;
    file.starts_with('/').then(|| (PathBuf::from(file), line))
}

/// Whether a file can be opened here by that name: not where the gateway has a file system of its own.
fn here(scene: &Scene, file: &PathBuf) -> bool {
    let of = |gateway: &&Gateway| gateway.config == *file || gateway.files.iter().any(|(known, _)| known == file);
    scene.gateways.iter().find(of).is_none_or(|gateway| gateway.inside.is_none())
}

/// Where this address is written.
pub fn of_address(scene: &Scene, address: &Address) -> Option<At> {
    let (_, _, route) = scene.routes_to(address).into_iter().next()?;
    let server = route.servers.iter().find(|server| server.address == *address);
    let found = at(server.map_or(&route.at, |server| &server.at));
    here(scene, &found.0).then_some(found)
}

/// What a probe is about.
pub fn of_probe(scene: &Scene, job: &ProbeJob) -> Option<At> {
    of_address(scene, &job.address).or_else(|| job.upstreams.iter().find_map(|subject| of_address(scene, &subject.0.parse().ok()?)))
}

/// What a finding is about.
pub fn of_place(scene: &Scene, place: &str) -> Option<At> {
    read(place).filter(|found| here(scene, &found.0))
}

/// What a cause is about: the line at which the gateway's own test fails, that of a finding about it, that of the address.
pub fn of_cause(scene: &Scene, assessment: &Assessment, cause: &Cause) -> Option<At> {
    let tests = scene.gateways.iter().filter_map(|gateway| gateway.test.as_ref().filter(|test| !test.passed)?.at.as_ref());
    let tested = tests.filter(|_| cause.id == "gateway-config-invalid").map(at).find(|found| here(scene, &found.0));
    let finding = || {
        let own = assessment.findings.iter().filter(|finding| finding.cause.as_ref() == Some(&cause.id));
        own.into_iter().find_map(|finding| of_place(scene, &finding.place))
    };
    tested.or_else(finding).or_else(|| of_address(scene, &cause.subject.0.parse().ok()?))
}
