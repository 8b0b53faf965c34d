//! Layer 2: gateways found on this host, and what their configuration says.
