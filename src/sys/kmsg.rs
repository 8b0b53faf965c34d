//! The kernel's log: /dev/kmsg (kernel `Documentation/ABI/testing/dev-kmsg`).

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use rustix::io::Errno;

use super::{FileError, Root};

/// A record is at most this long: `CONSOLE_EXT_LOG_MAX` was 8192 in older kernels and is `PRINTK_MESSAGE_MAX` (2048) since 6.4;
/// a shorter buffer is EINVAL.
const RECORD_BYTES: usize = 8192;

/// The kernel's log, opened at its oldest record.
#[derive(Debug)]
pub struct KernelLog {
    device: File,
    /// What a record is read into: most have a hundred bytes, and there are thousands.
    room: Vec<u8>,
}

/// What one read gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KernelRead {
    /// A record: `priority,sequence,microseconds,flags[,...];message`, then lines ` KEY=value`.
    Record(Vec<u8>),
    /// Records were overwritten before they were read; the next read goes on behind them.
    Overwritten,
    /// There is no further record yet.
    End,
}

impl KernelLog {
    /// Opens it. It takes CAP_SYSLOG where `kernel.dmesg_restrict` is set.
    pub fn open(root: &Root) -> Result<Self, FileError> {
        root.open_any(Path::new("/dev/kmsg")).map(|device| Self { device, room: vec![0; RECORD_BYTES] })
    }

    /// The next record. Never waits: the device is opened non-blocking.
    pub fn read(&mut self) -> io::Result<KernelRead> {
        loop {
            return match self.device.read(&mut self.room) {
                Ok(0) => Ok(KernelRead::End),
                Ok(count) => Ok(KernelRead::Record(self.room.get(..count).unwrap_or_default().to_vec())),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(KernelRead::End),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.raw_os_error() == Some(Errno::PIPE.raw_os_error()) => Ok(KernelRead::Overwritten),
                Err(error) => Err(error),
            };
        }
    }
}
