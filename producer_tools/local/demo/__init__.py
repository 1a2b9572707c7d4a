"""The demo: photos in, masks out, on this machine."""
