//! What can be broken: one table.

/// How the application behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Behaviour {
    /// Answers.
    Healthy,
    /// Hangs up in the middle of its answer.
    Crashing,
    /// Takes the request and says nothing.
    Hanging,
    /// Answers with more header than nginx's default buffer takes.
    BigHeader,
    /// Answers with a header line that is none.
    Garbage,
    /// Listens with a short queue and takes no connection out of it.
    Full,
    /// Makes its unix socket with a mode that lets nobody write to it.
    Shut,
}

impl Behaviour {
    const ALL: &[(Self, &str)] = &[
        (Self::Healthy, "healthy"),
        (Self::Crashing, "crashing"),
        (Self::Hanging, "hanging"),
        (Self::BigHeader, "big-header"),
        (Self::Garbage, "garbage"),
        (Self::Full, "full"),
        (Self::Shut, "shut"),
    ];

    /// Its word on the application's command line.
    pub(super) fn word(self) -> &'static str {
        Self::ALL.iter().find(|(behaviour, _)| *behaviour == self).map_or("healthy", |(_, word)| word)
    }

    /// Of its word.
    pub(super) fn of(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == word).map(|(behaviour, _)| *behaviour)
    }
}

/// What the application listens on at first. `None` of [`Fault::app`]: it does not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Socket {
    /// A port of 127.0.0.1.
    Tcp,
    /// A unix socket in the demo's directory.
    Unix,
}

/// Where the gateway's configuration points at first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// Where the application listens, or would.
    App,
    /// A port that nothing listens on.
    OldPort,
    /// A name that does not exist (RFC 6761 section 6.4).
    NoName,
    /// The application's port, spoken to in TLS.
    Tls,
}

/// What happens after the gateway has started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Twist {
    /// Nothing.
    None,
    /// The configuration is corrected on disk, without a reload.
    EditOnly,
    /// The configuration is edited so that it does not load, and reloaded.
    BreakConfig,
}

/// What heals it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Remedy {
    /// A healthy application where the configuration points.
    App,
    /// A configuration that points to the application, and a reload.
    Config,
    /// A larger buffer, and a reload.
    Buffer,
    /// A reload.
    Reload,
}

/// A fault.
#[derive(Debug)]
pub struct Fault {
    /// Its word on the command line.
    pub id: &'static str,
    /// What is broken: one sentence.
    pub what: &'static str,
    /// How it is healed: one sentence.
    pub heal: &'static str,
    /// Cause ids that are right answers.
    pub causes: &'static [&'static str],
    /// The confidence that is promised for them, where one is.
    pub confidence: Option<&'static str>,
    pub(super) app: Option<(Socket, Behaviour)>,
    pub(super) target: Target,
    pub(super) twist: Twist,
    pub(super) remedy: Remedy,
}

/// Most are an application on a port, pointed to rightly.
const PLAIN: Fault = Fault {
    id: "",
    what: "",
    heal: "",
    causes: &[],
    confidence: Some("confirmed"),
    app: Some((Socket::Tcp, Behaviour::Healthy)),
    target: Target::App,
    twist: Twist::None,
    remedy: Remedy::App,
};

/// All faults; the first is the one that is shown when none is named.
pub static FAULTS: &[Fault] = &[
    Fault {
        id: "app-stopped",
        what: "the application does not run",
        heal: "starts the application",
        causes: &["upstream-down"],
        app: None,
        ..PLAIN
    },
    Fault {
        id: "app-moved",
        what: "the application listens on another port than nginx.conf says",
        heal: "writes the new port into nginx.conf and reloads",
        causes: &["upstream-wrong-address"],
        target: Target::OldPort,
        remedy: Remedy::Config,
        ..PLAIN
    },
    Fault {
        id: "app-crashing",
        what: "the application hangs up in the middle of its answer",
        heal: "replaces the application by a release that works",
        causes: &["upstream-crashing"],
        app: Some((Socket::Tcp, Behaviour::Crashing)),
        ..PLAIN
    },
    Fault {
        id: "app-hanging",
        what: "the application takes requests and never answers",
        heal: "replaces the application by a release that works",
        causes: &["upstream-timeout"],
        app: Some((Socket::Tcp, Behaviour::Hanging)),
        ..PLAIN
    },
    Fault {
        id: "header-too-big",
        what: "the application's response header is larger than the gateway's buffer",
        heal: "raises proxy_buffer_size in nginx.conf and reloads",
        causes: &["response-header-too-big"],
        app: Some((Socket::Tcp, Behaviour::BigHeader)),
        remedy: Remedy::Buffer,
        ..PLAIN
    },
    Fault {
        id: "garbage",
        what: "the application's answer is no valid HTTP",
        heal: "replaces the application by a release that works",
        causes: &["invalid-response"],
        app: Some((Socket::Tcp, Behaviour::Garbage)),
        ..PLAIN
    },
    Fault {
        id: "tls-to-plain",
        what: "nginx.conf says https:// for an application that speaks plain HTTP",
        heal: "writes http:// into nginx.conf and reloads",
        causes: &["protocol-mismatch"],
        target: Target::Tls,
        remedy: Remedy::Config,
        ..PLAIN
    },
    Fault {
        id: "queue-full",
        what: "the application takes no connections out of its listen queue, and the queue is full",
        heal: "replaces the application by one that keeps up",
        causes: &["upstream-overloaded"],
        app: Some((Socket::Unix, Behaviour::Full)),
        ..PLAIN
    },
    Fault {
        id: "socket-permission",
        what: "the gateway's user may not open the application's unix socket",
        heal: "replaces the application by one that makes its socket with the right mode",
        causes: &["upstream-socket-permission"],
        app: Some((Socket::Unix, Behaviour::Shut)),
        ..PLAIN
    },
    Fault {
        id: "config-not-reloaded",
        what: "nginx.conf was corrected after the application had moved, but never reloaded",
        heal: "reloads the gateway",
        causes: &["gateway-config-not-reloaded"],
        confidence: None,
        target: Target::OldPort,
        twist: Twist::EditOnly,
        remedy: Remedy::Reload,
        ..PLAIN
    },
    Fault {
        id: "config-invalid",
        what: "an edit of nginx.conf does not load, so the gateway goes on with what it had before",
        heal: "takes the edit back and reloads",
        causes: &["gateway-config-invalid"],
        confidence: None,
        twist: Twist::BreakConfig,
        remedy: Remedy::Config,
        ..PLAIN
    },
    Fault {
        id: "name-unresolved",
        what: "the name in nginx.conf does not resolve",
        heal: "writes the application's address into nginx.conf and reloads",
        causes: &["dns-failure"],
        target: Target::NoName,
        remedy: Remedy::Config,
        ..PLAIN
    },
];

/// The fault of this id.
pub fn by_id(id: &str) -> Option<&'static Fault> {
    FAULTS.iter().find(|fault| fault.id == id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_has_its_own_name_and_words() {
        for (index, fault) in FAULTS.iter().enumerate() {
            assert!(by_id(fault.id).is_some_and(|found| std::ptr::eq(found, &raw const FAULTS[index])), "{} twice", fault.id);
            assert!(!fault.what.is_empty() && !fault.heal.is_empty() && !fault.causes.is_empty(), "{}", fault.id);
        }
        for (behaviour, word) in Behaviour::ALL {
            assert_eq!((Behaviour::of(word), behaviour.word()), (Some(*behaviour), *word));
        }
    }
}
