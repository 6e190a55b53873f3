"""The embedded engine: collections as LanceDB tables in one folder, one process writing."""
