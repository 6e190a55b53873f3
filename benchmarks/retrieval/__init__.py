"""What the first stage of a search costs on the embedded engine, and how right it is."""
