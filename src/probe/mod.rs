//! Layer 2: probes.
