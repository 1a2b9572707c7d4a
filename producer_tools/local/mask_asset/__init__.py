"""A local mask-asset service: it receives masks over HTTP and stores them."""
