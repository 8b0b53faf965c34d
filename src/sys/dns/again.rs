//! The same question to each server that decides, again and again: a server that is silent or wrong some of the time is missed by one
//! look, and breaks a share of the requests.

use std::{net::SocketAddr, time::Duration};

use futures_util::future::join_all;

use super::{
    Dns, FILES, NameError, OWN_SERVERS, error,
    files::{self, Files},
    server::{Question, ask, no_answer},
};
use crate::{
    model::{NameFault, NamesView, Order as _, Resolution, ServerAnswer, ServerOf},
    sys,
};

/// Questions to one server, at most: of a fault that breaks a fifth, two are met with 93 %.
const EACH: u32 = 20;
/// Different answers of one server that are kept, the commonest.
const DIFFERENT: usize = 4;

impl Dns {
    /// Asks the servers that decide for a name, in turn and so far apart, with so many questions in all. The view has an entry for
    /// each different answer of a server, the commonest first, with its share.
    pub async fn again(
        &self,
        name: &str,
        resolution: &Resolution,
        questions: u32,
        apart: Duration,
    ) -> Result<NamesView, NameError> {
        let (root, asked) = (self.root.clone(), name.to_owned());
        let files = sys::blocking(FILES, move || files::read(&root, &asked)).await;
        let unread = || error(name, NameFault::Silent, "the files in /etc could not be read in time".to_owned());
        let files = files.ok_or_else(unread)?;
        let own = resolution.servers().filter(|own| !own.servers.is_empty());
        let places: Vec<(String, Option<SocketAddr>, ServerOf)> = if let Some(own) = own {
            let of = own.servers.iter().take(OWN_SERVERS);
            join_all(of.map(|written| async move { (written.clone(), self.place(written).await, ServerOf::Gateway) })).await
        } else {
            let of = files.servers.iter().map(|ip| SocketAddr::new(*ip, self.port));
            of.map(|at| (at.to_string(), Some(at), ServerOf::Host)).collect()
        };
        let plain = [name.trim_end_matches('.').to_owned()];
        let names: &[String] = if own.is_some() { &plain } else { &files.candidates };
        let (four, six) = (own.is_none_or(|own| !own.no_ipv4), own.is_some_and(|own| own.no_ipv4));
        let question = Question { names, four, six };
        let count = u32::try_from(places.len()).unwrap_or(u32::MAX).max(1);
        let each = (questions / count).clamp(1, EACH);
        let answers = join_all((0..).zip(&places).map(|(index, (written, at, of))| {
            let tries = (0..each).map(move |turn| async move {
                tokio::time::sleep(apart * (turn * count + index)).await;
                match at {
                    Some(at) => ask(*at, *of, question).await,
                    None => no_answer(written, *of, NameFault::NoServer, "its own name does not resolve".to_owned()),
                }
            });
            join_all(tries)
        }))
        .await;
        let Files { hosts, modules, search, .. } = files;
        let servers = answers.into_iter().flat_map(different).collect();
        Ok(NamesView {
            name: name.to_owned(),
            resolution: resolution.clone(),
            hosts,
            modules,
            search,
            servers,
            ..NamesView::default()
        })
    }
}

/// The different answers of one server, the commonest first.
fn different(answers: Vec<ServerAnswer>) -> Vec<ServerAnswer> {
    let of = u32::try_from(answers.len()).unwrap_or(u32::MAX);
    let mut found: Vec<ServerAnswer> = Vec::new();
    for mut answer in answers {
        // Round robin gives the same addresses in another order.
        answer.ips.sort_unstable();
        match found.iter_mut().find(|known| known.fault == answer.fault && known.ips == answer.ips) {
            Some(known) => known.share = known.share.map(|(times, of)| (times + 1, of)),
            None => found.push(ServerAnswer { share: Some((1, of)), ..answer }),
        }
    }
    found.order_by_key(|answer| std::cmp::Reverse(answer.share));
    found.truncate(DIFFERENT);
    found
}
