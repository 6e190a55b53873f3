"""One store for several processes: one of them owns it, the others read and forward."""
