//! Layer 2: what is watched on the host: listening sockets, logs, load.
