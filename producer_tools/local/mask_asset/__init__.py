"""The mask-asset service on this machine: it takes masks over HTTP and keeps them."""
