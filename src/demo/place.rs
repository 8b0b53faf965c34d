//! The demo's private directory, with everything that it writes and the two programs that it runs.
//!
//! The programs are this one under other names: a hard link where the file system allows it, else a copy. Only so are they
//! what they pretend to be for everything that looks: `/proc/PID/exe` of the gateway ends in `nginx`, and a person can run
//! `nginx -t` from there.

use std::{
    ffi::OsString,
    fs, io,
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _, chown},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::Instance;
use crate::{
    model::Identity,
    sys::{Root, Users},
};

/// What the directory's name begins with.
const PREFIX: &str = "why502-demo-";
/// Names that are tried in one parent: others are taken by demos that run, or by leftovers of the same pid.
const NAMES: u32 = 20;
/// The user that the gateway and the application run as when root starts them.
const USER: &str = "nobody";

/// The directory. What removes it is the janitor, or [`super::Stage::end`].
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// It.
    pub(super) dir: PathBuf,
    /// As whom gateway and application run. `None`: as whoever starts them.
    pub(super) user: Option<Identity>,
}

/// Whether a path is of a directory that this program makes.
pub(super) fn is_ours(dir: &Path) -> bool {
    dir.is_absolute() && dir.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(PREFIX))
}

impl Place {
    /// Makes it in the first place of the host's temporary ones from which programs can be run.
    pub(super) fn create() -> io::Result<Self> {
        let program = std::env::current_exe()?;
        let root = rustix::process::geteuid().is_root();
        let user = root.then(|| Users::read(&Root::host()).identity(&Root::host(), USER)).flatten();
        let mut failed = io::Error::from(io::ErrorKind::NotFound);
        for parent in [std::env::temp_dir(), PathBuf::from("/var/tmp"), PathBuf::from("/dev/shm")] {
            // The title of a process is one text: a path with blanks in it could not be told from two.
            if !parent.is_absolute() || parent.to_string_lossy().contains(char::is_whitespace) {
                continue;
            }
            for user in user.clone().map(Some).into_iter().chain([None]) {
                match Self::create_in(&parent, &program, user) {
                    Ok(place) => return Ok(place),
                    Err(error) => failed = error,
                }
            }
        }
        Err(failed)
    }

    fn create_in(parent: &Path, program: &Path, user: Option<Identity>) -> io::Result<Self> {
        // Searchable by the gateway's user, and by nobody where there is none; the name is made, not found: mkdir(2) fails
        // for one that is there, be it a link that somebody laid.
        let mode = if user.is_some() { 0o711 } else { 0o700 };
        let name = |number| parent.join(format!("{PREFIX}{}-{number}", std::process::id()));
        let make = |dir: PathBuf| match fs::DirBuilder::new().mode(mode).create(&dir) {
            Ok(()) => Some(Ok(dir)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => None,
            Err(error) => Some(Err(error)),
        };
        let dir = (0..NAMES).map(name).find_map(make).unwrap_or(Err(io::ErrorKind::AlreadyExists.into()))?;
        let place = Self { dir, user };
        place.furnish(program).inspect_err(|_| place.remove())?;
        Ok(place)
    }

    fn furnish(&self, program: &Path) -> io::Result<()> {
        fs::set_permissions(&self.dir, fs::Permissions::from_mode(if self.user.is_some() { 0o711 } else { 0o700 }))?;
        for dir in [self.app_dir(), self.dir.join("logs")] {
            fs::DirBuilder::new().mode(0o755).create(&dir)?;
            fs::set_permissions(&dir, fs::Permissions::from_mode(0o755))?;
        }
        for log in ["logs/error.log", "logs/access.log"] {
            fs::write(self.dir.join(log), "")?;
            self.give(&self.dir.join(log))?;
        }
        self.give(&self.app_dir())?;
        let nginx = self.instance().program;
        // A link has the mode of what it is linked to, which may keep the gateway's user out.
        let open = fs::metadata(program)?.permissions().mode() & 0o005 == 0o005 || self.user.is_none();
        if !(open && fs::hard_link(program, &nginx).is_ok()) {
            fs::copy(program, &nginx)?;
            fs::set_permissions(&nginx, fs::Permissions::from_mode(0o755))?;
        }
        fs::hard_link(&nginx, self.app_program())?;
        // The directory may be mounted noexec, and root may be unable to become somebody else (a user namespace).
        let mut trial = Command::new(&nginx);
        self.as_user(&mut trial);
        let status = trial.arg("-v").env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
        if status.success() { Ok(()) } else { Err(io::Error::other("the demo's program cannot be run from its directory")) }
    }

    /// Lets a command run as the demo's user.
    pub(super) fn as_user(&self, command: &mut Command) {
        use std::os::unix::process::CommandExt as _;
        if let Some(user) = &self.user {
            // std drops the supplementary groups along with the user.
            command.uid(user.uid).gid(user.gid);
        }
    }

    /// Gives a file to the demo's user.
    fn give(&self, path: &Path) -> io::Result<()> {
        self.user.as_ref().map_or(Ok(()), |user| chown(path, Some(user.uid), Some(user.gid)))
    }

    /// The gateway that lives here.
    pub(super) fn instance(&self) -> Instance {
        Instance { program: self.dir.join(super::NGINX), config: self.dir.join("nginx.conf"), prefix: self.dir.clone() }
    }

    /// The name of its pool of servers, which no other demo on this host has. nginx sends it as the Host header.
    pub(super) fn name(&self) -> String {
        let own = self.dir.file_name().and_then(|name| name.to_str()?.strip_prefix(PREFIX)).unwrap_or_default();
        format!("shop-{own}")
    }

    /// Where the application lives.
    pub(super) fn app_dir(&self) -> PathBuf {
        self.dir.join("shop")
    }

    /// The application's program.
    pub(super) fn app_program(&self) -> PathBuf {
        self.app_dir().join("shop-app")
    }

    /// The application's unix socket.
    pub(super) fn socket(&self) -> PathBuf {
        self.app_dir().join("shop.sock")
    }

    /// Writes the configuration, whole: a reload must never read half of one.
    pub(super) fn write_config(&self, text: &str) -> io::Result<()> {
        let config = self.instance().config;
        let mut draft = OsString::from(&config);
        draft.push("~");
        fs::write(&draft, text)?;
        fs::rename(draft, config)
    }

    /// Removes it, if it is still there.
    pub(super) fn remove(&self) {
        // What is left, the janitor removes, or the next boot.
        let _ = fs::remove_dir_all(&self.dir);
    }
}
